"""Tables of accounts, one module a subject."""

from accounts.models.domains import DkimKey, DomainRecord, FromAddress, PlatformKey, SendingDomain
from accounts.models.evidence import AuditEntry, DenyEntry, StandingChange, TermsAcceptance
from accounts.models.ledger import LedgerEntry, LedgerHead
from accounts.models.organizations import Invitation, Membership, Organization, Role, Standing
from accounts.models.people import User
from accounts.models.verification import BusinessProfile, CollectionPractice, Verification, VerificationState

__all__ = [
    "AuditEntry",
    "BusinessProfile",
    "CollectionPractice",
    "DenyEntry",
    "DkimKey",
    "DomainRecord",
    "FromAddress",
    "Invitation",
    "LedgerEntry",
    "LedgerHead",
    "Membership",
    "Organization",
    "PlatformKey",
    "Role",
    "SendingDomain",
    "Standing",
    "StandingChange",
    "TermsAcceptance",
    "User",
    "Verification",
    "VerificationState",
]
