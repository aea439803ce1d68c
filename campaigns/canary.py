"""The first people of a new or risky list: they are mailed, the rest waits, and goes on only if nothing bad came back.

Chunks of the rest are written in state LATER, which no lane claims. `look` watches from the beat: sample sent ->
wait -> judge -> release the next part of the rest (5, 25, 100 %), wait and judge again; or brake and call a person. Who
is in the sample and in each part is drawn at planning (campaigns.planning) by a keyed order, so nobody can put good
addresses in front. Small uploads have no sample; several of one organization count as one list.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from accounts import audit
from accounts.models import Organization, User
from campaigns import brakes
from campaigns.models import Brake, Campaign, CampaignState, Canary, Chunk, Retry
from campaigns.sending.poke import poke_after_commit
from campaigns.sending.relays import KEYS
from compliance import policy
from compliance.provenance import canary as uploads
from compliance.provenance.score import at_least
from sendserver.lib import clock, states

S = Canary.State
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    S.SENDING: frozenset({S.WAITING}),
    S.WAITING: frozenset({S.SENDING, S.CLEAN, S.FAILED}),  # SENDING: the next part
    S.FAILED: frozenset({S.RELEASED}),  # a person lifted the brake
    S.CLEAN: frozenset(),
    S.RELEASED: frozenset(),
}
# uploads.sample_size() in SQL, of a column `people` and a parameter `pooled`. Our own numbers, never data.
SIZE_SQL: Final = (
    f"(CASE WHEN people + %(pooled)s < {policy.CANARY_FROM} THEN people ELSE LEAST({policy.CANARY_MAX}, GREATEST("
    f"LEAST({policy.CANARY_MIN}, ceil({policy.CANARY_MIN} * people / {policy.CANARY_FROM}.0)::bigint), "
    f"ceil({policy.CANARY_SHARE} * people)::bigint)) END)"
)
AGAIN: Final = timedelta(hours=1)  # when most of the sample has no answer yet
_LOCK: Final = 7_316_305
_RUNNING: Final = (CampaignState.SENDING, CampaignState.PAUSED)
# `above`: behind this number stand those who wait; of them `gone` were let go.
_MAILED: Final = "(d.seq <= %(size)s OR (d.seq > %(above)s AND d.seq <= %(above)s + %(gone)s))"
_EVENTS: Final = f"""SELECT count(DISTINCT e.delivery_id) FROM campaigns_event e
  JOIN campaigns_delivery d ON d.id = e.delivery_id WHERE e.campaign_id = %(campaign)s AND {_MAILED}"""  # noqa: S608
_FOUND: Final = f"""
SELECT (SELECT count(*) FROM delivery_state d WHERE d.campaign_id = %(campaign)s AND {_MAILED}
          AND d.state IN ('accepted', 'rejected')),
       ({_EVENTS} AND e.kind = 'bounced' AND e.bounce_class LIKE 'hard%%'),
       ({_EVENTS} AND e.kind = 'complained')
"""  # noqa: S608


@dataclass(frozen=True)
class Found:
    """What came back of those mailed so far: people with an answer, dead addresses and complaints among them."""

    answered: int
    bounced: int
    complained: int

    def __add__(self, other: Found) -> Found:
        return Found(self.answered + other.answered, self.bounced + other.bounced, self.complained + other.complained)


def salt(campaign: Campaign) -> bytes:
    """Return the secret order of a campaign's sample."""
    secret = next(iter(settings.SUPPRESSION_KEYS.values()))
    return hmac.new(secret, b"canary" + campaign.uid.bytes, hashlib.sha256).digest()


def pooled(organization: Organization, found: uploads.Unproven) -> int:
    """Return how many people of other small uploads went without a sample of late (reliability 5.4: one risk budget).

    Holds the organization's lock to the transaction's end, so that two plans at once see each other.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, organization.pk])
    sizes: dict[tuple[int, ...], int] = {}
    for row in _pool(organization, found.job_ids):
        key = tuple(row.import_ids)
        sizes[key] = max(sizes.get(key, 0), row.size)  # (several campaigns to the same people)
    return sum(sizes.values())


def _pool(organization: Organization, job_ids: tuple[int, ...] | list[int]) -> QuerySet[Canary]:
    since = clock.now() - timedelta(days=policy.LIST_POOL_D)
    rows = Canary.objects.filter(campaign__organization=organization, waits=0, created_at__gt=since)
    return rows.exclude(import_ids__overlap=list(job_ids)).exclude(state=S.RELEASED).select_related("campaign")


def begin(campaign: Campaign, found: uploads.Unproven, people: int, before: int) -> Canary | None:
    """Write down that the first of `people` from unproven uploads go first; all of them where they are few.

    `before` is what `pooled` said. None when nobody of these uploads is mailed.
    """
    if not people:
        return None
    size = min(people, uploads.sample_size(people, before))
    others = ", and others came these days" if before and people < policy.CANARY_FROM else ""
    row = Canary.objects.create(
        campaign=campaign,
        size=size,
        waits=people - size,
        steps=uploads.steps(people, size) if size < people else [],
        reason=found.reason + others,
        import_ids=list(found.job_ids),
    )
    failed = Canary.objects.filter(
        campaign__organization=campaign.organization, state=S.FAILED, import_ids__overlap=list(found.job_ids)
    ).first()
    if failed is not None and failed.brake is not None:
        brakes.set_brake(failed.brake.kind, failed.brake.reason, campaign=campaign)
    return row


def move(row: Canary, target: str, *, actor: User | None, reason: str, **fields: Any) -> bool:
    """Move a canary, audited; False when another beat was faster. TransitionRefusedError without such an arrow."""
    states.require(TRANSITIONS, row.state, target)
    with transaction.atomic():
        if not Canary.objects.filter(pk=row.pk, state=row.state, step=row.step).update(state=target, **fields):
            return False
        campaign = row.campaign
        audit.record(
            "canary.moved",
            actor=actor,
            organization=campaign.organization,
            subject=f"campaign:{campaign.uid}",
            reason=reason,
            detail={"from": str(row.state), "to": str(target)},
        )
    row.refresh_from_db()
    return True


def look() -> None:
    """Look after every sample that is on its way; harmless at any time and twice."""
    watched = Q(campaign__state__in=_RUNNING) | Q(waits=0, campaign__state=CampaignState.SENT)
    rows = Canary.objects.filter(watched).exclude(state__in=[S.CLEAN, S.RELEASED])
    for row in rows.select_related("campaign__organization", "brake"):
        if row.state == S.SENDING and _is_sent(row):
            until = clock.now() + timedelta(hours=policy.CANARY_WAIT_H)
            reason = "The next people are served" if row.step else "The first people are served"
            move(row, S.WAITING, actor=None, reason=reason, until=until)
        elif row.state == S.WAITING and row.until is not None and row.until <= clock.now():
            _judge(row)
        elif row.state == S.FAILED and row.brake is not None and row.brake.lifted_at is not None:
            _release(row, S.RELEASED, actor=row.brake.lifted_by, reason="Looked at by a person")


def gone(row: Canary) -> int:
    """Return how many of those who waited were let go so far."""
    return _ends(row)[row.step - 1] if row.step else 0


@dataclass(frozen=True)
class Shown:
    """What pages say of a sample: how many were let go, how many wait, and how many of those are next."""

    row: Canary
    served: int
    left: int
    next: int
    is_last: bool  # the next part is the last


def shown(campaign: Campaign) -> Shown | None:
    """Return that of a campaign; None where all go at once and nothing bad came back."""
    row = Canary.objects.filter(campaign=campaign).select_related("brake", "campaign").first()
    if row is None or (not row.waits and row.state != S.FAILED):
        return None
    out = gone(row) if row.state not in (S.CLEAN, S.RELEASED) else row.waits
    return Shown(row, row.size + out, row.waits - out, next_part(row), row.step + 1 >= len(_ends(row)))


def next_part(row: Canary) -> int:
    """Return how many people the next part has; 0 behind the last."""
    ends = _ends(row)
    return ends[row.step] - gone(row) if row.step < len(ends) else 0


def _ends(row: Canary) -> list[int]:
    return row.steps or [row.waits]  # rows from before there were parts


def _above(row: Canary) -> int:
    return row.campaign.mailable_count - row.waits


def _is_sent(row: Canary) -> bool:
    above = _above(row)
    mine = Q(last_seq__lte=row.size) | Q(first_seq__gt=above, last_seq__lte=above + gone(row))
    return not Chunk.objects.filter(mine, campaign=row.campaign).exclude(state=Chunk.State.DONE).exists()


def found_of(row: Canary) -> Found:
    """Return what came back so far of the sample and the parts that were let go."""
    values = {"campaign": row.campaign_id, "size": row.size, "above": _above(row), "gone": gone(row)}
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, values)
        return Found(*cursor.fetchone())


def found_with_pool(row: Canary) -> Found:
    """Return the same, for few people together with the other small uploads of these days."""
    total = found_of(row)
    if row.size + row.waits < policy.CANARY_FROM:
        for other in _pool(row.campaign.organization, row.import_ids):
            total += found_of(other)
    return total


def against(found: Found, *, is_few: bool = False) -> tuple[str, str] | None:
    """Return the kind of brake and the reason that speak against going on; None when nothing does. Pure.

    Complaints: CANARY_COMPLAINTS among up to CANARY_MAX people, the same share of more. Where that is many, the
    brake of abuse.reputation (L_PAUSE) has long stopped the campaign. Dead addresses of a few people who all went at
    once (`is_few`) say nothing.
    """
    most = policy.CANARY_COMPLAINTS * max(found.answered, policy.CANARY_MAX)
    if found.complained * policy.CANARY_MAX >= most:
        return Brake.Kind.COMPLAINTS, f"{found.complained} of the first {found.answered:,} people complained."
    if not is_few and at_least(found.bounced, found.answered) >= policy.HB_PAUSE:
        return Brake.Kind.BOUNCES, f"{found.bounced} of the first {found.answered:,} addresses do not exist."
    return None


def _judge(row: Canary) -> None:
    found = found_with_pool(row)
    if 2 * found.answered < row.size + gone(row) and Retry.objects.filter(campaign=row.campaign).exists():
        Canary.objects.filter(pk=row.pk, state=S.WAITING).update(until=clock.now() + AGAIN)
        return
    bad = against(found, is_few=not row.waits and found.answered < policy.CANARY_MIN)
    if bad is None:
        _go_on(row, f"Of the first {found.answered:,} people nothing bad came back")
        return
    reason = bad[1] if not row.waits else f"{bad[1][:-1]}, so the rest was not mailed."
    with transaction.atomic():
        brake = brakes.set_brake(bad[0], reason, campaign=row.campaign)
        move(row, S.FAILED, actor=None, reason=reason, brake=brake)


def _go_on(row: Canary, reason: str) -> None:
    """Let the next part go, the last one for good."""
    ends = _ends(row)
    if row.step + 1 >= len(ends):
        _release(row, S.CLEAN, actor=None, reason=reason)
        return
    with transaction.atomic():
        if move(row, S.SENDING, actor=None, reason=reason, step=row.step + 1, until=None):
            up_to = _above(row) + gone(row)
            later = Chunk.objects.filter(campaign=row.campaign, state=Chunk.State.LATER, last_seq__lte=up_to)
            later.update(state=Chunk.State.READY)
            poke_after_commit(KEYS)


def _release(row: Canary, target: str, *, actor: User | None, reason: str) -> None:
    """Let the rest go: its chunks become ready once, with the row's move, in one transaction."""
    with transaction.atomic():
        if not move(row, target, actor=actor, reason=reason):
            return
        Chunk.objects.filter(campaign=row.campaign, state=Chunk.State.LATER).update(state=Chunk.State.READY)
        uploads.mark_proven(row.import_ids)
        poke_after_commit(KEYS)
