"""What a statement asks beside the source: minors, the tool before, who said no there, the signer's own name."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.models import AuditEntry, Organization, User
from compliance import answers, attestations, background, brought_along, policy, questions, suppression
from compliance.attestations import Signer
from compliance.background import same_name
from compliance.errors import FileRefusedError, LiftRefusedError, SignatureRefusedError
from compliance.imports import holds, scan
from compliance.imports.scan import counts_of
from compliance.models import Attestation, ImportJob, ImportState, Suppression
from compliance.tests.helpers import ANSWERS, csv_of, finished, mapped, people
from compliance.tests.test_upload_pages import CONSENT
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
# Anybody who edits a published question breaks this line; a new version is a new entry.
FINGERPRINTS = {"Q-EN-1.0": "3adfc23684c6ccd9326f1ebc328f9ee56e3364f2c5fe9fde6967fde8880b09a7"}
MOVED = {
    **CONSENT,
    "source": "previous_tool",
    "before_tool": "Mailtool",
    "before_why": "It became too dear for us.",
    "optouts": "no",
    "optouts_why": "It was closed before we could export anything.",
}


@pytest.fixture(autouse=True)
def _uploads(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def job(larkfield: Organization, alice: Persona) -> ImportJob:
    return mapped(larkfield, alice.user, csv_of(people(6)))


def post(persona: Persona, job: ImportJob, form: dict[str, str]) -> Any:
    answer = persona.client.post(reverse("upload_consent", args=[job.uid]), form)
    job.refresh_from_db()
    return answer


def sign(job: ImportJob, user: User) -> Attestation:
    return attestations.submit(job, Signer(user, "Owner", "totp", clock.now(), "192.0.2.7", "Test"))


def test_published_questions_never_change() -> None:
    assert {one.version: one.sha256 for one in questions.VERSIONS.values()} == FINGERPRINTS


def test_minors_are_asked_for(job: ImportJob, alice: Persona) -> None:
    page = post(alice, job, {name: value for name, value in CONSENT.items() if name != "minors"})
    assert "Say whether people under 18 are among them" in page.content.decode()
    assert job.state == ImportState.MAPPED
    ImportJob.objects.filter(pk=job.pk).update(answers={**ANSWERS, "background": {}}, state=ImportState.ANSWERED)
    job.refresh_from_db()
    with pytest.raises(SignatureRefusedError, match="under 18"):
        sign(job, alice.user)


def test_answers_are_signed_with_the_version_of_their_questions(job: ImportJob, alice: Persona) -> None:
    assert post(alice, job, {**CONSENT, "people": "consumers", "dated": "yes"}).status_code == 302
    record = sign(job, alice.user)
    assert record.answers["questions"] == "Q-EN-1.0"
    assert record.answers["background"]["minors"] == "no"
    assert (record.answers["background"]["people"], record.answers["background"]["dated"]) == ("consumers", "yes")


def test_minors_on_the_list_are_looked_at_by_staff(larkfield: Organization, alice: Persona) -> None:
    held = finished(larkfield, alice.user, csv_of(people(6)), answers={"background": {"minors": "yes"}})
    assert held.state == ImportState.HELD
    assert "SRC-SPECIAL-DATA" in [reason["rule"] for reason in held.held_reasons]
    assert holds.reasons(holds.facts_of(held, answers.claim_of(held)))


@pytest.mark.parametrize("gap", ["before_tool", "before_why", "optouts_why"])
def test_a_move_says_where_from_why_and_what_of_the_nos(job: ImportJob, alice: Persona, gap: str) -> None:
    assert post(alice, job, {**MOVED, gap: ""}).status_code == 200
    assert job.state == ImportState.MAPPED
    kept = {**ANSWERS, "source": "previous_tool", "background": {**MOVED, "minors": "no", gap: ""}}
    ImportJob.objects.filter(pk=job.pk).update(answers=kept, state=ImportState.ANSWERED)
    job.refresh_from_db()
    with pytest.raises(SignatureRefusedError):
        sign(job, alice.user)


def test_other_sources_are_not_asked_for_a_move(job: ImportJob, alice: Persona) -> None:
    assert post(alice, job, CONSENT).url == reverse("upload_check", args=[job.uid])  # type: ignore[attr-defined]


def test_a_further_source_from_another_tool_asks_too() -> None:
    kept: dict[str, Any] = {**ANSWERS, "more": [{"value": "x", "source": "previous_tool"}]}
    assert "Name the tool or provider you used before" in background.gaps(kept)


def test_an_explained_no_is_enough(job: ImportJob, alice: Persona) -> None:
    assert post(alice, job, MOVED).url == reverse("upload_check", args=[job.uid])
    assert sign(job, alice.user).answers["background"]["optouts_why"] == MOVED["optouts_why"]


def test_a_yes_asks_for_the_file_and_takes_it(job: ImportJob, alice: Persona, larkfield: Organization) -> None:
    moved = post(alice, job, {**MOVED, "optouts": "yes", "optouts_why": ""})
    assert moved.url == reverse("upload_sources", args=[job.uid])
    with pytest.raises(SignatureRefusedError, match="said no at your previous tool"):
        sign(job, alice.user)
    job.refresh_from_db()
    assert not counts_of(job).said_no
    file = SimpleUploadedFile("nos.csv", b"email,when\nperson1@reader.example,2025\nPERSON2@reader.example,2024\nx,1\n")
    url = reverse("upload_sources", args=[job.uid])
    assert alice.client.post(url, {"act": "optouts", "optouts_file": file}).status_code == 302
    job.refresh_from_db()
    scan.scan(job)  # (what the worker was asked for)
    job.refresh_from_db()
    assert counts_of(job).said_no == {"brought": 2}
    [kept] = sign(job, alice.user).answers["optouts"]
    assert (kept["taken"], kept["wrong"], len(kept["sha256"])) == (2, 1, 64)
    page = alice.client.get(url, follow=True).content.decode()
    assert "person1@reader.example" not in page


def test_brought_along_holds_against_the_sender(larkfield: Organization, alice: Persona) -> None:
    brought_along.bring(larkfield, [b"a@reader.example\nb@reader.example\na@reader.example\n"], actor=alice.user)
    rows = suppression.find(larkfield, AddressKey("a@reader.example"))
    assert [(row.reason, row.source, row.until) for row in rows] == [("brought", "brought_along", None)]
    with pytest.raises(LiftRefusedError):
        suppression.lift(rows[0], reason="We want to write again", actor=alice.user)
    entry = AuditEntry.objects.get(action="suppression.brought")
    assert (entry.detail["taken"], "reader.example" in repr(entry.detail)) == (2, False)
    again = brought_along.bring(larkfield, [b"a@reader.example\n"], actor=alice.user)
    assert (again.taken, Suppression.objects.count()) == (1, 2)


def test_every_key_knows_them(larkfield: Organization, alice: Persona, settings: Any) -> None:
    settings.SUPPRESSION_KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}
    brought_along.bring(larkfield, [b"a@reader.example\n"], actor=alice.user)
    rows = Suppression.objects.all()
    assert {row.key_id for row in rows} == {"k1", "k2"}
    assert len({row.act for row in rows}) == 1


def test_one_organization_s_no_is_not_another_s(larkfield: Organization, alice: Persona, mallory: Persona) -> None:
    brought_along.bring(larkfield, [b"a@reader.example\n"], actor=alice.user)
    stranger = mallory.user.memberships.get().organization
    assert not suppression.is_suppressed(stranger, AddressKey("a@reader.example"))


@pytest.mark.parametrize("data", [b"", b"name,when\nAnn,2024\n", b"\x00\x01\x02\x03" * 50, b"<html><p>a@b.example"])
def test_odd_files_are_refused_and_nothing_stays(
    larkfield: Organization, alice: Persona, data: bytes, settings: Any
) -> None:
    with pytest.raises(FileRefusedError):
        brought_along.bring(larkfield, [data], actor=alice.user)
    assert not Suppression.objects.exists()
    assert [one for one in settings.MEDIA_ROOT.rglob("*") if one.is_file()] == []


def test_too_long_a_file_takes_nobody(larkfield: Organization, alice: Persona, monkeypatch: Any) -> None:
    monkeypatch.setattr(policy, "OPTOUTS_ROWS", 3)
    with pytest.raises(FileRefusedError, match="more than 3 rows"):
        brought_along.bring(larkfield, [b"".join(b"p%d@reader.example\n" % n for n in range(9))], actor=alice.user)
    assert not Suppression.objects.exists()


def test_the_do_not_mail_page_takes_a_file(larkfield: Organization, alice: Persona, eve: Persona) -> None:
    url = reverse("do_not_mail_bring")
    file = SimpleUploadedFile("nos.txt", b"a@reader.example\nnobody\n")
    assert "Coming from another tool?" in alice.client.get(reverse("do_not_mail")).content.decode()
    page = alice.client.post(url, {"optouts_file": file}, follow=True).content.decode()
    assert "1 addresses of the file are on the do-not-mail list. 1 rows had none." in page
    assert "Said no before you came here" in page
    assert eve.client.post(url, {"optouts_file": SimpleUploadedFile("x.txt", b"b@x.example\n")}).status_code == 403
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    ("typed", "account", "same"),
    [
        ("Dana Whitlock", "Dana Whitlock", True),
        ("dana  whitlock", "Dana Whitlock", True),
        ("Whitlock, Dana", "Dana Whitlock", True),
        ("Dana M. Whitlock", "Dana Whitlock", True),
        ("Dána Whitlöck", "Dana Whitlock", True),
        ("Dana Whitlock", "Dana Marie Whitlock", True),
        ("Dana Whitlock", "Dana", True),
        ("Dana Whitlock", "", True),  # an account without a name is compared with nothing
        ("Dana", "Dana Whitlock", False),
        ("Tom Whitlock", "Dana Whitlock", False),
        ("---", "Dana Whitlock", False),
    ],
)
def test_names_are_compared_kindly(typed: str, account: str, same: bool) -> None:
    assert same_name(typed, account) is same


def test_another_name_is_confirmed_and_recorded(job: ImportJob, alice: Persona, bob: Persona) -> None:
    other = {**CONSENT, "signer_name": "Alessandra Lark"}
    User.objects.filter(pk=alice.user.pk).update(name="Alice Larkfield")
    alice.user.refresh_from_db()
    page = post(alice, job, other).content.decode()
    assert "Your account is in the name of Alice Larkfield." in page
    assert "This is my own full name" in page
    assert job.state == ImportState.MAPPED
    assert post(alice, job, {**other, "name_is_mine": "on"}).status_code == 302
    with pytest.raises(SignatureRefusedError, match="not the one of your account"):
        sign(job, bob.user)  # who signs is somebody else than who confirmed the name
    job.refresh_from_db()
    record = sign(job, alice.user)
    assert record.answers["name_confirmed"] == str(alice.user.uid)
    assert "Alessandra" not in repr(record.answers)
    assert attestations.person_of(record).signer_name == "Alessandra Lark"  # type: ignore[union-attr]


def test_the_own_name_needs_no_confirmation(job: ImportJob, alice: Persona) -> None:
    page = alice.client.get(reverse("upload_consent", args=[job.uid])).content.decode()
    assert "This is my own full name" not in page
    post(alice, job, CONSENT)
    assert "name_confirmed" not in job.answers
