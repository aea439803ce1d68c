"""The audit log: chained, append-only, and honest about tampering."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction
from django.db.utils import ProgrammingError

from accounts import audit, ledger
from accounts.models import AuditEntry, Organization
from sendserver.lib import chain
from sendserver.testing.personas import Persona


def write(count: int) -> list[AuditEntry]:
    """Return that many new entries."""
    return [audit.record("test.done", actor=None, subject=f"thing:{n}", detail={"n": n}) for n in range(count)]


def tamper(sql: str, *params: object) -> None:
    """Change the table as somebody with the owner's power over it would."""
    owner = connections["owner"]
    with owner.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER USER")
        cursor.execute(sql, params)
        cursor.execute("ALTER TABLE accounts_auditentry ENABLE ALWAYS TRIGGER accounts_auditentry_frozen")
        cursor.execute("ALTER TABLE accounts_auditentry ENABLE ALWAYS TRIGGER accounts_auditentry_no_truncate")


@pytest.mark.django_db
def test_rows_are_chained_and_whole() -> None:
    """Each row carries its predecessor's hash; the first one carries zeros."""
    first, second = write(2)
    assert first.previous_hash == chain.GENESIS
    assert second.previous_hash == first.record_hash
    assert audit.verify() is None


def test_a_row_says_who_and_what(alice: Persona, larkfield: Organization) -> None:
    """Ids only: no address stands in the row."""
    entry = audit.record(
        "list.attested", actor=alice.user, organization=larkfield, subject="list:1", reason="signed", detail={"rows": 3}
    )
    stored = AuditEntry.objects.get(pk=entry.pk)
    assert (stored.actor_uid, stored.organization, stored.action) == (alice.user.uid, larkfield, "list.attested")
    assert (stored.reason, stored.detail) == ("signed", {"rows": 3})
    assert alice.user.email not in str(ledger.record_of(stored))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditentry SET reason = 'other' WHERE true",
        "DELETE FROM accounts_auditentry WHERE true",
        "TRUNCATE accounts_auditentry",
    ],
)
def test_the_database_refuses_changes(sql: str) -> None:
    """The application's role can only add."""
    write(1)
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE accounts_auditentry SET reason = 'nicer' WHERE id = %s", "altered"),
        ("UPDATE accounts_auditentry SET organization_id = 7 WHERE id = %s", "altered"),
        ("UPDATE accounts_auditentry SET at = at - interval '1 microsecond' WHERE id = %s", "altered"),
    ],
)
def test_an_altered_row_is_named(sql: str, why: str) -> None:
    """The walk names the row that was touched, not the one after it."""
    rows = write(3)
    tamper(sql, rows[1].pk)
    assert audit.verify() == ledger.BrokenLink("accounts_auditentry", rows[1].pk, why)


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_removed_row_leaves_a_gap() -> None:
    """The row after the gap is named."""
    rows = write(3)
    tamper("DELETE FROM accounts_auditentry WHERE id = %s", rows[1].pk)
    assert audit.verify() == ledger.BrokenLink("accounts_auditentry", rows[2].pk, "gap")


@pytest.mark.django_db(transaction=True)
def test_two_writers_make_one_chain() -> None:
    """Concurrent transactions queue up at the lock; the chain has no fork."""
    failures: list[Exception] = []

    def work() -> None:
        try:
            write(10)
        except Exception as error:  # noqa: BLE001 (reported below)
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert AuditEntry.objects.count() == 30
    assert audit.verify() is None


@pytest.mark.django_db
def test_a_rolled_back_act_leaves_no_row() -> None:
    """The audit row belongs to the act's transaction."""
    with transaction.atomic():
        write(1)
        transaction.set_rollback(True)
    assert AuditEntry.objects.count() == 0


def test_every_chained_table_is_known() -> None:
    """The walk command finds tables by their two hash columns."""
    tables = {model._meta.db_table for model in ledger.chained_models()}
    assert "accounts_auditentry" in tables


@pytest.mark.django_db
def test_floats_are_refused() -> None:
    """Their text form is not unique."""
    with pytest.raises(TypeError):
        audit.record("test.done", actor=None, subject="x", detail={"rate": 0.1})
