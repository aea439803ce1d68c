"""The first people of a new or risky list: they are mailed, the rest waits, and goes on only if nothing bad came back.

Chunks of the rest are written in state LATER, which no lane claims. `look` watches from the beat: sample sent ->
wait -> judge -> release the rest by one conditional UPDATE, or brake and call a person. Who is in the sample is drawn
at planning (campaigns.planning), across domains and by a keyed order, so nobody can put good addresses in front.
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

from accounts import audit
from accounts.models import User
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
    S.WAITING: frozenset({S.CLEAN, S.FAILED}),
    S.FAILED: frozenset({S.RELEASED}),  # a person lifted the brake
    S.CLEAN: frozenset(),
    S.RELEASED: frozenset(),
}
# uploads.sample_size() in SQL, of a column `people`; all of a small number. Our own numbers, never data.
SIZE_SQL: Final = (
    f"(CASE WHEN people < {policy.CANARY_FROM} THEN people ELSE "
    f"LEAST({policy.CANARY_MAX}, GREATEST({policy.CANARY_MIN}, ceil({policy.CANARY_SHARE} * people)::bigint)) END)"
)
AGAIN: Final = timedelta(hours=1)  # when most of the sample has no answer yet
_RUNNING: Final = (CampaignState.SENDING, CampaignState.PAUSED)
_FOUND: Final = """
SELECT (SELECT count(*) FROM delivery_state s WHERE s.campaign_id = %(campaign)s AND s.seq <= %(size)s
          AND s.state IN ('accepted', 'rejected')),
       (SELECT count(DISTINCT e.delivery_id) FROM campaigns_event e JOIN campaigns_delivery d ON d.id = e.delivery_id
        WHERE e.campaign_id = %(campaign)s AND d.seq <= %(size)s AND e.kind = 'bounced'
          AND e.bounce_class LIKE 'hard%%'),
       (SELECT count(DISTINCT e.delivery_id) FROM campaigns_event e JOIN campaigns_delivery d ON d.id = e.delivery_id
        WHERE e.campaign_id = %(campaign)s AND d.seq <= %(size)s AND e.kind = 'complained')
"""


@dataclass(frozen=True)
class Found:
    """What came of a sample: people with an answer, dead addresses and complaints among them."""

    answered: int
    bounced: int
    complained: int


def salt(campaign: Campaign) -> bytes:
    """Return the secret order of a campaign's sample."""
    secret = next(iter(settings.SUPPRESSION_KEYS.values()))
    return hmac.new(secret, b"canary" + campaign.uid.bytes, hashlib.sha256).digest()


def begin(campaign: Campaign, found: uploads.Unproven, people: int) -> Canary | None:
    """Write down that the first of `people` from unproven uploads go first; None when all of them do."""
    size = uploads.sample_size(people)
    if size >= people:
        return None
    row = Canary.objects.create(
        campaign=campaign, size=size, waits=people - size, reason=found.reason, import_ids=list(found.job_ids)
    )
    before = Canary.objects.filter(
        campaign__organization=campaign.organization, state=S.FAILED, import_ids__overlap=list(found.job_ids)
    ).first()
    if before is not None and before.brake is not None:
        brakes.set_brake(before.brake.kind, before.brake.reason, campaign=campaign)
    return row


def move(row: Canary, target: str, *, actor: User | None, reason: str, **fields: Any) -> bool:
    """Move a canary, audited; False when another beat was faster. TransitionRefusedError without such an arrow."""
    states.require(TRANSITIONS, row.state, target)
    with transaction.atomic():
        if not Canary.objects.filter(pk=row.pk, state=row.state).update(state=target, **fields):
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
    rows = Canary.objects.filter(campaign__state__in=_RUNNING).exclude(state__in=[S.CLEAN, S.RELEASED])
    for row in rows.select_related("campaign__organization", "brake"):
        if row.state == S.SENDING and _is_sent(row):
            until = clock.now() + timedelta(hours=policy.CANARY_WAIT_H)
            move(row, S.WAITING, actor=None, reason="The first people are served", until=until)
        elif row.state == S.WAITING and row.until is not None and row.until <= clock.now():
            _judge(row)
        elif row.state == S.FAILED and row.brake is not None and row.brake.lifted_at is not None:
            _release(row, S.RELEASED, actor=row.brake.lifted_by, reason="Looked at by a person")


def _is_sent(row: Canary) -> bool:
    chunks = Chunk.objects.filter(campaign=row.campaign, last_seq__lte=row.size)
    return not chunks.exclude(state=Chunk.State.DONE).exists()


def found_of(row: Canary) -> Found:
    """Return what came of a sample so far."""
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, {"campaign": row.campaign_id, "size": row.size})
        return Found(*cursor.fetchone())


def against(found: Found) -> tuple[str, str] | None:
    """Return the kind of brake and the reason that speak against going on; None when the sample is clean. Pure."""
    if found.complained >= policy.CANARY_COMPLAINTS:
        text = f"{found.complained} of the first {found.answered} people complained, so the rest was not mailed."
        return Brake.Kind.COMPLAINTS, text
    if at_least(found.bounced, found.answered) >= policy.HB_PAUSE:
        text = f"{found.bounced} of the first {found.answered} addresses do not exist, so the rest was not mailed."
        return Brake.Kind.BOUNCES, text
    return None


def _judge(row: Canary) -> None:
    found = found_of(row)
    if 2 * found.answered < row.size and Retry.objects.filter(campaign=row.campaign).exists():
        Canary.objects.filter(pk=row.pk, state=S.WAITING).update(until=clock.now() + AGAIN)
        return
    bad = against(found)
    if bad is None:
        _release(row, S.CLEAN, actor=None, reason=f"Of the first {found.answered:,} people nothing bad came back")
        return
    with transaction.atomic():
        brake = brakes.set_brake(bad[0], bad[1], campaign=row.campaign)
        move(row, S.FAILED, actor=None, reason=bad[1], brake=brake)


def _release(row: Canary, target: str, *, actor: User | None, reason: str) -> None:
    """Let the rest go: its chunks become ready once, with the row's move, in one transaction."""
    with transaction.atomic():
        if not move(row, target, actor=actor, reason=reason):
            return
        Chunk.objects.filter(campaign=row.campaign, state=Chunk.State.LATER).update(state=Chunk.State.READY)
        uploads.mark_proven(row.import_ids)
        poke_after_commit(KEYS)
