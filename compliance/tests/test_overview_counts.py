"""Counts of lists on pages: short ones of this moment, long ones by a worker, with their moment, never as new."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from compliance import counting, list_counts, lists, policy, suppression
from compliance.imports import fixes
from compliance.models import ContactList, ImportJob, ListMembership, Tag
from compliance.tests.helpers import COLUMNS, csv_of, finished, people
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey


@pytest.fixture
def job(larkfield, alice, settings, tmp_path) -> ImportJob:
    """Return an upload of three people."""
    settings.MEDIA_ROOT = tmp_path
    return finished(larkfield, alice.user, csv_of(people(3)))


@pytest.fixture
def long(job, monkeypatch) -> ContactList:
    """Return its list, which is longer than a page counts here."""
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 2)
    return job.contact_list


def figures(found: ContactList) -> list_counts.Figures:
    return list_counts.of_lists(found.organization, [ContactList.objects.get(pk=found.pk)])[found.pk]


def later(monkeypatch, **delta: float) -> None:
    moment = clock.now() + timedelta(**delta)
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_short_lists_are_counted_each_time(job):
    assert figures(job.contact_list).reasons == {"": 3}
    ListMembership.objects.all().update(attestation=None)
    found = figures(job.contact_list)
    assert found.reasons == {"no_attestation": 3}
    assert (found.at, found.waits, found.changed) == (None, False, False)
    assert list_counts.of_import(job).reasons == {"no_attestation": 3}


def test_long_ones_are_counted_by_a_worker_and_kept_and_say_so(alice, long, monkeypatch):
    assert figures(long) == list_counts.Figures(waits=True)
    page = alice.client.get(reverse("lists")).content.decode()
    assert "Still counting" in page
    assert 'hx-select="#counts"' in page
    assert counting.work() == 1
    page = alice.client.get(reverse("lists")).content.decode()
    assert "Counted <time" in page
    assert "hx-select" not in page
    ListMembership.objects.all().update(attestation=None)
    kept = figures(long)
    assert (kept.reasons, kept.waits) == ({"": 3}, False)
    assert kept.at is not None
    later(monkeypatch, seconds=counting.KEPT_AT_MOST + 1)
    assert figures(long).waits
    assert figures(long).reasons == {"": 3}  # shown with its moment until there is a newer one
    assert counting.work() == 1
    assert figures(long).reasons == {"no_attestation": 3}


def test_a_list_that_grew_is_counted_anew(larkfield, alice, long):
    figures(long)
    counting.work()
    assert figures(long).reasons == {"": 3}
    finished(larkfield, alice.user, csv_of(people(2, start=10)), contact_list=long)
    found = figures(long)
    assert (found.total, found.changed) == (3, True)
    assert "Before the last change" in alice.client.get(reverse("list_detail", args=[long.uid])).content.decode()


def test_what_changed_is_counted_again_after_a_breath(larkfield, alice, long, monkeypatch):
    figures(long)
    counting.work()
    ContactList.objects.filter(pk=long.pk).update(held_at=clock.now())
    later(monkeypatch, seconds=counting.CALM_AT_LEAST + 1)
    found = figures(long)
    assert (found.changed, found.waits) == (True, True)
    counting.work()
    found = figures(long)
    assert (found.reasons, found.changed, found.waits) == ({"list_held": 3}, False, False)


def test_what_changes_while_it_is_counted_is_not_taken_for_new(long, monkeypatch):
    figures(long)
    count = lists.breakdowns

    def and_then_it_grows(rows):
        found = count(rows)
        ContactList.objects.filter(pk=long.pk).update(people_count=4)
        return found

    monkeypatch.setattr(lists, "breakdowns", and_then_it_grows)
    counting.work()
    assert figures(long).changed


def test_an_upload_of_many_people_too(alice, job, long):
    url = reverse("import_detail", args=[job.uid])
    page = alice.client.get(url).content.decode()
    assert "Still counting" in page
    assert "3 of 3 people can be mailed" not in page
    assert counting.work() == 1
    page = alice.client.get(url).content.decode()
    assert "3 of 3 people can be mailed" in page
    assert "Counted <time" in page


def test_and_the_do_not_mail_list(larkfield, hollin, alice, long):
    for number in range(3):
        key = AddressKey(f"gone{number}@reader.example")
        suppression.suppress(key, organization=larkfield, reason="unsubscribe", source="page")
    url = reverse("do_not_mail")
    assert "Still counting" in alice.client.get(url).content.decode()
    counting.work()
    page = alice.client.get(url).content.decode()
    assert '<dt>Unsubscribed</dt><dd class="num">3</dd>' in page
    assert "Counted <time" in page
    assert list_counts.of_do_not_mail(hollin).total == 0


def test_as_many_short_lists_as_a_page_counts_are_of_this_moment(larkfield, alice, job, monkeypatch):
    ContactList.objects.create(organization=larkfield, name="Empty")
    finished(larkfield, alice.user, csv_of(people(4, start=50)))
    monkeypatch.setattr(policy, "COUNTED_AT_ONCE", 3)
    found = list_counts.of_lists(larkfield, list(lists.open_lists(larkfield)))
    assert sorted((one.total, one.waits) for one in found.values()) == [(0, False), (0, True), (3, False)]


def test_a_list_longer_than_its_number_says_is_not_counted_by_a_page(long):
    """While an upload is read, say."""
    ContactList.objects.filter(pk=long.pk).update(people_count=0)
    assert figures(long) == list_counts.Figures(waits=True)


def test_people_are_counted_in_and_out_without_reading_the_list(larkfield, long):
    lists.step(long, 1)
    assert ContactList.objects.get(pk=long.pk).people_count == 4
    lists.step(long, -2)
    assert ContactList.objects.get(pk=long.pk).people_count == 2
    assert lists.recount(long) == 3


def test_a_mended_row_of_a_long_upload_is_counted_in_and_its_tags_by_a_worker(larkfield, alice, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    rows = [*people(3), ("nobody", "2026-10-01", "GB")]
    job = finished(larkfield, alice.user, csv_of(rows), plan={**COLUMNS, "tags": ["spring"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "COUNTED_AT_ONCE", 2)
        fixes.use(job, job.rows.get(), "ada@reader.example", actor=alice.user)
    found = ContactList.objects.get(pk=job.contact_list_id)
    assert (found.people_count, Tag.objects.get().people_count) == (4, 3)
    assert counting.work() == 1
    assert Tag.objects.get().people_count == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "COUNTED_AT_ONCE", 2)
        fixes.reopen(job, job.rows.get(), actor=alice.user)
    assert ContactList.objects.get(pk=job.contact_list_id).people_count == 3
    counting.work()
    assert Tag.objects.get().people_count == 3
