"""Forms about sending domains and From addresses."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.forms.texts import LineField
from accounts.models import SendingDomain


class DomainForm(forms.Form):
    """The domain to write from."""

    name = LineField(
        label="Domain",
        max_length=253,
        help_text="The part after @ in your From address, such as mail.example.com. You edit its DNS next.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )


class MailRecordsForm(forms.Form):
    """Who manages the DNS."""

    email = forms.EmailField(label="To the person who manages your DNS", max_length=254)


class FromAddressForm(forms.Form):
    """A sender: what people see, and where answers go."""

    display_name = LineField(
        label="Name that people see", max_length=78, help_text="Your company or brand. It has to be yours (rule 4.1)."
    )
    local_part = LineField(
        label="Address, before the @", max_length=64, widget=forms.TextInput({"autocomplete": "off"})
    )
    reply_to = forms.EmailField(
        label="Answers go to",
        max_length=254,
        required=False,
        help_text="Empty: to the address itself. We mail a link there, and somebody has to open it.",
    )

    def __init__(self, *args: Any, domain: SendingDomain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["local_part"].help_text = f"…@{domain.name}"
