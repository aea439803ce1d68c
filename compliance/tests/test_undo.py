"""Uploads killed, stopped and taken back: what stands in the tables afterwards, row for row."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from django.urls import reverse

from accounts.models import AuditEntry
from compliance import suppression, tasks
from compliance.imports import fixes, run, undo
from compliance.models import Contact, ContactList, ImportBefore, ImportJob, ImportRow, ImportState, ListMembership
from compliance.tests.helpers import csv_of, finished, people, signed, upload
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

ROWS = 30_000
KILLS = 10
SEED = 20261123
# What a row says, without the numbers and moments that every import makes anew.
_PEOPLE = """SELECT c.address, c.address_key, encode(c.address_hash, 'hex'), c.domain, c.first_name, c.last_name,
    c.country, c.fields::text, m.basis, m.consent_at::text, m.confirmed_at::text, m.country, m.source,
    m.last_contact_at::text
  FROM compliance_contact c LEFT JOIN compliance_listmembership m ON m.contact_id = c.id AND m.contact_list_id = %s
  WHERE c.organization_id = %s ORDER BY c.address_key"""
_TABLES = ("compliance_contact", "compliance_listmembership", "compliance_suppression")


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def everything():
    """Return every row of the tables that an import writes, as PostgreSQL prints them."""
    with connection.cursor() as cursor:
        found = {}
        for table in _TABLES:
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY id")
            found[table] = [row[0] for row in cursor.fetchall()]
    return found


def people_on(job):
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE, [job.contact_list_id, job.organization_id])
        return cursor.fetchall()


def counters(job):
    job.refresh_from_db()
    names = ("rows_read", "row_count", "added_count", "updated_count", "duplicate_count", "rejected_count")
    more = ("suppressed_count", "suppressed_reasons", "unmailable_count", "state")
    return {name: getattr(job, name) for name in (*names, *more)}


def messy_list(rows=ROWS):
    """Return a list with people who come twice, wrong rows, and people who said no, in no order."""
    rng = random.Random(SEED)
    found = []
    for number in range(rows):
        dice, date = rng.random(), f"2026-{rng.randrange(1, 11):02d}-{rng.randrange(1, 28):02d}"
        address = f"reader{number}@reader.example"
        if dice < 0.02:
            address = f"READER{rng.randrange(rows)}@reader.example"
        elif dice < 0.03:
            address = f"reader{number}.example"
        found.append((address, date, rng.choice(["GB", "FR", "DE", ""])))
    return csv_of(found)


def suppress_some(organization):
    for number in range(0, ROWS, 400):
        key = AddressKey(f"reader{number}@reader.example")
        suppression.suppress(key, organization=organization, reason="unsubscribe", source="page")


def environment(media):
    """Return what an importer of its own inherits: this test's copy of the database, and its uploads."""
    made = dict(os.environ) | {"VAR_DIR": str(media)}
    for name, alias in (("DATABASE_URL", "default"), ("DATABASE_OWNER_URL", "owner")):
        made[name] = f"{made[name].rpartition('/')[0]}/{connections[alias].settings_dict['NAME']}"
    return made


_WORKER = """
import sys, django
from django.conf import settings
django.setup()
settings.MEDIA_ROOT = sys.argv[2]
from compliance import tasks
from compliance.imports import run
run.PIECE = 500  # many pieces, so that kills fall everywhere
print("ready", flush=True)
from compliance.models import ImportJob
job = ImportJob.objects.select_related("organization", "contact_list").get(pk=int(sys.argv[1]))
done = run.run(job, piece=500)
"""


def start_worker(job, media):
    environ = environment(media) | {"DJANGO_SETTINGS_MODULE": "sendserver.lane_settings"}
    command = [sys.executable, "-c", _WORKER, str(job.pk), str(media)]
    worker = subprocess.Popen(command, cwd=django_settings.BASE_DIR, env=environ, stdout=subprocess.PIPE)
    assert worker.stdout.readline() == b"ready\n"
    return worker


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_killed_ten_times_is_as_undisturbed_and_undo_gives_back_what_was(larkfield, alice, hollin, mallory, tmp_path):
    """The same list into two organizations: one reading is killed -9 ten times at random moments, the other is not."""
    before_list = csv_of(people(300, start=0, host="reader.example", date="2026-03-01"))
    for organization, person in ((larkfield, alice), (hollin, mallory)):
        suppress_some(organization)
        finished(organization, person.user, before_list.replace(b"person", b"reader"))
    calm = finished(hollin, mallory.user, messy_list(), contact_list=ContactList.objects.get(organization=hollin))
    earlier = everything()
    target = ContactList.objects.get(organization=larkfield)
    job = signed(larkfield, alice.user, messy_list(), contact_list=target)
    rng, killed_at = random.Random(SEED), []
    for _ in range(KILLS):
        worker = start_worker(job, tmp_path)
        goes_to = job.rows_read + 500 * rng.randrange(4)  # so many pieces further, and then in the midst of one
        deadline = time.monotonic() + 60
        while job.rows_read < goes_to and worker.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
            job.refresh_from_db()
        time.sleep(rng.uniform(0, 0.03))
        assert worker.poll() is None, "the worker ended before it was killed; take more rows"
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        job.refresh_from_db()
        killed_at.append(job.rows_read)
        assert job.state in (ImportState.QUEUED, ImportState.READING)
        ImportJob.objects.filter(pk=job.pk).update(heartbeat_at=clock.now() - timedelta(seconds=61))
    assert len(set(killed_at)) > 3
    assert max(killed_at) < ROWS
    worker = start_worker(job, tmp_path)
    assert worker.wait(120) == 0
    assert counters(job) == counters(calm)
    assert people_on(job) == people_on(calm)
    problems = [
        list(ImportRow.objects.filter(job=one).order_by("line").values_list("line", "value", "reason"))
        for one in (job, calm)
    ]
    assert problems[0] == problems[1] != []

    suppression.suppress(AddressKey("reader7@reader.example"), organization=larkfield, reason="complaint", source="arf")
    assert undo.undo(job, actor=alice.user)
    while job.state == ImportState.UNDOING:
        undo.go_on(job)
    now = everything()
    assert now["compliance_contact"] == earlier["compliance_contact"]
    assert now["compliance_listmembership"] == earlier["compliance_listmembership"]
    assert len(now["compliance_suppression"]) == len(earlier["compliance_suppression"]) + 1
    assert now["compliance_suppression"][:-1] == earlier["compliance_suppression"]
    assert suppression.is_suppressed(larkfield, AddressKey("reader0@reader.example"))
    assert not ImportBefore.objects.filter(job=job).exists()
    target.refresh_from_db()
    assert (target.people_count, target.held_at) == (299, None)


def small_change(larkfield, alice):
    """Return (job, all rows before it): two people known, one of them on the list, one new."""
    first = finished(larkfield, alice.user, csv_of([("ada@reader.example", "2026-03-01", "GB")]))
    finished(larkfield, alice.user, csv_of([("ben@reader.example", "2026-03-01", "FR")]))
    before = everything()
    rows = [
        ("Ada@reader.example", "2026-09-01", "IE"),
        ("ben@reader.example", "2026-09-02", ""),
        ("cleo@reader.example", "2026-09-03", "GB"),
    ]
    return finished(larkfield, alice.user, csv_of(rows), contact_list=first.contact_list), before


def test_undo_restores_people_permissions_and_lists(larkfield, alice):
    job, before = small_change(larkfield, alice)
    assert (job.added_count, job.updated_count) == (2, 1)
    assert Contact.objects.get(address_key="ada@reader.example").country == "IE"
    assert undo.undo(job, actor=alice.user)
    assert job.state == ImportState.CANCELLED
    assert everything() == before
    assert AuditEntry.objects.filter(action="import.undoing", actor_uid=alice.user.uid).count() == 1


def test_undo_leaves_what_came_later(larkfield, alice):
    job, _ = small_change(larkfield, alice)
    again = [("cleo@reader.example", "2026-10-01", "GB")]
    later = finished(larkfield, alice.user, csv_of(again), contact_list=job.contact_list)
    ada = Contact.objects.get(address_key="ada@reader.example")
    ada.first_name = "Ada"
    ada.save()
    undo.undo(job, actor=alice.user)
    assert ListMembership.objects.get(contact__address_key="cleo@reader.example").import_job_id == later.pk
    ada.refresh_from_db()
    assert (ada.first_name, ada.country) == ("Ada", "IE")
    assert f"{ListMembership.objects.get(contact=ada).consent_at:%Y-%m-%d}" == "2026-03-01"


def test_a_name_that_an_older_upload_changed_comes_back_too(larkfield, alice):
    """The permission stayed the newer one, so the membership never was the older upload's."""
    finished(larkfield, alice.user, csv_of([("ada@reader.example", "2026-09-01", "GB")]))
    before = everything()
    older = csv_of([("ada@reader.example", "2026-03-01", "IE")])
    job = finished(larkfield, alice.user, older, contact_list=ContactList.objects.get())
    assert Contact.objects.get().country == "IE"
    undo.undo(job, actor=alice.user)
    assert everything() == before


def test_undo_in_pieces_goes_on_where_it_was(larkfield, alice, monkeypatch):
    job = finished(larkfield, alice.user, csv_of(people(25)))
    monkeypatch.setattr(undo, "AT_ONCE", -1.0)
    monkeypatch.setattr(undo, "PIECE", 10)
    monkeypatch.setattr(undo.go_on, "__kwdefaults__", {"seconds": 50.0, "piece": 10})
    assert undo.undo(job, actor=alice.user)
    assert (job.state, job.settled_count, ListMembership.objects.count()) == (ImportState.UNDOING, 10, 15)
    job.contact_list.refresh_from_db()
    assert job.contact_list.held_at is not None
    assert [row.pk for row in run.waiting(clock.now() + timedelta(seconds=61))] == [job.pk]
    tasks.run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, Contact.objects.count(), ContactList.objects.get().held_at) == (ImportState.CANCELLED, 0, None)


def test_stopped_while_it_is_read(larkfield, alice, tmp_path, django_capture_on_commit_callbacks):
    signed(larkfield, alice.user, csv_of(people(2)))
    job = signed(larkfield, alice.user, csv_of(people(5)))
    assert run.run(job, piece=2, seconds=0) is False
    page = alice.client.get(reverse("upload_result", args=[job.uid]))
    assert b"Stop and take it back" in page.content
    with django_capture_on_commit_callbacks(execute=True):
        alice.client.post(reverse("import_undo", args=[job.uid]))
    job.refresh_from_db()
    assert (job.state, Contact.objects.count()) == (ImportState.CANCELLED, 0)
    assert not (tmp_path / job.stored_name).exists()
    assert run.run(job) is True
    assert Contact.objects.count() == 0


def test_the_page_of_an_upload_that_is_taken_back_says_so(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of(people(2)))
    ImportJob.objects.update(state=ImportState.UNDOING)
    page = alice.client.get(reverse("upload_result", args=[job.uid]))
    assert b"Taking your upload back" in page.content


def test_a_mended_row_taken_back_leaves_the_person_as_before(larkfield, alice):
    first = finished(larkfield, alice.user, csv_of([("ada@reader.example", "2026-03-01", "GB")]))
    good = ("ben@reader.example", "2026-09-01", "GB")
    job = finished(
        larkfield, alice.user, csv_of([("ada@reader", "2026-09-01", "IE"), good]), contact_list=first.contact_list
    )
    before = everything()
    row = fixes.use(job, ImportRow.objects.get(), "ada@reader.example", actor=alice.user)
    job.refresh_from_db()
    assert (job.added_count, job.updated_count, job.rejected_count) == (1, 1, 0)
    fixes.reopen(job, row, actor=alice.user)
    job.refresh_from_db()
    assert (job.added_count, job.updated_count, job.rejected_count) == (1, 0, 1)
    assert everything() == before


def test_what_is_kept_for_undo_goes_with_its_days(larkfield, alice):
    job, _ = small_change(larkfield, alice)
    assert ImportBefore.objects.filter(job=job).count() == 2
    assert undo.forget_before(clock.now()) == 0
    assert undo.forget_before(clock.now() + timedelta(days=15)) == 2


def test_a_re_upload_does_not_bring_back_who_left(larkfield, alice):
    data = csv_of(people(3))
    job = finished(larkfield, alice.user, data)
    key = AddressKey("person1@reader.example")
    suppression.suppress(key, organization=larkfield, reason="unsubscribe", source="page")
    Contact.objects.filter(address_key=key).delete()
    again = finished(larkfield, alice.user, data, contact_list=job.contact_list)
    assert again.suppressed_reasons == {"unsubscribe": 1}
    assert not Contact.objects.filter(address_key=key).exists()


def test_an_upload_that_is_not_signed_cannot_be_taken_back(larkfield, alice):
    job = upload(larkfield, alice.user, csv_of(people(1)))
    assert not undo.may_undo(job)
