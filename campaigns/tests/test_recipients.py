"""The people of a campaign, one by one: groups, pages, one person's story; never another campaign's or tenant's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Organization
from campaigns import recipients
from campaigns.events import EventData, record_event
from campaigns.models import Campaign, CampaignState, Delivery, EventKind, RelayTrace, Retry
from campaigns.recipients import Group
from campaigns.sending.outcomes import Result, State, copy_in
from campaigns.sending.record import write
from campaigns.tests.lanes import crowd, frozen
from campaigns.tests.world import make_world
from compliance.models import Contact
from sendserver.lib import clock
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
PEOPLE = 60


@pytest.fixture
def campaign(larkfield: Organization) -> Campaign:
    from campaigns import planning

    world = make_world(larkfield, 0)
    crowd(world, PEOPLE)
    made = frozen(world)
    planning.plan(made)
    made.refresh_from_db()
    return made


def result(delivery: Delivery, state: str, reply: str = "2.0.0 Ok: queued as 4F1A2B", **more: Any) -> Result:
    now = clock.now()
    values = {"code": 250, "enhanced": "2.0.0", "queue_id": "4F1A2B", "attempt": 1, "relay": "relay-1", **more}
    return Result(
        delivery_id=delivery.pk,
        campaign_id=delivery.campaign_id,
        organization_id=delivery.organization_id,
        state=state,
        at=now,
        first_at=now,
        reply=reply,
        **values,
    )


def deliveries(campaign: Campaign) -> list[Delivery]:
    return list(campaign.deliveries.exclude(seq=None).order_by("seq"))


def everywhere(campaign: Campaign) -> dict[str, Delivery]:
    """Put one person into each group, everybody else among the accepted."""
    people = deliveries(campaign)
    refused, doubt, failed, waiting, *others = people
    write(
        [
            result(refused, State.REJECTED, "5.1.1 no <b>such</b> user", code=550, enhanced="5.1.1", queue_id=""),
            result(doubt, State.IN_DOUBT, "dot: connection lost", code=None, enhanced="", queue_id=""),
            result(failed, State.RENDER_FAILED, "first_name: empty", code=None, enhanced="", queue_id=""),
            result(waiting, State.DEFERRED, "4.2.0 later", code=450, enhanced="4.2.0", queue_id="", wait=900.0),
            *(result(one, State.ACCEPTED) for one in others),
        ]
    )
    return {"refused": refused, "in-doubt": doubt, "failed": failed, "waiting": waiting, "accepted": others[0]}


@pytest.mark.parametrize("group", ["refused", "in-doubt", "failed", "waiting"])
def test_each_is_in_the_group_it_belongs_to(campaign: Campaign, alice: Persona, group: str) -> None:
    found = everywhere(campaign)
    page = alice.client.get(reverse("campaign_people", args=[campaign.uid]), {"show": group}).content.decode()
    assert found[group].address in page
    for other in found.values():
        assert (other.address in page) == (other == found[group])
    assert "<b>such</b>" not in page
    assert recipients.counts(campaign)[Group(group)] == 1


def test_only_the_last_word_counts(campaign: Campaign, alice: Persona) -> None:
    one = deliveries(campaign)[0]
    write([result(one, State.DEFERRED, "4.2.0 later", code=450, wait=1.0)])
    write([result(one, State.ACCEPTED, attempt=2, previous="deferred", retry_id=Retry.objects.get().pk)])
    assert [row.address for row in recipients.page(campaign, Group.ACCEPTED).rows] == [one.address]
    assert recipients.page(campaign, Group.WAITING).rows == []
    person = Contact.objects.get(pk=one.contact_id)
    page = alice.client.get(reverse("campaign_person", args=[campaign.uid, person.uid])).content.decode()
    assert page.index("450 4.2.0 later") < page.index("250 2.0.0 Ok: queued as 4F1A2B")
    assert "out1.sendserver.example" in page
    assert "<code>4F1A2B</code>" in page


def test_pages_show_everybody_once_and_cost_no_more_than_the_first(campaign: Campaign, alice: Persona) -> None:
    everywhere(campaign)
    url = reverse("campaign_people", args=[campaign.uid])
    first = alice.client.get(url)
    following = first.context["following"]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        second = alice.client.get(url, {"show": "accepted", "from": following})
    shown = [row.address for page in (first, second) for row in page.context["rows"]]
    assert len(shown) == len(set(shown)) == PEOPLE - 4
    assert not second.context["following"]
    assert not [one for one in queries.captured_queries if "count(*)" in one["sql"].lower() and "outcome" in one["sql"]]
    assert alice.client.get(url, {"show": "nothing", "from": "x" * 28}).status_code == 200


def test_a_person_is_found_by_the_whole_address_only(campaign: Campaign, alice: Persona, mallory: Persona) -> None:
    one = deliveries(campaign)[7]
    person = Contact.objects.get(pk=one.contact_id)
    url = reverse("campaign_people", args=[campaign.uid])
    answer = alice.client.post(url, {"q": f" {one.address.upper()} "})
    assert answer.status_code == 302
    assert answer["Location"] == reverse("campaign_person", args=[campaign.uid, person.uid])
    for words in ("reader", "nobody@else.example", "<script>alert(1)</script>", "a" * 500):
        page = alice.client.post(url, {"q": words})
        assert page.status_code == 200
        assert "is among the people of this campaign" in page.content.decode()
        assert "<script>alert" not in page.content.decode()
    assert mallory.client.post(url, {"q": one.address}).status_code == 404
    assert mallory.client.get(answer["Location"]).status_code == 404


def test_somebody_else_of_the_customer_is_not_among_them(campaign: Campaign, alice: Persona) -> None:
    late = Contact.objects.create(
        organization=campaign.organization,
        address="late@crowd.example",
        address_key="late@crowd.example",
        address_hash=b"x" * 32,
        domain="crowd.example",
    )
    assert recipients.find(campaign, "late@crowd.example") is None
    answer = alice.client.get(reverse("campaign_person", args=[campaign.uid, late.uid]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("campaign_people", args=[campaign.uid]))


def test_the_story_tells_what_came_back_and_what_the_log_said(campaign: Campaign, alice: Persona) -> None:
    one = everywhere(campaign)["accepted"]
    person = Contact.objects.get(pk=one.contact_id)
    at = clock.now()
    RelayTrace.objects.create(
        relay="relay-1", queue_id="4F1A2B", delivery_id=one.pk, seen_at=at, taken_at=at, status="sent",
        status_at=at + timedelta(seconds=2), status_text="250 taken there",
    )  # fmt: skip
    record_event(EventData(kind=EventKind.COMPLAINED, source="arf", dedupe="arf:1", at=at, delivery=one))
    page = alice.client.get(reverse("campaign_person", args=[campaign.uid, person.uid])).content.decode()
    for words in ("Taken by the receiver", "250 taken there", "Complained"):
        assert words in page
    listed = alice.client.get(reverse("campaign_people", args=[campaign.uid]), {"show": "accepted"})
    assert [row.marks for row in listed.context["rows"] if row.address == one.address] in ([["Complained"]], [])


def test_whoever_was_erased_leaves_a_row_without_a_name(campaign: Campaign, alice: Persona) -> None:
    one = everywhere(campaign)["refused"]
    Contact.objects.filter(pk=one.contact_id).delete()
    page = alice.client.get(reverse("campaign_people", args=[campaign.uid]), {"show": "refused"}).content.decode()
    assert "550 5.1.1" in page
    assert "/people/" + str(one.contact_id) not in page


def test_before_sending_there_is_nobody_to_show(campaign: Campaign, alice: Persona) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.SCHEDULED)
    answer = alice.client.get(reverse("campaign_people", args=[campaign.uid]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("campaign_progress", args=[campaign.uid]))


def test_what_is_rare_is_found_by_its_index(campaign: Campaign) -> None:
    """A million accepted messages are not read to find three that were refused."""
    now = clock.now()
    first = deliveries(campaign)[0]
    taken = result(first, State.ACCEPTED)._replace(at=now, first_at=now)
    copy_in([taken._replace(delivery_id=10**9 + number) for number in range(20_000)])
    write([result(first, State.REJECTED, "5.1.1 no", code=550)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE campaigns_outcome")
        cursor.execute(
            "EXPLAIN " + recipients._LATEST.format(rare=recipients._RARE),
            {"campaign": campaign.pk, "before": 2**62, "limit": 51, "states": ["rejected"]},
        )
        assert "outcome_not_accepted" in "\n".join(row[0] for row in cursor.fetchall())
