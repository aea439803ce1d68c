"""New links for people who have no mail at hand: asked on a public page, answered by mail to the address alone.

The page only writes down that somebody asked: what it says, and how long it takes, cannot depend on whether we know the
address. A worker looks it up later. Nobody is told anything who does not read the mailbox.
"""

from __future__ import annotations

from typing import Final

from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string

from campaigns.inbound.addresses import Links
from campaigns.models import Delivery, LinkRequest, Outcome
from compliance import policy
from compliance.models import Contact
from sendserver.lib import clock, ratelimit
from sendserver.lib.addresses import Address, AddressKey, parse, suppression_hashes

SENDERS_MAX: Final = 50  # in one mail, those who wrote last
TURN: Final = 200  # requests a turn of the worker


def ask(text: str, network: str) -> None:
    """Write down that somebody asked for the links of an address; says nothing to the caller. One INSERT at most."""
    address = parse(text)
    if not ratelimit.allow("lost_link", network, limit=policy.LOST_LINKS_NETWORK, seconds=3600):
        return
    if not isinstance(address, Address):
        return
    if ratelimit.allow("lost_link_to", address.key, limit=policy.LOST_LINKS_ADDRESS, seconds=86_400):
        LinkRequest.objects.create(address=address.original, asked_at=clock.now())


def answer_waiting() -> int:
    """Mail the links that were asked for and forget the requests; return how many mails were written.

    Requests are taken with SKIP LOCKED, so that two workers never answer one twice.
    """
    mailed = 0
    with transaction.atomic():
        rows = list(LinkRequest.objects.select_for_update(skip_locked=True).order_by("pk")[:TURN])
        for text in {row.address.lower(): row.address for row in rows}.values():
            mailed += _mail(text)
        LinkRequest.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return mailed


def _mail(text: str) -> bool:
    address = parse(text)
    assert isinstance(address, Address), "only addresses are written down"
    latest = _latest(address.key)
    if latest:
        senders = [{"name": " ".join(row.organization.name.split()), "links": Links.of(row.pk)} for row in latest]
        body = render_to_string("campaigns/public/lost_links.txt", {"senders": senders})
        EmailMessage("Your links", body, None, [address.original]).send()
    return bool(latest)


def _latest(key: AddressKey) -> list[Delivery]:
    """Return the newest message of each sender that reached the address, newest first."""
    contacts = Contact.objects.filter(address_hash__in=suppression_hashes(key), address_key=key).values("pk")
    sent = Outcome.objects.filter(state__in=[Outcome.State.ACCEPTED, Outcome.State.IN_DOUBT]).values("delivery_id")
    rows = Delivery.objects.filter(contact_id__in=contacts, pk__in=sent).exclude(address="")
    newest = {row.organization_id: row for row in rows.select_related("organization").order_by("pk")}
    return sorted(newest.values(), key=lambda row: -row.pk)[:SENDERS_MAX]
