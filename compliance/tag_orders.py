"""A tag given to, or taken from, everybody on a list: an order that a worker carries out in pieces.

Restartable at any moment: a piece moves the order's place in the transaction that writes it. People who join the list
after the order are not meant.
"""

# ruff: noqa: S608 (statements of our own words)

from __future__ import annotations

import time
from typing import Final

from django.db import connection, transaction
from django.db.models import Max

from accounts import audit
from accounts.models import User
from compliance import tags
from compliance.models import ContactList, ListMembership, Tag, TagOrder
from sendserver.lib import clock

PIECE: Final = 5000  # people a transaction
AT_ONCE: Final = 0.5  # seconds that a page may wait for it; the worker does the rest
_SOME: Final = """WITH few AS MATERIALIZED (
  SELECT m.id, m.contact_id FROM compliance_listmembership m
  WHERE m.contact_list_id = %(list)s AND m.id > %(place)s AND m.id <= %(last)s ORDER BY m.id LIMIT %(limit)s)"""
_GIVE: Final = f"""{_SOME}, given AS (
    INSERT INTO compliance_contacttag (tag_id, contact_id, upload) SELECT %(tag)s, contact_id, 0 FROM few
    ORDER BY contact_id ON CONFLICT DO NOTHING)
  SELECT max(id) FROM few"""
_TAKE: Final = f"""{_SOME}, taken AS (
    DELETE FROM compliance_contacttag g USING few WHERE g.tag_id = %(tag)s AND g.contact_id = few.contact_id)
  SELECT max(id) FROM few"""


@transaction.atomic
def order(tag: Tag, contact_list: ContactList, *, gives: bool, actor: User) -> TagOrder:
    """Return an order for everybody on a list of the same organization, audited; nothing is done yet."""
    members = ListMembership.objects.filter(contact_list=contact_list)
    made = TagOrder.objects.create(
        organization=tag.organization,
        tag=tag,
        contact_list=contact_list,
        gives=gives,
        last=members.aggregate(last=Max("pk"))["last"] or 0,
        ordered_by=actor,
        ordered_at=clock.now(),
    )
    audit.record(
        "tag.given_to_list" if gives else "tag.taken_from_list",
        actor=actor,
        organization=tag.organization,
        subject=f"tag:{tag.uid}",
        detail={"list": str(contact_list.uid)},
    )
    return made


def go_on(found: TagOrder, *, seconds: float = 50.0, piece: int = PIECE) -> bool:
    """Carry an order on for at most `seconds`; True when it is done. Two workers take turns at its row."""
    ends = time.monotonic() + seconds
    while _piece(found.pk, piece):
        if time.monotonic() > ends:
            return False
    return True


@transaction.atomic
def _piece(pk: int, limit: int) -> bool:
    """Do some people; True while more are left. A tag deleted meanwhile took its orders along."""
    found = TagOrder.objects.select_for_update().filter(pk=pk, done_at=None).first()
    if found is None:
        return False
    values = {
        "list": found.contact_list_id,
        "place": found.place,
        "last": found.last,
        "limit": limit,
        "tag": found.tag_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_GIVE if found.gives else _TAKE, values)
        place = cursor.fetchone()[0]
    if place is not None:
        TagOrder.objects.filter(pk=pk).update(place=place)
        return True
    tags.recount([found.tag_id])
    TagOrder.objects.filter(pk=pk).update(done_at=clock.now())
    return False


def waiting() -> list[TagOrder]:
    """Return the orders that are not done, oldest first."""
    return list(TagOrder.objects.filter(done_at=None).order_by("pk"))
