"""The counts of an overview: kept for a while where counting takes long, and only there."""

from __future__ import annotations

from datetime import timedelta

from django.urls import reverse

from compliance import lists
from compliance.models import ListMembership
from compliance.tests.helpers import csv_of, finished, people
from sendserver.lib import clock


def counted(organization):
    return lists.recent_reason_counts(organization, lists.open_lists(organization)).counts


def test_short_lists_are_counted_each_time(larkfield, alice, settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(lists, "WORTH_KEEPING", 60.0)
    job = finished(larkfield, alice.user, csv_of(people(3)))
    assert counted(larkfield)[job.contact_list_id] == {"": 3}
    ListMembership.objects.all().update(attestation=None)
    assert counted(larkfield)[job.contact_list_id] == {"no_attestation": 3}


def test_long_ones_are_kept_and_say_so(larkfield, alice, settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(lists, "WORTH_KEEPING", -1.0)
    monkeypatch.setattr(lists, "LONGER", 1e6)
    job = finished(larkfield, alice.user, csv_of(people(3)))
    assert b"Counted" not in alice.client.get(reverse("lists")).content
    ListMembership.objects.all().update(attestation=None)
    assert counted(larkfield)[job.contact_list_id] == {"": 3}
    later = clock.now() + timedelta(seconds=60)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert b"Counted" in alice.client.get(reverse("lists")).content


def test_a_list_that_grew_is_counted_anew(larkfield, alice, settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(lists, "WORTH_KEEPING", -1.0)
    monkeypatch.setattr(lists, "LONGER", 1e6)
    job = finished(larkfield, alice.user, csv_of(people(3)))
    assert counted(larkfield)[job.contact_list_id] == {"": 3}
    finished(larkfield, alice.user, csv_of(people(2, start=10)), contact_list=job.contact_list)
    assert counted(larkfield)[job.contact_list_id] == {"": 5}
