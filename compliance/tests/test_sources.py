"""Further sources, details, evidence and languages of a statement: kept, signed, and what a row makes of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from accounts.models import AuditEntry, Organization
from compliance import answers, attestations, evidence, policy, questions, wording
from compliance.attestations import Signer
from compliance.errors import FileRefusedError, SignatureRefusedError
from compliance.imports.run import run
from compliance.models import EvidenceFile, ImportJob, ImportState, ListMembership
from compliance.tests.helpers import ANSWERS, csv_of, mapped, people, signed
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20
PLAN = {
    "targets": {"0": "email", "1": "consent_at", "2": "country", "3": "source"},
    "date_order": "dmy",
    "has_header": True,
}
FAIR = {
    "value": "Fair",
    "source": "paper",
    "earliest": "2026-03",
    "latest": "2026-03",
    "page_url": "",
    "wording": "Yes, write to me.",
}


def file_of_two_sources() -> bytes:
    rows = [(f"web{n}@reader.example", "2026-10-01", "GB", "") for n in range(2)]
    rows += [(f"fair{n}@reader.example", "2026-03-05", "DE", word) for n, word in enumerate(("fair", "FAIR"))]
    return csv_of(rows, "email,signed up,country,came from")


@pytest.fixture(autouse=True)
def _files_aside(settings: SettingsWrapper, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def job(larkfield: Organization, alice: Persona) -> ImportJob:
    found = mapped(larkfield, alice.user, file_of_two_sources(), plan=PLAN)
    ImportJob.objects.filter(pk=found.pk).update(answers=ANSWERS, state=ImportState.ANSWERED)
    found.refresh_from_db()
    return found


def page_of(job: ImportJob) -> str:
    return reverse("upload_sources", args=[job.uid])


def post(persona: Persona, job: ImportJob, act: str, **fields: object) -> int:
    answer = persona.client.post(page_of(job), {"act": act, **fields})
    job.refresh_from_db()
    return int(answer.status_code)


def sign(job: ImportJob, persona: Persona) -> None:
    attestations.submit(job, Signer(persona.user, "Owner", "totp", clock.now(), "192.0.2.7", "Test"))
    job.refresh_from_db()


def test_rows_are_split_by_their_source(job: ImportJob, alice: Persona) -> None:
    """The word of the source column decides basis and words; a written yes counts in Germany, a form's does not."""
    assert post(alice, job, "source", **FAIR) == 302
    sign(job, alice)
    assert run(job)
    bases = dict(ListMembership.objects.values_list("contact__address", "basis"))
    assert bases == {
        "web0@reader.example": "express_soi",
        "web1@reader.example": "express_soi",
        "fair0@reader.example": "express_written",
        "fair1@reader.example": "express_written",
    }
    record = job.attestation
    assert record is not None
    assert [one["value"] for one in record.answers["more"]] == ["Fair"]
    assert record.answers["more"][0]["wording"] == "Yes, write to me."


def test_the_questions_page_keeps_what_stands_beside_it(job: ImportJob, alice: Persona) -> None:
    post(alice, job, "source", **FAIR)
    prohibited = {f"prohibited_{code}": "no" for code in questions.PROHIBITED}
    plain = {name: value for name, value in ANSWERS.items() if isinstance(value, str)}
    form = {**plain, **prohibited, **{f"statement_{code}": "on" for code in questions.STATEMENTS}}
    form |= {"country": "GB", "minors": "no"}
    assert alice.client.post(reverse("upload_consent", args=[job.uid]), form).status_code == 302
    job.refresh_from_db()
    assert [one["value"] for one in answers.more_of(job.answers)] == ["Fair"]
    check = alice.client.get(reverse("upload_check", args=[job.uid])).content.decode()
    assert "A form on paper or at an own event" in check


def test_one_word_marks_one_source_and_sources_end(job: ImportJob, alice: Persona) -> None:
    assert post(alice, job, "source", **FAIR) == 302
    assert post(alice, job, "source", **{**FAIR, "value": "fAIR"}) == 200
    assert post(alice, job, "source", **{**FAIR, "value": "x", "latest": "2026-01"}) == 200
    for number in range(policy.SOURCES_MAX):
        post(alice, job, "source", **{**FAIR, "value": f"fair {number}"})
    assert len(answers.more_of(job.answers)) == policy.SOURCES_MAX
    assert post(alice, job, "drop", value="Fair") == 302
    assert "Fair" not in {one["value"] for one in answers.more_of(job.answers)}


def test_without_the_column_nothing_is_signed(larkfield: Organization, alice: Persona) -> None:
    found = mapped(larkfield, alice.user, csv_of(people(2)))
    ImportJob.objects.filter(pk=found.pk).update(answers={**ANSWERS, "more": [FAIR]}, state=ImportState.ANSWERED)
    found.refresh_from_db()
    with pytest.raises(SignatureRefusedError, match="column with the source"):
        sign(found, alice)


def test_evidence_is_sealed_kept_once_and_signed(job: ImportJob, alice: Persona) -> None:
    for _ in range(2):
        assert post(alice, job, "evidence", file=SimpleUploadedFile("Alice's form.png", PNG)) == 302
    row = EvidenceFile.objects.get()
    digest = hashlib.sha256(PNG).digest()
    assert (bytes(row.sha256), row.kind, row.size) == (digest, "png", len(PNG))
    stored = evidence.path_of(digest)
    assert b"picture" not in stored.read_bytes()
    assert stored.stat().st_mode & 0o777 == 0o600
    assert evidence.read(row) == PNG
    sign(job, alice)
    assert job.attestation is not None
    assert job.attestation.answers["evidence"] == [{"sha256": digest.hex(), "kind": "png", "size": len(PNG)}]
    assert "Alice's form" not in str(job.attestation.answers)
    assert post(alice, job, "drop", file=str(row.pk)) == 302  # signed: nothing is taken away any more
    assert EvidenceFile.objects.exists()


@pytest.mark.parametrize(
    "data", [b"", b"MZ\x90\x00", b"<html>", b"\x00\x01", b"\xff\xfe\x41\x00", b"x" * (5 * 1024 * 1024 + 1)]
)
def test_what_is_no_evidence(job: ImportJob, alice: Persona, data: bytes) -> None:
    with pytest.raises(FileRefusedError):
        evidence.add(job, [data], name="x", actor=alice.user)
    assert not EvidenceFile.objects.exists()


def test_at_most_five_files(job: ImportJob, alice: Persona) -> None:
    for number in range(policy.EVIDENCE_FILES):
        evidence.add(job, [PNG + bytes([number])], name="x", actor=alice.user)
    with pytest.raises(FileRefusedError):
        evidence.add(job, [PNG], name="x", actor=alice.user)


def test_an_altered_file_is_not_given_out(job: ImportJob, alice: Persona) -> None:
    row = evidence.add(job, [PNG], name="x", actor=alice.user)
    other = evidence.add(job, [PNG + b"2"], name="y", actor=alice.user)
    evidence.path_of(bytes(row.sha256)).write_bytes(evidence.path_of(bytes(other.sha256)).read_bytes())
    with pytest.raises(ValueError, match="does not fit"):
        evidence.read(row)


def test_evidence_is_a_download_for_its_own_people(
    job: ImportJob, alice: Persona, eve: Persona, mallory: Persona
) -> None:
    row = evidence.add(job, [PNG], name="x", actor=alice.user)
    url = reverse("import_evidence", args=[job.uid, row.pk])
    answer = alice.client.get(url)
    assert (answer.content, answer["Content-Type"]) == (PNG, "application/octet-stream")
    assert answer["Content-Disposition"].startswith("attachment")
    assert [one.client.get(url).status_code for one in (eve, mallory)] == [403, 404]


def test_the_statement_in_the_chosen_language(job: ImportJob, alice: Persona) -> None:
    assert post(alice, job, "details", language="de", unticked="yes", topics="Planting tips") == 302
    sign(job, alice)
    record = job.attestation
    assert record is not None
    assert record.wording_version == "ATT-DE-1.0"
    assert record.answers["details"]["unticked"] == "yes"
    person = attestations.person_of(record)
    assert person is not None
    assert person.statement.startswith("Ich bin Alice Larkfield")
    assert record.text_sha256 == hashlib.sha256(person.statement.encode()).digest()
    assert attestations.matches(record, person)


def test_no_version_was_ever_edited() -> None:
    """A new wording is a new version; these fingerprints stand for ever."""
    assert {name: one.sha256[:16] for name, one in wording.VERSIONS.items()} == PINNED


PINNED = {"ATT-EN-1.0": "bf0d3c921a747b5c", "ATT-DE-1.0": "390d6511fa9f478e"}


def test_the_signers_network_is_kept_shortened(larkfield: Organization, alice: Persona) -> None:
    record = signed(larkfield, alice.user, csv_of(people(1))).attestation
    assert record is not None
    person = attestations.person_of(record)
    assert person is not None
    assert person.ip == "192.0.2.0/24"


def test_staff_see_sources_and_open_evidence_on_record(
    job: ImportJob, alice: Persona, moderator: Persona, eve: Persona
) -> None:
    post(alice, job, "source", **FAIR)
    row = evidence.add(job, [PNG], name="form.png", actor=alice.user)
    page = moderator.client.get(reverse("admin:compliance_importjob_change", args=[job.pk])).content.decode()
    assert "Rows marked “Fair”" in page
    url = reverse("admin:compliance_importjob_evidence", args=[job.pk, row.pk])
    assert url in page
    answer = moderator.client.get(url)
    assert (answer.content, answer["Content-Type"]) == (PNG, "application/octet-stream")
    assert AuditEntry.objects.get(action="evidence.opened").actor_uid == moderator.user.uid
    assert eve.client.get(url).status_code == 302
