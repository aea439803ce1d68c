"""Tables of compliance, one module a subject."""

from compliance.models.consent import Attestation, AttestationPerson, Verdict
from compliance.models.imports import ImportBefore, ImportJob, ImportRow, ImportState
from compliance.models.lists import Contact, ContactList, ListMembership
from compliance.models.suppression import Suppression

__all__ = [
    "Attestation",
    "AttestationPerson",
    "Contact",
    "ContactList",
    "ImportBefore",
    "ImportJob",
    "ImportRow",
    "ImportState",
    "ListMembership",
    "Suppression",
    "Verdict",
]
