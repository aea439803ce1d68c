"""The register of further columns: each name has one kind, over all uploads of an organization.

A number that a later file calls a date would break every condition that compares it. A name is entered when an upload
is signed; taken back, the upload takes along what it alone brought. Values are kept as text in one written form
(compliance.imports.kinds), so a kind can always be loosened to text and never be tightened by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from compliance import policy
from compliance.errors import FieldRefusedError
from compliance.imports import kinds
from compliance.imports.columns import Plan, plan_of
from compliance.models import ContactField, ContactList, ImportJob, ImportState
from compliance.tags import key_of

WORDS: Final[dict[str, str]] = {
    kinds.TEXT: "text",
    kinds.NUMBER: "a number",
    kinds.DATE: "a date",
    kinds.YES_NO: "yes or no",
}
UPLOADS: Final = 100  # of a list, whose columns a text can name
# Uploads whose people, if they stand at all, hold no values of theirs.
_WITHOUT: Final = (
    ImportState.UPLOADED,
    ImportState.MAPPED,
    ImportState.ANSWERED,
    ImportState.CANCELLED,
)


def all_of(organization: Organization) -> list[ContactField]:
    """Return an organization's further columns, by name."""
    return list(ContactField.objects.for_org(organization).order_by("key"))


def names_of_lists(lists: Iterable[ContactList]) -> set[str]:
    """Return the names of the further columns that the newest UPLOADS into these lists kept, as people have them."""
    jobs = ImportJob.objects.filter(contact_list__in=[row.pk for row in lists])
    jobs = jobs.exclude(state__in=(*_WITHOUT, ImportState.REFUSED)).exclude(columns={})
    newest = jobs.only("columns", "header").order_by("-pk")[:UPLOADS]
    return {name for job in newest for name, _ in kept(plan_of(job)).values()}


def kept(plan: Plan) -> dict[int, tuple[str, str]]:
    """Return the further columns of a plan: index -> (name, kind)."""
    return {
        index: (plan.names[index], kind)
        for index, kind in plan.targets.items()
        if kind in kinds.LABELS and index < len(plan.names)
    }


def contradictions(organization: Organization, plan: Plan) -> list[str]:
    """Return what speaks against a plan's further columns, in words: another kind than before, one name twice."""
    found, seen = [], set()
    known = _known(organization, [name for name, _ in kept(plan).values()])
    for name, kind in kept(plan).values():
        row = known.get(key_of(name))
        if row is not None and row.kind != kind:
            found.append(
                f"“{row.name}” is {WORDS[row.kind]} on your lists. Keep it as {WORDS[row.kind]}, or give the column "
                "another name in your file"
            )
        if key_of(name) in seen:
            found.append(f"Two columns are called “{name}”. Keep one of them")
        seen.add(key_of(name))
    rows = ContactField.objects.for_org(organization).count() if seen - set(known) else 0
    if rows + len(seen - set(known)) > policy.FIELDS_MAX:
        found.append(f"There is room for {policy.FIELDS_MAX} different columns on your lists. Keep fewer")
    return found


def spelled(organization: Organization, plan: Plan) -> dict[int, str]:
    """Return the columns of a plan that the register spells another way: index -> its spelling."""
    known = _known(organization, [name for name, _ in kept(plan).values()])
    rows = {index: known.get(key_of(name)) for index, (name, _) in kept(plan).items()}
    return {index: row.name for index, row in rows.items() if row is not None and row.name != plan.names[index]}


def with_known_kinds(organization: Organization, targets: dict[int, str], names: list[str]) -> dict[int, str]:
    """Return a remembered choice with the kinds that the register has by now."""
    columns = kept(Plan(targets, names))
    known = _known(organization, [name for name, _ in columns.values()])
    now = {index: known[key_of(name)].kind for index, (name, _) in columns.items() if key_of(name) in known}
    return targets | now


def _known(organization: Organization, names: Iterable[str]) -> dict[str, ContactField]:
    keys = [key_of(name) for name in names]
    return {row.key: row for row in ContactField.objects.for_org(organization).filter(key__in=keys)} if keys else {}


def enter(job: ImportJob) -> None:
    """Enter the columns of an upload that is being signed; FieldRefusedError when another one was faster."""
    plan = plan_of(job)
    columns = kept(plan)
    rows = [
        ContactField(organization=job.organization, name=name, key=key_of(name), kind=kind, upload_id=job.pk)
        for name, kind in columns.values()
    ]
    if not rows:
        return
    ContactField.objects.bulk_create(rows, ignore_conflicts=True)
    known = _known(job.organization, [row.name for row in rows])
    if any((row.name, row.kind) != (known[row.key].name, known[row.key].kind) for row in rows):
        wrong = contradictions(job.organization, plan)
        raise FieldRefusedError(f"{(wrong or ['Another upload brought a column of the same name'])[0]}.")


def forget(job: ImportJob) -> None:
    """Take back the columns that an upload alone brought, when it is taken back."""
    mine = ContactField.objects.for_org(job.organization).filter(upload_id=job.pk)
    if not mine.exists():
        return
    others = ImportJob.objects.for_org(job.organization).exclude(pk=job.pk).exclude(state__in=_WITHOUT)
    used = {key_of(name) for other in others.exclude(columns={}) for name, _ in kept(plan_of(other)).values()}
    mine.exclude(key__in=used).delete()


@transaction.atomic
def make_text(field: ContactField, *, actor: User) -> bool:
    """Let a column be text from now on, which every value is; tell whether that changed anything. Audited."""
    if not ContactField.objects.filter(pk=field.pk).exclude(kind=kinds.TEXT).update(kind=kinds.TEXT):
        return False
    organization = field.organization
    audit.record("field.made_text", actor=actor, organization=organization, subject=f"field:{field.uid}")
    return True
