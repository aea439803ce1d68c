"""Rows that were not taken, mended in place: one cell changed, judged again by the same rules, then merged."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count, F

from accounts import audit
from accounts.models import Organization, User
from compliance import answers, counting, lists
from compliance.errors import ImportRefusedError
from compliance.imports import kinds, merge, tagging, undo, words
from compliance.imports.columns import Plan, plan_of
from compliance.imports.reading import Row
from compliance.imports.rows import Refused, Taken, column_of, judge
from compliance.imports.run import count_unmailable
from compliance.models import Contact, ImportJob, ImportRow, ImportState, ListMembership
from sendserver.lib import clock

MENDABLE = (ImportState.DONE, ImportState.HELD)
# Which column a correction belongs to; everything else is about the address.
_COLUMN = {
    "date_missing": "consent_at",
    "date_unreadable": "consent_at",
    "date_future": "consent_at",
    "confirmed_wrong": "confirmed_at",
    "hidden_in_first_name": "first_name",
    "hidden_in_last_name": "last_name",
    "tags_wrong": "tags",
}
# Rows whose text as a whole could not be read; only a new upload helps.
WHOLE_ROW = frozenset({"undecodable", "nul"})


@transaction.atomic
def use(job: ImportJob, row: ImportRow, value: str, *, actor: User) -> ImportRow:
    """Add a row with a corrected value; ImportRefusedError says what is still wrong.

    The person counts under the upload's own statement, and the do-not-mail list is asked as for any row.
    """
    _lock(job, row)
    taken = _judge(job, row, value)
    counts = merge.merge_one(job, taken, answers.claim_of(job).last_contact_at)
    if counts["suppressed"]:
        raise ImportRefusedError("This person is on the do-not-mail list and stays there.")
    contact = Contact.objects.get(organization=job.organization, address_key=taken.key)
    _settle(row, ImportRow.State.FIXED, contact=contact)
    _after(job, counts["added"])
    audit.record(
        "import.row_fixed", actor=actor, organization=job.organization, subject=f"import:{job.uid}",
        detail={"line": row.line, "contact": str(contact.uid)},
    )  # fmt: skip
    return row


def _lock(job: ImportJob, row: ImportRow) -> None:
    """Hold the row against a second press, and refuse where it can no longer change."""
    if job.state not in MENDABLE:
        raise ImportRefusedError("This upload is closed; its rows cannot be changed any more.")
    state = ImportRow.objects.select_for_update().values_list("state", flat=True).get(pk=row.pk)
    if state != ImportRow.State.OPEN:
        raise ImportRefusedError("This row was settled already.")


def _judge(job: ImportJob, row: ImportRow, value: str) -> Taken:
    plan = plan_of(job)
    column = _column(plan, row)
    cells = list(row.cells)
    if column is None or row.reason in WHOLE_ROW:
        raise ImportRefusedError("Correct this row in your file and upload it again.")
    cells += [""] * (column + 1 - len(cells))
    cells[column] = value.strip()
    judged = judge(Row(row.line, cells), plan, answers.claim_of(job), clock.now())
    if isinstance(judged, Refused):
        hint = f" Did you mean {judged.suggestion}?" if judged.suggestion else ""
        raise ImportRefusedError(f"{words.label(judged.reason)}. {words.meaning(judged.reason)}.{hint}")
    return judged


def _column(plan: Plan, row: ImportRow) -> int | None:
    if row.reason in kinds.REASONS.values():
        return column_of(plan, list(map(str, row.cells)), row.reason)
    return plan.index(_COLUMN.get(row.reason, "email"))


def cell_of(job: ImportJob, row: ImportRow) -> str:
    """Return what stood in the cell that a correction would replace."""
    column = _column(plan_of(job), row)
    return str(row.cells[column]) if column is not None and column < len(row.cells) else ""


def _settle(row: ImportRow, state: str, contact: Contact | None = None) -> None:
    ImportRow.objects.filter(pk=row.pk).update(state=state, contact=contact)
    row.state, row.contact = state, contact


def _after(job: ImportJob, by: int) -> None:
    """Bring the counts in step after `by` people came or went.

    The tags of a long upload are counted by a worker; how many of its people nobody may mail stays as it was read.
    """
    lists.step(job.contact_list, by)
    if lists.few_of_import(job) is None:
        counting.ask(job.organization, [counting.Question("tags", {"import": job.pk})])
    else:
        tagging.recount(job)
        count_unmailable(job)
    job.refresh_from_db()


@counting.answers("tags")
def _count_tags(organization: Organization, asked: counting.Answer) -> counting.Answer:
    """Count the tags of an upload anew; the numbers stand with the tags."""
    for job in ImportJob.objects.for_org(organization).filter(pk=asked["import"], state__in=MENDABLE):
        tagging.recount(job)
    return {}


@transaction.atomic
def leave_out(job: ImportJob, row: ImportRow, *, actor: User) -> ImportRow:
    """Settle a row without adding it."""
    _lock(job, row)
    _settle(row, ImportRow.State.LEFT)
    audit.record(
        "import.row_left_out", actor=actor, organization=job.organization, subject=f"import:{job.uid}",
        detail={"line": row.line},
    )  # fmt: skip
    return row


@transaction.atomic
def reopen(job: ImportJob, row: ImportRow, *, actor: User) -> ImportRow:
    """Take back how a row was settled: a person whom it added leaves again, one whom it updated is as before."""
    if job.state not in MENDABLE:
        raise ImportRefusedError("This upload is closed; its rows cannot be changed any more.")
    state = ImportRow.objects.select_for_update().values_list("state", flat=True).get(pk=row.pk)
    if state == ImportRow.State.OPEN:
        return row
    gone = 0
    if state == ImportRow.State.FIXED and row.contact_id is not None:
        mine = ListMembership.objects.filter(contact_id=row.contact_id, contact_list=job.contact_list, import_job=job)
        added = mine.filter(first_import=job).exists()
        if undo.one(job, row.contact_id):
            gone = int(added)
            name = "added_count" if added else "updated_count"
            counters = ImportJob.objects.filter(pk=job.pk)
            counters.update(rejected_count=F("rejected_count") + 1)
            counters.filter(**{f"{name}__gte": 1}).update(**{name: F(name) - 1})
    _settle(row, ImportRow.State.OPEN)
    _after(job, -gone)
    audit.record(
        "import.row_reopened", actor=actor, organization=job.organization, subject=f"import:{job.uid}",
        detail={"line": row.line},
    )  # fmt: skip
    return row


def use_all_suggestions(job: ImportJob, *, actor: User) -> tuple[int, int]:
    """Add every open row under its suggestion; return (added, still open)."""
    done = left = 0
    for row in ImportRow.objects.filter(job=job, state=ImportRow.State.OPEN).exclude(suggestion=""):
        try:
            use(job, row, row.suggestion, actor=actor)
            done += 1
        except ImportRefusedError:
            left += 1
    return done, left


@transaction.atomic
def leave_out_all(job: ImportJob, *, actor: User) -> int:
    """Settle every open row without adding it; return how many."""
    if job.state not in MENDABLE:
        raise ImportRefusedError("This upload is closed; its rows cannot be changed any more.")
    count = ImportRow.objects.filter(job=job, state=ImportRow.State.OPEN).update(state=ImportRow.State.LEFT)
    audit.record(
        "import.rows_left_out", actor=actor, organization=job.organization, subject=f"import:{job.uid}",
        detail={"rows": count},
    )  # fmt: skip
    return count


def by_reason(job: ImportJob) -> list[tuple[str, int]]:
    """Return (label, rows) of what is still open, most first."""
    rows = ImportRow.objects.filter(job=job, state=ImportRow.State.OPEN).values_list("reason").annotate(n=Count("id"))
    return [(words.label(reason), count) for reason, count in rows.order_by("-n", "reason")]
