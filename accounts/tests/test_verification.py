"""The ladder: what is missing, every pair of the transition table, the staff's decision and its letter."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as SettingsWrapper

from accounts import allowance, audit, denylist, policy, verification
from accounts.errors import ReasonMissingError, VerificationRefusedError
from accounts.models import (
    AuditEntry,
    BusinessProfile,
    CollectionPractice,
    DenyEntry,
    Organization,
    SendingDomain,
    Standing,
    Verification,
    VerificationState,
)
from accounts.verification import Answer, Ruling, Step
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError
from sendserver.testing.personas import Persona, join, make_organization

pytestmark = pytest.mark.django_db
ALLOWED = {
    ("collecting", "submitted"),
    ("submitted", "questions"),
    ("submitted", "approved"),
    ("submitted", "refused"),
    ("questions", "submitted"),
    ("questions", "approved"),
    ("questions", "refused"),
}


@pytest.fixture(autouse=True)
def _outbox(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def add_profile(organization: Organization, **changes: str) -> BusinessProfile:
    """Return a complete business profile."""
    fields = {
        "legal_name": "Hollin Hill Pottery Ltd",
        "legal_form": "Ltd",
        "register_name": "Companies House",
        "register_number": "09812231",
        "country": "GB",
        "street": "Kiln Yard 3",
        "city": "Exampleton",
        "responsible_person": "Nell Harrow",
        "contact_email": "nell@hollin.example",
        "website": "https://hollin.example",
    }
    return BusinessProfile.objects.create(organization=organization, **{**fields, **changes})


def add_practice(organization: Organization, *, no_bought_lists: bool = True) -> CollectionPractice:
    """Return a described practice."""
    return CollectionPractice.objects.create(
        organization=organization,
        sources=["own_form"],
        page_url="https://hollin.example/letter",
        wording="Send me the kiln letter",
        topics="New pots, monthly",
        monthly_volume=840,
        no_bought_lists=no_bought_lists,
    )


def add_domain(organization: Organization, name: str = "hollin.example") -> SendingDomain:
    """Return a domain whose records were all right a moment ago."""
    now = clock.now()
    return SendingDomain.objects.create(
        organization=organization, name=name, challenge="x", checked_at=now, verified_at=now, last_good_at=now
    )


@pytest.fixture
def applicant() -> Organization:
    """Return an unverified organization with everything but the review."""
    organization = make_organization("Hollin Hill Pottery", standing=Standing.UNVERIFIED, allowance=0)
    join(organization, "Nell", "owner")
    add_profile(organization)
    add_practice(organization)
    add_domain(organization)
    return organization


def submitted(organization: Organization) -> Verification:
    """Return its review, waiting for staff."""
    return verification.submit(organization, actor=None)


def test_what_is_missing_is_named_in_order() -> None:
    """Nothing but the confirmed address at first; each paper takes one away."""
    organization = make_organization("Alder", standing=Standing.UNVERIFIED, allowance=0)
    join(organization, "Ann", "owner")
    assert verification.missing(organization) == [Step.BUSINESS, Step.DOMAIN, Step.PRACTICE]
    add_profile(organization)
    assert verification.missing(organization) == [Step.DOMAIN, Step.PRACTICE]
    add_domain(organization)
    assert verification.missing(organization) == [Step.PRACTICE]
    practice = add_practice(organization, no_bought_lists=False)
    assert verification.missing(organization) == [Step.PRACTICE]
    practice.no_bought_lists = True
    practice.save()
    assert verification.missing(organization) == []


def test_a_domain_that_went_stale_is_missing_again(applicant: Organization) -> None:
    """A day without a good answer."""
    old = clock.now() - timedelta(hours=policy.DOMAIN_AUTH_MAX_AGE_H, minutes=1)
    SendingDomain.objects.update(last_good_at=old)
    assert verification.missing(applicant) == [Step.DOMAIN]


def test_the_review_starts_by_itself_once_complete(applicant: Organization) -> None:
    """And only once; staff get a promise to keep."""
    verification.advance(applicant)
    verification.advance(applicant)
    review = Verification.objects.get()
    assert review.state == VerificationState.SUBMITTED
    assert review.promised_until is not None
    assert review.promised_until > clock.now()


def test_nothing_starts_while_something_is_missing(applicant: Organization) -> None:
    """Pressing the button says what."""
    CollectionPractice.objects.all().delete()
    verification.advance(applicant)
    assert Verification.objects.count() == 0
    with pytest.raises(VerificationRefusedError, match="practice"):
        verification.submit(applicant, actor=None)


def test_a_question_is_not_answered_by_accident(applicant: Organization, moderator: Persona) -> None:
    """Saving papers does not hand them back; the button does."""
    review = submitted(applicant)
    verification.decide(review, Ruling(Answer.ASK, "Which box do people tick?"), actor=moderator.user)
    verification.advance(applicant)
    assert Verification.objects.get().state == VerificationState.QUESTIONS
    verification.submit(applicant, actor=None)
    assert Verification.objects.get().state == VerificationState.SUBMITTED


@pytest.mark.parametrize("source", VerificationState.values)
@pytest.mark.parametrize("target", VerificationState.values)
def test_every_pair_of_the_table(applicant: Organization, source: str, target: str) -> None:
    """An arrow moves the row, anything else raises and leaves it."""
    review = Verification.objects.create(organization=applicant, state=source)
    if (source, target) in ALLOWED:
        verification._move(review, VerificationState(target), None, "why")
    else:
        with pytest.raises(TransitionRefusedError):
            verification._move(review, VerificationState(target), None, "why")
    assert Verification.objects.get().state == (target if (source, target) in ALLOWED else source)


def test_approval_lifts_standing_and_grants(
    applicant: Organization, moderator: Persona, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """State, standing, allowance, audit and letter, all from one call."""
    review = submitted(applicant)
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(
            review, Ruling(Answer.APPROVE, "Welcome.", 500, "Proof with the first list"), actor=moderator.user
        )
    stored, organization = Verification.objects.get(), Organization.objects.get(pk=applicant.pk)
    assert (stored.state, stored.granted_allowance, stored.decided_by) == ("approved", 500, moderator.user)
    assert (organization.standing, organization.daily_allowance) == ("good", 500)
    assert allowance.today(organization) == 500
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"verification.approved", "standing.moved", "allowance.granted"} <= actions
    assert audit.verify() is None
    letter = mail.outbox[0]
    assert (letter.subject, letter.to) == ("Verified: you can send from hollin.example", ["nell@hollin.example"])
    assert "500 messages a day" in str(letter.body)
    assert "Welcome." in str(letter.body)
    assert "Proof with the first list" in str(letter.body)


def test_a_length_of_a_list_is_agreed_with_a_reason(
    applicant: Organization, moderator: Persona, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """Written down with who and why, told in the letter, and gone with the next approval that does not repeat it."""
    CollectionPractice.objects.update(longest_list=12_000)
    review = submitted(applicant)
    assert verification.agreed_list(applicant) == 0
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(
            review, Ruling(Answer.APPROVE, "Ten years of a shop.", agreed_list=9000), actor=moderator.user
        )
    assert verification.agreed_list(applicant) == 9000
    entry = AuditEntry.objects.get(action="verification.list_agreed")
    assert (entry.detail, entry.reason, entry.actor_uid) == (
        {"people": 9000},
        "Ten years of a shop.",
        moderator.user.uid,
    )
    assert "Lists of up to 9,000 people are agreed" in str(mail.outbox[0].body)
    verification.decide(submitted(applicant), Ruling(Answer.REFUSE, "No."), actor=moderator.user)
    assert verification.agreed_list(applicant) == 9000
    verification.decide(submitted(applicant), Ruling(Answer.APPROVE, "Read again."), actor=moderator.user)
    assert verification.agreed_list(applicant) == 0


@pytest.mark.parametrize("said", [None, 11_999])
def test_no_longer_list_is_agreed_than_they_name(applicant: Organization, moderator: Persona, said: int | None) -> None:
    """Nobody explains what they did not claim; nothing moves."""
    CollectionPractice.objects.update(longest_list=said)
    review = submitted(applicant)
    with pytest.raises(VerificationRefusedError, match="no more than that"):
        verification.decide(review, Ruling(Answer.APPROVE, "Fine.", agreed_list=12_000), actor=moderator.user)
    assert Verification.objects.get().state == "submitted"


@pytest.mark.parametrize(
    ("answer", "state", "subject"),
    [
        (Answer.ASK, "questions", "Question about Hollin Hill Pottery: we need one thing more"),
        (Answer.REFUSE, "refused", "Not verified: Hollin Hill Pottery"),
    ],
)
def test_other_answers_lift_nothing(
    applicant: Organization,
    moderator: Persona,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    answer: Answer,
    state: str,
    subject: str,
) -> None:
    """The reason stands in the letter in the same words."""
    review = submitted(applicant)
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(review, Ruling(answer, "The page you named is empty."), actor=moderator.user)
    organization = Organization.objects.get(pk=applicant.pk)
    assert (Verification.objects.get().state, organization.standing, organization.daily_allowance) == (
        state,
        "unverified",
        0,
    )
    assert mail.outbox[0].subject == subject
    assert "The page you named is empty." in str(mail.outbox[0].body)


def test_two_deciders_make_one_decision(
    applicant: Organization, moderator: Persona, administrator: Persona,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:  # fmt: skip
    """The second one, who read the page earlier, is told; no second letter goes."""
    review = submitted(applicant)
    stale = Verification.objects.get(pk=review.pk)
    with django_capture_on_commit_callbacks(execute=True):
        verification.decide(review, Ruling(Answer.REFUSE, "No imprint."), actor=moderator.user)
        with pytest.raises(VerificationRefusedError):
            verification.decide(stale, Ruling(Answer.APPROVE, "Fine."), actor=administrator.user)
    assert Organization.objects.get(pk=applicant.pk).standing == Standing.UNVERIFIED
    assert len(mail.outbox) == 1


def test_nobody_decides_about_their_own_team(applicant: Organization, moderator: Persona) -> None:
    """Staff who are members look away."""
    applicant.memberships.create(user=moderator.user, role="viewer")
    with pytest.raises(VerificationRefusedError):
        verification.decide(submitted(applicant), Ruling(Answer.APPROVE, "Me."), actor=moderator.user)


@pytest.mark.parametrize("ruling", [Ruling(Answer.APPROVE, " "), Ruling(Answer.REFUSE, "")])
def test_a_decision_needs_words(applicant: Organization, moderator: Persona, ruling: Ruling) -> None:
    """The customer is owed a reason."""
    with pytest.raises(ReasonMissingError):
        verification.decide(submitted(applicant), ruling, actor=moderator.user)


def test_only_listed_allowances_are_granted(applicant: Organization, moderator: Persona) -> None:
    """A typed number of zeros too many is refused."""
    with pytest.raises(VerificationRefusedError):
        verification.decide(submitted(applicant), Ruling(Answer.APPROVE, "x", 5_000_000), actor=moderator.user)
    assert Organization.objects.get(pk=applicant.pk).daily_allowance == 0


def test_after_a_refusal_one_can_apply_again(applicant: Organization, moderator: Persona) -> None:
    """A new review, the old one stays as it was decided."""
    verification.decide(submitted(applicant), Ruling(Answer.REFUSE, "No imprint."), actor=moderator.user)
    verification.advance(applicant)
    assert Verification.objects.count() == 1
    verification.submit(applicant, actor=None)
    assert list(Verification.objects.order_by("pk").values_list("state", flat=True)) == ["refused", "submitted"]


def test_the_deny_list_is_shown_to_staff(applicant: Organization) -> None:
    """Owner, domain and register number, in any spelling."""
    denylist.deny(DenyEntry.Kind.REGISTER, " 09812231 ", reason="blocked")
    denylist.deny(DenyEntry.Kind.DOMAIN, "HOLLIN.example", reason="blocked")
    assert verification.denied(applicant) == ["register number", "hollin.example"]


def test_the_deny_list_forgets() -> None:
    """After its months, and a domain is no register number."""
    entry = denylist.deny(DenyEntry.Kind.DOMAIN, "old.example", reason="x")
    assert denylist.is_denied(DenyEntry.Kind.DOMAIN, "old.example")
    assert not denylist.is_denied(DenyEntry.Kind.REGISTER, "old.example")
    DenyEntry.objects.filter(pk=entry.pk).update(until=clock.now())
    assert not denylist.is_denied(DenyEntry.Kind.DOMAIN, "old.example")


@pytest.mark.parametrize(
    ("standing", "expected"),
    [("unverified", 0), ("good", 500), ("warned", 250), ("suspended", 0), ("blocked", 0)],
)
def test_what_counts_today(standing: str, expected: int) -> None:
    """A warning halves the allowance while it lasts; SQL and Python agree."""
    from django.db import connection

    organization = make_organization("Alder", standing=standing, allowance=500)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {allowance.TODAY_SQL} FROM accounts_organization o WHERE o.id = %s", [organization.pk])
        assert cursor.fetchone() == (expected,)
    assert allowance.today(organization) == expected


def test_the_ramp_grows_by_steps() -> None:
    """And stops at its end."""
    assert [allowance.next_step(n) for n in (0, 200, 499, 500, 100_000)] == [200, 500, 500, 1_000, 100_000]
    assert [allowance.domain_limit(days) for days in (0, 1, 4, 400)] == [200, 500, 5_000, 100_000]
