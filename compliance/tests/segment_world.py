"""People for tests of segments: some lists, tags and columns, and who is picked by what."""

from __future__ import annotations

from datetime import timedelta

from accounts.models import Organization
from campaigns.tests.world import World, add_person, attest, make_world
from compliance import tags
from compliance.imports import kinds
from compliance.lists import record_bounced
from compliance.models import Contact, ContactField, ContactList, ListMembership, Segment
from compliance.segments import counts, store
from compliance.segments.conditions import Condition, Conditions, Group
from compliance.segments.where import where_of
from sendserver.lib import clock


def field(organization: Organization, name: str, kind: str = kinds.TEXT) -> str:
    """Return the subject of a further column, entered into the register."""
    row = ContactField.objects.create(organization=organization, name=name, key=tags.key_of(name), kind=kind)
    return f"own:{row.uid}"


def one(subject: str, op: str, value: str = "") -> Conditions:
    """Return a single condition."""
    return Conditions("all", (Group("all", (Condition(subject, op, value),)),))


def picked(organization: Organization, conditions: Conditions) -> set[str]:
    """Return the names before the @ of everybody whom conditions pick, asked by the very SQL."""
    where = where_of(organization, conditions)
    sql = f"""SELECT c.* FROM compliance_contact c WHERE c.id IN (
      SELECT m.contact_id FROM compliance_listmembership m JOIN compliance_contact c ON c.id = m.contact_id
      JOIN compliance_contactlist l ON l.id = m.contact_list_id
      WHERE l.organization_id = %(organization)s AND {where.sql})"""
    rows = Contact.objects.raw(sql, {"organization": organization.pk, **where.values})
    found = {row.address.split("@")[0] for row in rows}
    assert counts.count(organization, where)[0] == len(found)
    return found


def make(organization: Organization) -> World:
    """Return a world with five people of different kinds and a second list."""
    world = make_world(organization, 0)
    now = clock.now()
    ada = add_person(
        world, "ada@reader.example", first_name="Ada", fields={"City": "York", "Age": "36", "Born": "1989-12-10"}
    )
    ben = add_person(
        world, "ben@other.example", first_name="Ben", fields={"City": "100%_off", "Age": "-2.5", "Open day": "yes"}
    )
    cy = add_person(world, "cy@reader.example", country="DE", fields={"Age": "9" * 400, "Open day": "no"})
    dora = add_person(world, "dora@reader.example", basis="express_written", first_name="ÉLODIE")
    eli = add_person(world, "eli@reader.example", fields={"City": "new york", "Age": "old", "Born": "soon"})
    other = ContactList.objects.create(organization=organization, name="Open days")
    for person in (dora, eli):
        ListMembership.objects.create(
            contact_list=other, contact=person, basis="express_soi", consent_at=now - timedelta(days=400),
            attestation=attest(organization, other, 1),
        )  # fmt: skip
    ListMembership.objects.filter(contact=ada).update(last_contact_at=now - timedelta(days=3))
    ListMembership.objects.filter(contact=ben).update(last_contact_at=now - timedelta(days=60))
    record_bounced(cy.pk, bytes(cy.address_hash), now - timedelta(days=10))
    ListMembership.objects.filter(contact=ben).update(added_at=now - timedelta(days=100))
    return world


def segment(organization: Organization, conditions: Conditions, actor, name: str = "Some") -> Segment:
    """Return a saved segment."""
    return store.save(organization, name, conditions, actor=actor)
