"""The tags that an upload gives: to everybody in it, or by a column. Written with the piece that brings the people.

A row of compliance_contacttag names the upload that gave it, so that taking an upload back takes exactly its own tags
(compliance.models.tags). Nothing here is asked of an upload without tags.
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from compliance import tags
from compliance.imports import staging
from compliance.imports.columns import plan_of
from compliance.models import ContactTag, ImportJob, ImportState, Tag

SETTLES: Final = timedelta(days=30)
_MAY_BE_UNDONE: Final = (ImportState.UNDOING, ImportState.HELD)  # whatever its age: our staff may still refuse it

# Everybody of the piece with their contact: those known before, and those just made, looked up by the index.
_PEOPLE: Final = """(SELECT k.contact_id, k.key FROM import_known k UNION ALL
  SELECT (SELECT c.id FROM compliance_contact c
          WHERE c.organization_id = %(organization)s AND c.address_key = s.key) AS contact_id, s.key
  FROM import_stage s)"""
# Another row of this file for the same person counts no more (compliance.imports.merge, _AGAIN).
_REPLACED: Final = """DELETE FROM compliance_contacttag g USING import_known k
  WHERE g.contact_id = k.contact_id AND g.upload = %(job)s"""
_TO_ALL: Final = f"""INSERT INTO compliance_contacttag (tag_id, contact_id, upload)
  SELECT t.id, p.contact_id, %(job)s FROM {_PEOPLE} p CROSS JOIN unnest(%(tags)s::bigint[]) AS t(id)
  ORDER BY 1, 2 ON CONFLICT DO NOTHING"""
_BY_ROW: Final = f"""INSERT INTO compliance_contacttag (tag_id, contact_id, upload)
  SELECT n.tag_id, p.contact_id, %(job)s FROM import_tags n JOIN {_PEOPLE} p ON p.key = n.key
  ORDER BY 1, 2 ON CONFLICT DO NOTHING"""
_TAKEN_BACK: Final = "DELETE FROM compliance_contacttag g USING import_undo u WHERE g.contact_id = u.contact_id"
_SOME: Final = """DELETE FROM compliance_contacttag g USING (
    SELECT tag_id, contact_id, upload FROM compliance_contacttag WHERE upload = %s LIMIT %s) few
  WHERE (g.tag_id, g.contact_id, g.upload) = (few.tag_id, few.contact_id, few.upload)"""
# Settled: it can no longer be taken back, so one row of a tag and person is enough, and whose it is says nothing.
_SETTLED: Final = """WITH few AS (
    DELETE FROM compliance_contacttag g USING (
      SELECT tag_id, contact_id, upload FROM compliance_contacttag WHERE upload = %s LIMIT %s) old
    WHERE (g.tag_id, g.contact_id, g.upload) = (old.tag_id, old.contact_id, old.upload)
    RETURNING g.tag_id, g.contact_id)
  INSERT INTO compliance_contacttag (tag_id, contact_id, upload) SELECT tag_id, contact_id, 0 FROM few
  ORDER BY 1, 2 ON CONFLICT DO NOTHING"""


def keys_so_far(job: ImportJob) -> set[str]:
    """Return the tags that the organization has, and those that the upload gives to everybody, as compared."""
    known = Tag.objects.filter(organization_id=job.organization_id).values_list("key", flat=True)
    return {*known, *map(tags.key_of, plan_of(job).tags)}


def write(cursor: Any, job: ImportJob, by_row: dict[str, tuple[str, ...]]) -> None:
    """Give the piece in import_known and import_stage its tags; `by_row`: address key -> tags of the row that won."""
    plan = plan_of(job)
    if not plan.tags and plan.index("tags") is None:
        return
    # In the order of the file: the first spelling of a new tag counts, whoever reads it.
    names = list(dict.fromkeys([*plan.tags, *(name for row in by_row.values() for name in row)]))
    values = {"organization": job.organization_id, "job": job.pk}
    known = tags.ensure(job.organization, names, upload_id=job.pk, limited=False)
    if plan.index("tags") is not None:
        cursor.execute(_REPLACED, values)
        _write_rows(cursor, by_row, known, values)
    if plan.tags:
        cursor.execute(_TO_ALL, values | {"tags": [known[tags.key_of(name)] for name in plan.tags]})


def _write_rows(cursor: Any, by_row: dict[str, tuple[str, ...]], known: dict[str, int], values: dict[str, Any]) -> None:
    lines = [staging.line_of((key,), str(known[tags.key_of(name)])) for key, names in by_row.items() for name in names]
    if lines:
        with staging.table("import_tags", "(key text, tag_id bigint)"):
            staging.copy("import_tags", ("key", "tag_id"), lines)
            cursor.execute("ANALYZE import_tags")
            cursor.execute(_BY_ROW, values)


def take_back(cursor: Any, job_id: int) -> None:
    """Take an upload's tags from the people in import_undo."""
    cursor.execute(f"{_TAKEN_BACK} AND g.upload = %s", [job_id])


def take_some_back(job_id: int, limit: int) -> int:
    """Take an upload's tags from people who are no longer its own (a later upload's, say); return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_SOME, [job_id, limit])
        return int(cursor.rowcount)


def recount(job: ImportJob) -> None:
    """Count anew how many people have each tag that an upload may have given or taken back."""
    plan = plan_of(job)
    mine = Tag.objects.filter(organization_id=job.organization_id)
    if plan.index("tags") is None:
        mine = mine.filter(key__in=[tags.key_of(name) for name in plan.tags])
    tags.recount(list(mine.values_list("pk", flat=True)))


def forget(job: ImportJob) -> None:
    """Count anew after an upload was taken back, and delete the tags that it brought and nobody has or asks for."""
    recount(job)
    for tag in Tag.objects.filter(organization_id=job.organization_id, upload_id=job.pk, people_count=0):
        if not ContactTag.objects.filter(tag=tag).exists() and not tags.using(tag):
            tag.delete()


def settle_before(moment: datetime, limit: int) -> int:
    """Let the tags of uploads that ended before `moment` stand without them; return how many uploads that concerned.

    Uploads that ended SETTLES earlier are not looked at again: a row more of theirs does no harm.
    """
    given = ContactTag.objects.filter(upload=OuterRef("pk")).order_by()
    ended = ImportJob.objects.filter(finished_at__lt=moment, finished_at__gt=moment - SETTLES)
    old = list(ended.exclude(state__in=_MAY_BE_UNDONE).filter(Exists(given)).values_list("pk", flat=True)[:100])
    for job_id in old:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_SETTLED, [job_id, limit])
    return len(old)
