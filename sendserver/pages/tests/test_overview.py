"""The overview: real figures, nobody else's, and the same number of queries however much there is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from abuse.reputation import Counts
from accounts.models import DomainRecord, Organization, SendingDomain, Standing
from campaigns.models import Brake, Campaign, CampaignState, Chunk, Event, EventKind, Outcome, Tally, Usage
from compliance.models import ContactList, ImportJob, ImportRow, ImportState
from sendserver.pages import context, needs, overview
from sendserver.testing.personas import Persona


def campaign(organization: Organization, name: str, state: str, *, hours_ago: int = 24) -> Campaign:
    started = timezone.now() - timedelta(hours=hours_ago)
    return Campaign.objects.create(
        organization=organization, name=name, state=state, started_at=started, mailable_count=200, planned_count=210
    )


def tally(one: Campaign, relay: str, state: str, count: int) -> None:
    Tally.objects.create(campaign=one, relay=relay, state=state, count=count)


def event(one: Campaign, kind: str, *, number: int = 1, bounce_class: str = "") -> None:
    for turn in range(number):
        Event.objects.create(
            kind=kind,
            at=timezone.now(),
            organization=one.organization,
            campaign_id=one.pk,
            source="dsn",
            dedupe=f"{one.pk}-{kind}-{turn}",
            bounce_class=bounce_class,
            delivery_id=turn,
        )


def page(persona: Persona) -> str:
    response = persona.client.get("/portal/")
    assert response.status_code == 200
    return response.content.decode()


def test_a_visitor_is_sent_to_sign_in(client: Client) -> None:
    response = client.get("/portal/")
    assert response.status_code == 302
    assert "/account/login/" in response.headers["Location"]


def test_posting_is_refused(alice: Persona) -> None:
    assert alice.client.post("/portal/").status_code == 405
    assert alice.client.post("/portal/now/").status_code == 405


def test_the_first_day_shows_three_tasks(alice: Persona, larkfield: Organization) -> None:
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.UNVERIFIED)
    text = page(alice)
    assert "Let us get you ready to send" in text
    assert "500 messages a day to start" in text


def test_a_viewer_may_look(victor: Persona, larkfield: Organization) -> None:
    campaign(larkfield, "Bulbs are in", CampaignState.SENT)
    assert "Bulbs are in" in page(victor)


def test_buttons_follow_the_rights(alice: Persona, eve: Persona, victor: Persona, larkfield: Organization) -> None:
    for turn in range(2):  # the first steps, then the overview
        seen = [
            (">Upload a list<" in t or " Upload a list<" in t, "campaigns/new/" in t)
            for t in map(page, (alice, eve, victor))
        ]
        assert seen == [(True, True), (False, True), (False, False)]
        campaign(larkfield, f"Bulbs are in {turn}", CampaignState.SENT)


def test_a_stranger_sees_nothing_of_it(mallory: Persona, larkfield: Organization) -> None:
    campaign(larkfield, "Bulbs are in", CampaignState.SENDING)
    campaign(larkfield, "October letter", CampaignState.SENT)
    text = page(mallory) + mallory.client.get("/portal/now/").content.decode()
    assert "Bulbs are in" not in text
    assert "October letter" not in text


@pytest.mark.django_db
def test_a_running_campaign_shows_both_lanes(alice: Persona, larkfield: Organization) -> None:
    one = campaign(larkfield, "Tulips", CampaignState.SENDING, hours_ago=1)
    for first, relay in ((1, "relay-1"), (101, "relay-2")):
        Chunk.objects.create(campaign=one, organization=larkfield, first_seq=first, last_seq=first + 99, relay=relay)
    tally(one, "relay-1", Outcome.State.ACCEPTED, 70)
    tally(one, "relay-1", Outcome.State.DEFERRED, 9)
    tally(one, "relay-2", Outcome.State.ACCEPTED, 28)
    tally(one, "relay-2", Outcome.State.REJECTED, 2)
    (found,) = overview.running(larkfield, timezone.now())
    assert [(lane.name, lane.done, lane.total) for lane in found.lanes] == [("out1", 70, 100), ("out2", 30, 100)]
    assert (found.done, found.total) == (100, 200)
    assert found.seconds_left == pytest.approx(3600, rel=0.01)
    assert "70 of 100" in alice.client.get("/portal/now/").content.decode()


@pytest.mark.django_db
def test_a_paused_campaign_says_why_and_gives_no_time(larkfield: Organization) -> None:
    one = campaign(larkfield, "Tulips", CampaignState.PAUSED)
    tally(one, "relay-1", Outcome.State.ACCEPTED, 100)
    Brake.objects.create(campaign=one, kind=Brake.Kind.BOUNCES, reason="5.2% of 200", set_at=timezone.now())
    (found,) = overview.running(larkfield, timezone.now())
    assert found.paused_because == "Too many bounces"
    assert found.seconds_left is None
    (need,) = needs.needs(larkfield, timezone.now())
    assert need.text == "5.2% of 200"


@pytest.mark.django_db
def test_a_month_counts_what_came_back_against_what_was_accepted(larkfield: Organization, hollin: Organization) -> None:
    mine, other = campaign(larkfield, "A", CampaignState.SENT), campaign(hollin, "B", CampaignState.SENT)
    old = campaign(larkfield, "C", CampaignState.SENT, hours_ago=24 * 40)
    for one in (mine, other, old):
        tally(one, "relay-1", Outcome.State.ACCEPTED, 90)
        tally(one, "relay-1", Outcome.State.REJECTED, 10)
    event(mine, EventKind.BOUNCED, number=3, bounce_class="hard_recipient")
    event(other, EventKind.BOUNCED, number=5)
    event(mine, EventKind.UNSUBSCRIBED, number=2)
    counts = overview.month(larkfield, timezone.now()).counts
    assert (counts.attempts, counts.base, counts.hard_bounces, counts.unsubscribes) == (100, 87, 3, 2)


@pytest.mark.django_db
@pytest.mark.parametrize(("accepted", "dead", "reached"), [(100, 4, False), (300, 12, True), (300, 8, False)])
def test_gauges_compare_with_the_policy(larkfield: Organization, accepted: int, dead: int, reached: bool) -> None:
    one = campaign(larkfield, "A", CampaignState.SENT)
    tally(one, "relay-1", Outcome.State.ACCEPTED, accepted)
    event(one, EventKind.BOUNCED, number=dead, bounce_class="hard_recipient")
    complaints, bounces = overview.gauges(larkfield)
    assert (complaints.shown, complaints.mark_text, complaints.reached) == ("0%, 0 people", "warned at 0.10%", False)
    assert (bounces.value, bounces.mark) == (100 * dead / accepted, 3.0)
    assert bounces.reached is reached


@pytest.mark.django_db
def test_few_complaints_do_not_colour_the_bar(larkfield: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    for counts, reached in ((Counts(239, 2), False), (Counts(2_000, 2), False), (Counts(2_000, 9), True)):
        monkeypatch.setattr(overview.reported, "of_organization", lambda *_, found=counts: found)
        assert overview.gauges(larkfield)[0].reached is reached


@pytest.mark.django_db
def test_gauges_without_mail_claim_nothing(larkfield: Organization) -> None:
    assert {gauge.shown for gauge in overview.gauges(larkfield)} == {"nothing counted yet"}


@pytest.mark.django_db
def test_allowance_of_today(larkfield: Organization) -> None:
    Usage.objects.create(organization=larkfield, day=timezone.now().date(), count=120)
    Usage.objects.create(organization=larkfield, day=timezone.now().date() - timedelta(days=1), count=400)
    assert overview.used_today(larkfield, timezone.now()) == (120, 500)


@pytest.mark.django_db
@pytest.mark.parametrize("standing", [Standing.WARNED, Standing.SUSPENDED, Standing.BLOCKED])
def test_a_measure_comes_first(larkfield: Organization, standing: str) -> None:
    Campaign.objects.create(organization=larkfield, name="Draft", state=CampaignState.DRAFT)
    larkfield.standing = standing
    assert needs.needs(larkfield, timezone.now())[0].url_name == "standing"


@pytest.mark.django_db
def test_a_wrong_record_of_a_proven_domain_is_named(larkfield: Organization) -> None:
    domain = SendingDomain.objects.create(
        organization=larkfield, name="mail.larkfield.example", challenge="x", verified_at=timezone.now()
    )
    wanted = {"domain": domain, "host": "p1._domainkey", "record_type": "CNAME", "wanted": "p1"}
    DomainRecord.objects.create(**wanted, kind=DomainRecord.Kind.DKIM1, ok=False, message="Found p9.")
    DomainRecord.objects.create(**wanted, kind=DomainRecord.Kind.DKIM2, ok=False, temporary=True)
    (need,) = needs.needs(larkfield, timezone.now())
    assert "mail.larkfield.example" in need.title
    assert need.text == "Found p9."


@pytest.mark.django_db
def test_rows_that_need_a_look(alice: Persona, larkfield: Organization) -> None:
    job = ImportJob.objects.create(
        organization=larkfield,
        contact_list=ContactList.objects.create(organization=larkfield, name="Shop"),
        state=ImportState.DONE,
        created_by=alice.user,
        file_name="shop.csv",
        stored_name="x",
        file_bytes=1,
        file_sha256=b"x" * 32,
        kind="csv",
        row_count=10,
        rejected_count=2,
    )
    ImportRow.objects.create(job=job, line=3, value="a@", reason="syntax")
    ImportRow.objects.create(job=job, line=4, value="b@", reason="syntax", state=ImportRow.State.LEFT)
    (need,) = needs.needs(larkfield, timezone.now())
    assert need.title == "1 row in “Shop” needs a look"
    assert need.text == "The other 9 rows are done."


def queries(persona: Persona) -> int:
    with CaptureQueriesContext(connection) as seen:
        page(persona)
    return len(seen)


def test_the_page_costs_the_same_for_one_and_three_campaigns(alice: Persona, larkfield: Organization) -> None:
    campaign(larkfield, "One", CampaignState.SENT)
    queries(alice)  # warms the session and the menu
    one = queries(alice)
    for name in ("Two", "Three"):
        tally(campaign(larkfield, name, CampaignState.SENT), "relay-1", Outcome.State.ACCEPTED, 5)
    assert queries(alice) == one


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/portal/", ""),
        ("/portal/campaigns/1/edit/", "campaigns"),
        ("/portal/imports/1/", "lists"),
        ("/portal/cases/AB/", "standing"),
        ("/portal/audit/", "settings"),
    ],
)
def test_the_menu_marks_the_place(path: str, section: str) -> None:
    assert context.section(path) == section


def test_the_menu_says_the_standing_and_the_allowance_that_counts(alice: Persona, larkfield: Organization) -> None:
    assert "Good, 500 a day" in page(alice)
    larkfield.standing = Standing.WARNED
    assert context.standing_line(larkfield) == "Warned, 250 a day"
    larkfield.standing = Standing.SUSPENDED
    assert context.standing_line(larkfield) == "Suspended"


def test_the_menu_counts_only_our_own(alice: Persona, larkfield: Organization, hollin: Organization) -> None:
    ContactList.objects.create(organization=larkfield, name="Mine")
    ContactList.objects.create(organization=hollin, name="Theirs")
    assert context.nav_counts(larkfield) == {"campaigns": 0, "lists": 1, "do-not-mail": 0}
