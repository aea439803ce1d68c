"""Tables of compliance, one module a subject."""

from compliance.models.consent import Attestation, AttestationPerson, Verdict
from compliance.models.imports import ImportJob, ImportRow, ImportState, ProofRow
from compliance.models.lists import Contact, ContactList, ListMembership
from compliance.models.retention import DeletedPart, RetentionRun
from compliance.models.signups import Signup, SignupForm
from compliance.models.suppression import Suppression, Trap

__all__ = [
    "Attestation",
    "AttestationPerson",
    "Contact",
    "ContactList",
    "DeletedPart",
    "ImportJob",
    "ImportRow",
    "ImportState",
    "ListMembership",
    "ProofRow",
    "RetentionRun",
    "Signup",
    "SignupForm",
    "Suppression",
    "Trap",
    "Verdict",
]
