"""Marks of uploaded addresses behind a wall: the application may ask two functions of the owner's, not the table."""

from django.db import migrations, models

MARKS = """
CREATE TABLE compliance_listmark (
  mark bigint NOT NULL,
  organization_id bigint NOT NULL,
  seen_on date NOT NULL DEFAULT current_date,
  PRIMARY KEY (mark, organization_id)
);
DO $$ DECLARE other record; BEGIN
  FOR other IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
               WHERE table_schema = current_schema() AND table_name = 'compliance_listmark'
                 AND grantee <> current_user LOOP
    EXECUTE format('REVOKE ALL ON compliance_listmark FROM %I', other.grantee);
  END LOOP;
END $$;

CREATE FUNCTION provenance_mark(address_hash bytea) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT ('x' || encode(substring(address_hash FROM 1 FOR 8), 'hex'))::bit(64)::bigint $$;

-- Remembers the people that one upload put on a list, at most `most` behind membership `after`; returns the last one.
CREATE FUNCTION provenance_remember(job bigint, after bigint, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH piece AS (
    SELECT m.id, c.address_hash, c.organization_id FROM compliance_listmembership m
    JOIN compliance_contact c ON c.id = m.contact_id
    WHERE m.import_job_id = job AND m.id > after ORDER BY m.id LIMIT most
  ), kept AS (
    INSERT INTO compliance_listmark (mark, organization_id)
    SELECT DISTINCT provenance_mark(address_hash), organization_id FROM piece ORDER BY 1, 2
    ON CONFLICT (mark, organization_id) DO UPDATE SET seen_on = excluded.seen_on
      WHERE compliance_listmark.seen_on < excluded.seen_on
  )
  SELECT max(id) FROM piece
$$;

-- Counts only, over at least 500 addresses; `place` tells the hashes of one address under several keys.
CREATE FUNCTION provenance_overlap(places integer[], hashes bytea[], own bigint[])
RETURNS TABLE (asked integer, known integer, widely integer, at_blocked integer, complained integer, bounced integer,
               holders integer[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF (SELECT count(DISTINCT place) FROM unnest(places) AS place) < 500 THEN
    RAISE EXCEPTION 'fewer than 500 addresses are not compared' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN QUERY
  WITH input AS MATERIALIZED (
    SELECT place, hash, provenance_mark(hash) AS mark FROM unnest(places, hashes) AS given(place, hash)
  ), hits AS MATERIALIZED (
    SELECT DISTINCT i.place, m.organization_id, o.standing = 'blocked' AS blocked
    FROM input i JOIN compliance_listmark m ON m.mark = i.mark
    LEFT JOIN accounts_organization o ON o.id = m.organization_id
    WHERE m.organization_id <> ALL (own)
  ), each AS (
    SELECT h.place, count(*) AS customers, bool_or(h.blocked) AS blocked FROM hits h GROUP BY h.place
  ), trouble AS (
    SELECT i.place, bool_or(s.reason = 'complaint') AS complained FROM input i
    JOIN compliance_suppression s ON s.address_hash = i.hash AND s.lifted_at IS NULL
    WHERE s.reason IN ('complaint', 'hard_bounce') AND s.organization_id <> ALL (own)
    GROUP BY i.place
  )
  SELECT (SELECT count(DISTINCT i.place)::integer FROM input i),
         (SELECT count(*)::integer FROM each),
         (SELECT count(*)::integer FROM each e WHERE e.customers >= 3),
         (SELECT count(*)::integer FROM each e WHERE e.blocked),
         (SELECT count(*)::integer FROM trouble t WHERE t.complained),
         (SELECT count(*)::integer FROM trouble t WHERE NOT t.complained),
         (SELECT array_agg(n ORDER BY n DESC) FROM (
            SELECT count(*)::integer AS n FROM hits h GROUP BY h.organization_id ORDER BY 1 DESC LIMIT 10) AS largest);
END $$;

-- Forgets marks that no upload has renewed; for the owner's role only.
CREATE FUNCTION provenance_forget(before date) RETURNS bigint LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM compliance_listmark WHERE seen_on < before RETURNING 1) SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION provenance_forget(date) FROM PUBLIC;
"""
UNDO = """
DROP FUNCTION provenance_forget(date);
DROP FUNCTION provenance_overlap(integer[], bytea[], bigint[]);
DROP FUNCTION provenance_remember(bigint, bigint, integer);
DROP FUNCTION provenance_mark(bytea);
DROP TABLE compliance_listmark;
"""


class Migration(migrations.Migration):
    dependencies = [("compliance", "0008_registers"), ("accounts", "0004_staff_groups")]

    operations = [
        migrations.AddField("importjob", "canary_at", models.DateTimeField(null=True)),
        migrations.AddField("importjob", "proof_at", models.DateTimeField(null=True)),
        migrations.AddField("importjob", "marked_up_to", models.BigIntegerField(null=True)),
        migrations.AddField("importjob", "marked_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="Trap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("address_hash", models.BinaryField(max_length=32, unique=True)),
                ("key_id", models.CharField(max_length=8)),
                ("note", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ProofRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("place", models.PositiveSmallIntegerField()),
                ("answer", models.CharField(blank=True, max_length=500)),
                ("answered_at", models.DateTimeField(null=True)),
                (
                    "contact",
                    models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="compliance.contact"),
                ),
                (
                    "job",
                    models.ForeignKey(on_delete=models.CASCADE, related_name="proof", to="compliance.importjob"),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=["job", "place"], name="proof_place_once")]},
        ),
        migrations.RunSQL(MARKS, UNDO),
    ]
