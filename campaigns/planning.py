"""Planning: freeze who gets a campaign, once, in one transaction.

Everybody on the chosen lists gets one delivery row; those who may not be mailed carry the reason and no number, so
that planned = sum of outcomes. The numbered rest is cut into chunks dealt to the two relays in turn. Nothing is sent
here, and nothing is decided about content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from accounts import audit
from campaigns import approve, brakes, canary, lifecycle, narrowing
from campaigns.errors import CampaignError
from campaigns.models import Brake, Campaign, CampaignState, Canary, Chunk
from campaigns.sending.poke import poke_after_commit
from campaigns.sending.relays import KEYS
from compliance import registers
from compliance.consent import mailable_sql
from compliance.provenance.canary import Unproven, unproven
from compliance.suppression import live_suppression_sql
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError

SMALLEST_CHUNK: Final = 10  # people; an audience of more than this goes over both relays
LATE_AFTER: Final = timedelta(hours=6)  # a start missed by more waits for a person (offers age; restored copies wake)
_LOCK: Final = 7_316_304

# One person on several lists is one delivery, by the membership that permits it best.
_AUDIENCE: Final = """
WITH audience AS (
  SELECT DISTINCT ON (c.id) c.id, c.address, m.import_job_id, c.address_hash, c.domain, m.id AS membership_id,
         c.fields || jsonb_build_object('first_name', c.first_name, 'last_name', c.last_name, 'email', c.address)
           AS merge,
         CASE WHEN {suppressed} THEN 'suppressed' ELSE {reason} END AS skip_reason
  FROM campaigns_campaign_lists chosen
  JOIN compliance_contactlist l ON l.id = chosen.contactlist_id AND l.organization_id = %(organization)s
  JOIN compliance_listmembership m ON m.contact_list_id = l.id
  JOIN compliance_contact c ON c.id = m.contact_id AND c.organization_id = %(organization)s
  WHERE chosen.campaign_id = %(campaign)s{only}
  ORDER BY c.id, ({reason} <> ''), m.consent_at DESC NULLS LAST, m.id
), ordered AS (
  SELECT audience.*, {wave} AS wave FROM audience{places}
)
"""
# Everybody in the order of their contacts, which is that of the audience already: no sort of a million for a number.
_IN_A_ROW: Final = "count(*) FILTER (WHERE skip_reason = '') OVER (ORDER BY id ROWS UNBOUNDED PRECEDING)"
_WRITTEN: Final = """, written AS (
  INSERT INTO campaigns_delivery
    (campaign_id, organization_id, seq, contact_id, address, address_hash, domain, merge, membership_id, skip_reason)
  SELECT %(campaign)s, %(organization)s, CASE WHEN skip_reason = '' THEN {number} END,
         id, address, address_hash, domain, merge, membership_id, skip_reason
  FROM ordered RETURNING skip_reason
)
SELECT skip_reason, count(*), ({sampled}) FROM written GROUP BY skip_reason
"""
# Where a sample goes first (campaigns.canary): 0 is the sample, 1 whom it does not speak for, 2 the rest. Every n-th
# of the people in question, in an order by domain that only we can compute: spread over domains, foreseen by nobody.
_WAVE: Final = f"""CASE WHEN place IS NULL THEN 1
  WHEN place * {canary.SIZE_SQL} / people > (place - 1) * {canary.SIZE_SQL} / people THEN 0 ELSE 2 END"""
_PLACES: Final = """
  LEFT JOIN (SELECT id AS sampled_id, count(*) OVER () AS people, row_number() OVER (
               ORDER BY sha256(%(salt)s || convert_to(domain, 'UTF8')), sha256(%(salt)s || address_hash), id) AS place
             FROM audience WHERE skip_reason = '' AND import_job_id = ANY(%(jobs)s)) AS places
         ON sampled_id = audience.id"""
_SAMPLED: Final = "SELECT count(*) FROM ordered WHERE wave <> 1"
# The rest goes in parts, each a random one of the rest.
_BY_WAVES: Final = """row_number() OVER (PARTITION BY skip_reason = ''
  ORDER BY wave, CASE WHEN wave = 2 THEN sha256(%(salt)s || 'rest'::bytea || address_hash) END, id)"""
_CHUNKS: Final = """
INSERT INTO campaigns_chunk
  (campaign_id, organization_id, first_seq, last_seq, relay, state, fence, lease_until, owner_host, owner_boot,
   owner_pid, owner_started, claims, reserved, deaths)
SELECT %(campaign)s, %(organization)s, first, LEAST(first + %(size)s - 1, %(last)s),
       (%(relays)s::text[])[1 + ((first - %(first)s) / %(size)s) %% 2], %(state)s, 0, NULL, '', '', NULL, '', 0, 0, 0
FROM generate_series(%(first)s, %(last)s, %(size)s) AS first
"""


@dataclass(frozen=True)
class PlanResult:
    """The frozen audience: `left_out` maps a reason to people. `is_new` is False when it was planned before."""

    planned: int
    mailable: int
    left_out: dict[str, int] = field(default_factory=dict)
    is_new: bool = True


def plan(campaign: Campaign) -> PlanResult:
    """Write the deliveries and chunks of a campaign in state PLANNING and move it on; harmless to call twice.

    Two planners at once wait for each other, and the second finds the plan made; one that is killed leaves nothing.
    A campaign that is not what was approved any more becomes a draft again, for a fresh look (decision 0042).
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, campaign.pk % 2**31])
            campaign.refresh_from_db()
            if campaign.state != CampaignState.PLANNING:
                return PlanResult(campaign.planned_count, campaign.mailable_count, is_new=False)
            return _plan(campaign)
    except NotAsApprovedError as error:
        return _give_back(campaign, str(error))


class NotAsApprovedError(CampaignError):
    """The audience is not the one that was approved; the text says how, for the author. Nothing of a plan is kept."""


def _give_back(campaign: Campaign, reason: str) -> PlanResult:
    campaign.refresh_from_db()
    with suppress(TransitionRefusedError):  # somebody stopped it meanwhile
        approve.give_back(campaign, reason)
    return PlanResult(0, 0, is_new=False)


def _plan(campaign: Campaign) -> PlanResult:
    registers.check_new()
    if against := approve.against_approval(campaign):
        raise NotAsApprovedError(against)
    first = unproven(list(campaign.lists.all()))
    before = canary.pooled(campaign.organization, first) if first else 0
    counts, sampled = _write_deliveries(campaign, first, before)
    mailable = counts.pop("", 0)
    if more := approve.too_many(campaign, mailable):
        raise NotAsApprovedError(more)
    result = PlanResult(mailable + sum(counts.values()), mailable, counts)
    _write_chunks(campaign, mailable, canary.begin(campaign, first, sampled, before) if first else None)
    _write_tallies(campaign, result)
    now = clock.now()
    figures = {"planned_at": now, "planned_count": result.planned, "mailable_count": mailable}
    if mailable:
        lifecycle.move(
            campaign, CampaignState.SENDING, actor=None, reason="The audience is counted", started_at=now, **figures
        )
        poke_after_commit(KEYS)
    else:
        lifecycle.move(
            campaign, CampaignState.SENT, actor=None, reason="Nobody could be mailed", finished_at=now, **figures
        )
    return result


def _write_deliveries(campaign: Campaign, first: Unproven | None, before: int) -> tuple[dict[str, int], int]:
    """Write the deliveries, with a sample in front where there is one; `before` are people of earlier samples.

    Return the people for each reason ("" is mailed), and for how many the sample speaks, itself included.
    """
    only = narrowing.where(campaign)
    suppressed = live_suppression_sql("c.address_hash", "c.organization_id")
    test = f"\n    AND {only.sql}" if only else ""
    wave, places, number, sampled = (_WAVE, _PLACES, _BY_WAVES, _SAMPLED) if first else ("0", "", _IN_A_ROW, "0")
    statement = (_AUDIENCE + _WRITTEN).format(
        suppressed=suppressed,
        reason=mailable_sql("m", "c", "l"),
        wave=wave,
        places=places,
        only=test,
        number=number,
        sampled=sampled,
    )
    values: dict[str, Any] = {"campaign": campaign.pk, "organization": campaign.organization_id}
    if first:
        values |= {"jobs": list(first.job_ids), "salt": canary.salt(campaign), "pooled": before}
    with connection.cursor() as cursor:
        cursor.execute(statement, values | (only.values if only else {}))
        rows = cursor.fetchall()
    return {reason: count for reason, count, _ in rows}, next((sampled for _, _, sampled in rows), 0)


def chunk_size(mailable: int) -> int:
    """Return how many people make a chunk: half a small audience, so that both relays serve it."""
    most: int = settings.SENDING["chunk_size"]
    return min(most, max(SMALLEST_CHUNK, (mailable + 1) // 2))


def _write_chunks(campaign: Campaign, mailable: int, first: Canary | None) -> None:
    ranges = [(1, mailable, Chunk.State.READY)]
    if first is not None:
        rest = mailable - first.waits
        ranges = [(1, first.size, Chunk.State.READY), (first.size + 1, rest, Chunk.State.READY)]
        starts = [0, *first.steps]
        ranges += [(rest + low + 1, rest + high, Chunk.State.LATER) for low, high in pairwise(starts)]
    with connection.cursor() as cursor:
        for low, high, state in ranges:
            values: dict[str, int | str | list[str]] = {
                "campaign": campaign.pk,
                "organization": campaign.organization_id,
                "size": chunk_size(high - low + 1),
                "first": low,
                "last": high,
                "state": str(state),
                "relays": list(KEYS),
            }
            cursor.execute(_CHUNKS, values)


def _write_tallies(campaign: Campaign, result: PlanResult) -> None:
    suppressed = result.left_out.get("suppressed", 0)
    skipped = sum(result.left_out.values()) - suppressed
    states = {"planned": result.mailable, "suppressed": suppressed, "skipped": skipped}
    with connection.cursor() as cursor:
        for state, count in states.items():
            cursor.execute(
                "INSERT INTO campaigns_tally (campaign_id, relay, state, count) VALUES (%s, '', %s, %s)",
                [campaign.pk, state, count],
            )


def start_due() -> list[PlanResult]:
    """Start scheduled campaigns whose time has come, and plan whatever waits for planning (a planner may have died)."""
    for campaign in Campaign.objects.filter(state=CampaignState.SCHEDULED, scheduled_at__lte=clock.now()):
        _start(campaign)
    return [plan(campaign) for campaign in _waiting()]


def _waiting() -> Iterator[Campaign]:
    yield from Campaign.objects.filter(state=CampaignState.PLANNING).select_related("organization").order_by("pk")


def _start(campaign: Campaign) -> None:
    """Begin a scheduled campaign; one that is very late, or that a rule now speaks against, waits for a person."""
    late = campaign.scheduled_at is not None and clock.now() - campaign.scheduled_at > LATE_AFTER
    with transaction.atomic():
        if late:
            brakes.set_brake(Brake.Kind.LATE, "The planned time passed hours ago: look again.", campaign=campaign)
        against = approve.against_start(campaign)
        if against:
            brakes.set_brake(Brake.Kind.STAFF, against, campaign=campaign)
        try:
            # Judged just now, and approved for the lists as they are at this time: no second look by the planner.
            lifecycle.move(
                campaign, CampaignState.PLANNING, actor=None, reason="The planned time has come", approved_on=None
            )
        except TransitionRefusedError:
            return  # another beat was faster, or somebody unscheduled it
        audit.record(
            "campaign.due",
            actor=None,
            organization=campaign.organization,
            subject=f"campaign:{campaign.uid}",
            detail={"late": late},
        )
