"""The ladder to a first allowance: what is missing, one review's life cycle, and the staff's decision.

`decide` is the only function that ends a review; the first approval also lifts standing to *good*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts import allowance, audit, denylist, letters, policy, renaming, standing
from accounts.domains import clear, records_stand
from accounts.errors import ReasonMissingError, VerificationRefusedError
from accounts.models import (
    BusinessProfile,
    CollectionPractice,
    DenyEntry,
    Organization,
    Role,
    SendingDomain,
    Standing,
    User,
    Verification,
    VerificationState,
)
from sendserver.lib import clock, states

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    VerificationState.COLLECTING: frozenset({VerificationState.SUBMITTED}),
    VerificationState.SUBMITTED: frozenset(
        {VerificationState.QUESTIONS, VerificationState.APPROVED, VerificationState.REFUSED}
    ),
    VerificationState.QUESTIONS: frozenset(
        {VerificationState.SUBMITTED, VerificationState.APPROVED, VerificationState.REFUSED}
    ),
    VerificationState.APPROVED: frozenset(),
    VerificationState.REFUSED: frozenset(),
}
# What makes a sender who it is; a change is read by staff again (rules ID-LEGAL-ENTITY).
IDENTITY: Final = frozenset(
    {"name", "domain", "legal_name", "trade_name", "legal_form", "register_name", "register_number", "country"}
)
OPEN: Final = (VerificationState.COLLECTING, VerificationState.SUBMITTED, VerificationState.QUESTIONS)


class Step(StrEnum):
    """The five tasks, in order."""

    EMAIL = "email"
    BUSINESS = "business"
    DOMAIN = "domain"
    PRACTICE = "practice"
    REVIEW = "review"


class Answer(StrEnum):
    """What staff can answer."""

    APPROVE = "approve"
    ASK = "ask"
    REFUSE = "refuse"


STATE_OF: Final[Mapping[Answer, VerificationState]] = {
    Answer.APPROVE: VerificationState.APPROVED,
    Answer.ASK: VerificationState.QUESTIONS,
    Answer.REFUSE: VerificationState.REFUSED,
}


@dataclass(frozen=True)
class Ruling:
    """One decision of a member of staff. `reason` goes to the customer in these words."""

    answer: Answer
    reason: str
    allowance: int = policy.FIRST_ALLOWANCE
    conditions: str = ""
    agreed_list: int | None = None  # people on a list that its length alone does not hold (rules SRC-SIZE-JUMP)


def open_review(organization: Organization) -> Verification | None:
    """Return the review that is not decided yet."""
    return Verification.objects.for_org(organization).filter(state__in=OPEN).first()


def latest(organization: Organization) -> Verification | None:
    """Return the open review, else the last decided one."""
    return open_review(organization) or Verification.objects.for_org(organization).order_by("-pk").first()


def begin(organization: Organization) -> Verification:
    """Return the open review, making one when there is none."""
    review, _ = Verification.objects.get_or_create(
        organization=organization,
        state__in=OPEN,
        defaults={"state": VerificationState.COLLECTING, "requested_allowance": policy.FIRST_ALLOWANCE},
    )
    return review


def profile_of(organization: Organization) -> BusinessProfile | None:
    """Return the business profile, if it was filled in."""
    return BusinessProfile.objects.filter(organization=organization).first()


def practice_of(organization: Organization) -> CollectionPractice | None:
    """Return the collection practice, if it was filled in."""
    return CollectionPractice.objects.filter(organization=organization).first()


def agreed_list(organization: Organization) -> int:
    """Return how many people a list may have before its length alone holds it, as last agreed by staff; 0 for none."""
    approved = Verification.objects.for_org(organization).filter(state=VerificationState.APPROVED).order_by("-pk")
    return approved.values_list("agreed_list", flat=True).first() or 0


def ready_domains(organization: Organization) -> list[SendingDomain]:
    """Return the domains whose records stand; one that resembles another name still waits for staff to read it."""
    rows = SendingDomain.objects.for_org(organization).filter(removed_at=None).order_by("pk")
    return [domain for domain in rows if records_stand(domain)]


def missing(organization: Organization) -> list[Step]:
    """Return the tasks that are still to be done before staff can look, in order."""
    practice = practice_of(organization)
    done = {
        Step.EMAIL: EmailAddress.objects.filter(
            user__memberships__organization=organization, user__memberships__role="owner", verified=True
        ).exists(),
        Step.BUSINESS: profile_of(organization) is not None,
        Step.DOMAIN: bool(ready_domains(organization)),
        Step.PRACTICE: practice is not None and practice.no_bought_lists,
    }
    return [step for step, is_done in done.items() if not is_done]


def advance(organization: Organization) -> None:
    """Hand an unverified organization's papers to staff as soon as nothing is missing.

    Questions of staff are answered by pressing the button: an unfinished answer must not go back by itself.
    """
    if organization.standing != Standing.UNVERIFIED or organization.closed_at is not None:
        return
    review = latest(organization)
    collecting = review is None or review.state == VerificationState.COLLECTING
    if collecting and not missing(organization):
        submit(organization, actor=None)


def submit(organization: Organization, *, actor: User | None) -> Verification:
    """Hand the papers to staff, or back to them after a question; promises an answer by a date."""
    gaps = missing(organization)
    if gaps:
        raise VerificationRefusedError(f"Not done yet: {', '.join(gaps)}.")
    return _hand_in(begin(organization), actor)


def _hand_in(review: Verification, actor: User | None) -> Verification:
    now = clock.now()
    promised = clock.business_days_after(now, policy.REVIEW_BUSINESS_DAYS)
    with transaction.atomic():
        _move(review, VerificationState.SUBMITTED, actor, "", submitted_at=now, promised_until=promised)
    return review


def look_again(organization: Organization, changed: Iterable[str], *, actor: User) -> Verification | None:
    """Hand a verified sender's new identity to staff: nobody is checked as one company and mails as another.

    Returns the review, or None when nothing of weight changed or the organization was not verified yet.
    """
    weighty = sorted(set(changed) & IDENTITY)
    if not weighty or organization.standing == Standing.UNVERIFIED:
        return None
    review = open_review(organization)
    if review is not None and review.state == VerificationState.SUBMITTED:
        return review
    review = review or begin(organization)
    Verification.objects.filter(pk=review.pk).update(requested_allowance=organization.daily_allowance)
    review.requested_allowance = organization.daily_allowance
    return _hand_in(review, actor)


def ask_for_more(organization: Organization, wanted: int, *, actor: User) -> Verification:
    """Open a review for a larger allowance and hand it to staff; standing is not touched by it."""
    if wanted not in policy.ALLOWANCE_CHOICES:
        raise VerificationRefusedError("Choose one of the allowances.")
    with transaction.atomic():
        review = begin(organization)
        Verification.objects.filter(pk=review.pk).update(requested_allowance=wanted)
        return submit(organization, actor=actor)


def decide(review: Verification, ruling: Ruling, *, actor: User) -> Verification:
    """Write the decision, move standing and allowance, and send the letter after the commit.

    Raises TransitionRefusedError when the review does not wait for staff, VerificationRefusedError when the actor is
    in the organization's team or an allowance is none of ours, ReasonMissingError without words for the customer.
    """
    _refuse_ruling(review, ruling, actor)
    granted = ruling.allowance if ruling.answer is Answer.APPROVE else 0
    fields: dict[str, Any] = {"reason": ruling.reason, "conditions": ruling.conditions}
    if ruling.answer is not Answer.ASK:
        fields |= {"decided_by": actor, "decided_at": clock.now(), "granted_allowance": granted}
    # Written before anything moves: what the letter is about follows from how things stood.
    terms = letters.Terms(granted, ruling.conditions, ruling.agreed_list)
    letter = letters.write(review, ruling.answer, reason=ruling.reason, terms=terms)
    with transaction.atomic():
        _move(review, STATE_OF[ruling.answer], actor, ruling.reason, **fields)
        if ruling.answer is Answer.APPROVE:
            _lift(review, granted, actor)
            _agree(review, ruling, actor)
            clear(review.organization, actor=actor)
        if ruling.answer is not Answer.ASK:
            accepted = ruling.answer is Answer.APPROVE
            renaming.settle(review.organization, accepted=accepted, actor=actor, reason=ruling.reason)
        transaction.on_commit(lambda: letters.send(review, letter))
    return review


def _refuse_ruling(review: Verification, ruling: Ruling, actor: User) -> None:
    states.require(TRANSITIONS, review.state, STATE_OF[ruling.answer])
    if not ruling.reason.strip():
        raise ReasonMissingError("Write what the customer should know.")
    if review.organization.memberships.filter(user=actor).exists():
        raise VerificationRefusedError("You are in this organization’s team; somebody else has to decide.")
    if ruling.answer is Answer.APPROVE and ruling.allowance not in policy.ALLOWANCE_CHOICES:
        raise VerificationRefusedError("Choose one of the allowances.")
    practice = practice_of(review.organization)
    said = (practice.longest_list if practice else None) or 0
    if ruling.answer is Answer.APPROVE and (ruling.agreed_list or 0) > said:
        raise VerificationRefusedError(f"They name a longest list of {said:,} people; agree to no more than that.")


def _agree(review: Verification, ruling: Ruling, actor: User) -> None:
    """Write down that staff expect a list of this length: the look that SRC-SIZE-JUMP asks for, made beforehand."""
    Verification.objects.filter(pk=review.pk).update(agreed_list=ruling.agreed_list)
    review.agreed_list = ruling.agreed_list
    if ruling.agreed_list:
        audit.record(
            "verification.list_agreed",
            actor=actor,
            organization=review.organization,
            subject=f"verification:{review.uid}",
            reason=ruling.reason,
            detail={"people": ruling.agreed_list},
        )


def _lift(review: Verification, granted: int, actor: User) -> None:
    organization = Organization.objects.select_for_update().get(pk=review.organization_id)
    if organization.standing == Standing.UNVERIFIED:
        standing.move(organization, Standing.GOOD, actor=actor, reason=review.reason, decision_ref=review.reference)
    allowance.grant(organization, granted, actor=actor, reason=review.reason)
    review.organization = organization


def _move(review: Verification, target: VerificationState, actor: User | None, reason: str, /, **fields: Any) -> None:
    """Move one review along the table and write the audit row; a stale object moves nothing."""
    source = review.state
    states.require(TRANSITIONS, source, target)
    moved = Verification.objects.filter(pk=review.pk, state=source).update(state=target, **fields)
    if not moved:
        raise VerificationRefusedError("Somebody decided meanwhile. Look at the page again.")
    for name, value in {"state": target, **fields}.items():
        setattr(review, name, value)
    audit.record(
        f"verification.{target}",
        actor=actor,
        organization=review.organization,
        subject=f"verification:{review.uid}",
        reason=reason,
        detail={"from": str(source)},
    )


def denied(organization: Organization) -> list[str]:
    """Return which of the organization's facts stand on the deny list, in words for staff."""
    hits = []
    profile = profile_of(organization)
    if profile and profile.register_number and denylist.is_denied(DenyEntry.Kind.REGISTER, profile.register_number):
        hits.append("register number")
    names = SendingDomain.objects.for_org(organization).filter(removed_at=None).values_list("name", flat=True)
    hits += [name for name in names if denylist.is_denied(DenyEntry.Kind.DOMAIN, name)]
    owners = organization.memberships.filter(role=Role.OWNER).values_list("user__email", flat=True)
    hits += ["owner’s address" for email in owners if denylist.is_denied(DenyEntry.Kind.ADDRESS, email)]
    return hits
