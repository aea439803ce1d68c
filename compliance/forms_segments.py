"""Forms of tags. Segments are written in compliance.segments.draft: their fields come and go."""

from __future__ import annotations

from typing import Any

from django import forms

from compliance import tags
from compliance.errors import TagRefusedError


class TagField(forms.CharField):
    """One tag."""

    def clean(self, value: Any) -> str:
        """Return the tag as it would be kept."""
        try:
            return tags.one(super().clean(value) or "")
        except TagRefusedError as error:
            raise forms.ValidationError(str(error)) from error


class TagForm(forms.Form):
    """A tag's name."""

    name = TagField(label="Name", max_length=200, help_text="A word or two, such as: spring fair.")


class ListTagForm(forms.Form):
    """What to do with one tag on a list, and with whom."""

    name = TagField(label="Tag", max_length=200, error_messages={"required": "Enter a tag."})
    act = forms.ChoiceField(choices=[("give", "Give"), ("take", "Take off")])
    who = forms.ChoiceField(choices=[("ticked", "The people ticked"), ("all", "Everybody on this list")])
