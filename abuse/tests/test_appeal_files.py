"""Files with an appeal: looked at by their first bytes, sealed, downloads only, for the two who need them."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from abuse import appeals
from abuse.models import Appeal, AppealFile, Decision, DecisionKind
from abuse.tests import make
from abuse.tests.test_moderation import decide
from accounts.models import AuditEntry, Organization
from compliance import policy, sealed_files
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels of Alice"


@pytest.fixture(autouse=True)
def _room(settings, tmp_path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def decision(larkfield: Organization) -> Decision:
    return decide(make.case_of(larkfield), make.moderator_user("Ruth"), DecisionKind.WARN)


def send(persona: Persona, decision: Decision, *files: tuple[str, bytes]) -> int:
    data = {"ground": "facts", "text": "See the scans.", "attached": [SimpleUploadedFile(*one) for one in files]}
    return persona.client.post(reverse("standing_appeal", args=[decision.uid]), data).status_code


def test_files_are_kept_sealed_beside_the_appeal(decision: Decision, alice: Persona) -> None:
    assert send(alice, decision, ("Alice's\x00 form.png", PNG), ("log.txt", b"12:00 confirmed")) == 302
    appeal = Appeal.objects.get()
    rows = list(appeal.files.order_by("pk").values_list("name", "kind", "size"))
    assert [(kind, size) for _, kind, size in rows] == [("png", len(PNG)), ("text", 15)]
    assert all(name.isprintable() for name, _, _ in rows)
    stored = sealed_files.path_of(appeals.ROOM, bytes(appeal.files.get(kind="png").sha256)).read_bytes()
    assert b"pixels" not in stored


def test_both_sides_get_them_as_downloads(decision: Decision, alice: Persona, moderator: Persona) -> None:
    send(alice, decision, ("form.png", PNG))
    file = AppealFile.objects.get()
    own = reverse("appeal_file", args=[file.appeal.uid, file.pk])
    staff = reverse("admin:abuse_appeal_file", args=[file.appeal_id, file.pk])
    for client, url in ((alice.client, own), (moderator.client, staff)):
        answer = client.get(url)
        assert answer.content == PNG
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer["Content-Disposition"] == f'attachment; filename="appeal-{file.pk}.png"'
    assert AuditEntry.objects.filter(action="appeal.file_opened").count() == 1
    assert own in alice.client.get(reverse("standing")).content.decode()
    page = moderator.client.get(reverse("admin:abuse_appeal_change", args=[file.appeal_id])).content.decode()
    assert staff in page


def test_nobody_else_gets_them(
    decision: Decision, alice: Persona, mallory: Persona, eve: Persona, victor: Persona
) -> None:
    send(alice, decision, ("form.png", PNG))
    file = AppealFile.objects.get()
    url = reverse("appeal_file", args=[file.appeal.uid, file.pk])
    assert mallory.client.get(url).status_code == 404
    assert (eve.client.get(url).status_code, victor.client.get(url).status_code) == (403, 403)
    staff = reverse("admin:abuse_appeal_file", args=[file.appeal_id, file.pk])
    assert alice.client.get(staff).status_code == 302


def test_a_file_of_another_appeal_is_not_found_by_number(
    decision: Decision, alice: Persona, mallory: Persona, hollin: Organization
) -> None:
    send(alice, decision, ("form.png", PNG))
    other = decide(make.case_of(hollin), make.moderator_user("Tomas"), DecisionKind.WARN)
    send(mallory, other, ("mine.txt", b"mine"))
    theirs, mine = (AppealFile.objects.get(appeal__decision=one) for one in (decision, other))
    assert mallory.client.get(reverse("appeal_file", args=[mine.appeal.uid, theirs.pk])).status_code == 404


@pytest.mark.parametrize(
    "data", [b"", b"<html><script>alert(1)</script>", b"<svg>", b"MZ\x00\x90", b"PK\x03\x04\x14\x00", b"\xff\xfe<\x00"]
)
def test_what_is_no_evidence_is_refused_with_words(decision: Decision, alice: Persona, data: bytes) -> None:
    assert send(alice, decision, ("x.png", data)) == 422
    assert not Appeal.objects.exists()


def test_a_file_that_is_too_large_and_one_too_many(
    decision: Decision, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [(f"{number}.txt", b"%d" % number) for number in range(policy.EVIDENCE_FILES + 1)]
    assert send(alice, decision, *many) == 422
    monkeypatch.setattr(policy, "EVIDENCE_MB", 1)
    assert send(alice, decision, ("big.txt", b"x" * (1024 * 1024 + 1))) == 422
    assert not Appeal.objects.exists()
    assert send(alice, decision, *many[:-1]) == 302
    assert AppealFile.objects.count() == policy.EVIDENCE_FILES


def test_an_appeal_needs_no_file(decision: Decision, alice: Persona) -> None:
    assert send(alice, decision) == 302
    assert not AppealFile.objects.exists()


def test_a_file_that_was_exchanged_on_disk_is_not_given_out(decision: Decision, alice: Persona) -> None:
    send(alice, decision, ("a.txt", b"first"), ("b.txt", b"second"))
    one, other = AppealFile.objects.order_by("pk")
    paths = [sealed_files.path_of(appeals.ROOM, bytes(row.sha256)) for row in (one, other)]
    paths[0].write_bytes(paths[1].read_bytes())
    with pytest.raises(ValueError, match="fingerprint"):
        appeals.download(one)
