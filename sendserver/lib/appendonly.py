"""SQL for tables that only grow: the database itself refuses UPDATE, DELETE and TRUNCATE.

Two walls: triggers, and rights taken from every role but the owner. Own triggers and not a library's, because the
common library lets any session switch its triggers off by a setting; here only the owner, which the application
is not, could.
"""

from __future__ import annotations

import hashlib

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


# The key of the one lock of all chains; accounts.ledger takes the same one before it reads the last record.
LEDGER_LOCK = int.from_bytes(hashlib.blake2s(b"accounts.ledger", digest_size=7).digest(), "big")

# Entries are made by the database itself, as the tables' owner: the application's role can write no entry of its own,
# and no code, this release's or an earlier one's, can insert a record that has none.
_LEDGER_FUNCTIONS = """
CREATE OR REPLACE FUNCTION ledger_append(kind text, record bigint, organization bigint, hash bytea)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE place bigint; before bytea; own bytea; line text;
BEGIN
  PERFORM pg_advisory_xact_lock(LEDGER_LOCK);
  SELECT position, entry_hash INTO place, before FROM accounts_ledgerentry ORDER BY position DESC LIMIT 1;
  SELECT entry_hash INTO own FROM accounts_ledgerentry
    WHERE organization_id IS NOT DISTINCT FROM organization ORDER BY position DESC LIMIT 1;
  place := COALESCE(place, 0) + 1;
  before := COALESCE(before, decode(repeat('00', 32), 'hex'));
  own := COALESCE(own, decode(repeat('00', 32), 'hex'));
  -- What the entry says is hashed by itself, so that a chain can be shown without what other organizations did.
  line := concat_ws(' ', kind, record, COALESCE(organization::text, '-'), encode(hash, 'hex'), encode(own, 'hex'));
  line := concat_ws(' ', place, encode(sha256(convert_to(line, 'UTF8')), 'hex'), encode(before, 'hex'));
  INSERT INTO accounts_ledgerentry
    (position, table_name, record_id, organization_id, record_hash, previous_hash, organization_previous, entry_hash)
  VALUES (place, kind, record, organization, hash, before, own, sha256(convert_to(line, 'UTF8')));
END $$;
CREATE OR REPLACE FUNCTION ledger_take() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM ledger_append(TG_TABLE_NAME, NEW.id, NEW.organization_id, NEW.record_hash);
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ledger_append(text, bigint, bigint, bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION ledger_take() FROM PUBLIC;
""".replace("LEDGER_LOCK", str(LEDGER_LOCK))
_NO_INSERT = """
DO $$ DECLARE other record; BEGIN
  FOR other IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
               WHERE table_schema = current_schema() AND table_name = '{table}' AND grantee <> current_user LOOP
    EXECUTE format('REVOKE INSERT ON %I FROM %I', '{table}', other.grantee);
  END LOOP;
END $$;
"""
_LEDGERED = """
SELECT ledger_append('{table}', id, organization_id, record_hash) FROM (SELECT * FROM "{table}" ORDER BY id) AS kept;
CREATE TRIGGER {table}_ledger AFTER INSERT ON "{table}" FOR EACH ROW EXECUTE FUNCTION ledger_take();
ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {table}_ledger;
"""
# A personal part may go, by the owner's hand (retention), and is never altered.
_SIDE = """
CREATE TRIGGER {table}_frozen BEFORE UPDATE ON "{table}" FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON "{table}" FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {table}_frozen;
ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER {table}_no_truncate;
"""


def ledger() -> migrations.RunSQL:
    """Return the operation that makes the ledger's functions and its table readable only."""
    reverse = "DROP FUNCTION ledger_take(); DROP FUNCTION ledger_append(text, bigint, bigint, bytea);"
    return migrations.RunSQL(
        sql=_LEDGER_FUNCTIONS + _NO_INSERT.format(table="accounts_ledgerentry"), reverse_sql=reverse
    )


def ledgered(table: str) -> migrations.RunSQL:
    """Return the operation that enters all records of `table`, present and future, into the ledger.

    The table has `id`, `organization_id` (may be null) and `record_hash`. Undone, the entries stay.
    """
    return migrations.RunSQL(
        sql=_LEDGERED.format(table=table), reverse_sql=f'DROP TRIGGER {table}_ledger ON "{table}";'
    )


def protect_side(table: str) -> migrations.RunSQL:
    """Return the operation that lets only the owner delete rows of `table`, and nobody change one."""
    revoke = PROTECT[PROTECT.index("DO $$") :]
    return migrations.RunSQL(
        sql=FUNCTION + (_SIDE + revoke).format(table=table), reverse_sql=RELEASE.format(table=table)
    )
