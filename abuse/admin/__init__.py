"""Staff pages of the abuse desk."""

from abuse.admin import appeals, cases, lookups, records

__all__ = ["appeals", "cases", "lookups", "records"]
