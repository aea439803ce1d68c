"""Two database roles: the application owns nothing and cannot change evidence (architecture rules 7 and 8)."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

EVIDENCE = [
    "accounts_auditentry",
    "accounts_standingchange",
    "accounts_termsacceptance",
    "compliance_attestation",
    "compliance_verdict",
    "compliance_deletedpart",
    "campaigns_snapshot",
    "campaigns_outcome",
    "campaigns_event",
    "abuse_caseentry",
    "abuse_decision",
]


@pytest.mark.django_db
def test_the_application_owns_no_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE tableowner = current_user)"
            " FROM pg_tables WHERE schemaname = 'public'"
        )
        tables, own = cursor.fetchone()
    assert tables > 30
    assert own == 0


@pytest.mark.django_db
@pytest.mark.parametrize("table", EVIDENCE)
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {}"])
def test_evidence_refuses_change(table: str, statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))


@pytest.mark.django_db(databases=["default", "owner"])
@pytest.mark.parametrize("table", EVIDENCE)
def test_even_the_owner_meets_the_trigger(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled = 'A'", [table])
        assert cursor.fetchone() == (2,)


@pytest.mark.django_db
def test_no_table_may_be_truncated_by_the_application() -> None:
    tables = [model._meta.db_table for model in apps.get_models()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE has_table_privilege(name, 'TRUNCATE')", [tables]
        )
        assert cursor.fetchall() == []
