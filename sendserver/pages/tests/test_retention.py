"""Retention: what is old ends, what is young stays, evidence and the do-not-mail list survive, old links work."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connections
from django.urls import reverse

from abuse.models import Complaint
from accounts import ledger_walk, personal
from accounts.models import AuditEntry
from campaigns import planning
from campaigns.models import CampaignState, Delivery, InboundMail, RelayProbe, RelayTrace, SystemMail
from campaigns.returning import Holder, holder_of, stop
from campaigns.tests.lanes import frozen
from campaigns.tests.world import make_world
from compliance import evidence, policy
from compliance.imports import abandoned
from compliance.models import (
    Attestation,
    AttestationPerson,
    Contact,
    ContactList,
    EvidenceFile,
    ImportJob,
    ImportRow,
    ListMembership,
    RetentionRun,
    SavedPage,
    Signup,
    SignupForm,
    Suppression,
)
from compliance.provenance import marks
from compliance.suppression import find, suppress, undo_unsubscribe
from compliance.tests.helpers import csv_of, finished, mapped, people
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash
from sendserver.lib.tokens import Purpose, seal
from sendserver.pages import retention

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def ago(days):
    return clock.now() - timedelta(days=days)


def ended(*, dry=False):
    return {one.code: one.rows for one in retention.run(dry=dry) if one.rows}


def both_ways(code, count):
    """Claim that a dry run counts, a run ends, and a second one finds nothing."""
    assert ended(dry=True) == {code: count}
    assert ended() == {code: count}
    assert ended() == {}


def test_raw_mail_is_emptied(db):
    for days in (policy.RET_RAW_D - 1, policy.RET_RAW_D + 1):
        InboundMail.objects.create(
            received_at=ago(days),
            processed_at=ago(days),
            rcpt_to="b@x.example",
            peer="::1",
            raw=b"mail",
            sha256=b"s" * 32,
        )
    InboundMail.objects.create(received_at=ago(999), rcpt_to="b@x.example", peer="::1", raw=b"new", sha256=b"s" * 32)
    both_ways("raw_mail", 1)
    assert [bytes(one.raw) for one in InboundMail.objects.order_by("received_at")] == [b"new", b"", b"mail"]


def test_own_letters_and_relay_logs_go(db):
    for days in (policy.RET_SMTP_D - 1, policy.RET_SMTP_D + 1):
        mail = SystemMail.objects.create(
            recipient="a@x.example", sender="n@x.example", message=b"m", relay="relay-1", due_at=ago(days), state="sent"
        )
        SystemMail.objects.filter(pk=mail.pk).update(created_at=ago(days))
        RelayTrace.objects.create(relay="relay-1", queue_id="A", delivery_id=1, seen_at=ago(days))
        RelayProbe.objects.create(relay="relay-1", message=b"m", sent_at=ago(days), judged_at=ago(days))
    assert ended() == {"own_mail": 1, "relay_logs": 1, "self_tests": 1}
    assert (SystemMail.objects.count(), RelayTrace.objects.count(), RelayProbe.objects.count()) == (1, 1, 1)


def test_reports_lose_their_source_and_later_their_reporter(db):
    years = 365 * policy.RET_CASE_Y
    for number, days in enumerate((1, policy.RET_RAW_D + 1, years + 9)):
        Complaint.objects.create(
            reference=f"AB-{number}", kind="other", source="form", grade="C", received_at=ago(days), raw=b"raw",
            reporter_email="rita@x.example", text="Stop it",
        )  # fmt: skip
    assert ended() == {"report_sources": 2, "reporters": 1}
    rows = Complaint.objects.order_by("reference")
    assert [(row.raw is not None, row.reporter_email) for row in rows] == [
        (True, "rita@x.example"),
        (False, "rita@x.example"),
        (False, ""),
    ]


def test_problem_rows_of_uploads_go(larkfield, alice, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    job = finished(larkfield, alice.user, csv_of([*people(2), ("wrong", "2026-10-01", "GB")]))
    assert ended() == {}
    ImportJob.objects.filter(pk=job.pk).update(created_at=ago(policy.RET_RAW_D + 1))
    both_ways("problem_rows", 1)
    assert not ImportRow.objects.exists()
    assert ListMembership.objects.count() == 2


def test_marks_are_forgotten(larkfield, alice, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    finished(larkfield, alice.user, csv_of(people(3)))
    marks.remember_all()
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE compliance_listmark SET seen_on = current_date - 800 WHERE mark % 2 = 0 RETURNING 1")
        old = len(cursor.fetchall())
        cursor.execute("SELECT count(*) FROM compliance_listmark")
        assert cursor.fetchone() == (3,)
    assert ended() == ({"marks": old} if old else {})


def test_evidence_goes_with_its_statement(larkfield, alice, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    job, other = (finished(larkfield, alice.user, csv_of(people(2, start=start))) for start in (0, 5))
    row = evidence.add(job, [b"log of the form"], name="log.txt", actor=alice.user)
    shared = evidence.add(other, [b"log of the form"], name="log.txt", actor=alice.user)
    digest = hashlib.sha256(b"<p>page</p>").digest()
    evidence.keep(b"<p>page</p>")
    url = "https://larkfield.example/news"
    SavedPage.objects.create(organization=larkfield, import_uid=job.uid, url=url, at=clock.now(), sha256=digest)
    rules = [rule for rule in retention.RULES if rule.code == "evidence"]
    later = clock.now() + timedelta(days=366 * policy.RET_EVIDENCE_Y)

    def due(*, dry=True):
        return [one.rows for one in retention.retention.run(rules, dry=dry, now=later)]

    assert [one.rows for one in retention.retention.run(rules, dry=True)] == [0]
    ListMembership.objects.update(last_contact_at=later - timedelta(days=30))
    assert due() == [0]
    ListMembership.objects.filter(import_job=job).update(last_contact_at=None)
    assert due() == due(dry=False) == [1]
    assert list(EvidenceFile.objects.all()) == [shared]
    assert not SavedPage.objects.exists()
    assert not evidence.path_of(digest).exists()
    assert evidence.read(shared) == b"log of the form"  # the other upload's row still names these bytes
    ListMembership.objects.update(last_contact_at=None)
    assert due(dry=False) == [1]
    assert not evidence.path_of(bytes(row.sha256)).exists()
    assert ledger_walk.walk().is_sound


def test_evidence_of_drafts_goes(larkfield, alice, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    row = evidence.add(job, [b"log of the form"], name="log.txt", actor=alice.user)
    abandoned.cancel(job, actor=alice.user)
    assert ended() == {}
    ImportJob.objects.filter(pk=job.pk).update(created_at=ago(policy.RET_RAW_D + 1))
    both_ways("draft_evidence", 1)
    assert not EvidenceFile.objects.exists()
    assert not evidence.path_of(bytes(row.sha256)).exists()


def test_confirmed_sign_ups_of_people_who_left_go(larkfield, db):
    found = ContactList.objects.create(organization=larkfield, name="Tips")
    form = SignupForm.objects.create(organization=larkfield, contact_list=found, title="Tips", wording="x")
    at = ago(366 * policy.RET_EVIDENCE_Y)
    fields = {"form": form, "organization": larkfield, "wording": "x", "asked_from": "192.0.2.0/24", "worked": True}
    _gone, here = (
        Signup.objects.create(
            address=f"{name}@reader.example", address_hash=name.encode(), asked_at=at, confirmed_at=at, **fields
        )
        for name in ("gone", "here")
    )
    contact = Contact.objects.create(
        organization=larkfield, address="h@x.example", address_key="h@x.example", address_hash=b"h", domain="x.example"
    )
    ListMembership.objects.create(contact_list=found, contact=contact, signup=here)
    both_ways("signups", 1)
    assert list(Signup.objects.all()) == [here]


def test_signers_go_and_the_ledger_still_holds(larkfield, alice, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    job = finished(larkfield, alice.user, csv_of(people(2)))
    person = AttestationPerson.objects.get()
    later = clock.now() + timedelta(days=366 * policy.RET_EVIDENCE_Y)
    rules = [rule for rule in retention.RULES if rule.code == "signers"]
    assert [one.rows for one in retention.retention.run(rules, dry=False)] == [0]
    ListMembership.objects.update(last_contact_at=later - timedelta(days=30))
    assert [one.rows for one in retention.retention.run(rules, dry=False, now=later)] == [0]
    ListMembership.objects.update(last_contact_at=None)
    assert [one.rows for one in retention.retention.run(rules, dry=False, now=later)] == [1]
    assert not AttestationPerson.objects.exists()
    record = Attestation.objects.get(uid=person.attestation_uid)
    said = AuditEntry.objects.get(action=personal.DELETED)
    assert (said.subject, said.reason) == (personal.subject_of(record), "DATA-RETENTION")
    report = ledger_walk.walk()
    assert report.is_sound
    assert len(report.notes) == 1
    assert "under rule DATA-RETENTION" in report.notes[0]
    page = alice.client.get(reverse("import_detail", args=[job.uid]))
    assert page.status_code == 200


@pytest.fixture
def old_delivery(larkfield):
    """Return a delivery whose campaign ended before the time that addresses are kept."""
    world = make_world(larkfield, 2)
    campaign = frozen(world)
    planning.plan(campaign)
    finished_at = ago(31 * policy.RET_SENDLOG_MONTHS)
    type(campaign).objects.filter(pk=campaign.pk).update(state=CampaignState.SENT, finished_at=finished_at)
    return Delivery.objects.order_by("pk").first()


def holder(delivery):
    found = holder_of(seal(Purpose.DELIVERY, delivery.pk))
    assert isinstance(found, Holder)
    return found


def test_addresses_of_old_messages_go(old_delivery):
    both_ways("deliveries", 2)
    assert list(Delivery.objects.values_list("address", "merge")) == [("", {}), ("", {})]
    old_delivery.refresh_from_db()
    assert bytes(old_delivery.address_hash) == suppression_hash(AddressKey("person0@reader.example"))


@pytest.mark.parametrize("erased", [False, True])
def test_who_stops_by_a_very_old_message_is_stopped(old_delivery, larkfield, erased):
    ended()
    if erased:
        Contact.objects.all().delete()
    old_delivery.refresh_from_db()
    stop(holder(old_delivery), source="page")
    key = AddressKey("person0@reader.example")
    assert [row.reason for row in find(larkfield, key)] == ["unsubscribe"]
    assert holder(old_delivery).is_stopped
    assert holder(old_delivery).masked == ("your address" if erased else "p••••@reader.example")
    assert undo_unsubscribe(larkfield, holder(old_delivery).key, delivery_id=old_delivery.pk)


def test_running_campaigns_keep_their_addresses(old_delivery):
    type(old_delivery.campaign).objects.update(state=CampaignState.PAUSED)
    assert ended() == {}


def test_the_do_not_mail_list_is_never_touched(larkfield):
    suppress(AddressKey("gone@reader.example"), organization=larkfield, reason="complaint", source="arf")
    Suppression.objects.update(created_at=ago(9999))
    assert ended() == {}
    assert Suppression.objects.count() == 1
    assert not any("compliance_suppression" in rule.due + rule.act for rule in retention.RULES)


def test_the_command_counts_or_deletes(old_delivery, capsys):
    call_command("retention", "--dry-run")
    assert "deliveries" in capsys.readouterr().out
    assert Delivery.objects.exclude(address="").count() == 2
    assert not RetentionRun.objects.exists()
    call_command("retention")
    assert Delivery.objects.exclude(address="").count() == 0
    assert {"code": "deliveries", "rows": 2, "rest": 0} in RetentionRun.objects.get().results


def test_the_rest_waits_for_the_next_night(old_delivery, monkeypatch):
    monkeypatch.setattr("compliance.retention.PIECE", 1)
    (rule,) = [rule for rule in retention.RULES if rule.code == "deliveries"]
    (first,) = retention.retention.run([rule], dry=False, seconds=0)
    assert (first.rows, first.rest) == (1, 1)
    (second,) = retention.retention.run([rule], dry=False)
    assert (second.rows, second.rest) == (1, 0)


def test_staff_read_what_is_kept_how_long(larkfield, administrator, alice):
    ended()
    page = administrator.client.get(reverse("admin:staff_retention")).content.decode()
    for rule in retention.RULES:
        assert rule.keeps in page
    assert alice.client.get(reverse("admin:staff_retention")).status_code in (302, 403)


def test_keys_of_rules_differ():
    codes = [rule.code for rule in retention.RULES]
    assert len(set(codes)) == len(codes)
