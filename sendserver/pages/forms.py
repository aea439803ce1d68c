"""The help form."""

from __future__ import annotations

from typing import Final

from django import forms
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.crypto import get_random_string

REFERENCE_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that look alike
ABOUT: Final = [
    ("mail", "A message I got | Who sent it, why, how to stop it"),
    ("send", "Sending with you | My account, a list, a campaign"),
    ("data", "My personal data | A copy, a correction, erasure"),
    ("other", "Something else"),
]


class HelpForm(forms.Form):
    """A question to a person."""

    email = forms.EmailField(
        label="Your e-mail address", help_text="We answer to it, and use it for nothing else.", max_length=254
    )
    about = forms.ChoiceField(label="What is it about?", choices=ABOUT, widget=forms.RadioSelect, initial="mail")
    text = forms.CharField(
        label="Your question",
        max_length=5000,
        help_text="If it is about one message, tell us its subject and when it came.",
        widget=forms.Textarea(attrs={"rows": 7}),
    )

    def send(self) -> str:
        """Mail the question to the operator's help address and return its reference."""
        data = self.cleaned_data
        code = get_random_string(8, REFERENCE_LETTERS)
        reference = f"HE-{code[:4]}-{code[4:]}"
        subject = dict(ABOUT)[data["about"]].partition(" | ")[0]
        EmailMessage(
            subject=f"{reference}: {subject}",
            body=f"From: {data['email']}\nReference: {reference}\n\n{data['text']}\n",
            to=[settings.PLATFORM.help_email],
            reply_to=[data["email"]],
        ).send()
        return reference
