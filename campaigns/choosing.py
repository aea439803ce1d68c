"""What a person chooses with the token of a mail: lists to leave or take up again, a break, no counting of their acts.

Shown are the lists that the person is on or has left, never others: what a sender calls its lists is nobody else's.
Every choice is a step in the consent ledger, with the words that stood beside the button.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import transaction

from campaigns.returning import Holder
from compliance import consent_events, list_exits, policy, suppression
from compliance.consent_events import Circumstances, Kind, Step
from compliance.models import Contact, ContactList
from sendserver.lib import clock

PAUSES: Final = (policy.PAUSE_SHORT_D, policy.PAUSE_LONG_D)  # days
SOURCE: Final = "Own page, from the link in a mail"
TRACKING_WORDS: Final = "Stop counting what I open and click"


@dataclass(frozen=True)
class Topic:
    """One list as the person sees it."""

    contact_list: ContactList
    is_on: bool

    @property
    def about(self) -> str:
        """Return what it is about and how often it comes, as far as the sender says."""
        return ". ".join(part for part in (self.contact_list.topics, self.contact_list.frequency) if part)


def topics_of(holder: Holder) -> list[Topic]:
    """Return the open lists of this sender that the person is on, or left and may take up again, by name."""
    left = list_exits.left_lists(holder.organization, holder.key) if holder.contacts else []
    rows = ContactList.objects.for_org(holder.organization).filter(
        memberships__contact__in=holder.contacts, closed_at=None
    )
    return [Topic(row, row not in left) for row in rows.order_by("name", "pk")]


@transaction.atomic
def keep(holder: Holder, wanted: Collection[str]) -> tuple[int, int]:
    """Leave every list whose uid is not in `wanted`, take up again those that are; return (left, taken up)."""
    left = [one for one in topics_of(holder) if one.is_on and str(one.contact_list.uid) not in wanted]
    back = [one for one in topics_of(holder) if not one.is_on and str(one.contact_list.uid) in wanted]
    for topic in left:
        list_exits.leave(topic.contact_list, holder.key)
    for topic in back:
        list_exits.come_back(topic.contact_list, holder.key)
    for kind, topics in ((Kind.LIST_LEFT, left), (Kind.LIST_BACK, back)):
        for topic in topics:
            _record(holder.contacts[0], kind, topic.contact_list.name, topic.contact_list)
    return len(left), len(back)


def pause(holder: Holder, days: int) -> None:
    """Keep this sender away for some days; whoever stopped for good stays stopped."""
    if not holder.is_erased:
        until = clock.now() + timedelta(days=days)
        suppression.pause(holder.organization, holder.key, until=until, delivery_id=holder.delivery.pk)


def end_pause(holder: Holder) -> bool:
    """End the break early; tell whether there was one."""
    return not holder.is_erased and suppression.end_pause(holder.organization, holder.key)


@transaction.atomic
def withdraw_tracking(holder: Holder) -> bool:
    """Take back the yes to counting opens and clicks; tell whether there was one (GDPR article 7(3))."""
    agreed = [row for row in holder.contacts if row.tracking_consent_at]
    for contact in agreed:
        Contact.objects.filter(pk=contact.pk).update(tracking_consent_at=None)
        _record(contact, Kind.TRACKING_WITHDRAWN, TRACKING_WORDS, None)
    return bool(agreed)


def _record(contact: Contact, kind: str, wording: str, contact_list: ContactList | None) -> None:
    step = Step(kind, clock.now(), contact_list)
    consent_events.record(contact, step, Circumstances(source=SOURCE, wording=wording))
