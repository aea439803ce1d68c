"""From a draft to the proposal that the gate judges: trial messages for real contacts, counts, facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts import allowance, domains, standing
from accounts.models import FromAddress, Organization
from campaigns import audience, headcount, narrowing
from campaigns.compose import content_of, identity_of, profile_of
from campaigns.content.body import Built
from campaigns.content.compile import CompiledMessage, MessageContent, compile_message
from campaigns.content.snapshot import document, sha256
from campaigns.errors import ContentError, RenderError
from campaigns.inbound.addresses import Links
from campaigns.models import Campaign, Usage
from campaigns.sending import mime
from compliance import gate, policy
from compliance.models import ContactList, ListMembership
from sendserver.lib import clock

NOBODY = 0  # delivery of a draft: its links open and say that they are only a draft's


def propose(campaign: Campaign, *, for_page: bool = False) -> gate.Proposal:
    """Return everything the gate judges, from the database as it stands now.

    Everybody is counted; `for_page` counts short lists only and takes what is known of long ones (headcount).
    """
    lists = list(campaign.lists.order_by("pk"))
    problems: tuple[str, ...] = ()
    message: CompiledMessage | None = None
    content: MessageContent | None = None
    built: Built | None = None
    try:
        content, built = content_of(campaign, counted=True)
        message = compile_message(content)
    except ContentError as error:
        problems = error.problems
    needed = message.needed_fields if message else frozenset()
    if for_page:
        people = headcount.known(campaign, lists, needed)
    else:
        people = audience.count(campaign.organization_id, lists, needed, narrowing.where(campaign))
    trials = _trials(message, campaign, lists) if message and content and content.from_address else ()
    return gate.Proposal(
        now=clock.now(),
        sender=_sender(campaign.organization),
        identity=identity_of(profile_of(campaign.organization)),
        from_=_from(campaign.from_address),
        subject=campaign.subject,
        preheader=campaign.preheader,
        source_html=built.source_html if built else campaign.body,
        samples=tuple(one.sample for one in trials),
        merge_problems=problems,
        headers=trials[0].headers if trials else (),
        links=built.links if built else (),
        unsubscribe_url=Links.of(NOBODY).unsubscribe_url,
        lists=_lists(lists),
        audience=people,
        segment=narrowing.facts(campaign),
        content_sha256=fingerprint(content, lists, narrowing.chosen(campaign)) if content else b"\x00" * 32,
        offer_ends_at=campaign.offer_ends_at,
    )


def fingerprint(content: MessageContent, lists: Sequence[ContactList], segment: dict[str, Any] | None = None) -> bytes:
    """Return the hash of what is approved: words, lists, segment and rules (rules CONTENT-SNAPSHOT), 32 bytes."""
    return sha256(document(content, lists, segment))


@dataclass(frozen=True)
class Trial:
    """One trial message with the header block it would leave with."""

    sample: gate.Sample
    headers: tuple[tuple[str, str], ...]


def _trials(message: CompiledMessage, campaign: Campaign, lists: Sequence[ContactList]) -> tuple[Trial, ...]:
    """Write the message for real contacts; who cannot be written to is counted by the audience, not here."""
    only = narrowing.where(campaign)
    people = audience.samples(campaign.organization_id, lists, policy.MERGE_SAMPLES, only)
    if only and not people:  # none of the first ones: the lists' people have the same columns
        people = audience.samples(campaign.organization_id, lists, policy.MERGE_SAMPLES)
    values = [audience.values_of(one) for one in people] or [example_values(campaign)]
    written = [trial for one in values if (trial := _trial(message, one))]
    if not written:
        stand_in = {name: value or "Example" for name, value in values[0].items()}
        last = _trial(message, {**example_values(campaign), **stand_in})
        written = [last] if last else []
    return tuple(written)


def _trial(message: CompiledMessage, values: Mapping[str, str]) -> Trial | None:
    """Write one message as a lane would, unsigned; None when it cannot be written."""
    content = message.content
    letter = mime.Letter(
        compiled=message,
        from_name=content.from_name,
        from_address=content.from_address,
        reply_to=content.reply_to,
        list_name=content.list_name,
        list_id=content.list_id,
        feedback_id="draft:draft:mkt:draft",
        return_host="b.draft.invalid",
    )
    full = {**values, **draft_urls()}
    try:
        raw = mime.write(letter, mime.Recipient(NOBODY, values.get("email", "ada@example.org"), values)).message
        sample = gate.Sample(message.subject(full), message.html(full), message.text(full), len(raw))
    except RenderError:
        return None
    return Trial(sample, _header_block(raw))


def _header_block(raw: bytes) -> tuple[tuple[str, str], ...]:
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n ", " ")
    pairs = (line.partition(": ") for line in head.split("\r\n"))
    return tuple((name, value) for name, _, value in pairs)


def draft_urls() -> dict[str, str]:
    """Return the links of a draft: they have the right shape and belong to nobody."""
    links = Links.of(NOBODY)
    return {
        "unsubscribe_url": links.unsubscribe_url,
        "why_url": links.why_url,
        "report_url": links.report_url,
    }


def example_values(campaign: Campaign) -> dict[str, str]:
    """Return made-up values for lists that have nobody yet."""
    keys = audience.available_fields(list(campaign.lists.all())).values()
    given = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
    return {key: given.get(key, "Example") for key in keys}


def _sender(organization: Organization) -> gate.SenderFacts:
    organization.refresh_from_db(fields=["standing", "daily_allowance", "closed_at"])
    today = allowance.today(organization)
    return gate.SenderFacts(
        uid=str(organization.uid),
        name=organization.name,
        standing=organization.standing,
        may_send=standing.may_send(organization),
        allowance=today,
        allowance_left=max(0, today - used_today(organization)),
    )


def used_today(organization: Organization) -> int:
    """Return the messages of today's allowance (UTC) that are used."""
    row = Usage.objects.filter(organization=organization, day=clock.now().date()).first()
    return row.count if row else 0


def _from(sender: FromAddress | None) -> gate.FromFacts:
    if sender is None or sender.removed_at is not None:
        return gate.FromFacts()
    return gate.FromFacts(
        display_name=sender.display_name,
        address=sender.address,
        domain_ready=domains.is_ready_to_send(sender.domain),
        reply_to=sender.reply_to,
        reply_confirmed_at=sender.confirmed_at,
    )


def _lists(lists: Sequence[ContactList]) -> tuple[gate.ListFacts, ...]:
    return tuple(
        gate.ListFacts(
            uid=str(one.uid),
            name=one.name,
            people=one.people_count,
            attested=int(
                ListMembership.objects.filter(contact_list=one).exclude(attestation=None, signup=None).exists()
            ),
            held_reason=(one.held_reason or "looked at by our staff") if one.held_at else "",
            topics=one.topics,
        )
        for one in lists
    )
