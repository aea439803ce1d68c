"""Reads the mail that came in."""

from __future__ import annotations


def process_waiting(limit: int = 200) -> int:
    """Process waiting mail; return how many."""
    return 0
