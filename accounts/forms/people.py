"""A person's own settings."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms

from accounts.forms.texts import NameField


@cache
def zones() -> list[tuple[str, str]]:
    """Return the time zones by name; places only, without the database's old aliases."""
    places = sorted(
        zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/"))
    )
    return [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in places)]


class SettingsForm(forms.Form):
    """Name, time zones and what to be told about."""

    name = NameField(label="Your full name", max_length=120)
    time_zone = forms.ChoiceField(label="Your time zone", help_text="Times on pages are shown in it.")
    notify_urgent = forms.BooleanField(
        label="Tell me at once",
        help_text="When sending pauses, records break, or staff decide something. An owner always hears of it.",
        required=False,
    )
    notify_digest = forms.BooleanField(
        label="One summary a day", help_text="What waits for you, at most once a day.", required=False
    )
    organization = NameField(label="Organization name", max_length=120)
    organization_zone = forms.ChoiceField(
        label="Time zone of the organization", help_text="Campaigns are planned in it. Allowances count by UTC days."
    )

    def __init__(self, *args: Any, owner: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("time_zone", "organization_zone"):
            self.fields[name].choices = zones()  # type: ignore[attr-defined]
        if not owner:
            del self.fields["organization"], self.fields["organization_zone"]
