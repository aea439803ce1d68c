"""Staff pages of the abuse desk, and the look-ups a moderator needs beside them."""

from abuse.admin import lookups as _lookups

__all__ = ["_lookups"]
