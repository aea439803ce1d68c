"""Forms of compliance. They check shape; whether something may be done is decided by the logic behind them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.utils.html import format_html

from accounts.forms.texts import LineField
from accounts.models import User
from compliance import answers, countries, questions
from compliance.background_forms import BackgroundFields
from compliance.imports.dates import EARLIEST
from compliance.lists import open_lists
from compliance.models import ContactList
from compliance.models.lists import ConsentBasis
from sendserver.lib import clock

NEW_LIST = "new"


class ListForm(forms.Form):
    """A new list."""

    name = LineField(
        label="Name", max_length=120, help_text="The people on it read it where they choose what they get."
    )
    topics = LineField(
        label="What these people were told they would get", max_length=300, required=False, help_text="Such as: offers."
    )
    frequency = LineField(label="How often", max_length=60, required=False, help_text="Such as: once a month.")


class UploadForm(forms.Form):
    """Step 1: a file and where it goes."""

    contact_list = forms.ChoiceField(label="Which list?")
    list_name = LineField(
        label="Name of the new list",
        max_length=120,
        required=False,
        help_text="The people on it read it where they choose what they get.",
    )
    file = forms.FileField(
        label="File",
        max_length=400,
        help_text="CSV, TSV or Excel (.xlsx). One row for each person, the address in its own column.",
    )

    def __init__(self, *args: Any, organization: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lists = {str(row.uid): row for row in open_lists(organization)[:200]}
        choices = [(NEW_LIST, "A new list"), *((uid, row.name) for uid, row in self._lists.items())]
        self.fields["contact_list"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Ask for a name where a new list is wanted."""
        data = super().clean() or {}
        if data.get("contact_list") == NEW_LIST and not (data.get("list_name") or "").strip():
            self.add_error("list_name", "Give the new list a name")
        return data

    @property
    def chosen(self) -> ContactList | None:
        """Return the list chosen, or None for a new one."""
        return self._lists.get(self.cleaned_data["contact_list"])


class MonthInput(forms.DateInput):
    """A browser's month field; its value reads 2026-05."""

    input_type = "month"


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


class MonthField(forms.CharField):
    """A month, kept as 2026-05."""

    widget = MonthInput

    def clean(self, value: Any) -> str:
        """Return the month, not in the future and not before 1995."""
        text = super().clean(value)
        if not text:
            return ""
        try:
            month = _month(text[:7])
        except ValueError as error:
            raise forms.ValidationError("Write the month as 2026-05") from error
        if month > clock.now().date() or month.year < 1995:
            raise forms.ValidationError("Choose a month between January 1995 and today")
        return text[:7]


class ConsentForm(BackgroundFields):
    """Step 3: how these people signed up, eight sources ruled out, what came before, three statements, a name."""

    source = forms.ChoiceField(
        label="Where do the addresses come from?",
        widget=forms.RadioSelect,
        help_text="Pick one. If the file mixes sources, split it, or mark the others by a column and add them below.",
        choices=[
            *((code, f"{source.label} | {source.hint}") for code, source in answers.SOURCES.items()),
            (
                answers.FORBIDDEN,
                "Bought, rented, third-party or harvested | We cannot send to these. Choosing this shows what you can "
                "do instead; it does not count against you.",
            ),
        ],
        error_messages={"required": "Choose where the addresses come from"},
    )
    earliest = MonthField(label="Earliest sign-up")
    latest = MonthField(label="Latest sign-up")
    page_url = forms.URLField(
        label="Page where they said yes",
        max_length=300,
        required=False,
        assume_scheme="https",
        help_text="Our staff looks at it when somebody does not remember signing up.",
    )
    wording = forms.CharField(
        label="The words they saw",
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text='Copy them exactly. People who ask "why did I get this?" will see this text.',
    )
    last_mailed = forms.DateField(
        label="When did these people last get mail from you?",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Leave it empty if they never did. A permission that nobody used fades.",
    )
    country = forms.ChoiceField(
        label="Where do people live whose row has no country?",
        required=False,
        choices=[("", "I do not know (the strictest law counts)"), *countries.choices()],
    )
    signer_name = forms.CharField(
        label="Type your full name to sign",
        error_messages={"required": "Type your full name to sign"},
        max_length=120,
        min_length=3,
        widget=forms.TextInput({"autocomplete": "name"}),
    )

    def __init__(self, *args: Any, sender: str, days: int, signer: User | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.signer = signer
        self.ask_of_a_move()
        for code, label in questions.PROHIBITED.items():
            self.fields[f"prohibited_{code}"] = forms.ChoiceField(
                label=label,
                choices=[("no", "No"), ("yes", "Yes")],
                widget=forms.RadioSelect,
                error_messages={"required": f"Answer: {label[:1].lower()}{label[1:]}"},
            )
        for code, label in questions.SOFT.items():
            self.fields[f"soft_{code}"] = forms.ChoiceField(
                label=label,
                choices=[("no", "No"), ("yes", "Yes")],
                widget=forms.RadioSelect,
                required=False,
            )
        for code, text in questions.STATEMENTS.items():
            self.fields[f"statement_{code}"] = forms.BooleanField(
                label=format_html(text, sender=format_html("<strong>from {}</strong>", sender.rstrip(".")), days=days),
                error_messages={"required": "Tick the statement, or leave the list out"},
            )

    def prohibited(self) -> list[Any]:
        """Return the eight questions as bound fields."""
        return [self[f"prohibited_{code}"] for code in questions.PROHIBITED]

    @property
    def soft_open(self) -> bool:
        """Tell whether the conditions for customers are shown at once: they matter, or one is wrong."""
        given = self.data if self.is_bound else self.initial
        return given.get("source") == "customers" or any(self[f"soft_{code}"].errors for code in questions.SOFT)

    def soft(self) -> list[Any]:
        """Return the four conditions for customers as bound fields."""
        return [self[f"soft_{code}"] for code in questions.SOFT]

    def statements(self) -> list[Any]:
        """Return the three statements as bound fields."""
        return [self[f"statement_{code}"] for code in questions.STATEMENTS]

    def clean(self) -> dict[str, Any]:
        """Refuse a range that runs backwards and a last mail in the future."""
        data = super().clean() or {}
        if data.get("earliest") and data.get("latest") and data["earliest"] > data["latest"]:
            self.add_error("latest", "The latest sign-up is before the earliest")
        if data.get("last_mailed") and data["last_mailed"] > clock.now().date():
            self.add_error("last_mailed", "This day is still to come")
        for code in questions.SOFT if data.get("source") == "customers" else ():
            if data.get(f"soft_{code}") != "yes":
                self.add_error(f"soft_{code}", "Without this, customers who gave no yes may not be written to")
        for code in questions.PROHIBITED:
            if data.get(f"prohibited_{code}") == "yes":
                self.add_error(f"prohibited_{code}", "We cannot send to these. Leave them out of the file")
        self.clean_background(data)
        return data

    def stops(self) -> bool:
        """Tell whether the person says that the list comes from a source nobody may use."""
        given = self.data
        return given.get("source") == answers.FORBIDDEN or any(
            given.get(f"prohibited_{code}") == "yes" for code in questions.PROHIBITED
        )

    def kept(self) -> dict[str, Any]:
        """Return the answers as they are kept with the upload, valid or not (a draft keeps what is there)."""
        get = self.data.get
        plain = ("source", "earliest", "latest", "page_url", "wording", "last_mailed", "signer_name")
        limits = {"wording": 2000, "page_url": 300, "signer_name": 120}
        texts = {name: str(get(name, "")).replace("\x00", "").strip()[: limits.get(name, 40)] for name in plain}
        if self.is_bound and "page_url" in getattr(self, "cleaned_data", {}):
            texts["page_url"] = self.cleaned_data["page_url"]
        return {
            **texts,
            "prohibited": {code: _yes_or_no(get(f"prohibited_{code}")) for code in questions.PROHIBITED},
            "soft": {code: _yes_or_no(get(f"soft_{code}")) for code in questions.SOFT},
            "statements": [code for code in questions.STATEMENTS if get(f"statement_{code}")],
            **self.kept_background(),
        }

    @staticmethod
    def initial_from(kept: dict[str, Any], country: str) -> dict[str, Any]:
        """Return the form's values for answers kept before."""
        plain = {name: value for name, value in kept.items() if isinstance(value, str)}
        prohibited = {f"prohibited_{code}": value for code, value in kept.get("prohibited", {}).items()}
        statements = {f"statement_{code}": True for code in kept.get("statements", [])}
        soft = {f"soft_{code}": value for code, value in kept.get("soft", {}).items()}
        beside = BackgroundFields.initial_background(kept)
        return {**plain, **prohibited, **soft, **statements, **beside, "country": country}


def _yes_or_no(value: object) -> str:
    """Return an answer as it is kept, "" for anything but the two; what was typed could not even be stored."""
    return str(value) if value in ("yes", "no") else ""


class PersonForm(forms.Form):
    """One person, to be added or corrected."""

    address = forms.CharField(label="E-mail address", max_length=320, widget=forms.TextInput({"autocomplete": "off"}))
    first_name = forms.CharField(label="First name", max_length=120, required=False)
    last_name = forms.CharField(label="Last name", max_length=120, required=False)
    country = forms.ChoiceField(
        label="Country", required=False, choices=[("", "Not known (the strictest law counts)"), *countries.choices()]
    )


class AddPersonForm(PersonForm):
    """One person with what permits mailing them."""

    basis = forms.ChoiceField(
        label="How did they agree?",
        choices=[("", "Choose"), *ConsentBasis.choices],
        error_messages={"required": "Choose how they agreed"},
    )
    consent_on = forms.DateField(label="When?", widget=forms.DateInput(attrs={"type": "date"}))
    confirmed_on = forms.DateField(
        label="When did they confirm by link?",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Germany, Austria and unknown countries need it.",
    )
    source = forms.CharField(
        label="Where is it on record?", max_length=200, help_text="Such as: paper form, garden show, table 4."
    )

    def clean(self) -> dict[str, Any]:
        """Refuse days to come, days before anybody signed up, and a confirmation before the sign-up."""
        data = super().clean() or {}
        today = clock.now().date()
        for name in ("consent_on", "confirmed_on"):
            if data.get(name) and data[name] > today:
                self.add_error(name, "This day is still to come")
            elif data.get(name) and data[name] < EARLIEST.date():
                self.add_error(name, f"Choose a day since {EARLIEST.year}")
        if data.get("consent_on") and data.get("confirmed_on") and data["confirmed_on"] < data["consent_on"]:
            self.add_error("confirmed_on", "They cannot confirm before they signed up")
        return data


def at_midnight(day: date | None) -> datetime | None:
    """Return a day as an instant, midnight UTC."""
    return datetime.combine(day, time(0), UTC) if day else None


class SearchForm(forms.Form):
    """Words to look for. Posted, so that no address stands in a log."""

    q = forms.CharField(label="Find by address or name", max_length=254, required=False, strip=True)


class FindAddressForm(forms.Form):
    """A full address to look up on the do-not-mail list."""

    address = forms.CharField(
        label="E-mail address", max_length=320, help_text="The whole address; the list keeps no readable ones."
    )
