"""A segment while it is written: a form whose rows come and go by submit buttons, so that it works without scripts.

Names of fields: name, match, g0-match, g0-c0-subject, g0-c0-op, g0-c0-value, g0-new (what to add), and the buttons
`act`: save, add-0 (a condition to group 0), drop-0-1 (condition 1 of group 0), group (a new group), look (count only).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from accounts.models import Organization
from compliance import contact_fields, countries, lists, policy, tags
from compliance.errors import SegmentRefusedError
from compliance.models import Segment, Tag
from compliance.models.lists import ConsentBasis
from compliance.segments import subjects
from compliance.segments.conditions import ALL, MATCHES, OP, SUBJECT, VALUE, Condition, Conditions, Group, from_json
from compliance.segments.subjects import FIXED, OPS, OWN, Op
from compliance.segments.vocabulary import Vocabulary, vocabulary_of

NAME: Final = 120
_BUTTON: Final = re.compile(r"(add|drop)-([0-9])(?:-([0-9]{1,2}))?", re.ASCII)
_INPUTS: Final = {subjects.NUMBER: "text", subjects.DATE: "date", subjects.DAYS: "number"}
Choices = list[tuple[str, str]]


@dataclass
class Row:
    """One condition on the page; `value` is what stands in its input: a tag by its name."""

    subject: str
    op: str
    value: str
    label: str
    hint: str
    ops: Choices
    takes: str
    choices: Choices
    fault: str = ""

    @property
    def input_type(self) -> str:
        """Return the kind of input for the value."""
        return _INPUTS.get(self.takes, "text")


@dataclass
class GroupRow:
    """One group on the page."""

    match: str
    rows: list[Row] = field(default_factory=list)


@dataclass
class Draft:
    """A segment as typed. `moved`: a button changed its shape, so nothing is saved and nothing blamed yet."""

    organization: Organization
    name: str = ""
    match: str = ALL
    groups: list[GroupRow] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    name_fault: str = ""
    moved: bool = False

    @classmethod
    def of(cls, organization: Organization, segment: Segment | None) -> Draft:
        """Return the page of a saved segment, or an empty one."""
        if segment is None:
            return cls(organization, groups=[GroupRow(ALL)])
        conditions = from_json(segment.conditions)
        words = vocabulary_of(organization, conditions.every())
        made = cls(organization, segment.name, conditions.match)
        for group in conditions.groups:
            made.groups.append(GroupRow(group.match, [_row(words, one, organization) for one in group.conditions]))
        made.judge()
        return made

    @classmethod
    def posted(cls, organization: Organization, data: Mapping[str, str]) -> Draft:
        """Return the page as posted, with the pressed button carried out. Reads no more fields than may be."""
        made = cls(organization, _clean(data.get("name", ""), 4 * NAME), _match(data.get("match", "")))
        read = [_read_group(data, number) for number in range(policy.SEGMENT_GROUPS) if f"g{number}-match" in data]
        typed = [_with_tag(organization, one) for _, rows in read for one in rows]
        words = vocabulary_of(organization, typed)
        for match, rows in read:
            made.groups.append(
                GroupRow(match, [_row(words, _with_tag(organization, one), organization, one.value) for one in rows])
            )
        if not made.groups:
            made.groups.append(GroupRow(ALL))
        made._press(data)
        made.judge()
        return made

    def _press(self, data: Mapping[str, str]) -> None:
        act = data.get("act", "save")
        self.moved = act != "save"
        if act == "group" and len(self.groups) < policy.SEGMENT_GROUPS:
            self.groups.append(GroupRow(ALL))
        button = _BUTTON.fullmatch(act)
        if button is None or int(button[2]) >= len(self.groups):
            return
        group = self.groups[int(button[2])]
        if button[1] == "add":
            self._add(group, data.get(f"g{button[2]}-new", ""))
        elif button[3] and int(button[3]) < len(group.rows):
            del group.rows[int(button[3])]
            self._drop_empty()

    def _add(self, group: GroupRow, subject: str) -> None:
        if sum(len(one.rows) for one in self.groups) >= policy.SEGMENT_CONDITIONS:
            self.errors.append(f"At most {policy.SEGMENT_CONDITIONS} conditions.")
            return
        words = vocabulary_of(self.organization, [])
        found = words.subject(subject[:SUBJECT])
        if found is None:
            self.errors.append("Choose what the new condition is about.")
            return
        group.rows.append(_row(words, Condition(subject, next(iter(OPS[found.ops]))), self.organization))

    def _drop_empty(self) -> None:
        self.groups = [group for group in self.groups if group.rows] or [GroupRow(ALL)]

    def conditions(self) -> Conditions:
        """Return the conditions as typed; groups without any are left out."""
        groups = [
            Group(group.match, tuple(_condition(self.organization, row) for row in group.rows))
            for group in self.groups
            if group.rows
        ]
        return Conditions(self.match, tuple(groups))

    def judge(self) -> None:
        """Write beside each condition what is wrong with it; a row just added is not blamed for being empty."""
        words = vocabulary_of(self.organization, self.conditions().every())
        for group in self.groups:
            for row in group.rows:
                fault = words.fault(_condition(self.organization, row))
                row.fault = "" if self.moved and not row.value else fault

    def is_sound(self) -> bool:
        """Tell whether it can be saved; otherwise the reasons stand in `errors` and beside the fields."""
        if not self.name:
            self.name_fault = "Enter a name."
        elif len(self.name) > NAME:
            self.name_fault = f"A name has at most {NAME} characters."
        rows = [row for group in self.groups for row in group.rows]
        if not rows:
            self.errors.append("Add at least one condition.")
        return not (self.errors or self.name_fault or any(row.fault for row in rows))

    def refuse(self, error: SegmentRefusedError) -> None:
        """Take up why it could not be saved."""
        if error.place is not None:
            self.groups[error.place[0]].rows[error.place[1]].fault = str(error)
        else:
            self.errors.append(str(error))

    @property
    def has_faults(self) -> bool:
        """Tell whether the page shows anything that is wrong."""
        return bool(self.errors or self.name_fault or any(row.fault for group in self.groups for row in group.rows))

    @property
    def may_add_group(self) -> bool:
        """Tell whether there is room for another group."""
        return len(self.groups) < policy.SEGMENT_GROUPS and all(group.rows for group in self.groups)

    def takes_changed(self, data: Mapping[str, str]) -> bool:
        """Tell whether a condition wants another input than the page that was posted shows."""
        return any(
            row.takes != data.get(f"g{place}-c{number}-takes")
            for place, group in enumerate(self.groups)
            for number, row in enumerate(group.rows)
        )

    def menu(self) -> dict[str, Choices]:
        """Return what a new condition can be about: heading -> (key, label)."""
        found: dict[str, Choices] = {}
        for key, subject in FIXED.items():
            found.setdefault(subject.group, []).append((key, subject.label))
        own = [(f"{OWN}{row.uid}", row.name) for row in contact_fields.all_of(self.organization)]
        return found | ({"Your columns": own} if own else {})

    def tag_names(self) -> list[str]:
        """Return the tags that a condition can name, where one does."""
        asked = any(row.takes == subjects.TAG for group in self.groups for row in group.rows)
        return tags.known_names(self.organization) if asked else []


def _read_group(data: Mapping[str, str], number: int) -> tuple[str, list[Condition]]:
    rows = []
    for place in range(policy.SEGMENT_CONDITIONS):
        at = f"g{number}-c{place}"
        if f"{at}-subject" in data:
            rows.append(
                Condition(
                    data[f"{at}-subject"][: SUBJECT + 1],
                    data.get(f"{at}-op", "")[: OP + 1],
                    _clean(data.get(f"{at}-value", ""), VALUE),
                )
            )
    return _match(data.get(f"g{number}-match", "")), rows


def _clean(text: str, most: int) -> str:
    """Return one line of text without what cannot be stored."""
    return " ".join(text.replace("\x00", " ").encode("utf-8", "replace").decode()[: most * 4].split())[:most]


def _match(text: str) -> str:
    return text if text in MATCHES else ALL


def _with_tag(organization: Organization, typed: Condition) -> Condition:
    """Return a condition with the uid of the tag whose name was typed."""
    if typed.subject != "tag":
        return typed
    tag = Tag.objects.for_org(organization).filter(key=tags.key_of(typed.value)).first()
    return Condition(typed.subject, typed.op, str(tag.uid) if tag else typed.value)


def _condition(organization: Organization, row: Row) -> Condition:
    # A comparison without a value drops what stood in the input before.
    value = "" if row.takes == subjects.NONE else row.value
    return _with_tag(organization, Condition(row.subject, row.op, value))


def _row(words: Vocabulary, one: Condition, organization: Organization, typed: str | None = None) -> Row:
    subject, op = words.subject(one.subject), words.op(one)
    ops: dict[str, Op] = OPS[subject.ops] if subject else {}
    takes = op.takes if op else subjects.TEXT
    value = one.value if typed is None else typed
    if takes == subjects.TAG and one.value in words.tags:
        value = words.tags[one.value].name
    return Row(
        subject=one.subject,
        op=one.op,
        value=value,
        label=subject.label if subject else "A column that is no longer there",
        hint=subject.hint if subject else "",
        ops=[(key, each.label) for key, each in ops.items()],
        takes=takes,
        choices=_choices(takes, organization),
    )


def _choices(takes: str, organization: Organization) -> Choices:
    if takes == subjects.LIST:
        return [(str(row.uid), row.name) for row in lists.open_lists(organization)[:200]]
    if takes == subjects.BASIS:
        return [(str(code), str(label)) for code, label in ConsentBasis.choices]
    return countries.choices() if takes == subjects.COUNTRY else []
