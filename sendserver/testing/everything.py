"""One of everything, for tests that walk every address: seven people and an object behind each kind of page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.test import Client

from abuse import moderation, transparency
from abuse.models import Case, Complaint, Decision, DecisionKind
from abuse.tests import make
from accounts import domains, invitations, verification
from accounts.models import Membership, Organization, Role, SendingDomain, User
from campaigns.models import Campaign, Outcome, RelayTrace
from campaigns.tests.world import World, make_draft, make_world
from compliance import tags
from compliance.models import Contact, ContactField, ImportJob, Segment, Tag
from compliance.segments import store
from compliance.segments.conditions import Condition, Conditions, Group
from compliance.tests import helpers
from sendserver.lib import clock, tokens
from sendserver.testing.personas import Persona, _staff, join, make_organization

PERSONAS = ("anonymous", "owner", "editor", "viewer", "stranger", "moderator", "administrator")


@dataclass
class Everything:
    """What the addresses of larkfield lead to, and who tries them."""

    clients: dict[str, Client]
    users: dict[str, User]
    organization: Organization
    world: World
    draft: Campaign
    sent: Campaign
    sending: Campaign
    paused: Campaign
    member: Membership
    invitation: Any
    domain: SendingDomain
    mapped: ImportJob
    done: ImportJob
    complaint: Complaint
    case: Case
    decision: Decision
    review: Any
    contact: Contact
    tag: Tag
    field: ContactField
    segment: Segment

    @property
    def delivery_token(self) -> str:
        """Return the token of a mail that was sent."""
        assert self.complaint.delivery_id is not None
        return tokens.seal(tokens.Purpose.DELIVERY, self.complaint.delivery_id)


def build() -> Everything:
    """Make it all. One transaction's worth of rows; nothing is mailed."""
    larkfield, hollin = make_organization("Larkfield Garden Co."), make_organization("Hollin Hill Pottery")
    people = {
        "owner": join(larkfield, "Alice", Role.OWNER),
        "editor": join(larkfield, "Eve", Role.EDITOR),
        "viewer": join(larkfield, "Victor", Role.VIEWER),
        "stranger": join(hollin, "Mallory", Role.OWNER),
        "moderator": make.staff("Mona"),
        "administrator": _staff("Admin", superuser=True),
    }
    world = _with(larkfield, people)
    transparency.count_recent()
    return world


def _with(organization: Organization, people: dict[str, Persona]) -> Everything:
    owner = people["owner"].user
    world = make_world(organization)
    sent = make.campaign(organization, accepted=1000)
    complaint = make.report(make.delivery(sent))
    saltmarsh = join(make_organization("Saltmarsh Cycles", standing="unverified", allowance=0), "Joe", Role.OWNER)
    contact = Contact.objects.filter(organization=organization).order_by("pk")[0]
    _mail_to(contact, sent)
    return Everything(
        clients={"anonymous": Client(), **{name: persona.client for name, persona in people.items()}},
        users={name: persona.user for name, persona in people.items()},
        organization=organization,
        world=world,
        draft=make_draft(world, owner),
        sent=sent,
        sending=make.campaign(organization, accepted=10, state="sending"),
        paused=make.campaign(organization, accepted=10, state="paused"),
        member=Membership.objects.get(user=people["viewer"].user),
        invitation=invitations.invite(organization, email="new@larkfield.example", role=Role.VIEWER, actor=owner),
        domain=domains.add(organization, "second.larkfield.example", actor=owner),
        mapped=helpers.mapped(organization, owner, helpers.csv_of(helpers.people(3))),
        done=_done(organization, owner),
        complaint=complaint,
        case=make.case_of(organization),
        decision=_warning(organization, people),
        review=verification.begin(saltmarsh.user.memberships.get().organization),
        contact=contact,
        **_picked(organization, contact, owner),
    )


def _picked(organization: Organization, contact: Contact, owner: User) -> dict[str, Any]:
    """Return a tag, a column and a segment with a condition of every kind of input, under hostile names."""
    tags.give([contact], ["<b>Frühling</b> שלום", "spring fair"], actor=owner)
    tag = Tag.objects.get(organization=organization, key="spring fair")
    field = ContactField.objects.create(organization=organization, name="Age", key="age", kind="field_number")
    asked = (
        Condition("tag", "has", str(tag.uid)),
        Condition(f"own:{field.uid}", "empty"),
        Condition("consent_at", "after", "2020-01-01"),
        Condition("country", "is", "GB"),
        Condition("mailed", "not_last_days", "30"),
    )
    groups = (Group("any", asked), Group("all", (Condition("last_name", "is_not", "<i>Nobody</i>"),)))
    segment = store.save(organization, "Spring & <em>fair</em>", Conditions("all", groups), actor=owner)
    return {"tag": tag, "field": field, "segment": segment}


def _mail_to(contact: Contact, sent: Campaign) -> None:
    """Let somebody have got a campaign at the second attempt, with hostile words in the answers."""
    one = make.delivery(sent, contact.address, contact.pk)
    values = {"delivery_id": one.pk, "campaign_id": sent.pk, "relay": "relay-1", "at": clock.now()}
    said = "4.2.0 <i>later</i> " + "x" * 200
    Outcome.objects.create(**values, attempt=1, state="deferred", code=450, enhanced="4.2.0", reply=said)
    Outcome.objects.create(**values, attempt=2, state="accepted", code=250, reply="queued as 4F1A2B", queue_id="4F1A2B")
    RelayTrace.objects.create(
        relay="relay-1",
        queue_id="4F1A2B",
        delivery_id=one.pk,
        seen_at=clock.now(),
        taken_at=clock.now(),
        status="sent",
        status_at=clock.now(),
        status_text="250 <b>taken</b>",
    )


def _done(organization: Organization, owner: User) -> ImportJob:
    rows = [*helpers.people(3, start=10), ("not an address", "2026-10-01", "GB")]
    return helpers.finished(organization, owner, helpers.csv_of(rows))


def _warning(organization: Organization, people: dict[str, Persona]) -> Decision:
    """Return a decision that can be appealed against."""
    case = make.case_of(organization)
    return moderation.apply_decision(
        moderation.DecisionRequest(
            case=case, kind=DecisionKind.WARN, actor=people["moderator"].user, rule="2.3", reason="Too many reports."
        )
    )
