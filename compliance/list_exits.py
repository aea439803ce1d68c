"""Single lists that a person left on their own page: kept as keyed hashes, so that no upload puts them back.

The list of people keeps its row with the record of their sign-up; what counts is the exit, which compliance.consent
asks for. Leaving everything of a sender is compliance.suppression's. Only the person comes back (rules
UNSUB-NO-RESURRECT), so nothing here takes a member of the sender's team.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from accounts.models import Organization
from compliance.models import ContactList, ListExit
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, Who, hashes_of

_LEAVE = """
INSERT INTO compliance_listexit (contact_list_id, address_hash, left_at, returned_at)
SELECT %s, hash, %s, NULL FROM unnest(%s::bytea[]) AS hash
ON CONFLICT (contact_list_id, address_hash) DO UPDATE SET left_at = excluded.left_at, returned_at = NULL
  WHERE compliance_listexit.returned_at IS NOT NULL
"""


def left_sql(membership: str, contact: str) -> str:
    """Return the SQL test whether the person left the list; arguments are aliases. Holds no percent sign."""
    return f"""EXISTS (SELECT 1 FROM compliance_listexit gone WHERE gone.contact_list_id = {membership}.contact_list_id
      AND gone.address_hash = {contact}.address_hash AND gone.returned_at IS NULL)"""  # noqa: S608 (our own aliases)


def leave(contact_list: ContactList, key: Who) -> bool:
    """Take a person off one list at their own wish; tell whether that was new."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAVE, [contact_list.pk, clock.now(), hashes_of(key)])
        return bool(cursor.rowcount)


def come_back(contact_list: ContactList, key: Who) -> bool:
    """Let a person onto a list again that they had left, at their own wish; tell whether they had."""
    rows = ListExit.objects.filter(contact_list=contact_list, address_hash__in=hashes_of(key))
    return bool(rows.filter(returned_at=None).update(returned_at=clock.now()))


def left_lists(organization: Organization, key: Who) -> list[ContactList]:
    """Return the organization's open lists that the person has left, by name."""
    gone = ListExit.objects.filter(address_hash__in=hashes_of(key), returned_at=None).values("contact_list_id")
    rows = ContactList.objects.for_org(organization).filter(pk__in=gone, closed_at=None)
    return list(rows.order_by("name", "pk"))


def left_ids(contact_list: ContactList, contact_ids: Sequence[int]) -> set[int]:
    """Return which of these contacts have left the list."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id FROM compliance_contact c JOIN compliance_listexit gone ON gone.address_hash = c.address_hash"
            " WHERE gone.contact_list_id = %s AND gone.returned_at IS NULL AND c.id = ANY(%s)",
            [contact_list.pk, list(contact_ids)],
        )
        return {row[0] for row in cursor.fetchall()}


def carry_over(organization: Organization, key: AddressKey) -> None:
    """Write a person's exits under every key, so that a contact made after a rotation meets them."""
    for contact_list in left_lists(organization, key):
        leave(contact_list, key)
