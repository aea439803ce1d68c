"""Uploads that wait for the staff: which, what holds meanwhile, and both decisions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse

from accounts.models import AuditEntry
from compliance import lists, policy, tasks
from compliance.errors import ImportRefusedError
from compliance.imports import holds, undo
from compliance.imports.holds import Facts
from compliance.imports.rows import Claim
from compliance.imports.scan import Counts
from compliance.imports.staff import decide_held
from compliance.models import Contact, ContactList, ImportBefore, ImportJob, ImportState, ListMembership
from compliance.provenance import proof
from compliance.tests.helpers import csv_of, finished, people
from compliance.tests.test_undo import everything
from sendserver.lib import clock


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def held(larkfield, alice):
    """Return an upload that waits: its sign-ups are old and nobody said when they were last mailed."""
    answers = {"earliest": "2025-01"}
    return finished(larkfield, alice.user, csv_of(people(3, date="2025-06-01")), answers=answers)


def rules(counts, *, claim=None, biggest=0, names=()):
    return [reason["rule"] for reason in holds.reasons(Facts(counts, claim or Claim(), biggest, list(names)))]


def counts(rows, **more):
    return Counts(
        **{"done": True, "rows": rows, "good": rows - sum(more.get("bad", {}).values()), "dated": rows, **more}
    )


def test_a_list_longer_than_agreed_says_so():
    (reason,) = holds.reasons(Facts(counts(9001), Claim(), agreed=9000))
    assert reason["text"] == "It has 9,001 rows; 9,000 were agreed with your verification."


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(counts(5000), Claim()), []),
        (Facts(counts(5001), Claim()), ["SRC-SIZE-JUMP"]),
        (Facts(counts(5001), Claim(), biggest=4000), []),
        (Facts(counts(10_000), Claim(), biggest=1000), []),
        (Facts(counts(10_001), Claim(), biggest=1000), ["SRC-SIZE-JUMP"]),
        (Facts(counts(9000), Claim(), agreed=9000), []),
        (Facts(counts(9001), Claim(), agreed=9000), ["SRC-SIZE-JUMP"]),
        (Facts(counts(4000), Claim(), agreed=9000, pooled=5001), ["SRC-SIZE-JUMP"]),
        (Facts(counts(9000), Claim(), agreed=9000, biggest=10), []),
        (Facts(counts(9000, bad={"role": 200}), Claim(), agreed=9000), ["SRC-PATTERN"]),
        (Facts(counts(2000), Claim(), pooled=3000), []),
        (Facts(counts(2000), Claim(), pooled=3001), ["SRC-SIZE-JUMP"]),
        (Facts(counts(2000), Claim(), pooled=8001, biggest=1000), ["SRC-SIZE-JUMP"]),
        (Facts(counts(1000, bad={"role": 20}), Claim()), []),
        (Facts(counts(1000, bad={"role": 21}), Claim()), ["SRC-PATTERN"]),
        (Facts(counts(1000, said_no={"unsubscribe": 101}), Claim()), ["SRC-PATTERN"]),
        (Facts(counts(1000, bad={"date_future": 51}), Claim()), ["SRC-PATTERN"]),
        (Facts(counts(1001, dated=1001, same_date=901), Claim()), ["SRC-PATTERN"]),
        (Facts(counts(1000, dated=1000, same_date=1000), Claim()), []),
        (Facts(counts(10, older_than_hold=1), Claim()), ["CONSENT-STALE"]),
        (Facts(counts(10, older_than_hold=1), Claim(last_contact_at=clock.now())), []),
        (Facts(counts(10), Claim(), names=["people.csv", "Readers", "apollo_id"]), ["SRC-METADATA"]),
        (Facts(counts(10), Claim(), names=["people.csv", "Readers", "diagnosis"]), ["SRC-SPECIAL-DATA"]),
        (Facts(counts(10), Claim(), names=["people.csv", "Readers", "email", "first name", "racecourse"]), []),
        (Facts(counts(10, places={"DE": 3}), Claim(basis="express_written")), ["CONSENT-DOI"]),
        (Facts(counts(10, places={"GB": 3}), Claim(basis="express_written")), []),
        (Facts(counts(10, places={"": 3}), Claim(basis="express_written", country="GB")), []),
    ],
)
def test_reasons_for_a_look(facts, expected):
    assert [reason["rule"] for reason in holds.reasons(facts)] == expected


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (counts(1000, bad={"bad_domain": 100}), False),
        (counts(1000, bad={"bad_domain": 101}), True),
        (counts(1000, bad={"date_future": 500}), False),
        (counts(99, bad={"bad_domain": 50}), False),
        (counts(5, bad={"bad_domain": 5}), True),
    ],
)
def test_files_refused_as_a_whole(found, refused):
    assert bool(holds.refusal(found)) is refused


def test_held_list_mails_nobody(held):
    assert held.state == ImportState.HELD
    assert ContactList.objects.get().held_at is not None
    assert lists.reason_counts([held.contact_list]) == {held.contact_list_id: {"list_held": 3}}


def test_customer_sees_why(held, alice):
    page = alice.client.get(reverse("import_detail", args=[held.uid])).content.decode()
    assert "3 sign-ups are older than 12 months" in page
    assert "waits for a short staff check" in page


def test_approval_opens_the_list_and_tells_by_mail(held, moderator, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert decide_held(held, approve=True, actor=moderator.user, reason="The form is live and dated.")
    assert lists.mailable_count(held.contact_list) == 3
    assert ImportJob.objects.get().state == ImportState.DONE
    assert [letter.subject for letter in mail.outbox] == ["Readers: ready to be mailed"]
    assert "The form is live and dated." in mail.outbox[0].body
    entry = AuditEntry.objects.get(action="import.done")
    assert (entry.actor_uid, entry.reason) == (moderator.user.uid, "The form is live and dated.")


def test_refusal_takes_the_people_out(held, moderator):
    assert decide_held(held, approve=False, actor=moderator.user, reason="No proof was shown.")
    assert not ListMembership.objects.exists()
    found = ContactList.objects.get()
    assert (found.people_count, found.held_at) == (0, None)
    assert ImportJob.objects.get().state == ImportState.REFUSED


def test_refusal_restores_whom_it_only_updated(larkfield, alice, moderator):
    finished(larkfield, alice.user, csv_of(people(2)))
    before = everything()
    again = finished(
        larkfield,
        alice.user,
        csv_of([*people(1, date="2026-11-01"), *people(1, start=5, date="2025-06-01")]),
        contact_list=ContactList.objects.get(),
        answers={"earliest": "2025-01"},
    )
    decide_held(again, approve=False, actor=moderator.user, reason="No proof was shown.")
    assert lists.reason_counts([again.contact_list])[again.contact_list_id] == {"": 2}
    assert everything()["compliance_listmembership"] == before["compliance_listmembership"]
    assert everything()["compliance_contact"] == before["compliance_contact"]
    again.refresh_from_db()
    assert (again.state, again.is_refused, again.decided_by) == (ImportState.REFUSED, True, moderator.user)
    states = [row.action for row in AuditEntry.objects.filter(subject=f"import:{again.uid}").order_by("pk")][-2:]
    assert states == ["import.undoing", "import.refused"]


def test_a_long_refusal_goes_on_in_the_worker(larkfield, alice, moderator, monkeypatch):
    old = csv_of(people(30, date="2025-06-01"))
    job = finished(larkfield, alice.user, old, answers={"earliest": "2025-01"})
    monkeypatch.setattr(undo, "AT_ONCE", -1.0)
    monkeypatch.setattr(undo.go_on, "__kwdefaults__", {"seconds": 50.0, "piece": 10})
    decide_held(job, approve=False, actor=moderator.user, reason="No proof was shown.")
    job.refresh_from_db()
    assert (job.state, ListMembership.objects.count()) == (ImportState.UNDOING, 20)
    assert ContactList.objects.get().held_at is not None
    tasks.run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, ListMembership.objects.count(), Contact.objects.count()) == (ImportState.REFUSED, 0, 0)
    assert ContactList.objects.get().held_at is None


@pytest.mark.django_db(transaction=True)  # (constraints are looked at when it commits)
def test_a_refused_upload_keeps_the_answers_of_its_sample_without_the_people(larkfield, alice, moderator):
    old = csv_of(people(30, date="2025-06-01"))
    job = finished(larkfield, alice.user, old, answers={"earliest": "2025-01"})
    rows = proof.sample(job)
    proof.answer(job, {row.place: "Form on our page, 1 October, 14:03" for row in rows[:3]}, actor=alice.user)
    decide_held(job, approve=False, actor=moderator.user, reason="No proof was shown.")
    kept = proof.sample(job)
    assert ([row.contact for row in kept[:3]], kept[0].answer) == ([None] * 3, "Form on our page, 1 October, 14:03")
    page = moderator.client.get(reverse("admin:compliance_importjob_change", args=[job.pk]))
    assert page.status_code == 200


def test_what_a_held_upload_changed_is_kept_until_it_is_decided(larkfield, alice, moderator):
    finished(larkfield, alice.user, csv_of(people(2)))
    again = finished(
        larkfield,
        alice.user,
        csv_of(people(1, date="2025-06-01")),
        contact_list=ContactList.objects.get(),
        answers={"earliest": "2025-01"},
    )
    late = clock.now() + timedelta(days=policy.IMPORT_UNDO_D + 30)
    undo.forget_before(late)
    assert ImportBefore.objects.filter(job=again).exists()
    assert decide_held(again, approve=True, actor=moderator.user, reason="Fine.")
    undo.forget_before(late)
    assert not ImportBefore.objects.exists()


def test_decided_once(held, moderator):
    assert decide_held(held, approve=True, actor=moderator.user, reason="Fine.")
    late = ImportJob.objects.get()
    assert not decide_held(late, approve=False, actor=moderator.user, reason="Not fine.")
    assert ListMembership.objects.count() == 3


def test_a_decision_needs_a_reason(held, moderator):
    with pytest.raises(ImportRefusedError):
        decide_held(held, approve=True, actor=moderator.user, reason="  ")


def test_staff_decides_in_the_staff_area(held, moderator):
    page = moderator.client.get(reverse("admin:compliance_importjob_change", args=[held.pk])).content.decode()
    assert "CONSENT-STALE" in page
    assert "person0@reader.example" not in page
    url = reverse("admin:compliance_importjob_decide", args=[held.pk])
    assert moderator.client.get(url).status_code == 405
    assert moderator.client.post(url, {"answer": "approve"}).status_code == 200
    held.refresh_from_db()
    assert held.state == ImportState.HELD
    assert moderator.client.post(url, {"answer": "approve", "reason": "Proof was shown."}).status_code == 302
    held.refresh_from_db()
    assert (held.state, held.decided_by) == (ImportState.DONE, moderator.user)


def test_customers_cannot_decide(held, alice):
    url = reverse("admin:compliance_importjob_decide", args=[held.pk])
    assert alice.client.post(url, {"answer": "approve", "reason": "Please."}).status_code in (302, 403, 404)
    held.refresh_from_db()
    assert held.state == ImportState.HELD


def test_undo_takes_the_people_off_again(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of(people(2)))
    answer = alice.client.post(reverse("import_undo", args=[job.uid]))
    assert answer.url == reverse("import_detail", args=[job.uid])
    assert not ListMembership.objects.exists()
    job.refresh_from_db()
    assert (job.state, job.contact_list.people_count) == (ImportState.CANCELLED, 0)
    assert "This upload was taken back" in alice.client.get(answer.url).content.decode()
    alice.client.post(reverse("import_undo", args=[job.uid]))
    assert AuditEntry.objects.filter(action="import.cancelled").count() == 1


def test_undo_of_a_held_upload_frees_the_list(held, alice):
    alice.client.post(reverse("import_undo", args=[held.uid]))
    assert ContactList.objects.get().held_at is None


def test_no_undo_after_mail(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of(people(2)))
    lists.record_mailed([ListMembership.objects.first().pk], clock.now())
    assert "Take this upload back" not in alice.client.get(reverse("import_detail", args=[job.uid])).content.decode()
    alice.client.post(reverse("import_undo", args=[job.uid]))
    assert ListMembership.objects.count() == 2


def test_no_undo_after_its_days(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of(people(2)))
    ImportJob.objects.update(finished_at=clock.now() - timedelta(days=policy.IMPORT_UNDO_D))
    alice.client.post(reverse("import_undo", args=[job.uid]))
    assert ListMembership.objects.count() == 2


def test_undo_is_closed_to_others(larkfield, alice, eve, mallory):
    job = finished(larkfield, alice.user, csv_of(people(2)))
    url = reverse("import_undo", args=[job.uid])
    assert alice.client.get(url).status_code == 405
    assert eve.client.post(url).status_code == 403
    assert mallory.client.post(url).status_code == 404
    assert ListMembership.objects.count() == 2
