"""Forms of campaigns; each checks its input and hands a frozen dataclass to the logic."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django import forms
from django.db.models import Q

from accounts.models import FromAddress, Organization
from campaigns.approve import Order, in_zone
from campaigns.compose import Changes, from_addresses
from campaigns.models import Campaign
from compliance.lists import open_lists
from compliance.models import ContactList, Segment

LINE_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # also what turns the direction of text
_ZONES = """
UTC Europe/London Europe/Dublin Europe/Lisbon Europe/Madrid Europe/Paris Europe/Brussels Europe/Amsterdam
Europe/Berlin Europe/Zurich Europe/Vienna Europe/Rome Europe/Copenhagen Europe/Stockholm Europe/Oslo
Europe/Helsinki Europe/Warsaw Europe/Prague Europe/Athens Europe/Istanbul America/New_York America/Chicago
America/Denver America/Los_Angeles America/Toronto America/Sao_Paulo Asia/Dubai Asia/Kolkata Asia/Singapore
Asia/Tokyo Australia/Sydney Pacific/Auckland
"""
ZONES = _ZONES.split()


class LineField(forms.CharField):
    """One line of text that becomes part of a header: no line breaks, no controls (rules ID-HEADER-LOCK)."""

    def to_python(self, value: Any) -> str:
        """Return the text without blanks at its ends; refuse line breaks and controls, also at the ends."""
        if value and LINE_BREAK.search(str(value)):
            raise forms.ValidationError("Write this in one line, without line breaks and hidden signs")
        return str(super().to_python(value) or "")


class ListChoice(forms.ModelMultipleChoiceField):
    """The organization's lists with their sizes."""

    def label_from_instance(self, obj: ContactList) -> str:
        """Return "Newsletter, 8,412"."""
        return f"{obj.name}, {obj.people_count:,}"


class SegmentChoice(forms.ModelChoiceField):
    """The organization's segments."""

    def label_from_instance(self, obj: Segment) -> str:
        """Return the name; one that was deleted says so, and still stands until another is chosen."""
        return f"{obj.name} (deleted: choose another)" if obj.deleted_at else obj.name


class NewForm(forms.Form):
    """The name of a new campaign; only its authors see it."""

    name = LineField(max_length=120, label="Name", help_text="Only you and your team see it.")


class DraftForm(forms.Form):
    """Everything in a draft."""

    use_required_attribute = False
    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    name = LineField(max_length=120, label="Name")
    lists = ListChoice(
        queryset=ContactList.objects.none(), required=False, label="To", widget=forms.CheckboxSelectMultiple
    )
    segment: forms.ModelChoiceField = SegmentChoice(
        queryset=Segment.objects.none(),
        required=False,
        label="Only those in",
        empty_label="Everybody on these lists",
        to_field_name="uid",
    )
    from_address: forms.ModelChoiceField = forms.ModelChoiceField(
        queryset=FromAddress.objects.none(), required=False, label="From", empty_label="Choose an address"
    )
    subject = LineField(max_length=200, required=False, label="Subject")
    preheader = LineField(max_length=200, required=False, label="Preview line")
    body_format = forms.ChoiceField(choices=Campaign.Format.choices, label="Written in")
    body = forms.CharField(required=False, strip=False, label="Message", widget=forms.Textarea, max_length=500_000)
    offer_ends_at = forms.DateField(
        required=False,
        label="The offer ends on",
        help_text="Needed when the subject says that something ends.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, organization: Organization, segment: Segment | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._segment = segment
        mine = Segment.objects.for_org(organization).filter(Q(deleted_at=None) | Q(pk=segment.pk if segment else None))
        self.fields["segment"].queryset = mine.order_by("name", "pk")  # type: ignore[attr-defined]
        self.fields["lists"].queryset = open_lists(organization)  # type: ignore[attr-defined]
        self.fields["from_address"].queryset = from_addresses(organization)  # type: ignore[attr-defined]
        self.fields["body"].widget.attrs |= {"id": "b", "spellcheck": "true", "rows": 24}

    @classmethod
    def of(cls, campaign: Campaign) -> DraftForm:
        """Return the form filled with a draft."""
        names = ("version", "name", "from_address", "subject", "preheader", "body_format", "body", "offer_ends_at")
        initial = {name: getattr(campaign, name) for name in names}
        segment = campaign.segment
        initial |= {"lists": campaign.lists.all(), "segment": segment.uid if segment else None}
        return cls(initial=initial, organization=campaign.organization, segment=segment)

    def clean_segment(self) -> Segment | None:
        """Return the segment chosen; a page that does not know of segments leaves the draft's own."""
        return self.cleaned_data["segment"] if "segment" in self.data else self._segment

    def for_page(self) -> DraftForm:
        """Return the form for showing: what a campaign needs before it is sent is not marked as optional.

        Checks the input first, since a draft may still be saved without these.
        """
        _ = self.errors
        for name in ("lists", "segment", "from_address", "subject", "preheader", "body"):
            self.fields[name].required = True
        return self

    def changes(self) -> Changes:
        """Return what was typed."""
        values = {name: value for name, value in self.cleaned_data.items() if name != "version"}
        return Changes(**{**values, "lists": tuple(values["lists"])})


class ApproveForm(forms.Form):
    """When to send, and how many people, typed."""

    use_required_attribute = False
    key = forms.UUIDField(widget=forms.HiddenInput)
    version = forms.IntegerField(widget=forms.HiddenInput)
    segment = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    counted = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    when = forms.ChoiceField(
        choices=[
            ("now", "Now | As soon as you press the button"),
            ("later", "At a time | You can stop it until it starts, and pause it after"),
        ],
        widget=forms.RadioSelect,
        label="When to send",
        initial="now",
    )
    date = forms.DateField(
        required=False, label="Date", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    time = forms.TimeField(required=False, label="Time", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    zone = forms.ChoiceField(required=False, label="Zone", choices=[])
    typed = forms.CharField(
        required=False,
        label="Number of people",
        max_length=20,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = list(dict.fromkeys([zone, *ZONES]))
        self.fields["zone"].choices = [(name, name.replace("_", " ")) for name in names]  # type: ignore[attr-defined]
        self.fields["zone"].initial = zone

    def clean_typed(self) -> int | None:
        """Return the typed count; separators between thousands are understood."""
        digits = re.sub(r"[\s,.\u202f\u00a0'’]", "", self.cleaned_data["typed"])
        if digits and not digits.isdecimal():  # "²" is a digit, yet no number
            raise forms.ValidationError("Type the number in digits")
        return int(digits) if digits else None

    def clean(self) -> dict[str, Any]:
        """Ask for date and time when "At a time" is chosen."""
        data = super().clean() or {}
        if data.get("when") == "later" and not self.errors:
            if not (data.get("date") and data.get("time")):
                raise forms.ValidationError({"date": "Enter date and time, or choose Now"})
            data["at"] = self._moment(data)
        return data

    def _moment(self, data: dict[str, Any]) -> datetime:
        zone = data["zone"] if data["zone"] in available_timezones() else "UTC"
        return in_zone(data["date"].isoformat(), f"{data['time']:%H:%M}", zone)

    def for_page(self) -> ApproveForm:
        """Return the form for showing; date and time are not "optional", they belong to one of the answers."""
        _ = self.errors
        for name in ("date", "time", "zone"):
            self.fields[name].required = True
        return self

    def order(self) -> Order:
        """Return the order."""
        data = self.cleaned_data
        key: UUID = data["key"]
        zone = data["zone"] or "UTC"
        return Order(
            key=key,
            version=data["version"],
            at=data.get("at"),
            zone=zone,
            typed=data["typed"],
            segment=data["segment"],
            counted=data["counted"],
        )
