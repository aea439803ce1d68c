"""Tags: words that a sender files people under. What an upload gives is compliance.imports.tagging's; many people at
once are compliance.tag_orders'. A tag permits nothing: whether somebody may be mailed never depends on one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from accounts import audit
from accounts.models import Organization, User
from compliance import policy
from compliance.errors import TagRefusedError
from compliance.models import Contact, ContactTag, Segment, Tag

LENGTH: Final = 60
PARTS: Final = re.compile("[,;|]")  # what parts several tags in one cell or line
HAND: Final = 0  # ContactTag.upload of what a person gave
_REFUSED: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Co", "Cs"})
_COUNT: Final = """UPDATE compliance_tag t SET people_count = (
    SELECT count(DISTINCT g.contact_id) FROM compliance_contacttag g WHERE g.tag_id = t.id)
  WHERE t.id = ANY(%s)"""


def key_of(name: str) -> str:
    """Return a name as it is compared: composed (NFC), without case."""
    return unicodedata.normalize("NFC", name.casefold())[:200]


def split(text: str) -> list[str]:
    """Return the tags in "spring, garden fair": each once, blanks joined; TagRefusedError says what is wrong."""
    if len(text) > 2 * LENGTH * policy.TAGS_AT_ONCE:
        raise TagRefusedError(f"At most {policy.TAGS_AT_ONCE} tags at once.")
    found: dict[str, str] = {}
    for part in PARTS.split(text):
        if name := " ".join(part.split()):
            found.setdefault(key_of(name), _sound(name))
    if len(found) > policy.TAGS_AT_ONCE:
        raise TagRefusedError(f"At most {policy.TAGS_AT_ONCE} tags at once.")
    return list(found.values())


def _sound(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    if len(name) > LENGTH:
        raise TagRefusedError(f"A tag has at most {LENGTH} characters.")
    if not name.isprintable() and any(unicodedata.category(sign) in _REFUSED for sign in name):
        raise TagRefusedError("Take out line breaks and invisible characters.")
    return name


def one(text: str) -> str:
    """Return the one tag that somebody typed; TagRefusedError where there is none or several."""
    names = split(text)
    if len(names) != 1:
        raise TagRefusedError("Enter one tag, without commas." if names else "Enter a tag.")
    return names[0]


def create(organization: Organization, name: str, *, actor: User) -> Tag:
    """Return a new tag; TagRefusedError where the name is taken or there are too many."""
    with transaction.atomic():
        _room(organization, 1)
        try:
            with transaction.atomic():
                made = Tag.objects.create(organization=organization, name=name, key=key_of(name))
        except IntegrityError as error:
            raise TagRefusedError(f"There is a tag “{name}” already.") from error
        _audit("tag.created", made, actor)
    return made


def _room(organization: Organization, more: int) -> None:
    """Refuse where the organization would have too many; two people at once may overshoot by what both add."""
    if Tag.objects.for_org(organization).count() + more > policy.TAGS_MAX:
        raise TagRefusedError(f"There is room for {policy.TAGS_MAX:,} tags. Delete some, or use a column instead.")


def ensure(
    organization: Organization, names: Collection[str], *, upload_id: int | None = None, limited: bool = True
) -> dict[str, int]:
    """Return the tags' row numbers by compared name, making those that are missing.

    An upload's words were counted against the limit before it was signed, so it makes them unlimited.
    """
    wanted: dict[str, str] = {}
    for name in names:
        wanted.setdefault(key_of(name), name)
    known = dict(Tag.objects.for_org(organization).filter(key__in=wanted).values_list("key", "pk"))
    missing = [
        Tag(organization=organization, name=name, key=key, upload_id=upload_id)
        for key, name in wanted.items()
        if key not in known
    ]
    if not missing:
        return known
    if limited:
        _room(organization, len(missing))
    Tag.objects.bulk_create(missing, ignore_conflicts=True)
    return dict(Tag.objects.for_org(organization).filter(key__in=wanted).values_list("key", "pk"))


@transaction.atomic
def rename(tag: Tag, name: str, *, actor: User) -> None:
    """Give a tag another name; TagRefusedError where another tag has it."""
    taken = Tag.objects.for_org(tag.organization).filter(key=key_of(name)).exclude(pk=tag.pk)
    if taken.exists():
        raise TagRefusedError(f"There is a tag “{name}” already.")
    tag.name, tag.key = name, key_of(name)
    try:
        with transaction.atomic():
            tag.save(update_fields=["name", "key"])
    except IntegrityError as error:
        raise TagRefusedError(f"There is a tag “{name}” already.") from error
    _audit("tag.renamed", tag, actor)


@transaction.atomic
def delete(tag: Tag, *, actor: User) -> None:
    """Delete a tag and take it from everybody; TagRefusedError while a segment asks for it.

    A segment without its tag would pick other people than its author meant.
    """
    Tag.objects.select_for_update().get(pk=tag.pk)
    users = [row.name for row in using(tag)]
    if users:
        raise TagRefusedError(f"The segment “{users[0]}” asks for this tag. Change the segment first.")
    _audit("tag.deleted", tag, actor, people=tag.people_count)
    Tag.objects.filter(pk=tag.pk).delete()


def using(tag: Tag) -> list[Segment]:
    """Return the organization's segments that ask for a tag."""
    rows = Segment.objects.for_org(tag.organization).filter(deleted_at=None).order_by("name")
    return [row for row in rows if str(tag.uid) in str(row.conditions)]


@transaction.atomic
def give(contacts: Iterable[Contact], names: Collection[str], *, actor: User) -> int:
    """Give tags to people of one organization by hand; return how many new ones that made. Audited for each person."""
    people = list(contacts)
    if not people or not names:
        return 0
    organization = people[0].organization
    found = ensure(organization, names)
    made = 0
    for tag in Tag.objects.filter(pk__in=found.values()).order_by("pk"):
        new = _give(tag, [person.pk for person in people])
        made += len(new)
        for person in people:
            if person.pk in new:
                _audit_person("contact.tagged", person, tag, actor)
    return made


def _give(tag: Tag, contact_ids: list[int]) -> set[int]:
    """Write what a hand gives; return who did not have the tag before."""
    had = set(ContactTag.objects.filter(tag=tag, contact_id__in=contact_ids).values_list("contact_id", flat=True))
    rows = [ContactTag(tag=tag, contact_id=pk, upload=HAND) for pk in contact_ids]
    ContactTag.objects.bulk_create(rows, ignore_conflicts=True)
    new = set(contact_ids) - had
    Tag.objects.filter(pk=tag.pk).update(people_count=F("people_count") + len(new))
    return new


@transaction.atomic
def take(contacts: Iterable[Contact], tag: Tag, *, actor: User) -> int:
    """Take a tag from people, whoever gave it; return how many had it."""
    people = {person.pk: person for person in contacts}
    rows = ContactTag.objects.filter(tag=tag, contact_id__in=people)
    had = set(rows.values_list("contact_id", flat=True))
    rows.delete()
    _fewer([tag.pk], len(had))
    for pk in sorted(had):
        _audit_person("contact.untagged", people[pk], tag, actor)
    return len(had)


def _fewer(tag_ids: Collection[int], people: int) -> None:
    Tag.objects.filter(pk__in=tag_ids).update(people_count=Greatest(F("people_count") - people, 0))


def forget(contact: Contact) -> None:
    """Count a person out who is about to be deleted; the database takes the rows along."""
    _fewer(set(ContactTag.objects.filter(contact=contact).values_list("tag_id", flat=True)), 1)


def of_contact(contact: Contact) -> list[Tag]:
    """Return a person's tags, by name."""
    had = ContactTag.objects.filter(contact=contact).values("tag_id")
    return list(Tag.objects.for_org(contact.organization).filter(pk__in=had).order_by("key"))


def names_of(organization: Organization, contact_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the tags of several people, in one query."""
    rows = ContactTag.objects.filter(contact_id__in=contact_ids, tag__organization=organization)
    found: dict[int, list[str]] = {}
    for contact_id, name in rows.order_by("tag__key").values_list("contact_id", "tag__name").distinct():
        found.setdefault(contact_id, []).append(name)
    return found


def known_names(organization: Organization) -> list[str]:
    """Return the names of an organization's tags, for pages that offer them."""
    rows = Tag.objects.for_org(organization).order_by("key")
    return list(rows.values_list("name", flat=True)[: policy.TAGS_MAX])


def some_people(tag: Tag, most: int) -> list[Contact]:
    """Return up to `most` people with a tag, as they lie in the index: a tag of a million people costs no more."""
    given = ContactTag.objects.filter(tag=tag).order_by("contact_id").values_list("contact_id", flat=True)
    ids = list(dict.fromkeys(given[: 2 * most]))[:most]
    return list(Contact.objects.for_org(tag.organization).filter(pk__in=ids).order_by("pk"))


def recount(tag_ids: Collection[int]) -> None:
    """Write anew how many people have each tag; for workers, since a tag of a million people takes its time."""
    if tag_ids:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [sorted(tag_ids)])


def _audit(action: str, tag: Tag, actor: User, **detail: object) -> None:
    audit.record(
        action,
        actor=actor,
        organization=tag.organization,
        subject=f"tag:{tag.uid}",
        detail=detail,
    )


def _audit_person(action: str, contact: Contact, tag: Tag, actor: User) -> None:
    organization = contact.organization
    audit.record(
        action,
        actor=actor,
        organization=organization,
        subject=f"contact:{contact.uid}",
        detail={"tag": str(tag.uid)},
    )
