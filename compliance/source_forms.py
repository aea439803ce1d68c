"""Forms of the page for further sources: another way in, what was on the form, evidence."""

from __future__ import annotations

from typing import Any

from django import forms

from compliance import answers
from compliance.background_forms import TEXTS
from compliance.forms import MonthField
from compliance.wording import LANGUAGES
from sendserver.lib import clock

YES_NO = [("", "Not answered"), ("yes", "Yes"), ("no", "No")]


class SourceForm(forms.Form):
    """One more way in which people of this file came; their rows are told by the word in the source column."""

    value = forms.CharField(
        label="The word in the file's source column",
        max_length=80,
        help_text="Rows with exactly this word belong to this source, whatever its case.",
    )
    source = forms.ChoiceField(
        label="Where do these addresses come from?",
        choices=[(code, one.label) for code, one in answers.SOURCES.items() if code != "customers"],
    )
    earliest = MonthField(label="Earliest sign-up")
    latest = MonthField(label="Latest sign-up")
    page_url = forms.URLField(label="Page where they said yes", max_length=300, required=False, assume_scheme="https")
    wording = forms.CharField(
        label="The words they saw",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Copy them exactly.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a range that runs backwards."""
        data = super().clean() or {}
        if data.get("earliest") and data.get("latest") and data["earliest"] > data["latest"]:
            self.add_error("latest", "The latest sign-up is before the earliest")
        return data


class DetailsForm(forms.Form):
    """What was on the form beyond its words (rules 2.1), and the language of the statement."""

    unticked = forms.ChoiceField(label="Was the box empty until they ticked it?", choices=YES_NO, required=False)
    names_sender = forms.ChoiceField(label="Do the words name your company?", choices=YES_NO, required=False)
    tracking_asked = forms.ChoiceField(
        label="Did you ask separately whether you may count opens and clicks?", choices=YES_NO, required=False
    )
    tracking_wording = forms.CharField(
        label="The words beside that box",
        max_length=600,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Needed where a column of your file says who agreed to be counted.",
    )
    registers = forms.CharField(label=TEXTS["registers"], max_length=200, required=False)
    registers_on = forms.DateField(
        label=TEXTS["registers_on"], required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    topics = forms.CharField(label="What did you promise to write about?", max_length=300, required=False)
    frequency = forms.CharField(label="How often?", max_length=60, required=False)
    language = forms.ChoiceField(label="Language of the statement you sign", choices=LANGUAGES)

    def clean_registers_on(self) -> str:
        """Return the day as it is kept; a day to come is refused."""
        day = self.cleaned_data["registers_on"]
        if day and day > clock.now().date():
            raise forms.ValidationError("This day is still to come")
        return day.isoformat() if day else ""


class OptoutsForm(forms.Form):
    """A file of people who said no at the previous tool."""

    optouts_file = forms.FileField(
        label="File of addresses", help_text="CSV, text or Excel: one address a row, in any column."
    )


class EvidenceForm(forms.Form):
    """One file."""

    file = forms.FileField(label="Screenshot, scan or log", help_text="PNG, JPEG, PDF or text.")
