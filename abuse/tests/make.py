"""Rows that the desk's tests stand on: a sent campaign, people, reports."""

from __future__ import annotations

import itertools
from datetime import timedelta

from django.contrib.auth.models import Group
from django.utils import timezone

from abuse import intake
from abuse.matching import match_token
from abuse.models import Case, Complaint, ComplaintSource
from accounts.models import FromAddress, Organization, SendingDomain, User
from campaigns.models import Campaign, Delivery, Snapshot, Tally
from sendserver.lib import tokens
from sendserver.lib.addresses import AddressKey, suppression_hash
from sendserver.testing.personas import Persona, _staff

_numbers = itertools.count(1)
TEXT = (
    "Dear gardener, the last planting week for tulips begins on Monday. Bring boots and choose from thirty kinds of "
    "bulbs, hyacinths, crocuses, narcissus. Every visitor receives coffee, biscuits and honest advice about planting "
    "depth, drainage, compost and patience."
)


def campaign(organization: Organization, *, accepted: int = 0, state: str = "sent", ago: int = 1) -> Campaign:
    """Return a campaign that was sent `ago` days before now."""
    number = next(_numbers)
    domain, _ = SendingDomain.objects.get_or_create(
        organization=organization,
        name=f"mail.org{organization.pk}.example",
        defaults={"challenge": "x", "verified_at": timezone.now()},
    )
    sender, _ = FromAddress.objects.get_or_create(
        organization=organization, domain=domain, local_part="news", defaults={"display_name": organization.name}
    )
    row = Campaign.objects.create(
        organization=organization,
        name=f"Campaign {number}",
        subject="Last planting week for tulips",
        from_address=sender,
        state=state,
        started_at=timezone.now() - timedelta(days=ago),
    )
    content = {"subject": row.subject, "html": f"<p>{TEXT}</p><a href='https://shop.example/x'>x</a>", "text": TEXT}
    row.snapshot = Snapshot.objects.create(
        campaign_uid=row.uid, version=1, sha256=b"x" * 32, content=content, created_at=timezone.now()
    )
    row.save()
    if accepted:
        Tally.objects.create(campaign=row, relay="relay-1", state="accepted", count=accepted)
    return row


def delivery(sent: Campaign, address: str = "", contact_id: int = 0) -> Delivery:
    """Return one recipient of a campaign."""
    number = next(_numbers)
    address = address or f"person{number}@inbox.example"
    return Delivery.objects.create(
        campaign=sent,
        organization=sent.organization,
        seq=number,
        contact_id=contact_id or number,
        address=address,
        address_hash=suppression_hash(AddressKey(address)),
        domain=address.partition("@")[2],
    )


def token(to: Delivery) -> str:
    """Return the recipient's token."""
    return tokens.seal(tokens.Purpose.DELIVERY, to.pk)


def report(to: Delivery, kind: str = Complaint.Kind.NEVER_SIGNED_UP, **fields: object) -> Complaint:
    """Return a report that came by the link in the message."""
    data = {"kind": kind, "source": ComplaintSource.LINK, "match": match_token(token(to)), **fields}
    return intake.receive(intake.Report(**data))  # type: ignore[arg-type]


def case_of(organization: Organization) -> Case:
    """Return a case with one proven report."""
    complaint = report(delivery(campaign(organization, accepted=1000)))
    assert complaint.case is not None
    return complaint.case


def staff(name: str) -> Persona:
    """Return a moderator."""
    persona = _staff(name, superuser=False)
    persona.user.groups.add(Group.objects.get(name="Moderators"))
    return persona


def moderator_user(name: str) -> User:
    """Return a moderator as a person."""
    return staff(name).user


def source_of(to: Delivery, body: str = TEXT, sender: str = "") -> str:
    """Return a message's source as a reader sees it."""
    sign = token(to)
    sender = sender or to.campaign.from_address.address
    return (
        f"Return-Path: <b.{sign}@b.mail.larkfield.example>\r\n"
        "Received: from out2.sendserver.example (198.51.100.25)\r\n by mx.inbox.example with ESMTPS\r\n"
        f'From: "Larkfield" <{sender}>\r\n'
        "To: <redacted>\r\nSubject: Last planting week for tulips\r\n"
        f"List-Unsubscribe: <https://localhost/u/{sign}/>\r\n"
        f"Message-ID: <{sign}@m.sendserver.example>\r\n\r\n{body}\r\n"
    )
