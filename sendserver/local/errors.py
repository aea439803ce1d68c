"""What the launcher says when it cannot go on: one sentence, with the way out."""


class LauncherError(Exception):
    """A refusal that the person at the terminal can act upon; printed without a traceback."""


class ServiceError(LauncherError):
    """A database or broker did not come up; the text ends with the tail of its log."""
