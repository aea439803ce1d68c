"""Conditions as SQL: fragments of our own words, chosen by whitelisted keys; every value is a parameter.

The fragment is a test over aliases m (compliance_listmembership), c (compliance_contact) and l
(compliance_contactlist): consent is asked of the very membership that a message would stand on. What cannot be asked
(any more) holds for nobody, also where it is negated, so that a deleted tag never widens an audience. No fragment holds
a percent sign but in the names of parameters, and the only patterns are ours and linear.
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from accounts.models import Organization
from compliance.consent import country_sql
from compliance.list_exits import left_sql
from compliance.segments.conditions import ALL, Condition, Conditions, Group
from compliance.segments.subjects import OWN
from compliance.segments.vocabulary import Vocabulary, vocabulary_of
from compliance.suppression import live_suppression_sql

_COLUMNS: Final = {
    "first_name": "c.first_name",
    "last_name": "c.last_name",
    "address": "c.address",
    "domain": "c.domain",
    "consent_at": "m.consent_at",
    "confirmed_at": "m.confirmed_at",
    "joined": "m.added_at",
}
_DAY: Final = "to_char((now() AT TIME ZONE 'UTC')::date - {0}, 'YYYY-MM-DD')"
_IS_NUMBER: Final = "~ '^-?[0-9]+([.][0-9]+)?$'"
_IS_DATE: Final = "~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'"


@dataclass(frozen=True)
class Where:
    """A SQL test with its parameters, all named seg…; `missing` says in words what could not be asked."""

    sql: str
    values: dict[str, Any]
    missing: tuple[str, ...] = ()


@dataclass
class _Writer:
    """Collects parameters while fragments are written."""

    words: Vocabulary
    values: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def value(self, value: Any) -> str:
        """Keep a value and return its placeholder."""
        name = f"seg{len(self.values)}"
        self.values[name] = value
        return f"%({name})s"

    def test(self, condition: Condition) -> str:
        """Return the SQL of one condition."""
        if fault := self.words.fault(condition):
            self.missing.append(f"{self.words.words(condition)}: {fault}")
            return "false"
        subject = self.words.subject(condition.subject)
        assert subject is not None
        return _WRITERS[subject.ops](self, condition)

    def column(self, condition: Condition) -> str:
        """Return the SQL of the value that a condition is about; a further column is looked up by its name's value."""
        if condition.subject.startswith(OWN):
            name = self.words.fields[condition.subject.removeprefix(OWN)].name
            return f"(c.fields->>{self.value(name)}::text)"
        return _COLUMNS[condition.subject]


def where_of(organization: Organization, conditions: Conditions, words: Vocabulary | None = None) -> Where:
    """Return conditions as SQL for one organization. People of the do-not-mail list are in none (UNSUB-TRANSFER)."""
    writer = _Writer(words or vocabulary_of(organization, conditions.every()))
    tests = [_group(writer, group) for group in conditions.groups]
    sql = _join(conditions.match, tests)
    suppressed = live_suppression_sql("c.address_hash", "c.organization_id")
    return Where(f"({sql} AND NOT {suppressed})", writer.values, tuple(writer.missing))


def _group(writer: _Writer, group: Group) -> str:
    return _join(group.match, [writer.test(condition) for condition in group.conditions])


def _join(match: str, tests: list[str]) -> str:
    return "(" + (" AND " if match == ALL else " OR ").join(tests) + ")"


def _text(writer: _Writer, condition: Condition) -> str:
    column = f"COALESCE({writer.column(condition)}, '')"
    if condition.op in ("filled", "empty"):
        return f"btrim({column}) {'<>' if condition.op == 'filled' else '='} ''"
    value = f"lower({writer.value(condition.value.strip())})"
    tests = {
        "is": f"lower({column}) = {value}",
        "is_not": f"lower({column}) <> {value}",
        "contains": f"position({value} in lower({column})) > 0",
        "lacks": f"position({value} in lower({column})) = 0",
        "starts": f"starts_with(lower({column}), {value})",
    }
    return f"({tests[condition.op]})"


def _number(writer: _Writer, condition: Condition) -> str:
    column = writer.column(condition)
    sound = f"COALESCE({column} {_IS_NUMBER}, false)"
    if condition.op in ("filled", "empty"):
        return sound if condition.op == "filled" else f"(NOT {sound})"
    sign = {"is": "=", "is_not": "=", "above": ">", "below": "<"}[condition.op]
    # CASE, since only it keeps the cast away from what is no number.
    test = f"(CASE WHEN {sound} THEN {column}::numeric {sign} {writer.value(condition.value)}::numeric ELSE false END)"
    return f"(NOT {test})" if condition.op == "is_not" else test


def _date(writer: _Writer, condition: Condition) -> str:
    column = writer.column(condition)
    sound = f"COALESCE({column} {_IS_DATE}, false)"
    if condition.op in ("filled", "empty"):
        return sound if condition.op == "filled" else f"(NOT {sound})"
    # Days in their one written form compare as text; nothing is cast that might be no day.
    text = f'{column} COLLATE "C"'
    if condition.op in ("last_days", "older"):
        then = _DAY.format(f"{writer.value(int(condition.value))}::int")
        test = f"{text} >= {then} AND {text} <= {_DAY.format(0)}" if condition.op == "last_days" else f"{text} < {then}"
    else:
        sign = {"on": "=", "before": "<", "after": ">"}[condition.op]
        test = f"{text} {sign} {writer.value(condition.value)}"
    return f"({sound} AND {test})"


def _yes_no(writer: _Writer, condition: Condition) -> str:
    column = f"COALESCE({writer.column(condition)}, '')"
    return f"({column} = {writer.value('' if condition.op == 'empty' else condition.op)})"


def _tag(writer: _Writer, condition: Condition) -> str:
    tag = writer.value(writer.words.tags[condition.value].pk)
    test = f"EXISTS (SELECT 1 FROM compliance_contacttag g WHERE g.tag_id = {tag}::bigint AND g.contact_id = c.id)"
    return test if condition.op == "has" else f"(NOT {test})"


def _list(writer: _Writer, condition: Condition) -> str:
    other = writer.value(writer.words.lists[condition.value].pk)
    test = f"""EXISTS (SELECT 1 FROM compliance_listmembership o
      WHERE o.contact_list_id = {other}::bigint AND o.contact_id = c.id AND NOT {left_sql("o", "c")})"""
    return test if condition.op == "on" else f"(NOT {test})"


def _basis(writer: _Writer, condition: Condition) -> str:
    sign = "=" if condition.op == "is" else "<>"
    return f"(m.basis {sign} {writer.value(condition.value)})"


def _country(writer: _Writer, condition: Condition) -> str:
    if condition.op == "unknown":
        return f"({country_sql()} = '')"
    return f"({country_sql()} {'=' if condition.op == 'is' else '<>'} {writer.value(condition.value)})"


def _instant(writer: _Writer, condition: Condition) -> str:
    column = _COLUMNS[condition.subject]
    if condition.op in ("filled", "empty"):
        return f"({column} IS {'NOT ' if condition.op == 'filled' else ''}NULL)"
    if condition.op in ("last_days", "older"):
        then = _ago(writer, condition)
        return f"COALESCE({column} {'>=' if condition.op == 'last_days' else '<'} {then}, false)"
    day = date.fromisoformat(condition.value)
    if condition.op == "before":
        return f"COALESCE({column} < {writer.value(day.isoformat())}::date AT TIME ZONE 'UTC', false)"
    after = day + timedelta(days=1) if day < date.max else day
    return f"COALESCE({column} >= {writer.value(after.isoformat())}::date AT TIME ZONE 'UTC', false)"


def _ago(writer: _Writer, condition: Condition) -> str:
    return f"now() - make_interval(days => {writer.value(int(condition.value))}::int)"


def _happened(writer: _Writer, condition: Condition) -> str:
    """Whatever list it came by: somebody mailed yesterday through one list was mailed yesterday."""
    since = "" if condition.op == "never" else _ago(writer, condition)
    if condition.subject == "bounced":
        wanted = f"AND b.at >= {since}" if since else ""
        test = f"EXISTS (SELECT 1 FROM compliance_contactbounce b WHERE b.contact_id = c.id {wanted})"
    else:
        wanted = f">= {since}" if since else "IS NOT NULL"
        test = f"""EXISTS (SELECT 1 FROM compliance_listmembership o
          WHERE o.contact_id = c.id AND o.last_contact_at {wanted})"""
    return f"({test})" if condition.op == "last_days" else f"(NOT {test})"


_WRITERS: Final[dict[str, Callable[[_Writer, Condition], str]]] = {
    "text": _text,
    "number": _number,
    "date": _date,
    "yes_no": _yes_no,
    "tag": _tag,
    "list": _list,
    "basis": _basis,
    "country": _country,
    "instant": _instant,
    "maybe_instant": _instant,
    "joined": _instant,
    "happened": _happened,
}
