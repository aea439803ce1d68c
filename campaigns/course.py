"""How a campaign on its way gets on: its pace now, when it ends, whose turn it is, and what slows it, until when.

Nothing is counted that grows with the campaign: the newest outcomes, a few rows of pace, ends of an index. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import F, Sum
from django.db.models.functions import Now

from accounts import allowance
from campaigns.models import Campaign, CampaignState, Chunk, Pace, RelayState, Retry, Usage
from campaigns.providers import name_of
from campaigns.sending import tokens, turns
from campaigns.sending.turns import CHUNK, RETRY, Look
from sendserver.lib import clock

NEWEST: Final = 20_000  # outcomes of all campaigns that the pace is read from
RECENT: Final = timedelta(minutes=1)
LOOKED_AT: Final = 1000  # waiting campaigns among which a place is shown
COUNTED: Final = 1000  # retries that are counted; above it is "more than"
NEAR_LIMIT: Final = 0.8  # of a limit: from here on the limit is what slows
# Both bounds are in the index, so only the newest are read, whatever the planner believes of a campaign that it has not
# met yet. `begun`: when the oldest of the NEWEST was written, by whichever campaign.
_NEWEST: Final = """
SELECT (SELECT count(*) FROM campaigns_outcome
        WHERE campaign_id = %(campaign)s AND id > %(after)s AND at > %(since)s AND relay <> ''),
       (SELECT at FROM campaigns_outcome WHERE id <= %(after)s ORDER BY id DESC LIMIT 1)
"""
_RETRIES: Final = """
SELECT (SELECT count(*) FROM (SELECT FROM campaigns_retry WHERE campaign_id = %(campaign)s LIMIT %(most)s) AS counted),
       (SELECT min(due_at) FROM campaigns_retry WHERE campaign_id = %(campaign)s),
       (SELECT max(due_at) FROM campaigns_retry WHERE campaign_id = %(campaign)s)
"""


@dataclass(frozen=True)
class Slowing:
    """One thing that slows a campaign; `until` is None where nobody knows."""

    text: str
    until: datetime | None = None


@dataclass(frozen=True)
class Waiting:
    """Messages that wait for their time: at most COUNTED are counted (`more`: there are others)."""

    people: int
    more: bool
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class Course:
    """What the sending page says of a campaign on its way."""

    per_minute: int  # over the last minute
    seconds_left: int | None  # None: nothing sure can be said
    place: int | None  # organizations whose turn comes before this one's; None: nothing of it waits for a turn
    sharing: int  # organizations that have work for the servers now, this one included
    waiting: Waiting
    slowing: tuple[Slowing, ...]


def course(campaign: Campaign, to_do: int) -> Course | None:
    """Return how a campaign gets on, None unless it is being sent; `to_do` people have no final outcome."""
    if campaign.state != CampaignState.SENDING:
        return None
    rate, waiting, room = _per_minute(campaign), _waiting(campaign), _room(campaign)
    untried = min(to_do, _unclaimed(campaign))
    place, sharing = _place(campaign)
    return Course(
        per_minute=rate,
        seconds_left=_seconds_left(campaign, to_do, untried - room, rate, waiting),
        place=place,
        sharing=sharing,
        waiting=waiting,
        slowing=tuple(_slowing(campaign, rate, untried, room, (place, sharing))),
    )


def _per_minute(campaign: Campaign) -> int:
    """Return messages a minute in the last minute, or for as long as it is sent or the newest outcomes reach back."""
    now = clock.now()
    since = max(now - RECENT, campaign.started_at or now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(max(id), 0) FROM campaigns_outcome")
        after = cursor.fetchone()[0] - NEWEST
        cursor.execute(_NEWEST, {"campaign": campaign.pk, "after": after, "since": since})
        count, begun = cursor.fetchone()
    seconds = (now - max(since, begun or since)).total_seconds()
    return round(60 * count / max(1.0, seconds))


def _waiting(campaign: Campaign) -> Waiting:
    with connection.cursor() as cursor:
        cursor.execute(_RETRIES, {"campaign": campaign.pk, "most": COUNTED + 1})
        count, first, last = cursor.fetchone()
    return Waiting(min(count, COUNTED), count > COUNTED, first, last)


def _room(campaign: Campaign) -> int:
    """Return how many people the organization may still begin to mail today."""
    used = Usage.objects.filter(organization=campaign.organization, day=clock.now().date()).first()
    return max(0, allowance.today(campaign.organization) - (used.count if used else 0))


def _unclaimed(campaign: Campaign) -> int:
    """Return how many people wait for a lane to take them; who was put off counts for today's allowance already."""
    ready = Chunk.objects.filter(campaign=campaign, state=Chunk.State.READY)
    return ready.aggregate(n=Sum(F("last_seq") - F("first_seq") + 1))["n"] or 0


def _place(campaign: Campaign) -> tuple[int | None, int]:
    """Return (organizations in front, organizations that share), at the relay where its turn comes first."""
    found: list[int] = []
    sharing: set[int] = set()
    for key in settings.RELAYS:
        look = Look(key, [key], (CHUNK, RETRY), (), (), most=LOOKED_AT)
        order = list(dict.fromkeys(turn.organization_id for turn in turns.waiting(look)))
        sharing.update(order)
        if campaign.organization_id in order:
            found.append(order.index(campaign.organization_id))
    return min(found, default=None), len(sharing | {campaign.organization_id})


def _seconds_left(campaign: Campaign, to_do: int, beyond: int, rate: int, waiting: Waiting) -> int | None:
    """Return the seconds until the last message at the present pace; `beyond` people exceed today's allowance."""
    if waiting.last is not None and not waiting.more and to_do <= waiting.people:  # nobody else is left
        return max(0, int((waiting.last - clock.now()).total_seconds()))
    daily = allowance.today(campaign.organization)
    if not rate or (beyond > 0 and not daily):
        return None
    seconds = 60 * to_do // rate
    if beyond > 0:
        midnight = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        whole_days = ceil(beyond / daily) - 1
        seconds = max(seconds, int((midnight - clock.now()).total_seconds()) + 86_400 * whole_days)
    if waiting.last is not None:
        seconds = max(seconds, int((waiting.last - clock.now()).total_seconds()))
    return seconds


def _slowing(campaign: Campaign, rate: int, untried: int, room: int, turn: tuple[int | None, int]) -> Iterator[Slowing]:
    yield from _relays_away()
    if untried > room:
        midnight = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        yield Slowing(f"Your allowance has room for {room:,} more today; the rest goes on tomorrow", midnight)
    yield from _providers(campaign)
    yield from _paces(rate)
    place, sharing = turn
    if sharing > 1:
        others = "1 other organization" if sharing == 2 else f"{sharing - 1} other organizations"
        mine = "" if place is None else " Yours is next." if not place else f" {place} before yours."
        yield Slowing(f"Our servers take turns with {others}.{mine}")


def _relays_away() -> Iterator[Slowing]:
    states = {row.key: row for row in RelayState.objects.all()}
    for key, relay in settings.RELAYS.items():
        row, name = states.get(key), relay.name.partition(".")[0]
        if row is not None and row.paused_at is not None:
            then = "the other one does its work" if row.drains else "what was planned for it waits"
            yield Slowing(f"Our server {name} is paused by our staff; {then}")
        elif row is not None and row.open_until is not None and row.open_until > clock.now():
            yield Slowing(f"Our server {name} does not take mail; it is asked again", row.open_until)


def _providers(campaign: Campaign) -> Iterator[Slowing]:
    if not Retry.objects.filter(campaign=campaign).exists():
        return
    mine = Pace.objects.filter(key__startswith="queue:", key__endswith=f":{campaign.organization_id}")
    for row in mine.filter(paused_until__gt=Now()).order_by("paused_until"):
        provider = name_of(row.key.split(":")[1])
        yield Slowing(f"{provider} asked for less mail from you; its readers wait", row.paused_until)
    for row in mine.filter(free_at__gt=Now()).exclude(paused_until__gt=Now()).order_by("free_at"):
        provider, limit = row.key.split(":")[1], tokens.queue_rate(row.key.split(":")[1])
        yield Slowing(f"{name_of(provider)} gets at most {limit:g} a second; its readers wait their turn", row.free_at)


def receiver_states(organization_id: int) -> dict[str, tuple[str, str]]:
    """Return (words, kind) for each receiver that does not get an organization's mail at its own pace, by name."""
    mine = Pace.objects.filter(key__startswith="queue:", key__endswith=f":{organization_id}")
    found = {}
    for row in mine.filter(free_at__gt=Now()):
        found[name_of(row.key.split(":")[1])] = ("In a queue", "info")
    for row in mine.filter(paused_until__gt=Now()):
        found[name_of(row.key.split(":")[1])] = ("Slowed, asked by receiver", "warn")
    return found


def _paces(rate: int) -> Iterator[Slowing]:
    """Name a limit of ours that the campaign comes near to."""
    limits = [relay.rate for relay in settings.RELAYS.values()]
    if all(limits) and rate >= NEAR_LIMIT * 60 * sum(limits):
        yield Slowing(f"Our servers send at most {sum(limits):g} a second together")
    own: float = settings.PACE["organization"]
    if own and rate >= NEAR_LIMIT * 60 * own:
        yield Slowing(f"One organization's mail goes at no more than {own:g} a second")
