"""The decide panel of a review."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts import policy
from accounts.models import Verification
from accounts.verification import Answer, Ruling, agreed_list

ANSWERS = [
    (Answer.APPROVE.value, "Approve | Standing becomes good"),
    (Answer.ASK.value, "Ask a question | The clock stops until they answer"),
    (Answer.REFUSE.value, "Refuse | With the reason and a second look"),
]

KEYS = {Answer.APPROVE.value: "a", Answer.ASK.value: "q", Answer.REFUSE.value: "r"}
BUTTONS = {
    Answer.APPROVE.value: "Approve and send the letter",
    Answer.ASK.value: "Ask and send the letter",
    Answer.REFUSE.value: "Refuse and send the letter",
}


class AnswerChoices(forms.RadioSelect):
    """Radio buttons that carry their key and the words of the button they lead to."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Add the data attributes that the staff script reads."""
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"] |= {"data-key": KEYS[str(value)], "data-button": BUTTONS[str(value)]}
        return option


class ReviewForm(forms.Form):
    """Answer, allowance, agreed length of a list, words for the customer, conditions."""

    answer = forms.ChoiceField(label="Decision", choices=ANSWERS, widget=AnswerChoices)
    allowance = forms.TypedChoiceField(
        label="Allowance",
        choices=[(step, f"{step:,} a day") for step in policy.ALLOWANCE_CHOICES],
        coerce=int,
        initial=policy.FIRST_ALLOWANCE,
    )
    agreed_list = forms.IntegerField(
        label="Longest list agreed, in people",
        min_value=1,
        required=False,
        help_text="A list up to this length is not held for its length (SRC-SIZE-JUMP). Say below what explains it.",
    )
    reason = forms.CharField(
        label="What the customer reads",
        max_length=4000,
        widget=forms.Textarea({"rows": "5"}),
        help_text="It stands in the letter in these words.",
    )
    conditions = forms.CharField(
        label="Conditions", max_length=4000, required=False, widget=forms.Textarea({"rows": "2"})
    )

    @staticmethod
    def suggestion(row: Verification) -> dict[str, Any]:
        """Return what the panel shows at first."""
        wanted = row.requested_allowance
        fits = wanted in policy.ALLOWANCE_CHOICES
        return {
            "answer": Answer.APPROVE,
            "allowance": wanted if fits else policy.FIRST_ALLOWANCE,
            "agreed_list": agreed_list(row.organization) or None,  # never what they ask for: somebody decides that
        }

    def ruling(self) -> Ruling:
        """Return the decision that was typed."""
        data = self.cleaned_data
        return Ruling(
            Answer(data["answer"]), data["reason"], data["allowance"], data["conditions"], data["agreed_list"]
        )
