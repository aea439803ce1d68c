"""Migrations only add: the release before goes on working on the new tables while processes are exchanged one by one.

What is to go is first no longer used, by a whole release, and dropped by the next. Fault 38 runs two releases together.
"""

from __future__ import annotations

import re

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

# The newest migration of each app when this rule began; nothing was released before.
BEGAN = {"accounts": 4, "compliance": 5, "campaigns": 11, "abuse": 5}
TAKES_AWAY = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
)
# The earlier release may write what a new constraint of an old table refuses.
NARROWS = (migrations.AddConstraint, migrations.AlterUniqueTogether)
_SQL = re.compile(
    r"\b(DROP\s+(TABLE|COLUMN|VIEW)|RENAME|SET\s+NOT\s+NULL|ALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE)\b", re.I
)


def breaks(operation: Operation, made: set[str]) -> str:
    """Return why the release before could not go on, "" when it can; `made` are tables of the same migration."""
    if isinstance(operation, (*TAKES_AWAY, *NARROWS)) and getattr(operation, "model_name", "").lower() not in made:
        return type(operation).__name__
    if isinstance(operation, migrations.AddField) and operation.model_name.lower() not in made:
        field = operation.field
        has_default = field.db_default is not models.NOT_PROVIDED
        if not (field.null or has_default or field.many_to_many):
            return f"column {operation.name} may not be empty and has no default in the database"
    if isinstance(operation, migrations.AlterField):
        return f"column {operation.name} is changed"
    if isinstance(operation, migrations.RunSQL) and _SQL.search(str(operation.sql)):
        return "SQL takes something away"
    if isinstance(operation, migrations.SeparateDatabaseAndState):  # how a column loses an index or a reference
        inside = [one for one in operation.database_operations if not isinstance(one, migrations.AlterField)]
        return next((why for one in inside if (why := breaks(one, made))), "")
    return ""


def faults(migration: migrations.Migration) -> list[str]:
    """Return what is wrong with a migration."""
    made = {op.name.lower() for op in migration.operations if isinstance(op, migrations.CreateModel)}
    return [why for operation in migration.operations if (why := breaks(operation, made))]


def number(name: str) -> int:
    """Return the number that a migration's name begins with."""
    return int(name.partition("_")[0])


def test_every_migration_since_then_only_adds() -> None:
    loader = MigrationLoader(None)
    ours = [key for key in loader.disk_migrations if key[0] in BEGAN and number(key[1]) > BEGAN[key[0]]]
    assert ("campaigns", "0012_alarms") in ours
    found = {key: faults(loader.disk_migrations[key]) for key in ours}
    assert {key: why for key, why in found.items() if why} == {}


FLAG = models.BooleanField(default=False)


@pytest.mark.parametrize(
    ("operation", "is_fine"),
    [
        (migrations.RemoveField("chunk", "deaths"), False),
        (migrations.RenameField("chunk", "deaths", "losses"), False),
        (migrations.DeleteModel("Turn"), False),
        (migrations.RenameModel("Turn", "Round"), False),
        (migrations.AddField("chunk", "flag", FLAG), False),
        (migrations.AddField("chunk", "flag", models.BooleanField(default=False, db_default=False)), True),
        (migrations.AddField("chunk", "flag", models.BooleanField(null=True)), True),
        (migrations.AlterField("chunk", "relay", models.CharField(max_length=4)), False),
        (migrations.AddConstraint("chunk", models.UniqueConstraint(fields=["relay"], name="x")), False),
        (migrations.AddIndex("chunk", models.Index(fields=["relay"], name="y")), True),
        (migrations.RunSQL("ALTER TABLE x DROP COLUMN y"), False),
        (migrations.RunSQL("ALTER TABLE x ALTER COLUMN y SET NOT NULL"), False),
        (migrations.RunSQL("CREATE INDEX z ON x (y)"), True),
        (migrations.SeparateDatabaseAndState([migrations.RunSQL("DROP INDEX z")]), True),
        (migrations.SeparateDatabaseAndState([migrations.RunSQL("ALTER TABLE x DROP COLUMN y")]), False),
        (migrations.SeparateDatabaseAndState([migrations.RemoveField("chunk", "deaths")]), False),
        (migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True)), ("flag", FLAG)]), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Operation) else "",
)
def test_the_rule_knows_what_breaks(operation: Operation, is_fine: bool) -> None:
    assert (breaks(operation, set()) == "") is is_fine
