"""Text fields whose value is one clean line: no line breaks, no control or direction characters."""

from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

_REFUSED = ("Cc", "Cf", "Zl", "Zp", "Co", "Cs")


class LineField(forms.CharField):
    """One line of visible text; rules ID-HEADER-LOCK wants none of the rest anywhere near a header."""

    def clean(self, value: Any) -> Any:
        """Return the text in composed form (NFC), or say what to take out."""
        text = unicodedata.normalize("NFC", super().clean(value) or "")
        if any(unicodedata.category(char) in _REFUSED for char in text):
            raise ValidationError("Take out line breaks and invisible characters.")
        return text
