"""What can go wrong in compliance, with words a customer can read."""

from __future__ import annotations


class ComplianceError(Exception):
    """Base of this app's refusals; the text is shown to people."""


class LiftRefusedError(ComplianceError):
    """An entry of the do-not-mail list may not be lifted by this person, or without a reason."""


class FileRefusedError(ComplianceError):
    """A file cannot be taken; `line` is where (1-based), 0 when the file as a whole is meant."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class ImportRefusedError(ComplianceError):
    """A step of an upload is not possible now."""


class PersonRefusedError(ComplianceError):
    """A person cannot be added or changed; `field` names the form field that is wrong."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class ExportRefusedError(ComplianceError):
    """A file is not given out: the reason is missing."""


class RegisterRefusedError(ComplianceError):
    """A file of an opt-out register cannot be loaded."""


class SignatureRefusedError(ComplianceError):
    """A statement cannot be signed: something is missing, or the second factor is not fresh."""


class TagRefusedError(ComplianceError):
    """A tag cannot be made, renamed or deleted."""


class FieldRefusedError(ComplianceError):
    """A further column cannot be of this kind."""


class SegmentRefusedError(ComplianceError):
    """Conditions cannot be taken; `place` is (group, condition), both from 0, where one of them is meant."""

    def __init__(self, text: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(text)
        self.place = place
