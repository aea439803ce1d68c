"""Tables of compliance, one module a subject."""

from compliance.models.consent import (
    AddressBlock,
    Attestation,
    AttestationPerson,
    ConsentEvent,
    ConsentEventPerson,
    EvidenceFile,
    Verdict,
)
from compliance.models.imports import ImportJob, ImportRow, ImportState
from compliance.models.lists import Contact, ContactList, ListMembership
from compliance.models.registers import RegisterCheck, RegisterEntry, RegisterFile
from compliance.models.suppression import Suppression

__all__ = [
    "AddressBlock",
    "Attestation",
    "AttestationPerson",
    "ConsentEvent",
    "ConsentEventPerson",
    "Contact",
    "ContactList",
    "EvidenceFile",
    "ImportJob",
    "ImportRow",
    "ImportState",
    "ListMembership",
    "RegisterCheck",
    "RegisterEntry",
    "RegisterFile",
    "Suppression",
    "Verdict",
]
