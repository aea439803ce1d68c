"""Who can be mailed, as pages show it: short lists counted at once, long ones by a worker, with the moment.

A page never counts more than policy.COUNTED_AT_ONCE people (compliance.lists.few); compliance.counting keeps the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import Organization
from compliance import counting, lists, policy, suppression
from compliance.counting import Kept, Question
from compliance.models import ContactList, ImportJob, Suppression

Rows = tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Figures:
    """Counts of a list, an upload or the do-not-mail list; `rows` are (country, reason, people), None while unknown.

    `at` is None for a count of this moment. `waits`: a worker counts. `changed`: not as it was when it was counted.
    """

    rows: Rows | None = None
    at: datetime | None = None
    waits: bool = False
    failed: bool = False
    changed: bool = False

    @property
    def is_known(self) -> bool:
        """Tell whether there are figures at all, of whatever moment."""
        return self.rows is not None

    @property
    def reasons(self) -> Counter[str]:
        """Return the people under each reason; "" is mailable."""
        found: Counter[str] = Counter()
        for _, reason, people in self.rows or ():
            found[reason] += people
        return found

    @property
    def total(self) -> int:
        """Return everybody."""
        return sum(people for _, _, people in self.rows or ())

    @property
    def mailable(self) -> int:
        """Return how many can be mailed."""
        return self.reasons[""]


def of_lists(organization: Organization, rows: Sequence[ContactList]) -> dict[int, Figures]:
    """Return the figures of lists by their key; as many of the short ones as a page counts are of this moment."""
    short = _short(rows)
    found = {pk: Figures(tuple(figures)) for pk, figures in lists.breakdowns(short).items()}
    long = [row for row in rows if row.pk not in found]
    kept = counting.look(organization, [Question("list", {"list": row.pk}, (row.pk,)) for row in long]) if long else []
    return found | {row.pk: _figures(one) for row, one in zip(long, kept, strict=True)}


def _short(rows: Sequence[ContactList]) -> list[ContactList]:
    """Return the shortest lists that a page may count together."""
    found, people = [], 0
    for row in sorted(rows, key=lambda row: row.people_count):
        people += row.people_count
        if people > policy.COUNTED_AT_ONCE:
            break
        found.append(row)
    # While an upload is read, a list is longer than its number says.
    return found if lists.few(found) is not None else []


@counting.answers("list")
def _count_list(organization: Organization, asked: counting.Answer) -> counting.Answer:
    row = ContactList.objects.for_org(organization).filter(pk=asked["list"])
    return {"rows": [figures for found in lists.breakdowns(row).values() for figures in found]}


def of_import(job: ImportJob) -> Figures:
    """Return the figures of an upload's people."""
    if lists.few_of_import(job) is not None:
        return Figures(tuple(("", reason, people) for reason, people in lists.reason_counts_of_import(job).items()))
    question = Question("import", {"import": job.pk}, (job.contact_list_id,))
    return _figures(counting.look(job.organization, [question])[0])


@counting.answers("import")
def _count_import(organization: Organization, asked: counting.Answer) -> counting.Answer:
    job = ImportJob.objects.for_org(organization).select_related("contact_list").filter(pk=asked["import"]).first()
    counts = lists.reason_counts_of_import(job) if job else {}
    return {"rows": [("", reason, people) for reason, people in counts.items()]}


def of_do_not_mail(organization: Organization) -> Figures:
    """Return how many entries of the organization's own do-not-mail list are in force, by reason."""
    some = Suppression.objects.filter(organization=organization).order_by().values("pk")
    if some[: policy.COUNTED_AT_ONCE + 1].count() <= policy.COUNTED_AT_ONCE:
        return Figures(_entries(organization))
    return _figures(counting.look(organization, [Question("do_not_mail", {})])[0])


@counting.answers("do_not_mail")
def _count_do_not_mail(organization: Organization, _: counting.Answer) -> counting.Answer:
    return {"rows": _entries(organization)}


def _entries(organization: Organization) -> Rows:
    return tuple(("", words, entries) for words, entries in suppression.counts(organization))


def _figures(kept: Kept) -> Figures:
    rows = None if kept.answer is None else tuple((place, reason, n) for place, reason, n in kept.answer["rows"])
    return Figures(rows, kept.at, kept.waits, kept.failed, kept.changed)
