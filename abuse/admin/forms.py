"""Forms of the decide panels."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from abuse.models import Case, DecisionKind
from abuse.moderation import EFFECTS
from compliance import policy, policy_text

D = DecisionKind
WORDS: Final = {
    D.NO_ACTION: "No action | Close, tell the reporter why",
    D.ASK: f"Ask the sender | {policy.TENANT_ANSWER_BD} working days to answer; sending goes on",
    D.WARN: f"Warn | Staff read each campaign, half the allowance; counts for {policy.STRIKE_D} days",
    D.SUSPEND_CAMPAIGN: "Suspend the campaign | Stops this one now; others go on",
    D.SUSPEND: "Suspend sending | Stops now; drafts and data stay",
    D.BLOCK: "Block organization | Suspends now; a second staff member confirms the block",
    D.RESTORE: "Restore | Back to good standing; brakes are lifted",
}
BUTTONS: Final = {
    D.NO_ACTION: "Close without action",
    D.ASK: "Ask the sender",
    D.WARN: "Warn and close case",
    D.SUSPEND_CAMPAIGN: "Suspend the campaign",
    D.SUSPEND: "Suspend and close case",
    D.BLOCK: "Suspend and ask for a block",
    D.RESTORE: "Restore and close case",
}
KEYS: Final = {D.WARN: "w", D.SUSPEND: "s"}


class KindChoices(forms.RadioSelect):
    """Radio buttons that carry their key and the words of the button they lead to."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Add the data attributes that the staff script reads."""
        option = super().create_option(name, value, *args, **kwargs)
        kind = D(str(value))
        option["attrs"]["data-button"] = BUTTONS[kind]
        if kind in KEYS:
            option["attrs"]["data-key"] = KEYS[kind]
        return option


class DecideForm(forms.Form):
    """What staff decide; the kinds are those that fit the standing."""

    kind = forms.ChoiceField(label="Action", widget=KindChoices)
    rule = forms.ChoiceField(label="Reason", choices=policy_text.rule_choices)
    reason = forms.CharField(
        label="What we saw",
        max_length=4000,
        help_text="Stands in the statement of reasons. Never name the reporter.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    must = forms.CharField(
        label="What the customer must do", required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3})
    )
    reporter = forms.CharField(
        label="More words to the reporter",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, case: Case, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "d_%s", **kwargs})
        self.fields["kind"].choices = choices(case)  # type: ignore[attr-defined]


def choices(case: Case) -> list[tuple[str, str]]:
    """Return the decisions that fit the case and the organization's standing."""
    standing = case.organization.standing
    fitting = [kind for kind in D if standing in EFFECTS[kind]]
    if case.state == "decided":
        fitting = [kind for kind in fitting if kind == D.RESTORE]
    if case.campaign_id is None:
        fitting = [kind for kind in fitting if kind != D.SUSPEND_CAMPAIGN]
    return [(kind.value, WORDS[kind]) for kind in fitting]


class ReasonForm(forms.Form):
    """A reason, for notes, answers of a second person, appeals and relays."""

    reason = forms.CharField(label="Why", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
