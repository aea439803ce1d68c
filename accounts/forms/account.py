"""The account library's own forms in our words: "e-mail", labels instead of placeholders."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as library
from allauth.mfa.base import forms as factors
from django import forms

from accounts import signup


class OurWords:
    """Relabel address fields and take placeholders out: a label is always visible."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, forms.Field] = self.fields  # type: ignore[attr-defined]
        for field in fields.values():
            field.widget.attrs.pop("placeholder", None)
        for name in ("login", "email"):
            if name in fields:
                fields[name].label = "E-mail address"


class LoginForm(OurWords, library.LoginForm):
    """Address and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = ""


class ResetPasswordForm(OurWords, library.ResetPasswordForm):
    """Where the code goes."""


class AddEmailForm(OurWords, library.AddEmailForm):
    """The new address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "New e-mail address"

    def clean_email(self) -> str:
        """Return the address; it gets a code, so it counts like an address that somebody signs up with."""
        value: str = super().clean_email()
        if not signup.address_has_room(value):
            raise forms.ValidationError("We wrote to this address several times today. Try again tomorrow.")
        return value


class VerificationCodeForm(OurWords, library.ConfirmEmailVerificationCodeForm):
    """The code of sign-up and of a changed address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = "Six-digit code"
        self.fields["code"].help_text = "From the e-mail with the code. Spaces do not matter."


class ResetCodeForm(OurWords, library.ConfirmPasswordResetCodeForm):
    """The code for a new password."""


class AuthenticateForm(OurWords, factors.AuthenticateForm):
    """The second factor's code."""


class ReauthenticateForm(OurWords, factors.ReauthenticateForm):
    """The second factor's code, asked again."""
