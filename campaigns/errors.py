"""What can go wrong in campaigns."""

from __future__ import annotations


class CampaignError(Exception):
    """Base of the errors of campaigns."""


class ContentError(CampaignError):
    """A customer's text cannot be used; `problems` are sentences for that customer."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RenderError(CampaignError):
    """One recipient's message cannot be written: the value of `field` is missing or may not stand there."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason
