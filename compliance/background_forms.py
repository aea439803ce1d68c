"""The questions of compliance.background as fields of the consent step."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import User
from compliance import background
from compliance.background import ALONE, LIMITS, MOVING, YES_NO
from compliance.questions import CURRENT

TEXTS = CURRENT.texts


class BackgroundFields(forms.Form):
    """Who is on the list, where it was kept before; the signer's name beside the account's."""

    minors = forms.ChoiceField(
        label=TEXTS["minors"],
        choices=YES_NO,
        widget=forms.RadioSelect,
        error_messages={"required": "Say whether people under 18 are among them"},
    )
    dated = forms.ChoiceField(label=TEXTS["dated"], choices=YES_NO, widget=forms.RadioSelect, required=False)
    people = forms.ChoiceField(label=TEXTS["people"], choices=background.PEOPLE, required=False)
    before_tool = forms.CharField(label=TEXTS["before_tool"], max_length=LIMITS["before_tool"], required=False)
    before_why = forms.CharField(label=TEXTS["before_why"], max_length=LIMITS["before_why"], required=False)
    before_trouble = forms.CharField(
        label=TEXTS["before_trouble"],
        max_length=LIMITS["before_trouble"],
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Saying so does not count against you.",
    )
    optouts = forms.ChoiceField(
        label=TEXTS["optouts"],
        choices=[("yes", "Yes | You add the file on the next page"), ("no", "No | Say why below")],
        widget=forms.RadioSelect,
        required=False,
    )
    optouts_why = forms.CharField(label=TEXTS["optouts_why"], max_length=LIMITS["optouts_why"], required=False)
    name_is_mine = forms.BooleanField(label="This is my own full name", required=False)

    signer: User | None = None

    @property
    def asks_name(self) -> bool:
        """Tell whether the typed name has to be confirmed: it does not fit the account's."""
        return "name_is_mine" in self.errors

    def short_questions(self) -> list[Any]:
        """Return the questions that are answered with no or yes, as bound fields."""
        return [self["minors"], self["dated"]]

    def moving(self) -> list[Any]:
        """Return the questions about the previous tool as bound fields."""
        return [self[name] for name in MOVING]

    @property
    def moving_open(self) -> bool:
        """Tell whether those are shown at once: they matter, or one is missing."""
        given = self.data if self.is_bound else self.initial
        return given.get("source") == background.MOVED or any(self[name].errors for name in MOVING)

    def ask_of_a_move(self) -> None:
        """Make the questions about the previous tool required where people come from one."""
        given = self.data if self.is_bound else self.initial
        if given.get("source") == background.MOVED:
            for name in ("before_tool", "before_why", "optouts"):
                self.fields[name].required = True
                self.fields[name].error_messages["required"] = "Needed for people from another tool"

    def clean_background(self, data: dict[str, Any]) -> None:
        """Ask for what a move needs, and for a second look at a name that is not the account's."""
        unexplained = data.get("optouts") == "no" and len(data.get("optouts_why") or "") < background.WHY_AT_LEAST
        if data.get("source") == background.MOVED and unexplained:
            self.add_error("optouts_why", "Bring along who said no there, or explain why not")
        typed = data.get("signer_name") or ""
        if typed and self.signer and not background.same_name(typed, self.signer.name) and not data["name_is_mine"]:
            text = (
                f"Your account is in the name of {self.signer.name}. If “{typed}” is your own full name, tick this box"
            )
            self.add_error("name_is_mine", text)

    def kept_background(self) -> dict[str, Any]:
        """Return these answers as they are kept, with the version of the questions and who confirmed a name."""
        get = self.data.get
        given = {name: str(get(name, "")).replace("\x00", "").strip() for name in (*ALONE, *MOVING)}
        for name in ("minors", "dated", "optouts"):
            given[name] = given[name] if given[name] in ("yes", "no") else ""
        given["people"] = given["people"] if given["people"] in dict(background.PEOPLE) else ""
        given = {name: text[: LIMITS.get(name, 20)] for name, text in given.items()}
        signed_by = {"name_confirmed": str(self.signer.uid)} if self.signer and get("name_is_mine") else {}
        return {"background": given, "questions": CURRENT.version, **signed_by}

    @staticmethod
    def initial_background(kept: dict[str, Any]) -> dict[str, Any]:
        """Return the fields' values for answers kept before."""
        return {**kept.get("background", {}), "name_is_mine": bool(kept.get("name_confirmed"))}
