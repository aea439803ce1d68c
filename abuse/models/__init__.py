"""Tables of the abuse desk, one module a subject."""

from abuse.models.complaints import Complaint, ComplaintSource
from abuse.models.moderation import (
    Appeal,
    AppealFile,
    Case,
    CaseEntry,
    CaseState,
    Decision,
    DecisionKind,
    MonthFigures,
)

__all__ = [
    "Appeal",
    "AppealFile",
    "Case",
    "CaseEntry",
    "CaseState",
    "Complaint",
    "ComplaintSource",
    "Decision",
    "DecisionKind",
    "MonthFigures",
]
