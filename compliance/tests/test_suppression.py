"""The do-not-mail list."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from accounts.models import AuditEntry
from compliance import consent_events, suppression
from compliance.consent_events import Kind, Step
from compliance.errors import LiftRefusedError
from compliance.models import Contact, Suppression
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash

ADA = AddressKey("ada@example.com")
BEN = AddressKey("ben@example.com")


def stop(organization, key=ADA, reason="unsubscribe", source="page", **more):
    return suppression.suppress(key, organization=organization, reason=reason, source=source, **more)


def joined(organization, key=ADA):
    """Return what the anti-join of planning says."""
    sql = suppression.live_suppression_sql("probe.hash", "probe.organization")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {sql} FROM (SELECT %s::bytea AS hash, %s::bigint AS organization) AS probe",
            [suppression_hash(key), organization.pk],
        )
        return cursor.fetchone()[0]


def test_suppressed_address_is_found_by_key_and_by_join(larkfield, hollin):
    stop(larkfield)
    assert suppression.is_suppressed(larkfield, ADA)
    assert joined(larkfield)
    assert not suppression.is_suppressed(larkfield, BEN)
    assert not joined(larkfield, BEN)
    assert not suppression.is_suppressed(hollin, ADA)
    assert not joined(hollin)


def test_twice_is_once(larkfield):
    first = stop(larkfield)
    second = stop(larkfield)
    assert first.pk == second.pk
    assert Suppression.objects.count() == 1


def test_another_reason_is_another_row(larkfield):
    stop(larkfield)
    stop(larkfield, reason="hard_bounce", source="dsn")
    assert [row.reason for row in suppression.find(larkfield, ADA)] == ["hard_bounce", "unsubscribe"]


def test_unknown_reason_is_refused(larkfield):
    with pytest.raises(ValueError):
        stop(larkfield, reason="mood")


def test_platform_row_holds_for_everybody(larkfield, hollin):
    stop(larkfield, reason="complaint", source="abuse_form", platform=True)
    assert suppression.is_suppressed(hollin, ADA)
    assert joined(hollin)
    assert Suppression.objects.filter(organization=None).count() == 1


def test_platform_row_outlives_the_lift_of_the_organizations_own(larkfield, moderator):
    row = stop(larkfield, reason="complaint", source="abuse_form", platform=True)
    suppression.lift(row, reason="mistaken identity", actor=moderator.user)
    assert suppression.is_suppressed(larkfield, ADA)


def test_passed_until_no_longer_counts(larkfield):
    stop(larkfield, reason="soft_bounce", source="dsn", until=clock.now() - timedelta(seconds=1))
    assert not suppression.is_suppressed(larkfield, ADA)
    assert not joined(larkfield)


def test_later_until_extends_and_for_ever_wins(larkfield):
    near, far = clock.now() + timedelta(days=1), clock.now() + timedelta(days=9)
    stop(larkfield, reason="soft_bounce", source="dsn", until=near)
    assert stop(larkfield, reason="soft_bounce", source="dsn", until=far).until == far
    assert stop(larkfield, reason="soft_bounce", source="dsn", until=near).until == far
    assert stop(larkfield, reason="soft_bounce", source="dsn").until is None
    assert stop(larkfield, reason="soft_bounce", source="dsn", until=near).until is None


def test_suppressed_before_and_after_a_key_rotation(larkfield, settings):
    old = suppression_hash(ADA)
    stop(larkfield)
    settings.SUPPRESSION_KEYS = {"k9": b"n" * 32, **settings.SUPPRESSION_KEYS}
    assert suppression.is_suppressed(larkfield, ADA)
    row = stop(larkfield)
    assert row.key_id == "k9"
    assert joined(larkfield)
    assert bytes(Suppression.objects.get(key_id__startswith="k1").address_hash) == old
    assert len(suppression.find(larkfield, ADA)) == 1
    assert suppression.undo_unsubscribe(larkfield, ADA)
    assert not suppression.is_suppressed(larkfield, ADA)


def test_staff_lifts_with_a_reason_and_it_is_audited(larkfield, moderator):
    row = stop(larkfield, reason="complaint", source="arf")
    assert suppression.lift(row, reason="wrong person", actor=moderator.user)
    assert not suppression.is_suppressed(larkfield, ADA)
    entry = AuditEntry.objects.get(action="suppression.lifted")
    assert (entry.actor_uid, entry.reason) == (moderator.user.uid, "wrong person")
    assert not suppression.lift(row, reason="again", actor=moderator.user)


def test_lift_without_a_reason_is_refused(larkfield, moderator):
    with pytest.raises(LiftRefusedError):
        suppression.lift(stop(larkfield), reason=" ", actor=moderator.user)


@pytest.mark.parametrize("reason", ["unsubscribe", "complaint", "hard_bounce", "objection", "staff", "soft_bounce"])
def test_sender_cannot_lift_what_it_did_not_add(larkfield, alice, reason):
    row = stop(larkfield, reason=reason)
    with pytest.raises(LiftRefusedError):
        suppression.lift(row, reason="we want them back", actor=alice.user)
    assert suppression.is_suppressed(larkfield, ADA)


def test_sender_lifts_its_own_entry(larkfield, alice):
    row = stop(larkfield, reason="owner", source="portal")
    assert suppression.lift(row, reason="typing slip", actor=alice.user)
    assert not suppression.is_suppressed(larkfield, ADA)


def test_lifted_and_stopped_again(larkfield, alice):
    row = stop(larkfield, reason="owner", source="portal")
    suppression.lift(row, reason="typing slip", actor=alice.user)
    assert stop(larkfield, reason="owner", source="portal").pk != row.pk
    assert suppression.is_suppressed(larkfield, ADA)


def test_undo_on_the_same_page(larkfield):
    stop(larkfield, delivery_id=7)
    assert suppression.undo_unsubscribe(larkfield, ADA, delivery_id=7)
    assert not suppression.is_suppressed(larkfield, ADA)
    assert AuditEntry.objects.filter(action="suppression.lifted", actor_uid=None).count() == 1


def test_no_undo_for_another_message(larkfield):
    stop(larkfield, delivery_id=7)
    assert not suppression.undo_unsubscribe(larkfield, ADA, delivery_id=8)
    assert suppression.is_suppressed(larkfield, ADA)


def test_no_undo_after_ten_minutes(larkfield):
    row = stop(larkfield)
    Suppression.objects.filter(pk=row.pk).update(created_at=clock.now() - timedelta(minutes=10, seconds=1))
    assert not suppression.undo_unsubscribe(larkfield, ADA)
    assert suppression.is_suppressed(larkfield, ADA)


@pytest.mark.parametrize("source", ["one_click", "mailto"])
def test_no_undo_of_what_was_not_pressed_on_a_page(larkfield, source):
    stop(larkfield, source=source)
    assert not suppression.undo_unsubscribe(larkfield, ADA)


def test_one_click_after_the_page_ends_the_undo(larkfield):
    stop(larkfield, source="page")
    stop(larkfield, source="one_click")
    assert not suppression.undo_unsubscribe(larkfield, ADA)


@pytest.mark.parametrize("reason", ["complaint", "objection"])
def test_no_undo_beside_a_complaint(larkfield, reason):
    stop(larkfield)
    stop(larkfield, reason=reason, source="abuse_form")
    assert not suppression.undo_unsubscribe(larkfield, ADA)
    assert len(suppression.find(larkfield, ADA)) == 2


def steps(world_contact, *, asked, confirmed, actor=None):
    """Record a sign-up and its confirmation, each so many hours from now, and return the second step."""
    first = consent_events.record(
        world_contact, Step(Kind.REQUESTED, clock.now() + timedelta(hours=asked), actor=actor)
    )
    second = Step(Kind.CONFIRMED, clock.now() + timedelta(hours=confirmed), actor=actor, request_uid=first.uid)
    return consent_events.record(world_contact, second)


@pytest.fixture
def ada(larkfield):
    return Contact.objects.create(
        organization=larkfield,
        address=ADA,
        address_key=ADA,
        address_hash=suppression_hash(ADA),
        domain="reader.example",
    )


@pytest.mark.parametrize("reason", ["unsubscribe", "complaint", "hard_bounce", "objection", "soft_bounce", "owner"])
def test_a_newer_double_optin_of_the_person_lifts(larkfield, ada, reason):
    row = stop(larkfield, reason=reason)
    Suppression.objects.filter(pk=row.pk).update(created_at=clock.now() - timedelta(hours=9))
    assert suppression.lift_by_optin(steps(ada, asked=-2, confirmed=-1)) == 1
    assert not suppression.is_suppressed(larkfield, ADA)
    entry = AuditEntry.objects.get(action="suppression.lifted")
    assert (entry.actor_uid, entry.reason) == (None, "A newer sign-up, confirmed by link")
    stop(larkfield, reason=reason)  # and a no after it wins again
    assert suppression.is_suppressed(larkfield, ADA)


@pytest.mark.parametrize(("asked", "confirmed"), [(-12, -10), (-12, -1), (-10, -8)])
def test_a_sign_up_that_began_before_the_no_lifts_nothing(larkfield, ada, asked, confirmed):
    row = stop(larkfield)
    Suppression.objects.filter(pk=row.pk).update(created_at=clock.now() - timedelta(hours=9))
    assert suppression.lift_by_optin(steps(ada, asked=asked, confirmed=confirmed)) == 0
    assert suppression.is_suppressed(larkfield, ADA)


def test_what_the_sender_recorded_is_no_double_optin(larkfield, ada, alice):
    row = stop(larkfield)
    Suppression.objects.filter(pk=row.pk).update(created_at=clock.now() - timedelta(hours=9))
    with pytest.raises(LiftRefusedError):
        suppression.lift_by_optin(steps(ada, asked=-2, confirmed=-1, actor=alice.user))
    alone = consent_events.record(ada, Step(Kind.CONFIRMED, clock.now() - timedelta(hours=1)))
    with pytest.raises(LiftRefusedError):
        suppression.lift_by_optin(alone)
    with pytest.raises(LiftRefusedError):
        suppression.lift_by_optin(steps(ada, asked=-1, confirmed=-2))
    assert suppression.is_suppressed(larkfield, ADA)


def test_staffs_entry_another_senders_and_everybodys_stay(larkfield, hollin, ada):
    stop(larkfield, reason="staff")
    stop(hollin)
    stop(None, reason="complaint")
    Suppression.objects.update(created_at=clock.now() - timedelta(hours=9))
    assert suppression.lift_by_optin(steps(ada, asked=-2, confirmed=-1)) == 0
    assert Suppression.objects.filter(lifted_at=None).count() == 3


def test_it_finds_entries_made_under_an_older_key(larkfield, ada, settings):
    stop(larkfield)
    Suppression.objects.update(created_at=clock.now() - timedelta(hours=9))
    settings.SUPPRESSION_KEYS = {"k9": b"n" * 32, **settings.SUPPRESSION_KEYS}
    assert suppression.lift_by_optin(steps(ada, asked=-2, confirmed=-1)) == 1
    assert not suppression.is_suppressed(larkfield, ADA)
