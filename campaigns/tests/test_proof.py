"""The proof bundle: what is in it, that anybody can check it, that a forged one is found out, who may have it."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from accounts.models import AuditEntry, BusinessProfile, Organization
from campaigns import erasure, planning
from campaigns.inbound.addresses import Links
from campaigns.models import Delivery
from campaigns.proof import bundle, gather
from campaigns.tests.lanes import frozen, planned, run_both, two_relays
from campaigns.tests.world import make_world
from compliance import gate, people
from compliance.models import Contact
from compliance.tests.helpers import csv_of, finished
from compliance.tests.helpers import people as rows
from sendserver.lib import clock
from sendserver.testing.personas import Persona, make_organization

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _heads_aside(settings: SettingsWrapper, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def sent(settings: SettingsWrapper, tmp_path: Path, larkfield: Organization, alice: Persona) -> Delivery:
    """Return a message that went the whole way: uploaded with a statement, judged, sent."""
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world = make_world(larkfield, 0)
    job = finished(larkfield, alice.user, csv_of(rows(3)), contact_list=world.contact_list)
    write_noise()
    with two_relays(settings, tmp_path):
        campaign = frozen(world)
        assert campaign.snapshot is not None
        check = gate.Check("AD-LABEL", 1, "Label", gate.PASS, "Everybody agreed expressly.")
        answer = gate.Answer(gate.PASS, (check,), bytes(campaign.snapshot.sha256))
        gate.record(answer, organization=larkfield, subject_uid=campaign.uid, actor=alice.user, at=clock.now())
        planning.plan(campaign)
        run_both()
    assert job.attestation is not None
    return Delivery.objects.order_by("pk")[0]


def write_noise() -> None:
    """Let another organization write records between ours."""
    from accounts import audit

    other = make_organization("Hollin Hill Pottery")
    for number in range(3):
        audit.record("secret.plan", actor=None, organization=other, subject=f"thing:{number}")


def unpacked(found: bundle.Bundle, folder: Path) -> Path:
    out = io.BytesIO()
    bundle.write(found, out)
    with zipfile.ZipFile(out) as packed:
        packed.extractall(folder)
    return folder


def check(folder: Path) -> tuple[int, str]:
    """Run the bundle's own script, which uses sha256sum and openssl only."""
    ran = subprocess.run(["sh", "check.sh"], cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_anybody_can_check_it(sent: Delivery, tmp_path: Path) -> None:
    found = bundle.of_delivery(sent)
    assert found.is_sound
    folder = unpacked(found, tmp_path / "proof")
    code, said = check(folder)
    assert (code, said.splitlines()[-1]) == (0, "All records are the ones that were signed.")
    tables = {one.entry.table_name for one in found.proven}
    assert tables == {"compliance_attestation", "compliance_verdict", "accounts_auditentry"}
    assert said.count("ok ") == len(found.proven) + 1 >= 5  # each record, and the address in the file


def test_the_page_says_everything(sent: Delivery) -> None:
    page = bundle.page(bundle.of_delivery(sent))
    profile = BusinessProfile.objects.get(organization=sent.organization)
    for part in (
        profile.legal_name,
        sent.address,
        "Newsletter",
        "people.csv",
        "ATT-EN-1.0",
        "Alice Larkfield",
        "Signed up on a form",
        "2026-10-01",
        "A sign-up form on the website",
        "May be sent",
        "AD-LABEL",
        "Accepted by our server",
        "250 2.0.0",
        "List-Unsubscribe-Post",
        Links.of(sent.pk).message_id.strip("<>"),
        "Yes, send me planting tips.",
    ):
        assert part in page, part
    assert "http" not in page.partition("<style>")[2].partition("</style>")[0]  # it loads nothing
    assert "<script" not in page
    assert "<img" not in page


def test_the_headers_are_those_that_went_out(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    with two_relays(settings, tmp_path) as relays:
        planned(larkfield, 1)
        run_both()
        raw = next(message.raw for relay in relays for message in relay.accepted).decode()
    head = raw.partition("\r\n\r\n")[0].replace("\r\n ", " ").replace("\r\n\t", " ").splitlines()
    shown = gather.message_of(Delivery.objects.get()).headers
    for name, value in shown:
        if name != "Date":  # of the attempt; the proof knows the answer's second
            assert f"{name}: {value}" in head
    assert len(shown) >= 12


@pytest.mark.parametrize("kind", ["json", "previous", "said"])
def test_a_forged_record_is_found_out(sent: Delivery, tmp_path: Path, kind: str) -> None:
    """Also by somebody who writes SHA256SUMS anew."""
    folder = unpacked(bundle.of_delivery(sent), tmp_path / "proof")
    target = sorted((folder / "records").glob(f"*attestation.{kind}"))[0]
    target.write_bytes(target.read_bytes().replace(b"1", b"2") if kind != "previous" else b"\x01" * 32)
    assert check(folder)[0] != 0
    sums = subprocess.run(
        "find . -type f ! -name SHA256SUMS | sed 's,^./,,' | xargs sha256sum > SHA256SUMS",
        shell=True,
        cwd=folder,
        check=True,
    )
    assert sums.returncode == 0
    code, said = check(folder)
    assert code != 0
    assert "FAILED" in said


def test_another_address_is_not_in_the_signed_file(sent: Delivery, tmp_path: Path) -> None:
    folder = unpacked(bundle.of_delivery(sent), tmp_path / "proof")
    (hashed,) = (folder / "addresses").glob("*.hash")
    hashed.write_bytes(b"\x05" * 32)
    sums = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if not line.endswith(".hash")]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    code, said = check(folder)
    assert (code, said.splitlines()[-1][:7]) == (1, "FAILED:")


@pytest.mark.parametrize("what", ["chain", "heads", "keys"])
def test_a_chain_that_leads_nowhere_is_found_out(sent: Delivery, tmp_path: Path, what: str) -> None:
    folder = unpacked(bundle.of_delivery(sent), tmp_path / "proof")
    sums = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if f" {what}/" not in line]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    if what == "chain":
        for path in (folder / "chain").iterdir():
            path.write_text("".join(line.replace("a", "b") for line in path.read_text()))
    else:
        shutil.rmtree(folder / what)
    assert check(folder)[0] != 0


def test_nothing_of_others_is_in_it(sent: Delivery, tmp_path: Path) -> None:
    other = Organization.objects.get(name="Hollin Hill Pottery")
    folder = unpacked(bundle.of_delivery(sent), tmp_path / "proof")
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            for secret in (b"secret.plan", b"Hollin", str(other.uid).encode(), b"person1@"):
                assert secret not in text, path


def test_records_hold_no_person(sent: Delivery, tmp_path: Path) -> None:
    folder = unpacked(bundle.of_delivery(sent), tmp_path / "proof")
    for path in (folder / "records").iterdir():
        assert sent.address.encode() not in path.read_bytes()
        assert b"Alice Larkfield" not in path.read_bytes()


def test_one_person_with_several_messages_and_own_steps(
    settings: SettingsWrapper, tmp_path: Path, larkfield: Organization, alice: Persona
) -> None:
    world = make_world(larkfield, 0)
    permission = people.Permission("express_doi", clock.now(), clock.now(), "Garden show, table 4")
    member = people.add_person(
        world.contact_list, people.Person("ada@reader.example", country="GB"), permission, actor=alice.user
    )
    for _ in range(2):
        planning.plan(frozen(world))
    found = bundle.of_contact(member.contact)
    assert len(found.messages) == 2
    assert [step.kind for step, _ in found.person.steps] == ["recorded"]
    assert "Garden show, table 4" in bundle.page(found)
    assert check(unpacked(found, tmp_path / "proof"))[0] == 0


def test_what_was_erased_stays_provable_without_the_person(sent: Delivery, tmp_path: Path) -> None:
    """Years later: the contact is gone; statement, verdict and way of the message are not."""
    address = sent.address
    erasure.erase(Contact.objects.get(pk=sent.contact_id), actor=None)
    found = bundle.of_delivery(Delivery.objects.get(pk=sent.pk))
    page = bundle.page(found)
    assert address not in page
    assert "May be sent" in page
    assert "Asked us to stop" in page
    assert "ATT-EN-1.0" in page
    assert "yes, proven by the signed root" in page
    assert check(unpacked(found, tmp_path / "proof"))[0] == 0


# --- the command


@pytest.mark.parametrize("form", ["number", "message-id", "link"])
def test_the_command_by_message(sent: Delivery, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    links = Links.of(sent.pk)
    text = {"number": str(sent.pk), "message-id": links.message_id, "link": links.unsubscribe_url}[form]
    call_command("prove", "--message", text, "--out", str(tmp_path / "out.zip"))
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert {"proof.html", "README.txt", "SHA256SUMS", "check.sh"} <= set(packed.namelist())
    assert AuditEntry.objects.filter(action="proof.made").count() == 1


def test_the_command_by_person(sent: Delivery, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    for org in ("larkfield-garden-co", str(sent.organization.uid)):
        call_command("prove", "--contact", sent.address.upper(), "--org", org, "--out", str(out))
    assert zipfile.is_zipfile(out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--message", "999999"],
        ["--message", "nonsense"],
        ["--message", "9" * 30],
        ["--contact", "nobody@reader.example", "--org", "larkfield-garden-co"],
        ["--contact", "person0@reader.example", "--org", "nobody"],
        ["--contact", "person0@reader.example"],
        ["--contact", "person0@reader.example", "--org", "hollin-hill-pottery"],
    ],
)
def test_the_command_finds_nothing(sent: Delivery, tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("prove", *arguments, "--out", str(tmp_path / "out.zip"))
    assert not (tmp_path / "out.zip").exists()


# --- the buttons


def test_owner_and_manager_may_have_it(
    sent: Delivery, alice: Persona, bob: Persona, eve: Persona, victor: Persona, mallory: Persona
) -> None:
    contact = Contact.objects.get(pk=sent.contact_id)
    url = reverse("contact_proof", args=[contact.uid])
    for persona in (alice, bob):
        page = persona.client.get(url)
        assert page.status_code == 200
        assert sent.address in page.content.decode()
        answer = persona.client.post(url)
        assert answer["Content-Type"] == "application/zip"
        assert zipfile.is_zipfile(io.BytesIO(answer.content))
    assert [one.client.post(url).status_code for one in (eve, victor, mallory)] == [403, 403, 404]
    made = AuditEntry.objects.filter(action="proof.made")
    assert [entry.actor_uid for entry in made.order_by("pk")] == [alice.user.uid, bob.user.uid]


def test_staff_may_have_it_with_a_reason(sent: Delivery, moderator: Persona, alice: Persona) -> None:
    url = reverse("admin:staff_proof")
    link = Links.of(sent.pk).why_url
    assert moderator.client.post(url, {"message": link}).status_code == 200  # the form again
    assert "no such message" in moderator.client.post(url, {"message": "x", "reason": "Asked."}).content.decode()
    answer = moderator.client.post(url, {"message": link, "reason": "The authority asked."})
    assert zipfile.is_zipfile(io.BytesIO(answer.content))
    assert AuditEntry.objects.get(action="proof.made").reason == "The authority asked."
    assert alice.client.post(url, {"message": link, "reason": "x"}).status_code != 200
