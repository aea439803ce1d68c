"""Evidence against the application and against a superuser (issue "Lists", must 7; rules section 7, test 21).

The first half: the application's role can change, delete and truncate nothing. The second: a superuser changes every
column of every kind of record, one at a time, and the walk names the record each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as live
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction
from pytest_django import Settings as SettingsWrapper

from abuse.models import Decision
from abuse.moderation import DecisionRequest, apply_decision
from abuse.tests import make
from accounts import ledger_heads, personal
from accounts.ledger import chained_models
from accounts.ledger_walk import walk
from accounts.models import AuditEntry, LedgerEntry, LedgerHead, Organization, Role
from compliance import gate, people
from compliance.models import Attestation, AttestationPerson, ConsentEvent, ConsentEventPerson, Verdict
from compliance.tests import helpers
from sendserver.lib import clock
from sendserver.lib.appendonly import ledgered
from sendserver.testing.personas import join, make_organization

RECORDS: list[type[models.Model]] = [AuditEntry, Attestation, Verdict, Decision, ConsentEvent]
SIDES: list[type[models.Model]] = [AttestationPerson, ConsentEventPerson]
LEDGER: list[type[models.Model]] = [LedgerEntry, LedgerHead]


def table_of(model: type[models.Model]) -> str:
    return model._meta.db_table


def test_the_list_of_records_is_whole() -> None:
    """A new chained table, or a new side table, is tried here too."""
    assert set(chained_models()) == set(RECORDS)
    assert {model for model, _ in personal.side_models()} == set(SIDES)


def verdict_for(organization: Organization) -> Verdict:
    check = gate.Check("AD-LABEL", 1, "Label", gate.PASS, "Fine", {"people": 3})
    answer = gate.Answer(gate.PASS, (check,), b"\x07" * 32)
    return gate.record(answer, organization=organization, subject_uid=organization.uid, actor=None, at=clock.now())


def build() -> None:
    """Write two records of each kind, for two organizations, and sign the head."""
    for name in ("Larkfield Garden Co.", "Hollin Hill Pottery"):
        organization = make_organization(name)
        owner = join(organization, "Alice", Role.OWNER)
        job = helpers.signed(organization, owner.user, helpers.csv_of(helpers.people(3)))
        verdict_for(organization)
        permission = people.Permission("express_soi", clock.now() - timedelta(days=3), None, "Stall at the fair")
        people.add_person(job.contact_list, people.Person("ada@reader.example"), permission, actor=owner.user)
        case = make.case_of(organization)
        staff = make.moderator_user(f"Mona {organization.pk}")
        apply_decision(DecisionRequest(case=case, kind="warn", actor=staff, rule="2.3", reason="Mail after a no."))
        assert ledger_heads.export() is not None


# --- the application


@pytest.mark.django_db
@pytest.mark.parametrize("model", [*RECORDS, *LEDGER, *SIDES], ids=table_of)
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}"])
def test_the_application_changes_no_evidence(model: type[models.Model], statement: str) -> None:
    key = model._meta.pk
    assert key is not None
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table_of(model), key.column))


@pytest.mark.django_db
@pytest.mark.parametrize("model", [*RECORDS, *LEDGER, *SIDES], ids=table_of)
def test_the_application_may_not_switch_a_trigger_off(model: type[models.Model]) -> None:
    with pytest.raises(DatabaseError, match="must be owner"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table_of(model)} DISABLE TRIGGER ALL")


# --- a superuser


class Superuser:
    """Somebody who may do anything in the database, one committed change at a time."""

    def __init__(self) -> None:
        name = live.DATABASES["default"]["NAME"]
        self.session = psycopg.connect(os.environ["DATABASE_SUPERUSER_URL"], dbname=name, autocommit=True)
        self.session.execute("SET session_replication_role = replica")  # foreign keys and plain triggers do not fire

    def run(self, statement: str, values: list[Any] | None = None) -> list[Any]:
        ran = self.session.execute(statement, values)  # type: ignore[call-overload]
        return ran.fetchall() if ran.description else []

    def free(self, table: str) -> None:
        """Switch off what fires always."""
        self.run(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


@pytest.fixture
def superuser(transactional_db: None, settings: SettingsWrapper, tmp_path: Path) -> Iterator[Superuser]:
    settings.VAR_DIR = tmp_path  # the exported heads
    build()
    found = Superuser()
    yield found
    found.session.close()


TEXT = "CASE WHEN {0} = '' THEN 'x' ELSE substr({0}, 2) END"
OTHER: dict[str, str] = {
    "bigint": "COALESCE({0}, 0) + 1000",
    "integer": "{0} + 1",
    "text": TEXT,
    "character varying": TEXT,
    "bytea": r"CASE length({0}) WHEN 0 THEN '\x01' ELSE set_byte({0}, 0, (get_byte({0}, 0) + 1) %% 256) END",
    "uuid": "gen_random_uuid()",
    "timestamp with time zone": "COALESCE({0} + interval '1 microsecond', now())",
    "jsonb": "CASE jsonb_typeof({0}) WHEN 'array' THEN {0} || '[1]' ELSE {0} || '{{\"more\": 1}}' END",
}


def columns(superuser: Superuser, table: str) -> list[tuple[str, str]]:
    """Return (column, an SQL expression of another value) of a table, as the database knows it."""
    rows = superuser.run(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s ORDER BY 1", [table]
    )
    return [(name, OTHER[kind].format(name)) for name, kind in rows]


def each_change(superuser: Superuser, model: type[models.Model], pk: object) -> Iterator[str]:
    """Change one column after the other of the row, yield its name, and put it back."""
    table, key = table_of(model), model._meta.pk.column  # type: ignore[union-attr]
    superuser.free(table)
    for column, other in columns(superuser, table):
        # ctid follows the row through a change of its key.
        (old, place), *_ = superuser.run(f"SELECT {column}, ctid FROM {table} WHERE {key} = %s", [pk])
        ((new, place),) = superuser.run(
            f"UPDATE {table} SET {column} = {other} WHERE ctid = %s RETURNING {column}, ctid", [place]
        )
        assert new != old, column
        yield column
        superuser.run(f"UPDATE {table} SET {column} = %s WHERE ctid = %s", [_sql(old), place])


def _sql(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value) if isinstance(value, dict | list) else value


def first_fault() -> tuple[str, object]:
    """Return table and key of what the walk names first."""
    faults = walk(exported=ledger_heads.read(ledger_heads.file())).faults
    return (faults[0].table, faults[0].pk) if faults else ("nothing", None)


@pytest.mark.parametrize("model", RECORDS, ids=table_of)
@pytest.mark.parametrize("which", ["first", "last"])
def test_any_column_of_any_record(superuser: Superuser, model: type[models.Model], which: str) -> None:
    """The record is named by the key that the ledger knows it under, also when the key itself was changed."""
    rows = model._default_manager.order_by("pk")
    row = rows.first() if which == "first" else rows.last()
    assert row is not None
    assert walk().faults == []
    named = {column: first_fault() for column in each_change(superuser, model, row.pk)}
    assert len(named) == len(model._meta.concrete_fields)
    assert {column: fault for column, fault in named.items() if fault != (table_of(model), row.pk)} == {}
    assert walk().faults == []  # all is as before


@pytest.mark.parametrize("model", SIDES, ids=table_of)
def test_any_column_of_a_personal_part(superuser: Superuser, model: type[models.Model]) -> None:
    """A part that no longer says whose it is leaves its record without one; `id` of the older table means nothing."""
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    side: personal.Side = model.ledger_side  # type: ignore[attr-defined]
    record = personal.record_model(side)._default_manager.get(**{side.record_column: getattr(row, side.link)})
    named = {column: first_fault() for column in each_change(superuser, model, row.pk)}
    assert named.pop(side.link) == (record._meta.db_table, record.pk)
    named.pop("id", None)
    assert len(named) >= 6
    assert {column: fault for column, fault in named.items() if fault != (table_of(model), row.pk)} == {}
    assert walk().faults == []


def test_any_column_of_the_ledger_itself(superuser: Superuser) -> None:
    middle = LedgerEntry.objects.count() // 2
    named = {column: first_fault() for column in each_change(superuser, LedgerEntry, middle)}
    assert named.pop("position") == ("accounts_ledgerentry", middle + 1)  # "number N is missing before it"
    assert set(named.values()) == {("accounts_ledgerentry", middle)}


def test_any_column_of_a_signed_head(superuser: Superuser) -> None:
    head = LedgerHead.objects.order_by("pk")[0]
    named = {column: first_fault() for column in each_change(superuser, LedgerHead, head.pk)}
    assert named.pop("position") == ("accounts_ledgerhead", head.pk + 1000)
    assert set(named.values()) == {("accounts_ledgerhead", head.pk)}


def remove(superuser: Superuser, table: str, pk: int) -> None:
    superuser.run(f"DELETE FROM {table} WHERE id = %s", [pk])


def remove_with_entry(superuser: Superuser, table: str, pk: int) -> None:
    superuser.free("accounts_ledgerentry")
    superuser.run("DELETE FROM accounts_ledgerentry WHERE table_name = %s AND record_id = %s", [table, pk])
    remove(superuser, table, pk)


def remove_the_end(superuser: Superuser, table: str, pk: int) -> None:
    """The newest records of all tables go, with their entries, as if they had never been: only the head tells."""
    superuser.free("accounts_ledgerentry")
    cut = superuser.run(
        "DELETE FROM accounts_ledgerentry WHERE position >= (SELECT position FROM accounts_ledgerentry"
        " WHERE table_name = %s AND record_id = %s) RETURNING table_name, record_id",
        [table, pk],
    )
    for name, record in cut:
        superuser.free(name)
        remove(superuser, name, record)


@pytest.mark.parametrize("how", [remove, remove_with_entry, remove_the_end])
@pytest.mark.parametrize("model", RECORDS, ids=table_of)
def test_a_record_that_was_taken_away(
    superuser: Superuser, model: type[models.Model], how: Callable[[Superuser, str, int], None]
) -> None:
    last = model._default_manager.order_by("-pk").first()
    assert last is not None
    entry = LedgerEntry.objects.get(table_name=table_of(model), record_id=last.pk)
    end = LedgerEntry.objects.count()
    superuser.free(table_of(model))
    how(superuser, table_of(model), last.pk)
    named = first_fault()
    if how is remove:
        assert named == (table_of(model), last.pk)
    elif how is remove_with_entry and entry.position < end:
        assert named == ("accounts_ledgerentry", entry.position + 1)
    else:
        assert named[0] == "accounts_ledgerentry"
        assert named[1] == entry.position


def test_the_command_names_it_and_fails(superuser: Superuser) -> None:
    """What an operator sees."""
    call_command("verify_ledger", stdout=open(os.devnull, "w"))  # noqa: SIM115
    row = Attestation.objects.order_by("pk").first()
    assert row is not None
    superuser.free("compliance_attestation")
    superuser.run("UPDATE compliance_attestation SET row_count = row_count - 1 WHERE id = %s", [row.pk])
    with pytest.raises(CommandError, match=rf"^First bad record: compliance_attestation {row.pk}: altered$") as raised:
        call_command("verify_ledger", stdout=open(os.devnull, "w"))  # noqa: SIM115
    assert raised.value.returncode == 1


# --- personal parts that go by rule


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize("model", SIDES, ids=table_of)
def test_a_part_that_retention_deleted_is_sound(superuser: Superuser, model: type[models.Model]) -> None:
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    side: personal.Side = model.ledger_side  # type: ignore[attr-defined]
    record = personal.record_model(side)._default_manager.get(**{side.record_column: getattr(row, side.link)})
    personal.delete(row, rule="DATA-RETENTION")
    report = walk()
    assert report.faults == []
    subject = personal.subject_of(record)
    today = f"{clock.now():%Y-%m-%d}"
    assert report.notes == [f"{subject}: personal part deleted on {today} under rule DATA-RETENTION"]


@pytest.mark.parametrize("model", SIDES, ids=table_of)
def test_a_part_that_went_without_a_rule_is_not(superuser: Superuser, model: type[models.Model]) -> None:
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    side: personal.Side = model.ledger_side  # type: ignore[attr-defined]
    record = personal.record_model(side)._default_manager.get(**{side.record_column: getattr(row, side.link)})
    key = model._meta.pk.column  # type: ignore[union-attr]
    superuser.run(f"DELETE FROM {table_of(model)} WHERE {key} = %s", [row.pk])
    assert first_fault() == (record._meta.db_table, record.pk)


def test_what_was_recorded_before_the_ledger_is_entered_by_its_migration(superuser: Superuser) -> None:
    """As on an installation that had evidence already: the migrations' own SQL enters it, and the walk is sound."""
    for model in LEDGER:
        superuser.free(table_of(model))
        superuser.run(f"DELETE FROM {table_of(model)}")
    for model in RECORDS:
        operation = ledgered(table_of(model))
        superuser.run(str(operation.reverse_sql))
        superuser.run(str(operation.sql))
    kept = sum(model._default_manager.count() for model in RECORDS)
    report = walk()
    assert report.faults == []
    assert report.entries == kept == LedgerEntry.objects.count()
    verdict_for(Organization.objects.order_by("pk")[0])
    assert walk().entries == kept + 1  # the trigger is there again
