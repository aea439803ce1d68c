"""Forms of accounts."""

from __future__ import annotations

from django import forms


class SignupForm(forms.Form):
    """What sign-up asks beside address and password."""

    def signup(self, request: object, user: object) -> None:
        """Keep the answers."""
