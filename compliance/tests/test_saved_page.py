"""A copy of the sign-up page is kept with its fingerprint; where there is none, the record says why."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Organization
from compliance import attestations, evidence, policy, saved_page, tasks
from compliance.attestations import Signer
from compliance.models import ImportJob, ImportState, SavedPage
from compliance.tests.helpers import ANSWERS, csv_of, mapped, people
from compliance.tests.test_upload_pages import CONSENT
from sendserver.lib import clock
from sendserver.lib.fetching import Fetched, Limits
from sendserver.lib.tests.test_fetching import HEAD, near, server
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
PAGE = b"<html><script>alert(1)</script><p>Yes, e-mail me.</p></html>"


@pytest.fixture(autouse=True)
def _on(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.LIST_LOOKUPS = True


@pytest.fixture
def job(larkfield: Organization, alice: Persona) -> ImportJob:
    found = mapped(larkfield, alice.user, csv_of(people(3)))
    kept = {**ANSWERS, "page_url": "http://larkfield.example/news"}
    ImportJob.objects.filter(pk=found.pk).update(answers=kept, state=ImportState.ANSWERED)
    found.refresh_from_db()
    return found


def taken(job: ImportJob, answer: bytes) -> SavedPage:
    with server(answer) as (port, _):
        row = saved_page.take(job, limits=near(port))
    assert row is not None
    return row


def test_the_copy_is_kept_sealed_and_signed(job: ImportJob, alice: Persona) -> None:
    row = taken(job, HEAD + PAGE)
    digest = hashlib.sha256(PAGE).digest()
    assert (bytes(row.sha256 or b""), row.size, row.media_type, row.problem) == (digest, len(PAGE), "text/html", "")
    assert PAGE not in evidence.path_of(digest).read_bytes()
    record = attestations.submit(job, Signer(alice.user, "Owner", "totp", clock.now(), "192.0.2.7", "Test"))
    assert record.answers["page_copy"]["sha256"] == digest.hex()
    answer = alice.client.get(reverse("import_page_copy", args=[job.uid]))
    assert (answer.content, answer["Content-Type"]) == (PAGE, "application/octet-stream")
    assert answer["Content-Disposition"].startswith("attachment;")


def test_it_is_taken_once(job: ImportJob) -> None:
    first = taken(job, HEAD + PAGE)
    assert saved_page.take(job, limits=Limits(resolve=lambda host, port: [ip_address("127.0.0.1")])) is None
    assert SavedPage.objects.get() == first


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", "answered with 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/svg+xml\r\n\r\n<svg/>", "neither a page"),
        (HEAD, "empty"),
        (b"", "did not answer"),
    ],
)
def test_where_there_is_none_the_record_says_why(job: ImportJob, alice: Persona, answer: bytes, words: str) -> None:
    row = taken(job, answer)
    assert words in row.problem
    assert row.sha256 is None
    assert (
        "A screenshot among the evidence does the same"
        in alice.client.get(reverse("upload_sources", args=[job.uid])).content.decode()
    )
    assert saved_page.signed(job) == {}
    assert alice.client.get(reverse("import_page_copy", args=[job.uid])).status_code == 404


def test_our_own_network_is_not_looked_at(job: ImportJob) -> None:
    ImportJob.objects.filter(pk=job.pk).update(answers={**job.answers, "page_url": "http://127.0.0.1/"})
    job.refresh_from_db()
    row = saved_page.take(job)
    assert row is not None
    assert row.problem == "This address is not on the public internet."


def test_off_means_off(job: ImportJob, settings: Any, alice: Persona) -> None:
    settings.LIST_LOOKUPS = False
    assert saved_page.take(job) is None
    assert not SavedPage.objects.exists()
    assert "We save a copy" not in alice.client.get(reverse("upload_consent", args=[job.uid])).content.decode()


def test_many_pages_are_not_a_way_to_make_us_call(
    larkfield: Organization, job: ImportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def fetched(url: str, _limits: Limits) -> Fetched:
        called.append(url)
        return Fetched(url, 200, "text/html", PAGE)

    monkeypatch.setattr(saved_page, "fetch", fetched)
    for number in range(policy.SAVED_PAGES + 2):
        job.answers["page_url"] = f"https://victim.example/{number}"
        saved_page.take(job)
    assert len(called) == policy.SAVED_PAGES


def test_saving_the_answers_asks_the_worker(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    asked: list[int] = []
    monkeypatch.setattr(tasks.save_page, "delay", asked.append)
    with django_capture_on_commit_callbacks(execute=True):
        assert alice.client.post(reverse("upload_consent", args=[job.uid]), CONSENT).status_code == 302
    assert asked == [job.pk]
    assert "A copy is being saved." in alice.client.get(reverse("upload_check", args=[job.uid])).content.decode()


def test_the_beat_asks_again_for_a_day_also_after_the_signature(
    job: ImportJob, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(tasks.save_page, "delay", asked.append)
    tasks.resume_imports()
    ImportJob.objects.update(state=ImportState.DONE)
    tasks.resume_imports()
    assert asked == [job.pk, job.pk]
    ImportJob.objects.update(created_at=clock.now() - timedelta(days=1))
    tasks.resume_imports()
    ImportJob.objects.update(created_at=clock.now())
    settings.LIST_LOOKUPS = False
    tasks.resume_imports()
    assert asked == [job.pk, job.pk]
    monkeypatch.setattr(saved_page, "fetch", lambda url, _limits: Fetched(url, 200, "text/html", PAGE))
    settings.LIST_LOOKUPS = True
    tasks.save_page(job.pk)
    assert SavedPage.objects.get().size == len(PAGE)


def test_bytes_that_a_row_still_names_stay(job: ImportJob, alice: Persona) -> None:
    taken(job, HEAD.replace(b"text/html", b"text/plain") + b"the form's words")
    row = evidence.add(job, [b"the form's words"], name="a.txt", actor=alice.user)
    digest = bytes(row.sha256)
    evidence.remove(row)
    assert evidence.bytes_of(digest) == b"the form's words"


def test_a_strangers_copy_is_not_there(job: ImportJob, mallory: Persona) -> None:
    taken(job, HEAD + PAGE)
    assert mallory.client.get(reverse("import_page_copy", args=[job.uid])).status_code == 404
