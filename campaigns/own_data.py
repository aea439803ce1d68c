"""A copy of what is stored about one person, and the link to erase it (GDPR articles 15, 17 and 20).

Both go by mail to the address itself: the token of a mail stops mail, but may be in other hands since the mail was
forwarded. A copy holds this sender's data only. What stands in other rooms is named in it: reports to the abuse desk
(by their reference), logs, backups.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse

from campaigns.models import Delivery, Event, InboundMail, Outcome
from campaigns.returning import Holder, holder_of_delivery
from compliance import consent_events, list_exits, policy, tags
from compliance.models import Contact, ContactList, ImportRow, Suppression
from sendserver.lib import clock, ratelimit
from sendserver.lib.tokens import Purpose, open_token, seal

FILE_NAME = "your-data.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class OwnData:
    """What one sender holds of one person, by kind; every row is plain values with names that people can read."""

    person: list[Row]
    lists: list[Row]
    consent_steps: list[Row]
    messages: list[Row]
    what_came_back: list[Row]
    do_not_mail: list[Row]
    upload_rows: list[Row]
    mail_received: list[Row]

    def as_json(self, holder: Holder) -> str:
        """Return everything as JSON, UTF-8, two blanks a level."""
        about = {"sender": holder.organization.name, "address": holder.key, "collected_at": clock.now()}
        return json.dumps(about | vars(self), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)


def collect(holder: Holder) -> OwnData:
    """Return what is stored of the person who holds the token, of this sender only."""
    contacts = holder.contacts
    deliveries = list(holder.messages.select_related("campaign"))
    keys = [row.pk for row in deliveries]
    return OwnData(
        person=[_person(row) for row in contacts],
        lists=[row for contact in contacts for row in _lists(holder, contact)],
        consent_steps=[row for contact in contacts for row in _steps(contact)],
        messages=_messages(deliveries),
        what_came_back=[_came_back(row) for row in Event.objects.filter(delivery_id__in=keys).order_by("pk")],
        do_not_mail=_do_not_mail(holder),
        upload_rows=_upload_rows(holder, contacts),
        mail_received=[
            {"received_at": row.received_at, "kind": row.kind}
            for row in InboundMail.objects.filter(delivery_id__in=keys).order_by("pk")
        ],
    )


def _person(contact: Contact) -> Row:
    return {
        "address": contact.address,
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "country": contact.country,
        "further_fields": contact.fields,
        "tags": [tag.name for tag in tags.of_contact(contact)],
        "agreed_to_counting_at": contact.tracking_consent_at,
        "stored_since": contact.created_at,
        "changed_at": contact.updated_at,
    }


def _lists(holder: Holder, contact: Contact) -> list[Row]:
    left = list_exits.left_lists(holder.organization, holder.key)
    rows = contact.memberships.select_related("contact_list", "attestation").order_by("pk")
    return [
        {
            "list": row.contact_list.name,
            "permission": row.get_basis_display(),
            "permission_given_at": row.consent_at,
            "confirmed_at": row.confirmed_at,
            "source": row.source,
            "country": row.country,
            "added_at": row.added_at,
            "last_mailed_at": row.last_contact_at,
            "left_by_you": row.contact_list in left,
            "statement": _statement(row.attestation),
        }
        for row in rows
    ]


def _statement(attestation: Any) -> Row | None:
    if attestation is None:
        return None
    return {
        "signed_for": attestation.legal_name,
        "signed_at": attestation.signed_at,
        "wording_version": attestation.wording_version,
        "file_sha256": bytes(attestation.file_sha256).hex(),
    }


def _steps(contact: Contact) -> list[Row]:
    names = dict(ContactList.objects.for_org(contact.organization).values_list("uid", "name"))
    found = []
    for event in consent_events.of_contact(contact):
        part = consent_events.person_of(event)
        found.append(
            {
                "what": event.get_kind_display(),
                "at": event.at,
                "recorded_at": event.recorded_at,
                "list": names.get(event.list_uid, "") if event.list_uid else "",
                "source": part.source if part else "",
                "words_shown": part.wording if part else "",
                "mail_sent": part.mail if part else "",
                "network": part.network if part else "",
                "program": part.user_agent if part else "",
            }
        )
    return found


def _messages(deliveries: list[Delivery]) -> list[Row]:
    outcomes: dict[int, Outcome] = {}
    for row in Outcome.objects.filter(delivery_id__in=[one.pk for one in deliveries]).order_by("pk"):
        outcomes[row.delivery_id] = row
    found = []
    for delivery in deliveries:
        last = outcomes.get(delivery.pk)
        found.append(
            {
                "subject": delivery.campaign.subject,
                "result": last.get_state_display() if last else "Left out" if delivery.skip_reason else "Planned",
                "at": last.at if last else None,
                "address": delivery.address,
                "filled_in": delivery.merge,
            }
        )
    return found


def _came_back(event: Event) -> Row:
    return {"what": event.get_kind_display(), "at": event.at, "way": event.source, "reason": event.bounce_class}


def _do_not_mail(holder: Holder) -> list[Row]:
    if holder.is_erased:
        return []
    rows = Suppression.objects.filter(
        Q(organization=holder.organization) | Q(organization=None), address_hash__in=holder.hashes
    )
    return [
        {
            "reason": row.get_reason_display(),
            "for": "every sender" if row.organization_id is None else holder.organization.name,
            "way": row.source,
            "since": row.created_at,
            "until": row.until,
            "lifted_at": row.lifted_at,
        }
        for row in {row.act: row for row in rows.order_by("pk")}.values()
    ]


def _upload_rows(holder: Holder, contacts: list[Contact]) -> list[Row]:
    mine = Q(contact__in=contacts) | (Q(value__iexact=holder.address) if holder.address else Q())
    rows = ImportRow.objects.filter(mine, job__organization=holder.organization).select_related("job").order_by("pk")
    return [
        {"uploaded_at": row.job.created_at, "line": row.line, "cells": row.cells, "value": row.value} for row in rows
    ]


def mail_copy(holder: Holder) -> bool:
    """Mail a copy to the address itself; tell whether it may: there is an address, and today's limit is not reached."""
    if holder.address is None or not _may_write(holder.address):
        return False
    data = collect(holder)
    context = {
        "sender": _plain(holder.organization.name),
        "platform_name": settings.PLATFORM.name,
        "lost_url": settings.BASE_URL + reverse("lost_link"),
        "lists": [row | {"list": _plain(row["list"])} for row in data.lists],
        "counts": _counts(data),
    }
    body = render_to_string("campaigns/public/own_data.txt", context)
    message = EmailMessage("A copy of your data", body, None, [holder.address])
    message.attach(FILE_NAME, data.as_json(holder), "application/json")
    message.send()
    return True


def mail_erase_link(holder: Holder) -> bool:
    """Mail a link that erases to the address itself; tell whether it may, as `mail_copy`."""
    if holder.address is None or not _may_write(holder.address):
        return False
    url = settings.BASE_URL + reverse("own_erase", args=[seal(Purpose.ERASE, holder.delivery.pk)])
    context = {"sender": _plain(holder.organization.name), "url": url}
    body = render_to_string("campaigns/public/own_erase.txt", context)
    EmailMessage("Erase your data?", body, None, [holder.address]).send()
    return True


def holder_of_erase(token: str) -> Holder | None:
    """Return whose data a mailed link erases; None for every token that is not such a link."""
    delivery_id = open_token(Purpose.ERASE, token)
    return holder_of_delivery(delivery_id, token) if delivery_id else None


def _may_write(address: str) -> bool:
    return ratelimit.allow("own_data", address, limit=policy.OWN_DATA_ADDRESS, seconds=86_400)


def _counts(data: OwnData) -> Mapping[str, int]:
    return {name.replace("_", " "): len(rows) for name, rows in vars(data).items()}


def _plain(name: str) -> str:
    """Return a sender's name on one line, for a letter without markup."""
    return " ".join(name.split())
