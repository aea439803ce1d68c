"""The ledger: who may write it, what a walk finds, what is signed."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from pytest_django import Settings as SettingsWrapper

from accounts import audit, ledger, ledger_heads, tasks
from accounts.ledger_walk import Fault, walk
from accounts.models import AuditEntry, LedgerEntry, LedgerHead, Organization
from sendserver.lib import chain, clock, heads


def write(count: int, organization: Organization | None = None) -> list[AuditEntry]:
    """Return that many new entries of the audit log."""
    return [
        audit.record("test.done", actor=None, organization=organization, subject=f"thing:{n}") for n in range(count)
    ]


def test_each_record_has_one_place(larkfield: Organization, hollin: Organization) -> None:
    """One chain over everything, and one for each organization through its own entries only."""
    first, other, second = write(1, larkfield)[0], write(1, hollin)[0], write(1, larkfield)[0]
    entries = list(LedgerEntry.objects.order_by("position"))
    assert [(e.position, e.table_name, e.record_id, e.organization_id) for e in entries] == [
        (1, "accounts_auditentry", first.pk, larkfield.pk),
        (2, "accounts_auditentry", other.pk, hollin.pk),
        (3, "accounts_auditentry", second.pk, larkfield.pk),
    ]
    assert [bytes(e.previous_hash) for e in entries] == [
        chain.GENESIS,
        bytes(entries[0].entry_hash),
        bytes(entries[1].entry_hash),
    ]
    assert [bytes(e.organization_previous) for e in entries] == [
        chain.GENESIS,
        chain.GENESIS,
        bytes(entries[0].entry_hash),
    ]
    assert [ledger.entry_hash(e) == bytes(e.entry_hash) for e in entries] == [True] * 3


def test_a_sound_ledger(larkfield: Organization) -> None:
    write(3, larkfield)
    write(2)
    report = walk()
    assert report.faults == []
    assert (report.entries, report.organizations, report.records["accounts_auditentry"]) == (5, 1, 5)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO accounts_ledgerentry VALUES (9, 'x', 1, NULL, '', '', '', '')",
        "SELECT ledger_append('accounts_auditentry', 1, NULL, '')",
    ],
)
def test_the_application_enters_nothing_itself(statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db
def test_a_record_that_skipped_its_chain_is_found() -> None:
    """Written by SQL, with hashes that fit nothing: the database enters it, and the walk names it."""
    write(2)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_auditentry (at, action, subject, reason, detail, previous_hash, record_hash)"
            " VALUES (now(), 'forged', 'x', '', '{}', decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'))"
            " RETURNING id"
        )
        forged = cursor.fetchone()[0]
    assert walk().faults == [Fault("accounts_auditentry", forged, "altered")]


@pytest.mark.django_db(databases=["default", "owner"])
def test_records_slipped_past_the_trigger_are_found() -> None:
    """The owner switches the trigger off and inserts a record that follows its table's chain."""
    owner = connections["owner"]
    with transaction.atomic(using="owner"), owner.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER USER")
        cursor.execute(
            "INSERT INTO accounts_auditentry (at, action, subject, reason, detail, previous_hash, record_hash)"
            " VALUES (now(), 'forged', 'x', '', '{}', decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'))"
            " RETURNING id"
        )
        forged = cursor.fetchone()[0]
        assert walk(using="owner").faults == [Fault("accounts_auditentry", forged, "not in the ledger")]
        transaction.set_rollback(True, using="owner")


@pytest.mark.django_db
def test_a_head_is_signed_and_carried_out(tmp_path: Path, settings: SettingsWrapper) -> None:
    settings.VAR_DIR = tmp_path
    assert ledger_heads.export() is None
    write(2)
    head = ledger_heads.export()
    assert head is not None
    assert (head.position, heads.is_genuine(head)) == (2, True)
    assert ledger_heads.export() is None  # nothing new
    assert list(ledger_heads.read(ledger_heads.file())) == [head] == ledger_heads.latest(9)
    assert walk(exported=[head]).faults == []


@pytest.mark.django_db
def test_openssl_checks_a_head(tmp_path: Path, settings: SettingsWrapper) -> None:
    """No code of ours is needed to check a signature."""
    settings.VAR_DIR = tmp_path
    write(1)
    head = ledger_heads.export()
    assert head is not None
    (tmp_path / "key.pem").write_text(heads.public_keys()[head.key_id])
    (tmp_path / "text").write_text(head.text)
    (tmp_path / "signature").write_bytes(head.signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text"]
    ran = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "Signature Verified Successfully")


@pytest.mark.django_db
def test_a_history_written_anew_does_not_fit_the_exported_head() -> None:
    """Chain and hashes fit each other; only what left the database tells."""
    write(2)
    other = heads.signed(2, b"\x05" * 32, clock.now())
    assert walk(exported=[other]).faults == [Fault("accounts_ledgerentry", 2, "not what was signed at this place")]


@pytest.mark.django_db
def test_a_cut_off_end_is_found() -> None:
    write(2)
    gone = heads.signed(3, b"\x05" * 32, clock.now())
    why = "missing: a signed head says that there was an entry 3"
    assert walk(exported=[gone]).faults == [Fault("accounts_ledgerentry", 3, why)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"position": 1}, {"at": timedelta(1)}, {"key_id": "k9"}, {"entry_hash": b"\0" * 32}]
)
def test_a_changed_head_is_no_head(change: dict) -> None:
    write(2)
    last = LedgerEntry.objects.get(pk=2)
    head = heads.signed(2, bytes(last.entry_hash), clock.now())
    if "at" in change:
        change = {"at": head.at + change["at"]}
    false = heads.Head(**{**head.__dict__, **change})
    (fault,) = walk(exported=[false]).faults
    assert (fault.table, fault.pk) == ("exported head", false.position)


@pytest.mark.django_db
def test_the_command_says_what_it_saw(tmp_path: Path, settings: SettingsWrapper) -> None:
    settings.VAR_DIR = tmp_path
    write(3)
    assert tasks.export_ledger_head() == 3
    out = StringIO()
    call_command("verify_ledger", stdout=out)
    lines = out.getvalue().splitlines()
    assert "accounts_auditentry: 3 records, sound" in lines
    assert "ledger: 3 entries, 0 organizations" in lines
    assert "signed heads: 2" in lines  # the kept one and the one in the file
    assert lines[-1] == "Sound."


@pytest.mark.django_db
def test_the_command_fails_with_the_first_bad_record(tmp_path: Path, settings: SettingsWrapper) -> None:
    settings.VAR_DIR = tmp_path
    write(2)
    false = heads.signed(2, b"\x05" * 32, clock.now())
    (tmp_path / "kept.jsonl").write_text(false.as_line() + "\n")
    with pytest.raises(CommandError, match=r"^First bad record: accounts_ledgerentry 2: not what was signed") as raised:
        call_command("verify_ledger", "--heads", str(tmp_path / "kept.jsonl"), stdout=StringIO())
    assert raised.value.returncode == 1


@pytest.mark.django_db
def test_a_file_that_holds_no_heads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.jsonl").write_text("{}\n")
    with pytest.raises(CommandError, match="line 1: not a ledger head"):
        call_command("verify_ledger", "--heads", str(tmp_path / "kept.jsonl"), stdout=StringIO())


@pytest.mark.django_db
def test_the_head_is_mailed_once_a_day(tmp_path: Path, settings: SettingsWrapper, mailoutbox: list) -> None:
    settings.VAR_DIR = tmp_path
    write(1)
    tasks.export_ledger_head()
    write(1)
    tasks.export_ledger_head()
    (letter,) = mailoutbox
    assert letter.to == [settings.ONCALL_EMAIL]
    head = ledger_heads.of_row(LedgerHead.objects.get(pk=1))
    assert head.text in letter.body
    assert head.signature.hex() in letter.body
