"""A verified sender with a list of people who agreed, for tests of campaigns."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from accounts.ledger import append_chained
from accounts.models import BusinessProfile, FromAddress, Organization, SendingDomain, User
from campaigns import compose
from campaigns.models import Campaign
from compliance.models import Attestation, Contact, ContactList, ListMembership
from sendserver.lib import clock
from sendserver.lib.addresses import Address, parse, suppression_hash

BODY = """Hello {{ first_name | default: "there" }},

# The potting shed is open

Bring boots. [Tell us you are coming](https://larkfield.example/open-day)
"""


@dataclass
class World:
    """What a campaign needs."""

    organization: Organization
    contact_list: ContactList
    from_address: FromAddress
    attestation: Attestation


def make_world(organization: Organization, people: int = 3, *, list_name: str = "Newsletter") -> World:
    """Return a sender that may send, with `people` mailable contacts on one list."""
    BusinessProfile.objects.create(
        organization=organization,
        legal_name=f"{organization.name} Ltd",
        legal_form="Limited company",
        register_name="Companies House",
        register_number="0123456",
        country="GB",
        street="4 Mill Lane",
        city="Exampleton",
        postal_code="EX1 2AB",
        responsible_person="Dana Whitlock",
        contact_email="hello@larkfield.example",
        website="https://larkfield.example",
    )
    now = clock.now()
    domain = SendingDomain.objects.create(
        organization=organization,
        name=f"mail.{organization.name.split()[0].lower()}.example",
        challenge="x",
        verified_at=now,
        last_good_at=now,
        checked_at=now,
    )
    sender = FromAddress.objects.create(
        organization=organization,
        domain=domain,
        display_name=organization.name,
        local_part="news",
        reply_to="hello@larkfield.example",
        confirmed_at=now,
    )
    found = ContactList.objects.create(organization=organization, name=list_name, people_count=people)
    attestation = attest(organization, found, people)
    world = World(organization, found, sender, attestation)
    for number in range(people):
        add_person(world, f"person{number}@reader.example", first_name=f"Name{number}")
    return world


def attest(organization: Organization, contact_list: ContactList, rows: int) -> Attestation:
    """Return a signed statement for a list."""
    fields = {
        "organization_id": organization.pk,
        "list_uid": contact_list.uid,
        "import_uid": uuid.uuid4(),
        "wording_version": "ATT-EN-1.0",
        "text_sha256": b"t" * 32,
        "answers": {},
        "legal_name": organization.name,
        "signer_uid": uuid.uuid4(),
        "factor": "totp",
        "factor_at": clock.now(),
        "file_sha256": b"f" * 32,
        "row_count": rows,
        "signed_at": clock.now(),
        "person_commitment": b"",  # no personal part
    }
    return append_chained(Attestation, fields)


def add_person(
    world: World, address: str, *, basis: str = "express_doi", country: str = "GB", **fields: object
) -> Contact:
    """Return a contact on the world's list who agreed a month ago and confirmed it."""
    parsed = parse(address)
    assert isinstance(parsed, Address)
    contact = Contact.objects.create(
        organization=world.organization,
        address=parsed.original,
        address_key=parsed.key,
        address_hash=suppression_hash(parsed.key),
        domain=parsed.domain,
        country=country,
        **fields,
    )
    agreed = clock.now() - timedelta(days=30)
    ListMembership.objects.create(
        contact_list=world.contact_list,
        contact=contact,
        basis=basis,
        consent_at=agreed,
        confirmed_at=agreed + timedelta(minutes=5),
        source="website form",
        attestation=world.attestation,
    )
    return contact


def make_draft(world: World, actor: User, **fields: object) -> Campaign:
    """Return a draft that passes every check."""
    draft = compose.new_draft(world.organization, name="Open day", actor=actor)
    values = {"subject": "Come and dig on 14 November", "preheader": "Free tea", "body": BODY, **fields}
    for name, value in values.items():
        setattr(draft, name, value)
    draft.save(update_fields=list(values))
    draft.lists.set([world.contact_list])
    return draft
