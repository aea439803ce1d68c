"""The letters of a review, written before they are sent so that staff can read them first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts import notices, people, policy
from accounts.models import Organization, SendingDomain, Standing, Verification, VerificationState


@dataclass(frozen=True)
class Letter:
    """Subject and template of one letter, with what it is filled with."""

    subject: str
    template: str
    context: dict[str, Any]

    @property
    def text(self) -> str:
        """Return the words as they go out."""
        return notices.render_text(self.template, self.context)


@dataclass(frozen=True)
class Terms:
    """What an approval gives: messages a day, people on a list that its length does not hold, and conditions."""

    allowance: int = 0
    conditions: str = ""
    agreed_list: int | None = None


def write(review: Verification, answer: str, *, reason: str = "", terms: Terms | None = None) -> Letter:
    """Return the letter for an answer ("approve", "ask", "refuse"); what is not given is read from the review."""
    terms = terms or Terms()
    organization = review.organization
    context = {
        "organization": organization,
        "reason": reason or review.reason,
        "allowance": terms.allowance or review.granted_allowance,
        "conditions": terms.conditions or review.conditions,
        "agreed_list": terms.agreed_list or review.agreed_list,
        "domain": _domain(organization),
        "url": settings.BASE_URL + reverse("verify"),
        "appeal_months": policy.REFUSAL_APPEAL_MONTHS,
    }
    kind = _kind(review)
    return Letter(_subject(kind, answer, organization, context), f"emails/{kind}_{answer}.txt", context)


def _kind(review: Verification) -> str:
    """Return what a review is about: the first allowance, a larger one, or a changed identity."""
    earlier = Verification.objects.filter(organization=review.organization_id, state=VerificationState.APPROVED)
    if review.organization.standing == Standing.UNVERIFIED or not earlier.exclude(pk=review.pk).exists():
        return "verification"
    return "allowance" if review.requested_allowance > review.organization.daily_allowance else "identity"


def _subject(kind: str, answer: str, organization: Organization, context: dict[str, Any]) -> str:
    name, domain = organization.name, context["domain"]
    if kind == "identity":
        return {
            "approve": f"Read: the changed papers of {name}",
            "refuse": f"Not accepted: the changed papers of {name}",
        }.get(answer, f"Question about {name}: we need one thing more")
    if kind == "allowance":
        more = f"More messages a day: {context['allowance']:,} for {name}"
        return {"approve": more, "ask": f"Question about {name}: we need one thing more"}.get(
            answer, f"Not more messages a day yet: {name}"
        )
    if answer == "approve":
        return f"Verified: you can send from {domain}" if domain else f"Verified: {name} can send"
    return f"Question about {name}: we need one thing more" if answer == "ask" else f"Not verified: {name}"


def _domain(organization: Organization) -> str:
    rows = SendingDomain.objects.for_org(organization).filter(removed_at=None, verified_at__isnull=False)
    return rows.order_by("pk").values_list("name", flat=True).first() or ""


def send(review: Verification, letter: Letter) -> int:
    """Send the letter of a review and return to how many people."""
    people_ = people.members_to_notify(review.organization, urgent=True)
    return notices.send_notice(people_, subject=letter.subject, template=letter.template, context=letter.context)
