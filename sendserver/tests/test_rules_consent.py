"""Section 7 of the rules, about consent: tests 12 to 16, 21, 22 and 30. Each is named after its rule and its number.

13 to 16 hold where the operator allows the basis (`ALLOWED_BASES`); each is tried without that too, and then refused.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email import policy as email_policy
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from accounts.ledger import append_chained, record_of
from accounts.models import AuditEntry, Organization
from campaigns import audience, proposals
from campaigns.models import ClickCount, Delivery, Event, Outcome
from campaigns.planning import plan
from campaigns.tests.lanes import frozen, planned, run_both, two_relays
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance import attestations, gate, lists, registers, wording
from compliance.attestations import Signer
from compliance.consent import add_months
from compliance.errors import SignatureRefusedError
from compliance.imports.run import run
from compliance.models import Attestation, Contact, ImportJob, ImportState, ListMembership
from compliance.models.lists import ConsentBasis
from compliance.questions import PROHIBITED, SOFT
from compliance.suppression import suppress
from compliance.tests.helpers import ANSWERS, csv_of, finished, mapped, people, signed
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash
from sendserver.lib.tokens import Purpose, seal
from sendserver.testing.personas import Persona, use_second_factor
from sendserver.testing.relay import ScriptedRelay

ALL_BASES = list(ConsentBasis.values)


def signer(persona: Persona, factor: str = "totp") -> Signer:
    return Signer(persona.user, "Owner", factor, clock.now(), "192.0.2.7", "Test")


# --- 12


def one_yes(code: str) -> dict[str, Any]:
    return {"prohibited": {**ANSWERS["prohibited"], code: "yes"}}  # type: ignore[dict-item]


def form_of(answers: dict[str, Any]) -> dict[str, str]:
    """Return the consent page's post for these answers."""
    plain = {name: value for name, value in answers.items() if isinstance(value, str)}
    prohibited = {f"prohibited_{code}": value for code, value in answers["prohibited"].items()}
    beside = {**answers["background"], "country": "GB"}
    return {**plain, **prohibited, **{f"statement_{code}": "on" for code in answers["statements"]}, **beside}


@pytest.mark.django_db
@pytest.mark.parametrize("code", PROHIBITED)
@pytest.mark.parametrize("value", ["yes", "", None])
def test_12_src_prohibited_one_yes_stops_the_upload(
    larkfield: Organization, alice: Persona, code: str, value: str | None
) -> None:
    """By code and by page, a yes and a blank alike; nobody is written and nothing is signed."""
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    answers = {**ANSWERS, **one_yes(code)}
    if value is None:
        del answers["prohibited"][code]  # type: ignore[union-attr]
    else:
        answers["prohibited"][code] = value  # type: ignore[index]
    page = alice.client.post(reverse("upload_consent", args=[job.uid]), form_of(answers))
    assert page.status_code == 200  # the same page again
    job.refresh_from_db()
    assert job.state == ImportState.MAPPED
    ImportJob.objects.filter(pk=job.pk).update(answers=answers, state=ImportState.ANSWERED)
    job.refresh_from_db()
    with pytest.raises(SignatureRefusedError, match="all eight questions"):
        attestations.submit(job, signer(alice))
    use_second_factor(alice.client)
    alice.client.post(reverse("upload_check", args=[job.uid]))
    assert not Attestation.objects.exists()
    assert not Contact.objects.exists()


@pytest.mark.django_db
def test_12_src_prohibited_no_way_around(larkfield: Organization, alice: Persona, moderator: Persona) -> None:
    """Neither another try, nor the worker, nor the staff area reads a file that nobody signed for."""
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    ImportJob.objects.filter(pk=job.pk).update(answers={**ANSWERS, **one_yes("bought")}, state=ImportState.ANSWERED)
    job.refresh_from_db()
    for _ in range(2):
        with pytest.raises(SignatureRefusedError):
            attestations.submit(job, signer(alice))
    assert run(job)  # nothing to do
    url = reverse("admin:compliance_importjob_decide", args=[job.pk])
    moderator.client.post(url, {"answer": "approve", "reason": "It looks fine."})
    job.refresh_from_db()
    assert (job.state, Contact.objects.count()) == (ImportState.ANSWERED, 0)


def test_12_src_prohibited_there_is_one_door() -> None:
    """No page, command, task or interface for programs queues an upload but `attestations.submit`, which asks all."""
    root = Path(__file__).parent.parent.parent
    apps = ("accounts", "compliance", "campaigns", "abuse", "sendserver")
    code = [one for app in apps for one in (root / app).rglob("*.py")]
    found = []
    for path in code:
        if {"tests", "testing", "bench", "migrations"} & set(path.parts):
            continue
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            said = [ast.unparse(one) for one in (*call.args, *(word.value for word in call.keywords))]
            if ast.unparse(call.func).endswith((".move", ".update", ".create")) and "ImportState.QUEUED" in said:
                found.append(f"{path.parent.name}/{path.name}")
    assert found == ["compliance/attestations.py"]


@pytest.mark.django_db
@pytest.mark.parametrize("source", ["forbidden", "bought", ""])
def test_12_src_prohibited_by_a_column_of_the_file(larkfield: Organization, alice: Persona, source: str) -> None:
    """A further source cannot be a forbidden one either."""
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    more = {"act": "source", "value": "x", "source": source, "earliest": "2026-01", "latest": "2026-02", "wording": "y"}
    assert alice.client.post(reverse("upload_sources", args=[job.uid]), more).status_code == 200
    job.refresh_from_db()
    assert "more" not in job.answers


# --- 13 to 16: one campaign to a few people, and what became of each


@pytest.fixture
def relays(settings: SettingsWrapper, tmp_path: Path) -> Any:
    with two_relays(settings, tmp_path) as both:
        yield both


def sent_to(relays: tuple[ScriptedRelay, ScriptedRelay]) -> set[str]:
    return {address for relay in relays for address in relay.recipients}


def member(world: World, address: str, *, basis: str, at: datetime, country: str, confirmed: bool = False) -> Contact:
    """Put somebody on the world's list with a permission of that kind and day."""
    contact = add_person(world, address, basis=basis, country=country)
    ListMembership.objects.filter(contact=contact).update(
        consent_at=at, confirmed_at=at + timedelta(minutes=5) if confirmed else None
    )
    return contact


def reasons_of(world: World) -> dict[str, int]:
    return lists.reason_counts([world.contact_list])[world.contact_list.pk]


def ends(contact: Contact, before: timedelta) -> None:
    """Let the two years of a purchase have ended so long ago, by the database's clock."""
    ListMembership.objects.filter(contact=contact).update(consent_at=add_months(clock.now(), -24) - before)


@pytest.mark.django_db(transaction=True)
def test_13_consent_casl_2y_ends_between_approval_and_sending(
    relays: Any, settings: SettingsWrapper, larkfield: Organization
) -> None:
    """Two years less a few days: sent. Two years and a day: skipped by the lane, though it was planned."""
    settings.ALLOWED_BASES = ALL_BASES
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world = make_world(larkfield, 0)
    day = timedelta(days=1)
    inside = member(world, "in@crowd.example", basis="casl_ebr_purchase", at=clock.now(), country="CA")
    outside = member(world, "out@crowd.example", basis="casl_ebr_purchase", at=clock.now(), country="CA")
    ends(inside, -3 * day)
    campaign = frozen(world)
    assert plan(campaign).mailable == 2
    ends(outside, day)  # time goes on; the plan is made
    run_both()
    assert sent_to(relays) == {"in@crowd.example"}
    skipped = Outcome.objects.get(delivery_id=Delivery.objects.get(contact_id=outside.pk).pk)
    assert (skipped.state, skipped.reply) == ("skipped", "basis_expired")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("begun", "moment", "expected"),
    [
        (datetime(2026, 8, 31, 9, tzinfo=UTC), datetime(2027, 2, 27, 9, 59, tzinfo=UTC), ""),
        (datetime(2026, 8, 31, 9, tzinfo=UTC), datetime(2027, 2, 27, 10, 0, tzinfo=UTC), "basis_expired"),
        (datetime(2027, 8, 31, 9, tzinfo=UTC), datetime(2028, 2, 28, 9, 59, tzinfo=UTC), ""),
        (datetime(2027, 8, 31, 9, tzinfo=UTC), datetime(2028, 2, 28, 10, 0, tzinfo=UTC), "basis_expired"),
    ],
)
def test_13_consent_casl_6m_of_31_august(
    settings: SettingsWrapper, begun: datetime, moment: datetime, expected: str
) -> None:
    """An inquiry of 31 August ends with 28 February, 29 in a leap year, less 14 hours; in Python and in PostgreSQL."""
    from compliance.consent import Facts, _ends_sql, mailable_reason

    settings.ALLOWED_BASES = ALL_BASES
    assert mailable_reason(Facts("casl_ebr_inquiry", "CA", begun), now=moment) == expected
    with connection.cursor() as cursor:
        ended = f"{_ends_sql('m', 6)} <= %s::timestamptz AT TIME ZONE 'UTC'"
        cursor.execute(f"SELECT {ended} FROM (SELECT %s::timestamptz) m(consent_at)", [moment, begun])
        assert cursor.fetchone() == (expected != "",)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("allowed", [True, False])
def test_14_consent_doi_and_unknown_country(
    relays: Any, settings: SettingsWrapper, larkfield: Organization, allowed: bool
) -> None:
    """Germany without a second step and an unknown country get nothing; a customer in the US does, if allowed."""
    if allowed:
        settings.ALLOWED_BASES = ALL_BASES
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world, lately = make_world(larkfield, 0), clock.now() - timedelta(days=90)
    member(world, "de@crowd.example", basis="express_soi", at=lately, country="DE")
    member(world, "xx@crowd.example", basis="express_soi", at=lately, country="")
    member(world, "decustomer@crowd.example", basis="us_customer", at=lately, country="DE")
    member(world, "xxcustomer@crowd.example", basis="us_customer", at=lately, country="")
    member(world, "us@crowd.example", basis="us_customer", at=lately, country="US")
    member(world, "usold@crowd.example", basis="us_customer", at=add_months(lately, -24), country="US")
    if allowed:
        expected = {"no_double_optin": 2, "basis_wrong_country": 2, "basis_expired": 1, "": 1}
    else:
        expected = {"no_double_optin": 2, "basis_not_allowed": 4}
    assert reasons_of(world) == expected
    campaign = frozen(world)
    plan(campaign)
    run_both()
    assert sent_to(relays) == ({"us@crowd.example"} if allowed else set())


@pytest.mark.django_db
def test_14_ad_label_and_postal_address_for_the_customer(
    settings: SettingsWrapper, larkfield: Organization, alice: Persona
) -> None:
    """Where one person has not agreed expressly, the gate asks for the label; the address stands in both parts."""
    settings.ALLOWED_BASES = ALL_BASES
    world = make_world(larkfield, 0)
    member(world, "us@crowd.example", basis="us_customer", at=clock.now() - timedelta(days=90), country="US")
    checks = {}
    for subject in ("Free tea", "Advertisement: free tea"):
        draft = make_draft(world, alice.user, from_address=world.from_address, preheader=subject)
        proposal = proposals.propose(draft)
        checks[subject] = {check.rule_id: check.decision for check in gate.judge(proposal).checks}
        assert all("4 Mill Lane" in part for part in (proposal.samples[0].html, proposal.samples[0].text))
    assert checks["Free tea"]["AD-LABEL"] == "block"
    assert checks["Advertisement: free tea"]["AD-LABEL"] == "pass"
    assert {one["CANSPAM-POSTAL-ADDRESS"] for one in checks.values()} == {"pass"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("day", "expected"), [("2026-02-04", "basis_too_early"), ("2026-02-05", ""), ("2026-10-01", "")]
)
def test_15_consent_soft_uk_charity_counts_from_5_february_2026(
    settings: SettingsWrapper, larkfield: Organization, day: str, expected: str
) -> None:
    world = make_world(larkfield, 0)
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    member(world, "gb@crowd.example", basis="soft_optin_uk_charity", at=at, country="GB")
    assert reasons_of(world) == {"basis_not_allowed": 1}  # by default
    settings.ALLOWED_BASES = ALL_BASES
    assert reasons_of(world) == {expected: 1}


# --- 16

ADDRESS, DOMAIN_MEMBER = "listed@post.example", "somebody@whole.example"


def ecg_file(tmp_path: Path, kind: str, *, packed: bool) -> Path:
    """Write a register: one address, one whole domain, and some others."""
    texts = [ADDRESS, "@whole.example", *(f"other{n}@post.example" for n in range(50))]
    sums = [hashlib.new(kind, text.encode()).digest() for text in texts]
    path = tmp_path / f"ecg-{kind}-{packed}"
    path.write_bytes(b"".join(sums) if packed else "\n".join(one.hex() for one in sums).encode())
    return path


def austrians(world: World, *, confirmed: bool = True) -> None:
    lately = clock.now() - timedelta(days=90)
    for address in (ADDRESS, DOMAIN_MEMBER, "free@post.example"):
        member(world, address, basis="soft_optin_eu", at=lately, country="AT")
    member(world, "doi@whole.example", basis="express_doi", at=lately, country="AT", confirmed=confirmed)
    member(world, "german@whole.example", basis="soft_optin_eu", at=lately, country="DE")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kind", "packed"), itertools.product(["sha1", "sha256"], [True, False]))
def test_16_reg_at_ecg(
    relays: Any, settings: SettingsWrapper, tmp_path: Path, larkfield: Organization, kind: str, packed: bool
) -> None:
    """Listed by address or by domain: skipped. A double opt-in of theirs: sent. Another country: not concerned."""
    settings.ALLOWED_BASES = ALL_BASES
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world = make_world(larkfield, 0)
    austrians(world)
    registers.load("AT-ECG", ecg_file(tmp_path, kind, packed=packed), fetched_at=clock.now() - timedelta(days=1))
    assert reasons_of(world) == {"on_register": 2, "": 3}
    campaign = frozen(world)
    plan(campaign)
    run_both()
    assert sent_to(relays) == {"free@post.example", "doi@whole.example", "german@whole.example"}


@pytest.mark.django_db
def test_16_reg_at_ecg_by_default_refused_before_any_register(larkfield: Organization) -> None:
    world = make_world(larkfield, 0)
    austrians(world)
    assert reasons_of(world) == {"basis_not_allowed": 4, "": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("days", [None, 8])
def test_16_reg_eu_7_2_no_fresh_register_no_mail(
    relays: Any, settings: SettingsWrapper, tmp_path: Path, larkfield: Organization, days: int | None
) -> None:
    """A file of eight days, or none: nobody in Austria without an express yes, at planning and at sending."""
    settings.ALLOWED_BASES = ALL_BASES
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world = make_world(larkfield, 0)
    austrians(world)
    if days:
        registers.load(
            "AT-ECG", ecg_file(tmp_path, "sha1", packed=False), fetched_at=clock.now() - timedelta(days=days)
        )
    assert reasons_of(world) == {"register_missing": 3, "": 2}
    campaign = frozen(world)
    plan(campaign)
    run_both()
    assert sent_to(relays) == {"doi@whole.example", "german@whole.example"}


@pytest.mark.django_db(transaction=True)
def test_16_a_register_that_grows_old_or_longer_while_mail_waits(
    relays: Any, settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    """Planned while the file was young and the person free; at sending they are listed."""
    settings.ALLOWED_BASES = ALL_BASES
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world = make_world(larkfield, 0)
    austrians(world)
    (tmp_path / "empty").write_text(hashlib.sha1(b"nobody@post.example").hexdigest())
    registers.load("AT-ECG", tmp_path / "empty", fetched_at=clock.now())
    campaign = frozen(world)
    assert plan(campaign).mailable == 5
    registers.load("AT-ECG", ecg_file(tmp_path, "sha1", packed=True), fetched_at=clock.now())
    run_both()
    assert sent_to(relays) == {"free@post.example", "doi@whole.example", "german@whole.example"}
    skipped = Outcome.objects.filter(state="skipped").values_list("reply", flat=True)
    assert list(skipped) == ["on_register", "on_register"]


def test_16_people_who_come_later_are_compared_at_planning(
    db: None, settings: SettingsWrapper, tmp_path: Path, larkfield: Organization
) -> None:
    settings.ALLOWED_BASES = ALL_BASES
    world = make_world(larkfield, 0)
    registers.load("AT-ECG", ecg_file(tmp_path, "sha1", packed=True), fetched_at=clock.now())
    austrians(world)
    assert reasons_of(world) == {"register_missing": 3, "": 2}  # not yet compared
    assert plan(frozen(world)).left_out == {"on_register": 2}


def test_skipped_people_are_counted_by_reason_before_the_send(
    db: None, settings: SettingsWrapper, larkfield: Organization
) -> None:
    """The review page's figures are those of the plan."""
    settings.ALLOWED_BASES = ALL_BASES
    world = make_world(larkfield, 0)
    austrians(world)
    before = {reason: count for reason, _, count in audience.count(larkfield.pk, [world.contact_list]).left_out}
    assert before == {"register_missing": 3}
    assert plan(frozen(world)).left_out == before


# --- 22


@pytest.mark.django_db
def test_22_attestation_replay_the_same_record_with_another_file(larkfield: Organization, alice: Persona) -> None:
    job = signed(larkfield, alice.user, csv_of(people(2)))
    record = job.attestation
    assert record is not None
    again = {field.attname: getattr(record, field.attname) for field in record._meta.concrete_fields}
    for name in ("id", "previous_hash", "record_hash"):
        del again[name]
    with pytest.raises(IntegrityError), transaction.atomic():
        append_chained(Attestation, {**again, "file_sha256": b"\x01" * 32})
    with pytest.raises(SignatureRefusedError):
        attestations.submit(job, signer(alice))
    assert Attestation.objects.count() == 1
    assert record_of(record) == record_of(Attestation.objects.get())


def newer(monkeypatch: pytest.MonkeyPatch, **change: Any) -> wording.Wording:
    """Publish a newer version of the statement than the one that a page was opened with."""
    new = replace(wording.ATT_EN_1_0, version="ATT-EN-9.9", **change)
    monkeypatch.setattr(wording, "_CURRENT", {"en": new})
    return new


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"closing": "Other words."}, {}])
def test_22_attestation_of_a_stale_text_version_is_refused(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    """The page was opened under one version and sent under the next, even where the words are the same."""
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    ImportJob.objects.filter(pk=job.pk).update(answers=ANSWERS, state=ImportState.ANSWERED)
    job.refresh_from_db()
    use_second_factor(alice.client)
    url = reverse("upload_check", args=[job.uid])
    old = attestations.fingerprint(job, "Owner")
    new = newer(monkeypatch, **change)
    assert alice.client.post(url, {"shown": old}).url == url  # type: ignore[attr-defined]
    with pytest.raises(SignatureRefusedError, match="Something changed"):
        attestations.submit(job, signer(alice), shown=old)
    assert not Attestation.objects.exists()
    attestations.submit(job, signer(alice), shown=attestations.fingerprint(job, "Owner"))
    assert Attestation.objects.get().wording_version == new.version


@pytest.mark.django_db
def test_22_attestation_under_stale_questions_is_refused(larkfield: Organization, alice: Persona) -> None:
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    stale = {**ANSWERS, "questions": "Q-EN-0.9"}
    ImportJob.objects.filter(pk=job.pk).update(answers=stale, state=ImportState.ANSWERED)
    job.refresh_from_db()
    with pytest.raises(SignatureRefusedError, match="questions about the list have changed"):
        attestations.submit(job, signer(alice))


@pytest.mark.django_db
@pytest.mark.parametrize("factor", ["", "password", "recovery_codes"])
def test_22_attestation_without_a_second_factor(larkfield: Organization, alice: Persona, factor: str) -> None:
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    ImportJob.objects.filter(pk=job.pk).update(answers=ANSWERS, state=ImportState.ANSWERED)
    job.refresh_from_db()
    with pytest.raises(SignatureRefusedError, match="second factor"):
        attestations.submit(job, signer(alice, factor))


@pytest.mark.django_db
def test_21_audit_only_act_is_refused_for_the_application(larkfield: Organization, alice: Persona) -> None:
    """In full over all tables and columns: test_ledger_tampering.py."""
    finished(larkfield, alice.user, csv_of(people(2)))
    from django.db import DatabaseError

    for table in ("compliance_attestation", "compliance_verdict", "accounts_auditentry", "abuse_decision"):
        for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                connection.cursor().execute(statement)


# --- 15, the second half


@pytest.mark.django_db
@pytest.mark.parametrize("broken", SOFT)
@pytest.mark.parametrize("allowed", [True, False])
def test_15_consent_soft_eu_needs_all_four(
    settings: SettingsWrapper, larkfield: Organization, alice: Persona, broken: str, allowed: bool
) -> None:
    """ "Opt-out offered at collection: no", or any other no or blank: the upload is not signed, allowed or not."""
    if allowed:
        settings.ALLOWED_BASES = ALL_BASES
    job = mapped(larkfield, alice.user, csv_of(people(2, country="FR")))
    for value in ("no", ""):
        answers = {**ANSWERS, "source": "customers", "soft": {**dict.fromkeys(SOFT, "yes"), broken: value}}
        posted = {**form_of(answers), **{f"soft_{code}": given for code, given in answers["soft"].items()}}
        page = alice.client.post(reverse("upload_consent", args=[job.uid]), posted)
        assert "may not be written to" in page.content.decode()
        ImportJob.objects.filter(pk=job.pk).update(answers=answers, state=ImportState.ANSWERED)
        job.refresh_from_db()
        with pytest.raises(SignatureRefusedError, match="all four conditions"):
            attestations.submit(job, signer(alice))
    assert not Contact.objects.exists()


@pytest.mark.django_db
def test_15_consent_soft_eu_with_all_four(settings: SettingsWrapper, larkfield: Organization, alice: Persona) -> None:
    answers = {"source": "customers", "soft": dict.fromkeys(SOFT, "yes")}
    job = finished(larkfield, alice.user, csv_of(people(2, country="FR")), answers=answers)
    counts = lists.reason_counts([job.contact_list])
    assert counts[job.contact_list_id] == {"basis_not_allowed": 2}  # by default
    settings.ALLOWED_BASES = ALL_BASES
    assert lists.reason_counts([job.contact_list])[job.contact_list_id] == {"": 2}


# --- 30


@pytest.mark.django_db(transaction=True)
def test_30_trk_pixel_nobody_gets_one(relays: Any, larkfield: Organization) -> None:
    """Opens are not counted at all, so no message to anybody, in France or not, holds an image or a link of one's own.

    Two people's messages differ in nothing but the links with which they leave, and their own values.
    """
    Organization.objects.filter(pk=larkfield.pk).update(daily_allowance=1000)
    world, lately = make_world(larkfield, 0), clock.now() - timedelta(days=90)
    for name in ("ada", "bob"):
        contact = member(world, f"{name}@crowd.example", basis="express_doi", at=lately, country="FR", confirmed=True)
        Contact.objects.filter(pk=contact.pk).update(tracking_consent_at=lately if name == "bob" else None)
    plan(frozen(world))
    run_both()
    parts: dict[str, list[str]] = {}
    for relay in relays:
        for message in relay.accepted:
            parsed = message_from_bytes(message.raw, policy=email_policy.default)
            leaves = [part for part in parsed.walk() if not part.is_multipart()]
            assert [part.get_content_type() for part in leaves] == ["text/plain", "text/html"]
            parts[message.recipient] = [part.get_content() for part in leaves]
    ada, bob = parts["ada@crowd.example"], parts["bob@crowd.example"]
    for text in (*ada, *bob):
        assert not LOADS.search(text)
    assert "/c/" in ada[1]
    for mine, theirs in zip(ada, bob, strict=True):
        assert OWN_LINK.findall(mine) != OWN_LINK.findall(theirs)
        assert plain_of(mine) == plain_of(theirs)


# Whatever a mail program may fetch by itself when a message is opened.
LOADS: Final = re.compile(
    r"<(img|picture|source|video|audio|iframe|object|embed|link|bgsound|input|svg|script)\b"
    r"|\b(src|srcset|background|poster)=|url\(|@import|@font-face",
    re.IGNORECASE,
)
OWN_LINK: Final = re.compile(r"/(?:(?:u|why|p)/|abuse/\?t=)([\w-]{16,})")


def plain_of(text: str) -> str:
    """Return a part without the links with which a person leaves, asks and reports, and without their own values."""
    return re.sub(r"\b(ada|bob)\b", "NAME", OWN_LINK.sub("OWN", text))


@pytest.mark.django_db
def test_30_trk_withdraw_an_old_mails_link_stores_nothing_of_anybody(larkfield: Organization) -> None:
    """With or without consent, before or after its withdrawal: a click adds to an hour of a link, and no event."""
    campaign = planned(larkfield, 1)
    url = f"/c/{seal(Purpose.CAMPAIGN, campaign.pk)}/1/"
    for at in (clock.now(), None):
        Contact.objects.update(tracking_consent_at=at)
        assert Client().get(url, HTTP_USER_AGENT="Mozilla/5.0 Firefox/140").status_code == 302
    assert ClickCount.objects.get().clicks == 2
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_30_unsub_transfer_the_list_is_given_to_an_owner_with_a_reason_only(
    larkfield: Organization, hollin: Organization, alice: Persona, bob: Persona, eve: Persona, mallory: Persona
) -> None:
    suppress(AddressKey("mine@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    suppress(AddressKey("theirs@reader.example"), organization=hollin, reason="complaint", source="arf")
    suppress(AddressKey("everybody@reader.example"), organization=None, reason="complaint", source="arf")
    url, reason = reverse("do_not_mail_export"), {"needed_for": "We move to another system in May."}
    assert [one.client.post(url, reason).status_code for one in (bob, eve)] == [403, 403]
    assert alice.client.get(url).status_code == 405
    for empty in ({}, {"needed_for": " moving "}):
        assert alice.client.post(url, empty).status_code == 302
    assert not AuditEntry.objects.filter(action="suppression.exported").exists()
    given = b"".join(alice.client.post(url, reason).streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert given[0] == "fingerprint,key,reason,source,since,until"
    assert [line.split(",")[0] for line in given[1:]] == [suppression_hash(AddressKey("mine@reader.example")).hex()]
    assert "@" not in "".join(given)
    entry = AuditEntry.objects.get(action="suppression.exported")
    assert (entry.actor_uid, entry.organization, entry.reason) == (alice.user.uid, larkfield, reason["needed_for"])
    assert entry.detail == {"entries": 1}
    theirs = b"".join(mallory.client.post(url, reason).streaming_content).decode()  # type: ignore[arg-type]
    assert suppression_hash(AddressKey("mine@reader.example")).hex() not in theirs
    assert theirs.count("\n") == 2
