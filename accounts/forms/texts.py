"""Text fields whose value is one clean line: no line breaks, no control or direction characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

_ADDRESS = re.compile(r"://|@|\bwww\.|/", re.IGNORECASE)
_REFUSED = ("Cc", "Cf", "Zl", "Zp", "Co", "Cs")


class LineField(forms.CharField):
    """One line of visible text; rules ID-HEADER-LOCK wants none of the rest anywhere near a header."""

    def clean(self, value: Any) -> Any:
        """Return the text in composed form (NFC), or say what to take out."""
        text = unicodedata.normalize("NFC", super().clean(value) or "")
        if any(unicodedata.category(char) in _REFUSED for char in text):
            raise ValidationError("Take out line breaks and invisible characters.")
        return text


class NameField(LineField):
    """A name that stands in our letters: no address in it, or an invitation would carry anybody's advertisement."""

    def clean(self, value: Any) -> Any:
        """Return the name, or say what to take out."""
        text = super().clean(value)
        if _ADDRESS.search(text):
            raise ValidationError("Enter a name without web or e-mail addresses in it.")
        return text
