"""Tenancy is explicit: rows are fetched through the organization; a stranger's id finds nothing (404)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from accounts.models import Organization

Row = TypeVar("Row", bound=models.Model)


class OrgQuerySet(models.QuerySet[Row]):
    """Rows that carry an `organization`."""

    def for_org(self, organization: Organization) -> Self:
        """Return only the rows of `organization`."""
        return self.filter(organization=organization)
