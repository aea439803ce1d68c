"""Tables of compliance, one module a subject."""

from compliance.models.consent import Attestation, AttestationPerson, ConsentEvent, ConsentEventPerson, Verdict
from compliance.models.imports import ImportJob, ImportRow, ImportState, ProofRow
from compliance.models.lists import Contact, ContactList, ListExit, ListMembership
from compliance.models.registers import RegisterCheck, RegisterEntry, RegisterFile
from compliance.models.suppression import Suppression, Trap

__all__ = [
    "Attestation",
    "AttestationPerson",
    "ConsentEvent",
    "ConsentEventPerson",
    "Contact",
    "ContactList",
    "ImportJob",
    "ImportRow",
    "ImportState",
    "ListExit",
    "ListMembership",
    "ProofRow",
    "RegisterCheck",
    "RegisterEntry",
    "RegisterFile",
    "Suppression",
    "Trap",
    "Verdict",
]
