"""Why the pair cannot be run, in words."""


class PairError(RuntimeError):
    """The text is for the person who started it."""
