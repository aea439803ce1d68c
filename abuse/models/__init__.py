"""Tables of the abuse desk, one module a subject."""

from abuse.models.complaints import Complaint, ComplaintSource
from abuse.models.moderation import Appeal, Case, CaseEntry, CaseState, Decision, DecisionKind

__all__ = ["Appeal", "Case", "CaseEntry", "CaseState", "Complaint", "ComplaintSource", "Decision", "DecisionKind"]
