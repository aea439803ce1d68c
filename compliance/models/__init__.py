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
from compliance.models.lists import Contact, ContactBounce, ContactList, ListExit, ListMembership
from compliance.models.registers import RegisterCheck, RegisterEntry, RegisterFile
from compliance.models.retention import RetentionRun
from compliance.models.segments import KeptCount, Segment, SegmentCount
from compliance.models.signups import Signup, SignupForm
from compliance.models.suppression import Suppression, Trap
from compliance.models.tags import ContactField, ContactTag, Tag, TagOrder

__all__ = [
    "AddressBlock",
    "Attestation",
    "AttestationPerson",
    "ConsentEvent",
    "ConsentEventPerson",
    "Contact",
    "ContactBounce",
    "ContactField",
    "ContactList",
    "ContactTag",
    "EvidenceFile",
    "ImportBefore",
    "ImportJob",
    "ImportRow",
    "ImportState",
    "KeptCount",
    "ListExit",
    "ListMembership",
    "ProofRow",
    "RegisterCheck",
    "RegisterEntry",
    "RegisterFile",
    "RetentionRun",
    "SavedPage",
    "Segment",
    "SegmentCount",
    "Signup",
    "SignupForm",
    "Suppression",
    "Tag",
    "TagOrder",
    "Trap",
    "Verdict",
]
