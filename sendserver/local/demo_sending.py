"""The part of the story that sends: a list, a sent campaign, one for tomorrow, a draft, and a report."""

from __future__ import annotations

from accounts.models import Organization, User


def tell(organization: Organization, owner: User) -> None:
    """Tell it once."""
