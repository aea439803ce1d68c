"""SQL for tables that only grow: the database itself refuses UPDATE, DELETE and TRUNCATE.

Two walls: triggers, and rights taken from every role but the owner. Own triggers and not a library's, because the
common library lets any session switch its triggers off by a setting; here only the owner, which the application
is not, could.
"""

from __future__ import annotations

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are evidence and never changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
"""

PROTECT = """
CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE ON "{table}" FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON "{table}" FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {table}_frozen;
ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {table}_no_truncate;
DO $$ DECLARE other record; BEGIN
  FOR other IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
               WHERE table_schema = current_schema() AND table_name = '{table}' AND grantee <> current_user LOOP
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM %I', '{table}', other.grantee);
  END LOOP;
END $$;
"""

RELEASE = 'DROP TRIGGER {table}_frozen ON "{table}"; DROP TRIGGER {table}_no_truncate ON "{table}";'


def protect(table: str) -> migrations.RunSQL:
    """Return the migration operation that makes `table` append-only."""
    return migrations.RunSQL(sql=FUNCTION + PROTECT.format(table=table), reverse_sql=RELEASE.format(table=table))
