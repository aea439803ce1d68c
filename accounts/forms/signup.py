"""Sign-up: four questions and an honest no to bought lists."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.forms import SignupForm as BaseSignupForm
from allauth.core import context
from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from accounts import signup
from accounts.forms.agreeing import agree_words
from accounts.forms.texts import NameField
from accounts.models import User
from sendserver.lib.tags import rule

WHO = [
    ("asked", "People who signed up with us | You have their yes, or you will collect it with our forms"),
    (
        "customers",
        "Customers of ours who have not said yes | "
        "We show how to ask them at the next purchase. They cannot be mailed from here before",
    ),
    (
        "bought",
        lazy(
            lambda: format_html(
                "Addresses we bought, rented, were given or found | "
                "We cannot help with these, and would rather say so now ({})",
                rule("2.1"),
            ),
            SafeString,
        )(),
    ),
]


def password_hint() -> str:
    """Return what a password needs, read from the validators that are in force."""
    validators = cast("list[dict[str, Any]]", settings.AUTH_PASSWORD_VALIDATORS)
    options = [validator.get("OPTIONS", {}) for validator in validators]
    length = next((o["min_length"] for o in options if "min_length" in o), 8)
    return f"At least {length} characters. A few plain words are fine. We refuse common passwords."


class SignupForm(BaseSignupForm):
    """Name, work e-mail, password, organization, whom to write to, and the two documents.

    Somebody who follows an invitation joins that organization and is asked for none.
    """

    name = NameField(label="Your full name", max_length=120, widget=forms.TextInput({"autocomplete": "name"}))
    organization = NameField(
        label="Organization", max_length=120, widget=forms.TextInput({"autocomplete": "organization"})
    )
    who = forms.ChoiceField(label="Who will you write to?", choices=WHO, widget=forms.RadioSelect)
    agree = forms.BooleanField(label="I agree")
    field_order = ("name", "email", "password1", "organization", "who", "agree")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(self.field_order)
        self.fields["email"].label = "Work e-mail"
        self.fields[
            "email"
        ].help_text = "We send a code to it. Use an address in your company’s domain if you have one."
        self.fields["password1"].label = "Password"
        self.fields["password1"].help_text = password_hint()
        for name in ("email", "password1"):
            self.fields[name].widget.attrs.pop("placeholder", None)
        self.fields["agree"].label = agree_words()
        if signup.is_invited(context.request):
            del self.fields["organization"], self.fields["who"]

    def clean(self) -> dict[str, Any]:
        """Count the sign-up against its network's limit once everything else is right."""
        data: dict[str, Any] = super().clean() or {}
        if not self.errors and not signup.network_has_room(context.request):
            raise forms.ValidationError("Too many accounts were made from your network. Try again in an hour.")
        return data

    def clean_who(self) -> str:
        """Return the answer, unless it is one we cannot serve."""
        if self.cleaned_data["who"] == "bought":
            raise forms.ValidationError(
                mark_safe(
                    "We cannot carry mail to addresses that were bought, rented, given or found. No account is made. "
                    "Start with people who sign up on your own form, and come back."
                )
            )
        return cast(str, self.cleaned_data["who"])

    def clean_email(self) -> str:
        """Return the address; too many sign-ups to one mailbox are refused in the same words as to any other."""
        value: str = super().clean_email()
        if not signup.address_has_room(value):
            raise forms.ValidationError("We wrote to this address several times today. Try again tomorrow.")
        return value

    def custom_signup(self, request: HttpRequest, user: User) -> None:
        """Keep the answers of a new person."""
        signup.complete(
            request, user, name=self.cleaned_data["name"], organization=self.cleaned_data.get("organization")
        )
