"""Tables of compliance, one module a subject."""

from compliance.models.consent import (
    AddressBlock,
    Attestation,
    AttestationPerson,
    ConsentEvent,
    ConsentEventPerson,
    EvidenceFile,
    SavedPage,
    Verdict,
)
from compliance.models.imports import ImportBefore, ImportJob, ImportRow, ImportState, ProofRow
from compliance.models.lists import Contact, ContactList, ListExit, ListMembership
from compliance.models.registers import RegisterCheck, RegisterEntry, RegisterFile
from compliance.models.retention import RetentionRun
from compliance.models.signups import Signup, SignupForm
from compliance.models.suppression import Suppression, Trap

__all__ = [
    "AddressBlock",
    "Attestation",
    "AttestationPerson",
    "ConsentEvent",
    "ConsentEventPerson",
    "Contact",
    "ContactList",
    "EvidenceFile",
    "ImportBefore",
    "ImportJob",
    "ImportRow",
    "ImportState",
    "ListExit",
    "ListMembership",
    "ProofRow",
    "RegisterCheck",
    "RegisterEntry",
    "RegisterFile",
    "RetentionRun",
    "SavedPage",
    "Signup",
    "SignupForm",
    "Suppression",
    "Trap",
    "Verdict",
]
