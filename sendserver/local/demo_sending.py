"""The part of the story that sends: a list, a sent campaign, one for tomorrow, a draft, and a report.

The lanes are run here, since the portal's own are not up yet when the story is told; later mail is theirs.
"""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

from abuse import intake
from abuse.matching import match_token
from abuse.models import Complaint, ComplaintSource
from accounts.models import FromAddress, Organization, User
from campaigns import compose, planning
from campaigns.approve import Order, approve
from campaigns.compose import Changes
from campaigns.models import Campaign, CampaignState, Delivery, Outcome
from campaigns.sending import deliver, relays, sweep
from compliance import attestations
from compliance.attestations import Signer
from compliance.imports import lifecycle, receive, run, scan
from compliance.imports.reading import Dialect
from compliance.models import ContactList, ImportJob, ImportState
from sendserver.lib import clock, tokens
from sendserver.local.demo_people import newsletter_file

LIST = "Newsletter"
PEOPLE = 240
PATIENCE = 20.0  # seconds for the lanes; what is not sent by then the portal sends
ANSWERS = {
    "source": "website_form",
    "earliest": "",
    "latest": "",
    "page_url": "https://larkfield.example/newsletter",
    "wording": "Yes, send me the Larkfield newsletter about once a week. I can stop it at any time.",
    "last_mailed": "",
    "prohibited": dict.fromkeys(
        ("bought", "rented", "swapped", "third_party", "harvested", "guessed", "employer", "directory"), "no"
    ),
    "statements": ["agreed", "not_bought", "proof"],
    "background": {"minors": "no", "people": "consumers", "dated": "yes"},
}
TULIPS = """Hello {{ first_name | default: "there" }},

# Six days of warm soil

The soil is still warm, and the bulbs are in. Plant tulips three times as deep as the bulb is tall, and water once.

[See the bulb list](https://larkfield.example/bulbs)

Until Sunday we pack orders the same day. [How to reach us](https://larkfield.example/visit)
"""
OPEN_DAY = """Hello {{ first_name | default: "there" }},

# The potting shed is open on Saturday

Bring boots. There is soup at noon, and Tom shows how to divide snowdrops.

[Tell us you are coming](https://larkfield.example/open-day)
"""
DRAFT = """Hello {{ first_name | default: "there" }},

# Winter hours

From December we open at ten. [All hours](https://larkfield.example/hours)
"""


class StoryError(Exception):
    """The story cannot go on: a rule of the portal is against it."""


def tell(organization: Organization, owner: User) -> None:
    """Tell what was not told yet."""
    contact_list = ContactList.objects.for_org(organization).filter(name=LIST).first() or upload(organization, owner)
    tulips = campaign(contact_list, owner, "Tulip week", "Last planting week for tulips", TULIPS)
    if tulips.state == CampaignState.DRAFT:
        send(tulips, owner)
    open_day = campaign(contact_list, owner, "Open day", "Open day on Saturday: bring boots", OPEN_DAY)
    if open_day.state == CampaignState.DRAFT:
        send(open_day, owner, hours=30)
    campaign(contact_list, owner, "Winter hours", "Our hours in winter", DRAFT)
    report(tulips)


def upload(
    organization: Organization,
    owner: User,
    data: bytes | None = None,
    *,
    file_name: str = "newsletter-export.csv",
    list_name: str = LIST,
) -> ContactList:
    """Upload a file, sign the statement, read it in; return the new list."""
    data = newsletter_file(PEOPLE) if data is None else data
    job = receive.start(organization, owner, [data], file_name=file_name, list_name=list_name)
    first = receive.reread(job, Dialect(job.encoding, job.delimiter))
    receive.choose(job, receive.proposal(job, first), actor=owner)
    scan.scan(_fresh(job))
    job = _fresh(job)
    now = clock.now()
    told = {"earliest": f"{now - timedelta(days=330):%Y-%m}", "latest": f"{now:%Y-%m}", "signer_name": owner.name}
    lifecycle.move(job, ImportState.ANSWERED, actor=owner, answers={**ANSWERS, **told}, declared_country="GB")
    job = _fresh(job)
    attestations.submit(job, Signer(owner, "Owner", "totp", now, "127.0.0.1", "Demo story"))
    job = _fresh(job)
    while not run.run(job):
        job = _fresh(job)
    return ContactList.objects.get(pk=job.contact_list_id)


def _fresh(job: ImportJob) -> ImportJob:
    return ImportJob.objects.select_related("organization", "contact_list").get(pk=job.pk)


def campaign(contact_list: ContactList, owner: User, name: str, subject: str, body: str) -> Campaign:
    """Return a campaign, written once."""
    organization = contact_list.organization
    known = Campaign.objects.for_org(organization).filter(name=name).first()
    if known:
        return known
    draft = compose.new_draft(organization, name=name, actor=owner)
    changes = Changes(
        name=name,
        subject=subject,
        preheader="",
        from_address=FromAddress.objects.for_org(organization).filter(removed_at=None).first(),
        body_format=Campaign.Format.MARKDOWN,
        body=body,
        offer_ends_at=None,
        lists=(contact_list,),
    )
    compose.save_draft(draft, changes, version=draft.version)
    draft.refresh_from_db()
    return draft


def send(draft: Campaign, owner: User, *, hours: int = 0) -> None:
    """Press Send, now or for a time `hours` ahead; what goes now is sent by both lanes at once."""
    at = clock.now() + timedelta(hours=hours) if hours else None
    ordered = approve(draft, Order(uuid.uuid4(), draft.version, at, draft.organization.time_zone), actor=owner)
    if not ordered.accepted:
        raise StoryError(f"“{draft.name}” may not be sent: {ordered.answer}")
    if at is None:
        run_lanes(draft)


def run_lanes(approved: Campaign) -> None:
    """Count the audience and send to it by both lanes."""
    planning.plan(Campaign.objects.get(pk=approved.pk))
    deadline = time.monotonic() + PATIENCE
    for key in relays.KEYS:
        while deliver.run_lane(key).more and time.monotonic() < deadline:
            pass
    sweep.sweep()


def report(sent: Campaign) -> None:
    """Let somebody who got the mail report it by the link in it, once."""
    taken = Outcome.objects.filter(campaign_id=sent.pk, state=Outcome.State.ACCEPTED).values("delivery_id")
    delivery = Delivery.objects.filter(pk__in=taken, domain="northby.example").order_by("pk").first()
    if delivery is None or Complaint.objects.filter(delivery_id=delivery.pk).exists():
        return
    token = tokens.seal(tokens.Purpose.DELIVERY, delivery.pk)
    intake.receive(
        intake.Report(
            kind=Complaint.Kind.NEVER_SIGNED_UP,
            source=ComplaintSource.LINK,
            match=match_token(token),
            text="I have never been in this shop and never gave them my address.",
            network="127.0.0.0/24",
        )
    )
