"""Forms about organizations and their people."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.forms.agreeing import agree_words
from accounts.forms.texts import LineField, NameField
from accounts.invitations import INVITABLE
from accounts.models import Role

ROLE_WORDS = {
    Role.OWNER: "Owner | Everything, the team and closing included",
    Role.MANAGER: "Manager | Signs lists, approves and sends",
    Role.EDITOR: "Editor | Writes; cannot send",
    Role.VIEWER: "Viewer | Reads only",
}


class AgreeForm(forms.Form):
    """The yes to the documents in force."""

    agree = forms.BooleanField(label="I agree", error_messages={"required": "Tick the box to go on."})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agree"].label = agree_words()


class OrganizationForm(AgreeForm):
    """The name of a new organization, and the documents accepted for it."""

    name = NameField(
        label="Organization name", max_length=120, help_text="The name people know. The legal name comes later."
    )
    field_order = ("name", "agree")


class CloseForm(forms.Form):
    """The organization's name, typed again."""

    typed = LineField(label="Type the name of the organization", max_length=120)

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name

    def clean_typed(self) -> str:
        """Return the name when it is the right one."""
        typed: str = self.cleaned_data["typed"]
        if typed != self.name:
            raise forms.ValidationError(f"Type “{self.name}” exactly as it stands here.")
        return typed


class InviteForm(forms.Form):
    """An address and a role; no text of one's own, on purpose."""

    email = forms.EmailField(label="E-mail address", max_length=254, widget=forms.EmailInput({"autocomplete": "off"}))
    role = forms.ChoiceField(
        label="Role",
        choices=[(role.value, ROLE_WORDS[role]) for role in INVITABLE],
        initial=Role.EDITOR,
        widget=forms.RadioSelect,
    )


class RoleForm(forms.Form):
    """The role of a member."""

    role = forms.ChoiceField(
        label="Role", choices=[(role.value, ROLE_WORDS[role]) for role in Role], widget=forms.RadioSelect
    )
