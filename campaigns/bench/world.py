"""The customer of a benchmark: one verified organization, its people in bulk, and campaigns as behind an approval.

People come in by COPY and onto lists by one statement; the campaign is composed, frozen and planned by the product's
own functions.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db import connection, connections

from accounts.domains import ensure_keys
from accounts.ledger import append_chained
from accounts.models import BusinessProfile, FromAddress, Organization, SendingDomain, Standing
from campaigns import compose, planning
from campaigns.bench.content import FIELDS, Content
from campaigns.content import snapshot as snapshots
from campaigns.models import Campaign, CampaignState, Link, Snapshot
from campaigns.sending import sweep
from compliance.models import Attestation, ContactList
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash

DOMAIN = "crowd.example"
_CONTACT_COLUMNS = (
    *("uid", "organization_id", "address", "address_key", "address_hash", "domain", "first_name", "last_name"),
    *("country", "fields", "created_at", "updated_at"),
)
_MEMBERS = """
INSERT INTO compliance_listmembership
  (contact_list_id, contact_id, basis, consent_at, confirmed_at, country, source, attestation_id, added_at)
SELECT %s, id, 'express_doi', %s, %s, '', 'website form', %s, now()
FROM compliance_contact WHERE organization_id = %s ORDER BY id LIMIT %s
"""


def address(number: int) -> str:
    """Return the address of the person with this number."""
    return f"reader{number:07d}@{DOMAIN}"


def values(number: int) -> dict[str, str]:
    """Return the columns of the person with this number."""
    return {name: text.replace("%d", str(number)) for name, text in FIELDS.items()}


class Person(Protocol):
    """What a contact is made of."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Return every column by name, the two names among them."""


@dataclass(frozen=True)
class Reader:
    """The person whom the benchmark mails."""

    columns: Mapping[str, str]


def reader(number: int) -> Reader:
    """Return the person with this number."""
    name = f"Réader{number}" if number % 3 == 0 else f"Reader{number}"
    return Reader({"first_name": name, "last_name": "", **values(number)})


@dataclass
class Customer:
    """An organization that may send to any number of people a day; `person` says what its contacts are made of."""

    organization: Organization
    person: Callable[[int], Person] = reader
    people: int = 0
    lists: dict[int, ContactList] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        name: str = "Larkfield Garden Co.",
        domain_name: str = "mail.larkfield.example",
        person: Callable[[int], Person] = reader,
    ) -> Customer:
        """Write the organization with everything that a campaign needs."""
        organization = Organization.objects.create(name=name, standing=Standing.GOOD, daily_allowance=2_000_000_000)
        BusinessProfile.objects.create(
            organization=organization,
            legal_name=f"{name} Ltd",
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
            name=domain_name,
            challenge="x",
            verified_at=now,
            last_good_at=now,
            checked_at=now,
        )
        ensure_keys(domain)
        FromAddress.objects.create(
            organization=organization,
            domain=domain,
            display_name=name,
            local_part="news",
            reply_to="hello@larkfield.example",
            confirmed_at=now,
        )
        return cls(organization, person)

    def load(self, people: int) -> None:
        """Bring the organization to this many contacts."""
        if people <= self.people:
            return
        statement = f"COPY compliance_contact ({', '.join(_CONTACT_COLUMNS)}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in self._contacts(self.people + 1, people):
                copy.write_row(row)
        self.people = people
        with connections["owner"].cursor() as cursor:
            cursor.execute("ANALYZE compliance_contact")

    def _contacts(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        now, organization = clock.now(), self.organization.pk
        for number in range(first, last + 1):
            key = AddressKey(address(number))
            columns = dict(self.person(number).columns)
            names = columns.pop("first_name"), columns.pop("last_name")
            fields, hashed = json.dumps(columns), suppression_hash(key)
            yield uuid.uuid4(), organization, key, key, hashed, DOMAIN, *names, "GB", fields, now, now

    def list_of(self, people: int) -> ContactList:
        """Return a list with exactly this many people, everyone mailable."""
        if people not in self.lists:
            self.load(people)
            made = ContactList.objects.create(
                organization=self.organization, name=f"Newsletter {people}", people_count=people
            )
            agreed = clock.now() - timedelta(days=30)
            confirmed = agreed + timedelta(minutes=5)
            statement = _attest(self.organization, made, people, agreed).pk
            with connection.cursor() as cursor:
                cursor.execute(_MEMBERS, [made.pk, agreed, confirmed, statement, self.organization.pk, people])
            with connections["owner"].cursor() as cursor:
                cursor.execute("ANALYZE compliance_listmembership")
            self.lists[people] = made
        return self.lists[people]

    def frozen(self, content: Content, people: int) -> Campaign:
        """Return a campaign in state PLANNING to this many people."""
        target = self.list_of(people)
        draft = compose.new_draft(self.organization, name=f"Bench {content.key}", actor=None)  # type: ignore[arg-type]
        draft.subject, draft.preheader = content.subject, "Bring boots"
        draft.body, draft.body_format = content.html, Campaign.Format.HTML
        draft.save(update_fields=["subject", "preheader", "body", "body_format"])
        draft.lists.set([target])
        message, built = compose.content_of(draft, counted=True)
        document = snapshots.document(message, [target])
        snapshot = Snapshot.objects.create(
            campaign_uid=draft.uid,
            version=1,
            sha256=snapshots.sha256(document),
            content=document,
            created_at=clock.now(),
        )
        Link.objects.bulk_create(
            Link(campaign=draft, number=n, url=url) for n, url in enumerate(built.counted, start=1)
        )
        Campaign.objects.filter(pk=draft.pk).update(state=CampaignState.PLANNING, snapshot=snapshot)
        draft.refresh_from_db()
        return draft


def planned(campaign: Campaign, people: int) -> Campaign:
    """Plan a frozen campaign and see that everybody is in the plan."""
    result = planning.plan(campaign)
    if result.mailable != people:
        raise AssertionError(f"{result.mailable} of {people} people were planned: {result.left_out}")
    return campaign


def close(campaign: Campaign) -> None:
    """End a campaign whose messages are all out, as the beat does, so that no later claim looks at it."""
    sweep.sweep()
    campaign.refresh_from_db()


def _attest(organization: Organization, target: ContactList, rows: int, at: datetime) -> Attestation:
    return append_chained(
        Attestation,
        {
            "organization_id": organization.pk,
            "list_uid": target.uid,
            "import_uid": uuid.uuid4(),
            "wording_version": "ATT-EN-1.0",
            "text_sha256": b"t" * 32,
            "answers": {},
            "legal_name": organization.name,
            "signer_uid": uuid.uuid4(),
            "factor": "totp",
            "factor_at": at,
            "file_sha256": b"f" * 32,
            "row_count": rows,
            "signed_at": at,
            "person_commitment": b"",  # no personal part
        },
    )
