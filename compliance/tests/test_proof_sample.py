"""The sample of proof: drawn once, kept in steps, opens a list that waits for it alone."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from compliance import lists, policy
from compliance.imports.staff import decide_held
from compliance.models import ContactList, ImportJob, ImportState, ProofRow
from compliance.provenance import proof
from compliance.tests.helpers import csv_of, finished, people
from sendserver.lib import clock

ASK = [
    {"rule": "SRC-PATTERN", "level": "ask", "points": 60, "text": "It looks odd.", "helps": "Show.", "evidence": "x"}
]
HOLD = [{"rule": "SRC-SIZE-JUMP", "text": "It is large."}]


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def doubtful(larkfield, alice):
    """Return an upload that waits for proof alone."""
    return held(finished(larkfield, alice.user, csv_of(people(60))), ASK)


def held(job, reasons):
    ImportJob.objects.filter(pk=job.pk).update(state=ImportState.HELD, held_reasons=reasons)
    ContactList.objects.filter(pk=job.contact_list_id).update(held_at=clock.now(), held_reason="It looks odd.")
    job.refresh_from_db()
    return job


def all_answers(job, text="Form on our page, 1 October, 14:03"):
    return {f"answer-{row.place}": text for row in proof.sample(job)}


def test_twenty_five_people_are_drawn_once_and_not_by_the_file_s_order(doubtful):
    first = [row.contact_id for row in proof.sample(doubtful)]
    assert len(set(first)) == policy.PROOF_ROWS
    assert first != sorted(first)
    assert [row.contact_id for row in proof.sample(doubtful)] == first


def test_the_page_shows_them_and_why(doubtful, alice):
    page = alice.client.get(reverse("import_detail", args=[doubtful.uid])).content.decode()
    assert "Before the first send we ask for a sample of proof" in page
    page = alice.client.get(reverse("import_proof", args=[doubtful.uid])).content.decode()
    assert page.count("<textarea") == policy.PROOF_ROWS
    assert "It looks odd. Show." in page


def test_some_answers_are_kept_and_the_list_waits_on(doubtful, alice):
    url = reverse("import_proof", args=[doubtful.uid])
    given = {**dict(list(all_answers(doubtful).items())[:20]), "answer-21": "short"}
    assert alice.client.post(url, given).url == url
    assert ProofRow.objects.exclude(answer="").count() == 21
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.proof_at) == (ImportState.HELD, None)
    assert lists.mailable_count(doubtful.contact_list) == 0


def test_all_answers_open_the_list(doubtful, alice):
    url = reverse("import_proof", args=[doubtful.uid])
    assert alice.client.post(url, all_answers(doubtful)).url == reverse("import_detail", args=[doubtful.uid])
    doubtful.refresh_from_db()
    assert doubtful.state == ImportState.DONE
    assert lists.mailable_count(ContactList.objects.get()) == 60
    assert AuditEntry.objects.filter(action="import.proof").count() == 1
    assert alice.client.get(url).status_code == 302


def test_proof_does_not_open_what_the_staff_has_to_look_at(larkfield, alice, moderator):
    job = held(finished(larkfield, alice.user, csv_of(people(3))), [*ASK, *HOLD])
    alice.client.post(reverse("import_proof", args=[job.uid]), all_answers(job, "At our stand in May <b>2026</b>"))
    job.refresh_from_db()
    assert (job.state, job.proof_at is not None) == (ImportState.HELD, True)
    page = moderator.client.get(reverse("admin:compliance_importjob_change", args=[job.pk])).content.decode()
    assert "At our stand in May &lt;b&gt;2026&lt;/b&gt;" in page
    assert "person0@reader.example" not in page


def test_no_proof_after_the_decision(doubtful, alice, moderator):
    given = all_answers(doubtful)
    decide_held(doubtful, approve=False, actor=moderator.user, reason="No.")
    alice.client.post(reverse("import_proof", args=[doubtful.uid]), given)
    doubtful.refresh_from_db()
    assert doubtful.state == ImportState.REFUSED
    assert ProofRow.objects.exclude(answer="").count() == 0


def test_only_who_may_change_lists_answers(doubtful, eve, mallory):
    url = reverse("import_proof", args=[doubtful.uid])
    assert eve.client.post(url, {"answer-1": "x" * 20}).status_code == 403
    assert mallory.client.get(url).status_code == 404
