"""What the abuse desk refuses. Business refusals are these; views turn them into words."""

from __future__ import annotations


class AbuseError(Exception):
    """Base of the refusals below; its text is fit for the person who asked."""


class DecisionRefusedError(AbuseError):
    """The decision does not fit the standing, the case or the person; the text says why."""


class CaseTakenError(AbuseError):
    """Another member of staff holds the case."""


class AppealRefusedError(AbuseError):
    """The appeal cannot be made or decided; the text says why."""


class TooManyReportsError(AbuseError):
    """A limit on reports is reached; try later or write to the abuse mailbox."""
