"""Counts of segments: exact where there is time, honest where there is none, counted once by a worker."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from campaigns.tests.world import add_person
from compliance import counting
from compliance.models import ContactList, KeptCount
from compliance.segments import counts
from compliance.segments.counts import Count
from compliance.segments.where import Where, where_of
from compliance.suppression import suppress
from compliance.tests.segment_world import make, one
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db
SLEEPS = Where("(SELECT true FROM pg_sleep(5))", {})
ALL = one("last_name", "empty")


@pytest.fixture
def world(larkfield):
    """Return five people; Cy lives where a confirmation is needed and has one, Dora and Eli are on two lists."""
    return make(larkfield)


@pytest.fixture
def slow(monkeypatch):
    """Let every count of a page take longer than a page waits."""
    monkeypatch.setattr(counts, "where_of", lambda *_: SLEEPS)


def test_each_person_is_counted_once_and_who_may_be_mailed_apart(larkfield, hollin, world):
    make(hollin)
    add_person(world, "nobody@reader.example", basis="")
    suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    assert counts.counted(larkfield, ALL, quick=5) == Count(people=5, mailable=4)
    assert not KeptCount.objects.exists()


def test_people_of_closed_lists_are_not_counted(larkfield, world):
    ContactList.objects.filter(pk=world.contact_list.pk).update(closed_at=clock.now())
    assert counts.counted(larkfield, ALL, quick=5).people == 2


def test_a_page_does_not_wait_and_the_worker_counts(larkfield, world, slow, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        begun = cursor.fetchone()[0]
        found = counts.counted(larkfield, ALL)
        cursor.execute("SELECT clock_timestamp()")
        assert (cursor.fetchone()[0] - begun).total_seconds() < 1
    assert found == Count(waits=True)
    assert counts.counted(larkfield, ALL) == Count(waits=True)
    assert KeptCount.objects.count() == 1
    monkeypatch.setattr(counts, "where_of", where_of)
    assert counts.work() == 1
    assert counts.work() == 0
    row = KeptCount.objects.get()
    assert row.answer == {"people": 5, "mailable": 5}
    kept = counts.counted(larkfield, ALL)
    assert (kept.people, kept.mailable, kept.at, kept.waits) == (5, 5, row.counted_at, False)
    assert counts.kept_counts(larkfield, [ALL])[ALL.digest] == kept


def test_more_than_is_said_where_a_look_finds_some(larkfield, world, monkeypatch):
    def out_of_time(*_):
        raise counts.SlowError

    monkeypatch.setattr(counts, "count", out_of_time)
    monkeypatch.setattr(counts, "PEEK", 5)
    assert counts.counted(larkfield, ALL) == Count(at_least=5, waits=True)


def test_an_old_count_is_shown_with_its_time_and_counted_anew(larkfield, world, monkeypatch):
    old = clock.now() - timedelta(hours=3)
    counts.ask(larkfield, ALL)
    KeptCount.objects.update(asked_at=old, counted_at=old, took=9.0, answer={"people": 7, "mailable": 6})
    assert counts.counted(larkfield, ALL) == Count(7, 6, at=old, waits=True)
    assert counts.work() == 1
    assert counts.counted(larkfield, ALL).people == 5


def test_a_count_that_takes_too_long_is_given_up(larkfield, world, slow):
    counts.counted(larkfield, ALL)
    assert counts.work(most=0.05) == 1
    assert counts.counted(larkfield, ALL) == Count(failed=True)


def test_the_timeout_ends_with_its_block(larkfield, world, slow):
    counts.counted(larkfield, ALL)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "0"
        cursor.execute("SELECT pg_sleep(0.2)")


def test_a_dead_workers_count_is_taken_over_and_a_live_ones_left_alone(larkfield, world):
    counts.ask(larkfield, ALL)
    KeptCount.objects.update(begun_at=clock.now())
    assert counts.work() == 0
    assert counts.ask(larkfield, ALL)  # it is on its way: not asked anew
    assert KeptCount.objects.get().begun_at is not None
    KeptCount.objects.update(begun_at=clock.now() - counting.STALE - timedelta(seconds=1))
    assert counts.work() == 1


def test_one_organization_waits_for_so_many_counts(larkfield, hollin, world, monkeypatch):
    monkeypatch.setattr(counts, "WAITING_AT_MOST", 2)
    asked = [counts.ask(larkfield, one("last_name", "is", name)) for name in "abc"]
    assert asked == [True, True, False]
    assert counts.ask(hollin, ALL)
    assert counts.ask(larkfield, one("last_name", "is", "a"))  # already waited for


def test_old_counts_are_forgotten(larkfield, world):
    counts.ask(larkfield, ALL)
    KeptCount.objects.update(asked_at=clock.now() - counting.FORGOTTEN - timedelta(hours=1))
    assert counts.work() == 0
    assert not KeptCount.objects.exists()


def test_counts_belong_to_their_organization(larkfield, hollin, world):
    counts.ask(larkfield, ALL)
    KeptCount.objects.update(counted_at=clock.now(), took=9.0, answer={"people": 7, "mailable": 7})
    assert counts.counted(hollin, ALL, quick=5).people == 0
    assert counts.kept_counts(hollin, [ALL]) == {}
