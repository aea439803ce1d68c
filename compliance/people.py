"""One person at a time: add, find, correct, remove, and samples for previews.

Removing or correcting somebody never touches the do-not-mail list: who said stop stays stopped, under the new
address too (rules UNSUB-NO-RESURRECT, DATA-ERASURE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet

from accounts import audit
from accounts.models import Organization, User
from compliance import consent_events, lists, suppression, tags
from compliance.attestations import valid_attestation
from compliance.consent_events import Circumstances, Kind, Step
from compliance.countries import assumed
from compliance.errors import PersonRefusedError
from compliance.models import Contact, ContactList, ListMembership, ProofRow, Suppression
from compliance.sources import refuse_address
from sendserver.lib.addresses import Address, AddressKey, BadAddress, parse, suppression_hash

FOUND_AT_MOST = 50
# A corrected address inherits these; a bounce belongs to the mailbox that did not exist.
_FOLLOWS_THE_PERSON = frozenset(Suppression.Reason.values) - {
    Suppression.Reason.HARD_BOUNCE,
    Suppression.Reason.SOFT_BOUNCE,
}


@dataclass(frozen=True)
class Person:
    """Who a person is, as typed into a form; `country` is ISO 3166-1 or ""."""

    address: str
    first_name: str = ""
    last_name: str = ""
    country: str = ""


@dataclass(frozen=True)
class Permission:
    """How a person agreed: basis (models.ConsentBasis), when, confirmed when, and where it is on record."""

    basis: str
    consent_at: datetime | None
    confirmed_at: datetime | None = None
    source: str = ""


def accepted(text: str, basis: str = "") -> Address:
    """Return the address in `text`; PersonRefusedError in plain words when we cannot take it."""
    found = parse(text)
    bad = found if isinstance(found, BadAddress) else refuse_address(found, basis)
    if bad is not None:
        raise PersonRefusedError(bad_words(bad), "address")
    assert isinstance(found, Address)
    return found


def bad_words(bad: BadAddress) -> str:
    """Return what is wrong with an address, and the likely right one."""
    from compliance.imports.words import PROBLEMS

    label, meaning = PROBLEMS.get(bad.reason, ("Not an address", "Enter an address like name@example.com"))
    hint = f" Did you mean {bad.suggestion}?" if bad.suggestion else ""
    return f"{label}. {meaning}.{hint}".replace("..", ".")


@transaction.atomic
def add_person(contact_list: ContactList, person: Person, permission: Permission, *, actor: User) -> ListMembership:
    """Put one person on a list, audited. They count under the list's newest statement, if it still covers additions.

    Without such a statement the person is on the list and not mailable, which the list page says.
    """
    address = accepted(person.address, permission.basis)
    contact = get_or_create(contact_list.organization, address, person)
    try:
        with transaction.atomic():
            membership = ListMembership.objects.create(
                contact_list=contact_list,
                contact=contact,
                basis=permission.basis,
                consent_at=permission.consent_at,
                confirmed_at=permission.confirmed_at,
                country=assumed(address.domain, ""),
                source=permission.source[:200],
                attestation=valid_attestation(contact_list),
            )
    except IntegrityError as error:
        raise PersonRefusedError(f"{address.original} is already on this list.", "address") from error
    lists.step(contact_list, 1)
    if permission.basis and permission.consent_at:
        step = Step(Kind.RECORDED, permission.consent_at, contact_list, permission.basis, actor)
        consent_events.record(contact, step, Circumstances(source=permission.source))
    _audit("contact.added", contact, actor, {"list": str(contact_list.uid), "basis": permission.basis})
    return membership


def get_or_create(organization: Organization, address: Address, person: Person) -> Contact:
    """Return the organization's contact for an address; empty name and country are filled in, others kept."""
    contact, made = Contact.objects.get_or_create(
        organization=organization,
        address_key=address.key,
        defaults={
            "address": address.original,
            "address_hash": suppression_hash(address.key),
            "domain": address.domain,
            "first_name": person.first_name[:120],
            "last_name": person.last_name[:120],
            "country": person.country,
        },
    )
    if made:
        suppression.carry_over(organization, address.key)
    else:
        _fill_in(contact, person)
    return contact


def _fill_in(contact: Contact, person: Person) -> None:
    wanted = {"first_name": person.first_name[:120], "last_name": person.last_name[:120], "country": person.country}
    missing = {name: value for name, value in wanted.items() if value and not getattr(contact, name)}
    for name, value in missing.items():
        setattr(contact, name, value)
    if missing:
        contact.save(update_fields=[*missing, "updated_at"])


def find(organization: Organization, text: str, *, contact_list: ContactList | None = None) -> QuerySet[Contact]:
    """Return contacts whose address or name begins with `text`; an empty text finds everybody. Newest first."""
    rows = Contact.objects.for_org(organization)
    if contact_list is not None:
        rows = rows.filter(memberships__contact_list=contact_list)
    word = text.strip().replace("\x00", "")
    if word:
        begins = Q(address_key__startswith=word.lower())
        rows = rows.filter(begins if "@" in word else begins | _name_begins(word))
    return rows.order_by("-pk")


def _name_begins(word: str) -> Q:
    first, _, rest = word.partition(" ")
    both = Q(first_name__istartswith=first, last_name__istartswith=rest.strip()) if rest else Q(pk__in=())
    return Q(first_name__istartswith=word) | Q(last_name__istartswith=word) | both


@transaction.atomic
def correct(contact: Contact, person: Person, *, actor: User) -> Contact:
    """Change who a person is. Another address is another key: what they refused follows them, and a second step
    that the old mailbox confirmed no longer counts.
    """
    address = accepted(person.address)
    changed = [
        name for name in ("first_name", "last_name", "country") if getattr(person, name) != getattr(contact, name)
    ]
    moved = address.key != contact.address_key
    if moved:
        _move(contact, address, actor)
    contact.address = address.original
    contact.first_name, contact.last_name = person.first_name[:120], person.last_name[:120]
    contact.country = person.country
    contact.save(update_fields=["address", "first_name", "last_name", "country", "updated_at"])
    _audit("contact.corrected", contact, actor, {"fields": [*(["address"] if moved else []), *changed]})
    return contact


def _move(contact: Contact, address: Address, actor: User) -> None:
    if Contact.objects.filter(organization=contact.organization_id, address_key=address.key).exists():
        raise PersonRefusedError(f"{address.original} is already one of your contacts.", "address")
    for row in suppression.find(contact.organization, AddressKey(contact.address_key)):
        if row.reason in _FOLLOWS_THE_PERSON and row.organization_id is not None:
            suppression.suppress(
                address.key, organization=contact.organization, reason=row.reason, source="corrected", until=row.until
            )
    Contact.objects.filter(pk=contact.pk).update(
        address_key=address.key, address_hash=suppression_hash(address.key), domain=address.domain
    )
    suppression.carry_over(contact.organization, address.key)
    ListMembership.objects.filter(contact=contact).update(confirmed_at=None)
    # The old mailbox agreed to be counted, not the new one.
    Contact.objects.filter(pk=contact.pk).update(tracking_consent_at=None, tracking_import=None)
    contact.address_key, contact.domain = address.key, address.domain


@transaction.atomic
def remove_from_list(contact_list: ContactList, contact: Contact, *, actor: User) -> bool:
    """Take a person off one list; tell whether they were on it."""
    gone, _ = ListMembership.objects.filter(contact_list=contact_list, contact=contact).delete()
    if gone:
        lists.step(contact_list, -1)
        _audit("contact.removed", contact, actor, {"list": str(contact_list.uid)})
    return bool(gone)


@transaction.atomic
def remove(contact: Contact, *, actor: User) -> None:
    """Delete a person and every membership. The do-not-mail list keeps its hash and goes on working."""
    uid, organization = contact.uid, contact.organization
    delete(contact)
    audit.record("contact.deleted", actor=actor, organization=organization, subject=f"contact:{uid}")


def delete(contact: Contact) -> None:
    """Delete a person and every membership, not audited; for callers that say why themselves."""
    touched = list(ContactList.objects.filter(memberships__contact=contact).order_by("pk"))
    tags.forget(contact)
    ProofRow.objects.filter(contact=contact).delete()  # what the sender wrote of their sign-up
    contact.delete()
    for row in touched:
        lists.step(row, -1)


def stopped_ids(organization: Organization, contact_ids: Sequence[int]) -> set[int]:
    """Return which of these contacts stand on the do-not-mail list."""
    stopped = suppression.live_suppression_sql("c.address_hash", "c.organization_id")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.id FROM compliance_contact c WHERE c.organization_id = %s AND c.id = ANY(%s) AND {stopped}",  # noqa: S608
            [organization.pk, list(contact_ids)],
        )
        return {row[0] for row in cursor.fetchall()}


def _audit(action: str, contact: Contact, actor: User, detail: dict[str, object]) -> None:
    audit.record(
        action, actor=actor, organization=contact.organization, subject=f"contact:{contact.uid}", detail=detail
    )


def sample_contacts(organization: Organization, list_uids: Sequence[UUID | str], n: int) -> list[Contact]:
    """Return up to `n` mailable contacts of these lists of the organization, each once, for previews."""
    sql = f"""SELECT c.* FROM compliance_contact c WHERE c.organization_id = %(organization)s AND c.id IN (
        SELECT m.contact_id FROM compliance_listmembership m
        JOIN compliance_contact c ON c.id = m.contact_id
        JOIN compliance_contactlist l ON l.id = m.contact_list_id
        WHERE l.organization_id = %(organization)s AND l.uid = ANY(%(lists)s::uuid[]) AND {lists.state_sql()} = ''
        ORDER BY m.id LIMIT %(many)s)
      ORDER BY c.id LIMIT %(n)s"""  # noqa: S608 (own fragments only)
    # A person may stand on several of the lists, so a few rows more are read than are given back.
    values = {"organization": organization.pk, "lists": [str(uid) for uid in list_uids], "n": n, "many": 5 * n}
    return list(Contact.objects.raw(sql, values))
