"""Uploads from the file to the list: counted, signed, read, merged, restarted."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import RFC_4122

import pytest

from accounts.models import AuditEntry
from compliance import lists, suppression
from compliance.errors import FileRefusedError
from compliance.imports import merge, run
from compliance.imports.scan import counts_of
from compliance.models import Attestation, Contact, ContactList, ImportJob, ImportRow, ImportState, ListMembership
from compliance.tests.helpers import csv_of, finished, mapped, people, signed, upload
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def test_good_rows_land_on_the_list(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of(people(3)))
    assert (job.state, job.added_count, job.row_count) == (ImportState.DONE, 3, 3)
    membership = ListMembership.objects.select_related("contact").order_by("pk")[0]
    assert membership.basis == "express_soi"
    assert membership.attestation_id == Attestation.objects.get().pk
    assert f"{membership.consent_at:%Y-%m-%d}" == "2026-10-01"
    assert membership.contact.country == "GB"
    assert lists.mailable_count(job.contact_list) == 3
    assert ContactList.objects.get().people_count == 3


def test_every_row_has_one_fate(larkfield, alice):
    suppression.suppress(
        AddressKey("said.no@reader.example"), organization=larkfield, reason="unsubscribe", source="page"
    )
    suppression.suppress(AddressKey("gone@reader.example"), organization=larkfield, reason="hard_bounce", source="dsn")
    rows = [
        *people(5),
        ("PERSON0@reader.example", "2026-10-02", "GB"),
        ("said.no@reader.example", "2026-10-01", "GB"),
        ("gone@reader.example", "2026-10-01", "GB"),
        ("ines.at.example.com", "2026-10-01", "GB"),
        ("abuse@reader.example", "2026-10-01", "GB"),
        ("late@reader.example", "2062-03-01", "GB"),
        ("undated@reader.example", "", "GB"),
        ("kim@gmial.com", "2026-10-01", "GB"),
    ]
    job = finished(larkfield, alice.user, csv_of(rows))
    assert job.row_count == 13
    assert (job.added_count, job.updated_count, job.duplicate_count) == (5, 0, 1)
    assert job.suppressed_reasons == {"unsubscribe": 1, "hard_bounce": 1}
    assert job.suppressed_count == 2
    assert job.rejected_count == 5
    assert list(ImportRow.objects.order_by("line").values_list("line", "reason", "suggestion")) == [
        (10, "no_at_sign", "ines@example.com"),
        (11, "role", ""),
        (12, "date_future", "2026-03-01"),
        (13, "date_missing", "2026-01-01"),
        (14, "typo_domain", "kim@gmail.com"),
    ]
    assert not Contact.objects.filter(address_key="said.no@reader.example").exists()


def test_the_count_before_is_the_result_after(larkfield, alice):
    finished(larkfield, alice.user, csv_of(people(4)))
    existing = ContactList.objects.get()
    suppression.suppress(AddressKey("person8@reader.example"), organization=larkfield, reason="complaint", source="arf")
    rows = [*people(8, start=2), ("person9@reader.example", "2026-10-03", "GB"), ("nonsense", "2026-10-01", "GB")]
    job = finished(larkfield, alice.user, csv_of(rows), contact_list=existing)
    counts = counts_of(job)
    assert (counts.rows, counts.added, counts.on_list, counts.left_out, counts.rejected) == (10, 5, 2, 2, 1)
    after = (job.added_count, job.updated_count, job.duplicate_count + job.suppressed_count, job.rejected_count)
    assert after == (5, 2, 2, 1)
    assert existing.memberships.count() == 9


def test_everybody_gets_an_id_of_their_own_that_nobody_guesses(larkfield, alice):
    finished(larkfield, alice.user, csv_of(people(600)))  # more than are made at once
    uids = list(Contact.objects.values_list("uid", flat=True))
    assert len({uid.bytes[:6] for uid in uids}) == len(uids) == 600
    assert {(uid.version, uid.variant) for uid in uids} == {(4, RFC_4122)}


def test_a_list_of_which_half_said_no_before_a_key_rotation(larkfield, alice, settings):
    """Found under the older key, by reason, once each; nobody else is taken out with them."""
    for number in range(0, 600, 2):
        who = AddressKey(f"person{number}@reader.example")
        reason = "unsubscribe" if number % 4 else "complaint"
        suppression.suppress(who, organization=larkfield, reason=reason, source="page")
    settings.SUPPRESSION_KEYS = {"k9": b"n" * 32, "k8": b"m" * 32, **settings.SUPPRESSION_KEYS}
    for number in range(0, 600, 4):  # again, under all keys now
        who = AddressKey(f"person{number}@reader.example")
        suppression.suppress(who, organization=larkfield, reason="objection", source="page")
    job = finished(larkfield, alice.user, csv_of(people(600)))
    assert job.suppressed_reasons == {"unsubscribe": 150, "objection": 150}  # what stands under the newest key counts
    kept = set(Contact.objects.values_list("address_key", flat=True))
    assert kept == {f"person{number}@reader.example" for number in range(1, 600, 2)}
    assert counts_of(job).said_no == job.suppressed_reasons


def test_double_row_keeps_the_newer_sign_up_across_pieces(larkfield, alice):
    rows = [("ada@reader.example", "2026-02-01", "GB"), *people(3), ("Ada@Reader.example", "2026-09-01", "GB")]
    job = signed(larkfield, alice.user, csv_of(rows))
    assert run.run(job, piece=2)
    job.refresh_from_db()
    assert (job.added_count, job.duplicate_count, job.updated_count) == (4, 1, 0)
    kept = ListMembership.objects.get(contact__address_key="ada@reader.example")
    assert f"{kept.consent_at:%Y-%m-%d}" == "2026-09-01"


def test_row_with_proof_wins_over_a_newer_one_without(larkfield, alice):
    plan = {"targets": {"0": "email", "1": "consent_at", "2": "confirmed_at"}, "date_order": "dmy", "has_header": True}
    rows = [("ada@reader.example", "2026-02-01", "2026-02-02"), ("ada@reader.example", "2026-09-01", "")]
    finished(larkfield, alice.user, csv_of(rows, "email,signed up,confirmed"), plan=plan)
    kept = ListMembership.objects.get()
    assert (kept.basis, f"{kept.confirmed_at:%Y-%m-%d}") == ("express_doi", "2026-02-02")


def test_an_older_upload_does_not_weaken_a_permission(larkfield, alice):
    finished(larkfield, alice.user, csv_of([("ada@reader.example", "2026-09-01", "GB")]))
    first = ListMembership.objects.get()
    finished(
        larkfield, alice.user, csv_of([("ada@reader.example", "2026-03-01", "GB")]), contact_list=first.contact_list
    )
    kept = ListMembership.objects.get()
    assert (kept.consent_at, kept.attestation_id) == (first.consent_at, first.attestation_id)


def test_another_tenants_do_not_mail_list_does_not_count(larkfield, alice, hollin):
    suppression.suppress(AddressKey("person0@reader.example"), organization=hollin, reason="unsubscribe", source="page")
    assert finished(larkfield, alice.user, csv_of(people(2))).added_count == 2


def test_killed_between_pieces_goes_on_without_doubles(larkfield, alice, monkeypatch):
    job = signed(larkfield, alice.user, csv_of([*people(7), ("broken", "2026-10-01", "GB"), *people(2, start=7)]))
    real, calls = merge.merge, []

    def dies(*args):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        real(*args)

    monkeypatch.setattr(run, "merge", dies)
    with pytest.raises(KeyboardInterrupt):
        run.run(job, piece=3)
    monkeypatch.setattr(run, "merge", real)
    job = ImportJob.objects.get()
    assert (job.state, job.rows_read, job.added_count) == (ImportState.READING, 6, 6)
    assert run.run(job)  # its worker may still live
    job.refresh_from_db()
    assert job.rows_read == 6
    ImportJob.objects.update(heartbeat_at=clock.now() - timedelta(seconds=61))
    assert [row.pk for row in run.waiting(clock.now())] == [job.pk]
    assert run.run(job)
    job.refresh_from_db()
    assert (job.state, job.added_count, job.rejected_count, job.rows_read) == (ImportState.DONE, 9, 1, 10)
    assert ListMembership.objects.count() == 9


def test_second_worker_on_a_piece_writes_nothing(larkfield, alice):
    job = signed(larkfield, alice.user, csv_of(people(4)))
    late = ImportJob.objects.get()
    assert run.run(job)
    ImportJob.objects.update(state=ImportState.READING)
    late.refresh_from_db()
    with pytest.raises(merge.LostJobError):
        merge.merge(late, merge.Piece(0, 4), None)
    late.refresh_from_db()
    assert late.added_count == 4


def test_a_turn_ends_and_asks_for_another_where_somebody_waits(larkfield, alice):
    job = signed(larkfield, alice.user, csv_of(people(5)))
    signed(larkfield, alice.user, csv_of(people(2, start=50)))
    assert run.run(job, piece=2, seconds=0) is False
    job.refresh_from_db()
    assert (job.rows_read, job.state) == (2, ImportState.READING)
    assert run.run(job) is True
    job.refresh_from_db()
    assert (job.added_count, job.state) == (5, ImportState.DONE)


def test_a_turn_goes_on_while_nobody_waits(larkfield, alice):
    job = signed(larkfield, alice.user, csv_of(people(5)))
    assert run.run(job, piece=2, seconds=0) is True
    job.refresh_from_db()
    assert (job.added_count, job.state) == (5, ImportState.DONE)


def test_the_file_is_gone_after_reading(larkfield, alice, tmp_path, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = signed(larkfield, alice.user, csv_of(people(1)))
        assert [file.name for file in tmp_path.iterdir()] == [job.stored_name]
        run.run(job)
    assert list(tmp_path.iterdir()) == []


def test_ten_thousand_mixed_rows_take_seconds(larkfield, alice, tmp_path):
    good = [f"person{n}@reader.example,2026-10-01,GB,Zoë" for n in range(9000)]
    lines = [line.encode("cp1252" if n % 3 == 0 else "utf-8") for n, line in enumerate(good)]
    lines += [f"Person{n}@READER.example,2026-09-01,GB,".encode() for n in range(500)]
    lines += [f"wrong{n}.example,2026-10-01,GB,".encode() for n in range(400)]
    lines += [b"x\x00y@reader.example,2026-10-01,GB,", b"\x81\x8d@reader.example,2026-10-01,GB,"]
    plan = {
        "targets": {"0": "email", "1": "consent_at", "2": "country", "3": "first_name"},
        "date_order": "dmy",
        "has_header": True,
    }
    begun = time.monotonic()
    job = finished(larkfield, alice.user, b"email,signed up,country,first\n" + b"\n".join(lines), plan=plan)
    assert time.monotonic() - begun < 20
    assert job.state == ImportState.HELD  # a first list above the limit
    assert (job.added_count, job.duplicate_count, job.rejected_count, job.row_count) == (9000, 500, 402, 9902)
    assert set(Contact.objects.values_list("first_name", flat=True)) == {"Zoë"}
    assert set(ImportRow.objects.filter(line__gt=9901).values_list("reason", flat=True)) == {"nul", "undecodable"}


def test_a_file_that_breaks_off_says_where(larkfield, alice):
    data = csv_of(people(300)) + b'"open@reader.example,2026-10-01,GB\n' + csv_of(people(2))
    job = mapped(larkfield, alice.user, data)
    job.refresh_from_db()
    assert job.state == ImportState.FAILED
    assert "row 302" in job.error
    assert AuditEntry.objects.filter(action="import.failed").count() == 1


def test_a_broken_beginning_is_refused_at_once_and_leaves_nothing(larkfield, alice, tmp_path):
    with pytest.raises(FileRefusedError) as refusal:
        upload(larkfield, alice.user, b'email\n"open@reader.example\n')
    assert refusal.value.line == 2
    assert list(tmp_path.iterdir()) == []
    assert not ContactList.objects.exists()
