"""What may go wrong with a measurement itself; none of it says anything about the product."""


class BenchError(Exception):
    """The benchmark cannot go on, or what it measured may not be believed; the text is one sentence for a person."""


class ToolsMissingError(BenchError):
    """Postfix's test programs could not be fetched."""
