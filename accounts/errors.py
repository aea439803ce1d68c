"""What accounts refuses. Business refusals are these, never ValueError; views turn them into words."""

from __future__ import annotations


class AccountsError(Exception):
    """Base of the refusals below; its text is fit for a customer."""


class ReasonMissingError(AccountsError):
    """A decision was made without saying why."""


class StandingMovedError(AccountsError):
    """Somebody moved the standing between reading and writing."""


class LastOwnerError(AccountsError):
    """An organization always has an owner: name another one first."""


class InvitationRefusedError(AccountsError):
    """The invitation cannot be made or used; the text says why."""


class DomainRefusedError(AccountsError):
    """The domain or address cannot be added; `code` is one of rules section 6."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class VerificationRefusedError(AccountsError):
    """The application cannot take this step; the text says what is missing."""


class TooManyError(AccountsError):
    """A limit of accounts.policy is reached; try later."""
