"""What the words of conditions mean for one organization: its columns, tags and lists. Values are checked here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from accounts.models import Organization
from compliance import contact_fields, countries, policy
from compliance.errors import SegmentRefusedError
from compliance.models import ContactField, ContactList, Tag
from compliance.models.lists import ConsentBasis
from compliance.segments import subjects
from compliance.segments.conditions import Condition, Conditions
from compliance.segments.subjects import FIXED, OPS, OPS_OF_KIND, OWN, Op, Subject

_NUMBER: Final = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_DAYS: Final = re.compile(r"\d{1,5}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
GONE: Final = "no longer there"
JOINERS: Final = {"all": " and ", "any": " or "}


@dataclass(frozen=True)
class Vocabulary:
    """An organization's columns by uid, and those of its tags and lists that conditions name."""

    fields: dict[str, ContactField]
    tags: dict[str, Tag]
    lists: dict[str, ContactList]

    def subject(self, key: str) -> Subject | None:
        """Return what a condition is about, None when there is no such thing (any more)."""
        if key.startswith(OWN):
            field = self.fields.get(key.removeprefix(OWN))
            return Subject(field.name, OPS_OF_KIND[field.kind], "Your columns") if field else None
        return FIXED.get(key)

    def op(self, condition: Condition) -> Op | None:
        """Return the comparison of a condition, None when its subject cannot be compared so."""
        subject = self.subject(condition.subject)
        return OPS[subject.ops].get(condition.op) if subject else None

    def fault(self, condition: Condition) -> str:
        """Return what is wrong with a condition, in words; "" when it can be asked."""
        if self.subject(condition.subject) is None:
            return "What it asks for is not there any more. Take the condition out."
        op = self.op(condition)
        if op is None:
            return "Choose how to compare."
        return self._value_fault(op.takes, condition.value)

    def _value_fault(self, takes: str, value: str) -> str:
        if takes == subjects.NONE:
            return "" if not value else "This comparison takes no value."
        if takes == subjects.TAG:
            return "" if value in self.tags else "There is no such tag."
        if takes == subjects.LIST:
            return "" if value in self.lists else "Choose a list."
        if takes == subjects.BASIS:
            return "" if value in ConsentBasis.values else "Choose how they agreed."
        if takes == subjects.COUNTRY:
            return "" if value in dict(countries.choices()) else "Choose a country."
        return _plain_fault(takes, value)

    def words(self, condition: Condition) -> str:
        """Return a condition as people read it."""
        subject, op = self.subject(condition.subject), self.op(condition)
        if subject is None or op is None:
            return f"a column {GONE}" if subject is None else f"{subject.label}: asked for in a way that is {GONE}"
        shown = self._shown(op.takes, condition.value)
        if op.takes == subjects.DAYS:
            return f"{subject.label} {op.label.replace('…', shown)}"
        return f"{subject.label} {op.label} {shown}".rstrip()

    def _shown(self, takes: str, value: str) -> str:
        if takes == subjects.TAG:
            return f"“{self.tags[value].name}”" if value in self.tags else f"a tag {GONE}"
        if takes == subjects.LIST:
            return f"“{self.lists[value].name}”" if value in self.lists else f"a list {GONE}"
        if takes == subjects.BASIS:
            return f"“{dict(ConsentBasis.choices).get(value, value)}”"
        if takes == subjects.COUNTRY:
            return countries.name(value)
        return f"“{value}”" if takes == subjects.TEXT else value

    def lines(self, conditions: Conditions) -> list[str]:
        """Return conditions as people read them, a line for each group, joined by "and" or "or" in front."""
        groups = [
            JOINERS[group.match].join(self.words(condition) for condition in group.conditions)
            for group in conditions.groups
        ]
        joiner = JOINERS[conditions.match].strip()
        return [f"{joiner} {line}" if number else line for number, line in enumerate(groups)]

    def faults(self, conditions: Conditions) -> list[str]:
        """Return what of the conditions cannot be asked (any more), in words."""
        return [f"{self.words(one)}: {fault}" for one in conditions.every() if (fault := self.fault(one))]


def _plain_fault(takes: str, value: str) -> str:
    if takes == subjects.TEXT:
        return "" if value.strip() else "Enter what to compare with."
    if takes == subjects.NUMBER:
        return "" if _NUMBER.fullmatch(value) else "Enter a number like 1234 or 1234.50, of at most 30 digits."
    if takes == subjects.DAYS:
        days = int(value) if _DAYS.fullmatch(value) else 0
        return "" if 1 <= days <= policy.SEGMENT_DAYS else f"Enter a number of days, 1 to {policy.SEGMENT_DAYS:,}."
    try:
        date.fromisoformat(value if _DAY.fullmatch(value) else "")
    except ValueError:
        return "Enter a day."
    return ""


def vocabulary_of(organization: Organization, conditions: Iterable[Condition]) -> Vocabulary:
    """Return what the conditions' words mean; names of another organization mean nothing here."""
    uids = {one.value for one in conditions if one.subject in ("tag", "list") and _is_uid(one.value)}
    tags = Tag.objects.for_org(organization).filter(uid__in=uids)
    lists = ContactList.objects.for_org(organization).filter(uid__in=uids)
    return Vocabulary(
        fields={str(row.uid): row for row in contact_fields.all_of(organization)},
        tags={str(row.uid): row for row in tags},
        lists={str(row.uid): row for row in lists},
    )


def check(organization: Organization, conditions: Conditions) -> Vocabulary:
    """Return the vocabulary of conditions that can be asked; SegmentRefusedError names the first that cannot."""
    words = vocabulary_of(organization, conditions.every())
    for place, group in enumerate(conditions.groups):
        for number, condition in enumerate(group.conditions):
            if fault := words.fault(condition):
                raise SegmentRefusedError(fault, (place, number))
    return words


def _is_uid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
