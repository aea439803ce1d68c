"""The Send button: judge, freeze, record, move. And the staff's answer to a campaign that was held.

Everything stands in one transaction, so that a campaign is never planned without its frozen content and its verdict.
Planning itself belongs to campaigns.planning; the view enqueues it after the commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from accounts.models import User
from accounts.notices import send_notice
from accounts.people import members_to_notify
from campaigns import headcount, lifecycle, narrowing
from campaigns.compose import StaleDraftError, content_of
from campaigns.content import snapshot as snapshots
from campaigns.errors import CampaignError
from campaigns.models import Campaign, CampaignState, Link, Snapshot
from campaigns.proposals import propose
from compliance import gate, policy
from compliance.models import Verdict
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError

LATEST: Final = timedelta(days=365)
STAFF_REVIEW: Final = "STAFF-REVIEW"  # the check that stands for a person's reading


class OrderRefusedError(CampaignError):
    """The order cannot be taken as typed; the text is for the customer, `field` names the input."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field, self.text = field, text


@dataclass(frozen=True)
class Order:
    """What a person ordered on the review page. `key` makes a second press the same as the first."""

    key: uuid.UUID
    version: int
    at: datetime | None = None  # None: now
    zone: str = "UTC"
    typed: int | None = None
    segment: str | None = None  # narrowing.digest() of the page; None where no page was
    counted: str | None = None  # headcount.mark() of the page's figures; None where no page was: everybody is counted


@dataclass(frozen=True)
class Ordered:
    """The campaign after the order, with the gate's answer; `accepted` is False when a rule blocks."""

    campaign: Campaign
    answer: gate.Answer | None
    accepted: bool


@transaction.atomic
def approve(campaign: Campaign, order: Order, *, actor: User) -> Ordered:
    """Judge the draft as it stands now, freeze it and set it going; a repeated order changes nothing.

    A hold sends it to staff, a block leaves the draft as it is. The verdict is recorded in each case. Raises
    StaleDraftError when the draft changed since the page was shown, OrderRefusedError for a wrong count or time.
    """
    locked = Campaign.objects.select_for_update().select_related("organization").get(pk=campaign.pk)
    if locked.send_key == order.key:
        return Ordered(locked, None, accepted=True)
    if locked.state != CampaignState.DRAFT or locked.version != order.version:
        raise StaleDraftError("This draft changed since you opened the page. Look at it again.")
    if order.segment is not None and order.segment != narrowing.digest(narrowing.chosen(locked)):
        raise StaleDraftError("The segment was changed since you opened the page. Look at it again.")
    proposal = propose(locked, for_page=order.counted is not None)
    _refuse_other_figures(order, proposal.audience)
    _refuse(order, proposal.audience.mailable)
    answer = gate.judge(proposal)
    if answer.decision != gate.BLOCK:
        _freeze(locked, order, proposal, answer, actor)
    gate.record(answer, organization=locked.organization, subject_uid=locked.uid, actor=actor, at=proposal.now)
    return Ordered(locked, answer, accepted=answer.decision != gate.BLOCK)


def _refuse_other_figures(order: Order, audience: gate.AudienceFacts) -> None:
    """Ask for a fresh look unless the figures are the ones that the page showed, and still hold (decision 0042)."""
    if order.counted is None:
        return
    if not headcount.is_recent(audience):
        raise StaleDraftError("Who gets it is being counted anew. Look at the new figures, then approve.")
    if headcount.mark(audience) != order.counted:
        raise StaleDraftError("The number of people changed since you opened the page. Look at it again.")


def _refuse(order: Order, people: int) -> None:
    if people > policy.TYPED_COUNT_ABOVE and order.typed != people:
        raise OrderRefusedError("typed", f"Type {people} to confirm the number of people")
    if order.at is not None and not clock.now() < order.at <= clock.now() + LATEST:
        raise OrderRefusedError("date", "Choose a time that lies ahead, within a year")


def _freeze(campaign: Campaign, order: Order, proposal: gate.Proposal, answer: gate.Answer, actor: User) -> None:
    """Write links and snapshot and move the draft on; what is sent is this snapshot and nothing else."""
    content, built = content_of(campaign, counted=True)
    document = snapshots.document(content, list(campaign.lists.order_by("pk")), narrowing.chosen(campaign))
    if snapshots.sha256(document) != proposal.content_sha256:
        raise StaleDraftError("The message changed while it was judged. Look at it again.")
    campaign.links.all().delete()
    Link.objects.bulk_create(
        Link(campaign=campaign, number=number, url=url) for number, url in enumerate(built.counted, start=1)
    )
    frozen = Snapshot.objects.create(
        campaign_uid=campaign.uid,
        version=campaign.version,
        sha256=proposal.content_sha256,
        content=document,
        created_at=proposal.now,
    )
    lifecycle.move(
        campaign,
        CampaignState.HELD if answer.decision == gate.HOLD else _start_state(order.at),
        actor=actor,
        reason=f"Approved for {proposal.audience.mailable} people",
        snapshot=frozen,
        send_key=order.key,
        approved_by=actor,
        scheduled_at=order.at or proposal.now,
        schedule_zone=order.zone,
        approved_on=_approved_on(order, proposal.audience),
        look_again="",
    )


def _approved_on(order: Order, audience: gate.AudienceFacts) -> dict[str, object] | None:
    if audience.counted_at is None:
        return None
    return {
        "people": audience.mailable,
        "counted_at": audience.counted_at.isoformat(timespec="seconds"),
        "at_once": order.at is None,
    }


def _start_state(at: datetime | None) -> str:
    return CampaignState.PLANNING if at is None or at <= clock.now() else CampaignState.SCHEDULED


def in_zone(day: str, time: str, zone: str) -> datetime:
    """Return an aware time from form fields; ValueError when they are no time or no zone."""
    naive = datetime.fromisoformat(f"{day}T{time}")
    try:
        return naive.replace(tzinfo=ZoneInfo(zone))
    except (KeyError, OSError) as error:
        raise ValueError(zone) from error


@transaction.atomic
def take_back(campaign: Campaign, *, actor: User) -> Campaign:
    """Make a scheduled campaign a draft again; the next approval freezes a new version."""
    return _draft_again(campaign, actor=actor, reason="Taken back to draft")


def _draft_again(campaign: Campaign, *, actor: User, reason: str) -> Campaign:
    """Make a draft of what waits. While it is planned, only the planner may (give_back): a person's answer is late."""
    if campaign.state == CampaignState.PLANNING:
        raise TransitionRefusedError(campaign.state, CampaignState.DRAFT)
    return lifecycle.move(campaign, CampaignState.DRAFT, actor=actor, reason=reason, **_unfrozen())


@transaction.atomic
def decide_held(campaign: Campaign, *, release: bool, actor: User, reason: str) -> Campaign:
    """Write down the staff's answer to a held campaign: let it go, or give it back to its author.

    A reviewer can overrule a hold, never a block: the message is judged once more (rules section 1).
    """
    if not reason.strip():
        raise OrderRefusedError("reason", "Say why; the customer reads it")
    if campaign.organization.memberships.filter(user=actor).exists():
        raise OrderRefusedError("answer", "You are in this organization’s team; somebody else has to answer.")
    if not release:
        return _draft_again(campaign, actor=actor, reason=reason)
    proposal = propose(campaign, for_page=True)
    if not (proposal.audience.is_counted and proposal.audience.are_values_counted):
        raise OrderRefusedError("release", "Who gets it is being counted. Answer again in a minute.")
    answer = gate.judge(proposal)
    if answer.decision == gate.BLOCK:
        raise OrderRefusedError("release", f"A rule blocks it: {answer.open_checks[0].text}")
    # Of a long list these are figures of before: the planner judges once more, on those of its moment.
    told = campaign.approved_on or _approved_on(Order(uuid.uuid4(), 0), proposal.audience)
    lifecycle.move(campaign, _start_state(campaign.scheduled_at), actor=actor, reason=reason, approved_on=told)
    overruled = gate.Answer(gate.PASS, (*answer.checks, _by_person(reason)), answer.content_sha256)
    gate.record(overruled, organization=campaign.organization, subject_uid=campaign.uid, actor=actor, at=clock.now())
    return campaign


def against_start(campaign: Campaign) -> str:
    """Return what speaks against an ordered campaign now that its time has come, "" for nothing.

    Lists grow and standings change between order and start. What staff let go is not held again, only blocked.
    """
    if campaign.send_key is None:
        return ""
    return _against(campaign, _was_read(campaign))


def _against(campaign: Campaign, was_read: bool) -> str:
    answer = gate.judge(propose(campaign))
    stops = (gate.BLOCK,) if was_read else (gate.BLOCK, gate.HOLD)
    return next((check.text for check in answer.open_checks if check.decision in stops), "")


def _was_read(campaign: Campaign) -> bool:
    """Tell whether staff read the campaign and let it go."""
    newest = Verdict.objects.filter(subject_uid=campaign.uid).order_by("-pk").first()
    return newest is not None and any(check["id"] == STAFF_REVIEW for check in newest.checks)


def against_approval(campaign: Campaign) -> str:
    """Return what speaks against planning a campaign that was approved on kept figures, "" for nothing.

    Counts everybody: for the planner.
    """
    return _against(campaign, _was_read(campaign)) if campaign.approved_on else ""


def too_many(campaign: Campaign, people: int) -> str:
    """Return what to say when the frozen audience is bigger than what was approved, "" where it is not.

    Fewer are fine: who said no in between is spared. A later start is approved for the lists as they are then, and what
    staff read is theirs; only an order to send at once means the number that was shown.
    """
    told = campaign.approved_on
    if not told or not told["at_once"] or people <= told["people"] * (1 + policy.APPROVED_GROWTH):
        return ""
    if _was_read(campaign):
        return ""
    more = people - told["people"]
    return f"{people:,} people would get it now, {more:,} more than the {told['people']:,} that were approved."


@transaction.atomic
def give_back(campaign: Campaign, reason: str) -> Campaign:
    """Make a campaign a draft again that is not what was approved any more, and write to who approved it."""
    approver = campaign.approved_by
    lifecycle.move(campaign, CampaignState.DRAFT, actor=None, reason=reason, **_unfrozen(), look_again=reason)
    url = f"{settings.BASE_URL}{reverse('campaign_review', args=[campaign.uid])}"
    context = {"campaign": campaign, "reason": reason, "url": url}
    people = [approver] if approver else members_to_notify(campaign.organization, urgent=True)
    send_notice(
        people, subject=f"{campaign.name}: look again", template="emails/campaign_look_again.txt", context=context
    )
    return campaign


def _by_person(reason: str) -> gate.Check:
    return gate.Check(STAFF_REVIEW, 1, "Looked at by our staff", gate.PASS, reason)


def _unfrozen() -> dict[str, object]:
    return {
        "version": F("version") + 1,
        "snapshot": None,
        "send_key": None,
        "scheduled_at": None,
        "approved_by": None,
        "approved_on": None,
    }


def hold_reasons(campaign: Campaign) -> Sequence[dict[str, object]]:
    """Return the checks that made the newest verdict on a campaign hold, as recorded."""
    newest = Verdict.objects.filter(subject_uid=campaign.uid).order_by("-pk").first()
    return [check for check in newest.checks if check["decision"] == gate.HOLD] if newest else []
