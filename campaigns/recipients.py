"""The people of one campaign, one by one: what became of each, through which server, when, with which words.

Reads outcomes, retries, events and traces; never counts: the figures stand in the tallies. Pages are cut by number, so
that the thousandth costs as much as the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.db import connection

from campaigns.models import Campaign, Delivery, Event, EventKind, Outcome, RelayTrace
from campaigns.sending.relays import name_of
from campaigns.stats import LEFT_OUT
from compliance.consent import WORDS
from compliance.models import Contact
from sendserver.lib.addresses import Address, parse

State = Outcome.State
PAGE: Final = 50
_HISTORY: Final = 50  # attempts, events and traces shown of one delivery, each


class Group(StrEnum):
    """Which people are shown."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    REFUSED = "refused"
    DOUBT = "in-doubt"
    FAILED = "failed"
    LEFT_OUT = "left-out"


GROUPS: Final[dict[Group, str]] = {
    Group.ACCEPTED: "Accepted by our servers",
    Group.WAITING: "Tried again later",
    Group.REFUSED: "Refused",
    Group.DOUBT: "In doubt",
    Group.FAILED: "Not written",
    Group.LEFT_OUT: "Left out",
}
WORDS_OF: Final[dict[str, tuple[str, str]]] = {  # state -> (words, colour)
    State.ACCEPTED: ("Accepted by our server", "ok"),
    State.REJECTED: ("Refused", "bad"),
    State.DEFERRED: ("Tried again later", "warn"),
    State.IN_DOUBT: ("In doubt", "warn"),
    State.SUPPRESSED: ("Said no", ""),
    State.SKIPPED: ("Left out", ""),
    State.CANCELLED: ("Stopped before", ""),
    State.RENDER_FAILED: ("Could not be written", "bad"),
}
_STATES: Final[dict[Group, tuple[str, ...]]] = {
    Group.ACCEPTED: (State.ACCEPTED,),
    Group.REFUSED: (State.REJECTED,),
    Group.DOUBT: (State.IN_DOUBT,),
    Group.FAILED: (State.RENDER_FAILED,),
}
# The newest outcome of each; `rare` lets the index of what was not accepted be used. Asked for each row, not joined.
_LATEST: Final = """
SELECT o.id, o.delivery_id FROM campaigns_outcome o
WHERE o.campaign_id = %(campaign)s AND o.state = ANY(%(states)s) AND o.id < %(before)s {rare}
  AND (SELECT n.id FROM campaigns_outcome n WHERE n.delivery_id = o.delivery_id AND n.id > o.id LIMIT 1) IS NULL
ORDER BY o.id DESC LIMIT %(limit)s
"""
_RARE: Final = "AND o.state <> 'accepted'"
_WAITING: Final = """
SELECT r.id, r.delivery_id, r.due_at, r.reason, r.relay FROM campaigns_retry r
WHERE r.campaign_id = %(campaign)s ORDER BY r.due_at, r.id LIMIT %(limit)s
"""
_LEFT: Final = """
SELECT d.id, d.id FROM campaigns_delivery d
WHERE d.campaign_id = %(campaign)s AND d.seq IS NULL AND d.id < %(before)s ORDER BY d.id DESC LIMIT %(limit)s
"""
_EVENTS: Final = {
    EventKind.BOUNCED: "Came back",
    EventKind.COMPLAINED: "Complained",
    EventKind.UNSUBSCRIBED: "Unsubscribed",
}


@dataclass
class Row:
    """One person: `person` is the contact where there is one still; `said` the server's own words."""

    address: str
    person: Contact | None
    state: str
    words: str
    colour: str
    server: str = ""
    at: datetime | None = None
    code: int | None = None
    said: str = ""
    queue_id: str = ""
    attempt: int = 0
    due_at: datetime | None = None
    marks: list[str] = field(default_factory=list)  # what came back since


@dataclass(frozen=True)
class Page:
    """Some people, and where the next ones begin (None: these are all, or all that are shown)."""

    rows: list[Row]
    following: int | None


def page(campaign: Campaign, group: Group, before: int | None = None) -> Page:
    """Return the newest people of a group with numbers under `before`; of those that wait, whoever is due first."""
    values: dict[str, Any] = {"campaign": campaign.pk, "before": before or 2**62, "limit": PAGE + 1}
    if group is Group.WAITING:
        found = _all(_WAITING, values)
        return Page(_waiting(campaign, found[:PAGE]), None)
    if group is Group.LEFT_OUT:
        found = _all(_LEFT, values)
        rows = _left_out(campaign, [pk for pk, _ in found[:PAGE]])
    else:
        rare = "" if group is Group.ACCEPTED else _RARE
        found = _all(_LATEST.format(rare=rare), {**values, "states": list(_STATES[group])})
        rows = _outcomes(campaign, [pk for pk, _ in found[:PAGE]])
    return Page(rows, found[PAGE - 1][0] if len(found) > PAGE else None)


def counts(campaign: Campaign) -> dict[Group, int]:
    """Return how many people are in each group, from the tallies."""
    sums: dict[str, int] = {}
    left = 0
    for relay, state, count in campaign.tallies.values_list("relay", "state", "count"):
        sums[state] = sums.get(state, 0) + count
        left += count if not relay and state in LEFT_OUT else 0
    return {
        Group.ACCEPTED: sums.get(State.ACCEPTED, 0),
        Group.WAITING: sums.get(State.DEFERRED, 0),
        Group.REFUSED: sums.get(State.REJECTED, 0),
        Group.DOUBT: sums.get(State.IN_DOUBT, 0),
        Group.FAILED: sums.get(State.RENDER_FAILED, 0),
        Group.LEFT_OUT: left,
    }


def find(campaign: Campaign, text: str) -> Contact | None:
    """Return the person with this address among the campaign's people; None when nobody, or not an address."""
    address = parse(text)
    if not isinstance(address, Address):
        return None
    contact = Contact.objects.for_org(campaign.organization).filter(address_key=str(address.key)).first()
    if contact is None or not Delivery.objects.filter(campaign=campaign, contact_id=contact.pk).exists():
        return None
    return contact


@dataclass(frozen=True)
class Story:
    """Everything that is known of one delivery, oldest first."""

    delivery: Delivery
    left_out: str  # why nothing was tried, "" if something was or will be
    attempts: list[Row]
    events: list[tuple[datetime, str, str]]
    traces: list[RelayTrace]
    due_at: datetime | None


def story(campaign: Campaign, contact: Contact) -> Story | None:
    """Return what became of one person's message."""
    delivery = Delivery.objects.filter(campaign=campaign, contact_id=contact.pk).first()
    if delivery is None:
        return None
    outcomes = list(Outcome.objects.filter(delivery_id=delivery.pk).order_by("pk")[:_HISTORY])
    events = Event.objects.filter(delivery_id=delivery.pk, kind__in=_EVENTS).order_by("at", "pk")[:_HISTORY]
    retry = campaign.retries.filter(delivery=delivery).first()
    return Story(
        delivery=delivery,
        left_out=_why(delivery.skip_reason),
        attempts=[_row(delivery, contact, one) for one in outcomes],
        events=[(one.at, _EVENTS[EventKind(one.kind)], str(one.detail.get("text", ""))) for one in events],
        traces=list(RelayTrace.objects.filter(delivery_id=delivery.pk).order_by("seen_at", "pk")[:_HISTORY]),
        due_at=retry.due_at if retry else None,
    )


def _why(reason: str) -> str:
    return WORDS.get(reason, (reason.replace("_", " ").capitalize(), ""))[0]


def _outcomes(campaign: Campaign, numbers: Sequence[int]) -> list[Row]:
    found = Outcome.objects.in_bulk(numbers)
    outcomes = [found[number] for number in numbers]
    deliveries, people = _people(campaign, [one.delivery_id for one in outcomes])
    marks = _marks(deliveries)
    rows = []
    for one in outcomes:
        delivery = deliveries[one.delivery_id]
        row = _row(delivery, people.get(delivery.contact_id), one)
        row.marks = marks.get(delivery.pk, [])
        rows.append(row)
    return rows


def _row(delivery: Delivery, person: Contact | None, one: Outcome) -> Row:
    words, colour = WORDS_OF.get(one.state, (one.state, ""))
    said = _why(one.reply) if one.state in LEFT_OUT else one.reply
    return Row(
        address=delivery.address,
        person=person,
        state=one.state,
        words=words,
        colour=colour,
        server=name_of(one.relay),
        at=one.at,
        code=one.code,
        said=said,
        queue_id=one.queue_id,
        attempt=one.attempt,
    )


def _waiting(campaign: Campaign, found: Sequence[Any]) -> list[Row]:
    deliveries, people = _people(campaign, [pk for _, pk, *_ in found])
    return [
        Row(
            address=deliveries[pk].address,
            person=people.get(deliveries[pk].contact_id),
            state=State.DEFERRED,
            words="Tried again later",
            colour="warn",
            server=name_of(relay),
            said=reason,
            due_at=due_at,
        )
        for _, pk, due_at, reason, relay in found
    ]


def _left_out(campaign: Campaign, numbers: Sequence[int]) -> list[Row]:
    deliveries, people = _people(campaign, numbers)
    return [
        Row(
            address=deliveries[pk].address,
            person=people.get(deliveries[pk].contact_id),
            state=State.SKIPPED,
            words="Left out",
            colour="",
            said=_why(deliveries[pk].skip_reason),
        )
        for pk in numbers
    ]


def _people(campaign: Campaign, numbers: Iterable[int]) -> tuple[dict[int, Delivery], dict[int, Contact]]:
    """Return deliveries by number, and the organization's contacts that are there still, by theirs."""
    deliveries = Delivery.objects.filter(campaign=campaign).in_bulk(list(numbers))
    contacts = Contact.objects.for_org(campaign.organization)
    return deliveries, contacts.in_bulk([one.contact_id for one in deliveries.values()])


def _marks(deliveries: Iterable[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    events = Event.objects.filter(delivery_id__in=list(deliveries), kind__in=_EVENTS).order_by("pk")
    for delivery_id, kind in events.values_list("delivery_id", "kind"):
        mark = _EVENTS[EventKind(kind)]
        if delivery_id is not None and mark not in found.setdefault(delivery_id, []):
            found[delivery_id].append(mark)
    return found


def _all(statement: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()
