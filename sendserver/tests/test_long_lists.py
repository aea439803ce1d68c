"""Pages of long lists: none reads more than so many rows, whatever it shows, and what it shows says of which moment."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns import course, planning
from campaigns.models import Campaign, CampaignState
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance import counting, lists, policy
from compliance import people as people_of
from compliance.models import Contact, ContactList, ImportJob, KeptCount
from compliance.tests import helpers
from compliance.tests.segment_world import one, segment
from sendserver.lib import clock
from sendserver.pages import needs
from sendserver.testing.long_list import fill, fill_do_not_mail, settle
from sendserver.testing.personas import Persona

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PEOPLE: Final = 25_000
# One statement may read a short list with a person for each membership, and what stands beside it.
MOST: Final = 2 * policy.COUNTED_AT_ONCE + 1_000
BIG: Final = (
    *("compliance_listmembership", "compliance_contact", "compliance_suppression", "compliance_listexit"),
    *("campaigns_delivery", "campaigns_outcome"),
)
_ALL_TAKEN: Final = """
INSERT INTO campaigns_outcome (delivery_id, campaign_id, attempt, state, relay, at, enhanced, reply, queue_id,
                               bounce_class, host, wire_bytes)
SELECT id, campaign_id, 1, 'accepted', 'relay-1', now(), '', '', '', '', '', 0 FROM campaigns_delivery
WHERE campaign_id = %s AND seq IS NOT NULL
"""


@pytest.fixture
def world(larkfield) -> World:
    return make_world(larkfield, 0)


@pytest.fixture
def long(world: World, alice: Persona, settings, tmp_path) -> ImportJob:
    """Return the upload that brought a long list."""
    settings.MEDIA_ROOT = tmp_path
    job = helpers.finished(world.organization, alice.user, helpers.csv_of(helpers.people(2)))
    fill(job.contact_list, PEOPLE, attestation=world.attestation.pk, job=job)
    fill_do_not_mail(job.organization_id, PEOPLE)
    settle()
    world.contact_list = job.contact_list
    return job


@pytest.fixture
def draft(world: World, long: ImportJob, alice: Persona) -> Campaign:
    made = make_draft(world, alice.user, from_address=world.from_address)
    made.lists.set([long.contact_list])
    made.body = "Dear {{ first_name | default: 'reader' }},\n\nthe potting shed is open for all of you."
    made.save(update_fields=["body"])
    return made


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def rows_read(sql: str) -> int:
    """Return how many rows of the big tables a statement read, by the database's own account."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return sum(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan)
        if node.get("Relation Name") in BIG
    )


def worst(client: Any, url: str, data: dict[str, Any] | None = None) -> tuple[int, str]:
    """Open a page, and return the most rows that one of its statements reads, with the statement."""
    with CaptureQueriesContext(connection) as found:
        answer = client.get(url) if data is None else client.post(url, data)
    assert answer.status_code in (200, 302), url
    return most_read(found)


def most_read(found: CaptureQueriesContext) -> tuple[int, str]:
    """Return the most rows that one of the statements reads, with the statement."""
    asked = [query["sql"] for query in found.captured_queries if query["sql"].lstrip().startswith(("SELECT", "WITH"))]
    return max((rows_read(sql), sql) for sql in asked if "FOR UPDATE" not in sql)


def pages(long: ImportJob, draft: Campaign) -> list[str]:
    """Return addresses of pages; not that of one upload, which asks all its people for mail (docs/known-limits.md)."""
    middle = Contact.objects.get(address_key=f"p{PEOPLE // 2}@reader.example")
    listed = reverse("list_detail", args=[long.contact_list.uid])
    return [
        reverse("portal_home"),
        reverse("lists"),
        listed,
        f"{listed}?after={middle.uid}",
        f"{listed}?before={middle.uid}",
        reverse("contact_detail", args=[middle.uid]),
        reverse("do_not_mail"),
        reverse("segments"),
        reverse("campaigns"),
        *(reverse(f"campaign_{name}", args=[draft.uid]) for name in ("edit", "checks", "preview", "review")),
    ]


def test_no_page_reads_a_long_list(long, draft, alice):
    for _ in range(2):  # before a worker has counted, and when its figures are there
        for url in pages(long, draft):
            rows, sql = worst(alice.client, url)
            assert rows <= MOST, f"{url} reads {rows} rows: {sql}"
        counting.work()
    kinds = KeptCount.objects.exclude(answer=None).values_list("kind", flat=True)
    assert sorted(kinds) == ["audience", "do_not_mail", "list"]


def test_nor_with_a_segment(larkfield, long, draft, alice):
    draft.segment = segment(larkfield, one("first_name", "empty"), alice.user)
    draft.save(update_fields=["segment"])
    for _ in range(2):
        for name in ("edit", "checks", "review"):
            rows, sql = worst(alice.client, reverse(f"campaign_{name}", args=[draft.uid]))
            assert rows <= MOST, f"{name} reads {rows} rows: {sql}"
        counting.work()


def test_nor_do_the_pages_of_a_campaign_on_its_way(long, draft, alice, monkeypatch):
    monkeypatch.setattr(course, "NEWEST", 2_000)  # outcomes that the pace is read from: of more people the same number
    review = reverse("campaign_review", args=[draft.uid])
    alice.client.get(review)
    counting.work()
    page = alice.client.get(review).context
    order = {
        "key": str(uuid.uuid4()),
        "version": draft.version,
        "counted": page["form"].initial["counted"],
        "when": "now",
    }
    assert alice.client.post(review, {**order, "typed": str(page["audience"].mailable)}).status_code == 302
    draft.refresh_from_db()
    planning.plan(draft)
    with connection.cursor() as cursor:
        cursor.execute(_ALL_TAKEN, [draft.pk])
    settle()
    urls = [reverse(f"campaign_{name}", args=[draft.uid]) for name in ("progress", "report")]
    for known in (False, True):
        for url in urls:
            rows, sql = worst(alice.client, url)
            assert rows <= MOST, f"{url} reads {rows} rows: {sql}"
            assert (b"Others" in alice.client.get(url).content) is known
        counting.work()


def test_the_bound_is_one_that_a_full_count_breaks(long):
    """Else the tests above could not fail."""
    with CaptureQueriesContext(connection) as found:
        lists.reason_counts([long.contact_list])
    assert rows_read(found.captured_queries[0]["sql"]) > 2 * MOST


def test_nor_does_a_press_of_the_button_or_a_person_more(world, long, draft, alice):
    review = reverse("campaign_review", args=[draft.uid])
    alice.client.get(review)
    counting.work()
    page = alice.client.get(review).context["form"].initial
    people = alice.client.get(review).context["audience"].mailable
    typed = {"key": str(page["key"]), "version": draft.version, "counted": page["counted"], "when": "now"}
    rows, sql = worst(alice.client, review, {**typed, "typed": str(people)})
    assert rows <= MOST, sql
    draft.refresh_from_db()
    assert draft.state == CampaignState.PLANNING
    before = long.contact_list.people_count
    with CaptureQueriesContext(connection) as found:
        yes = people_of.Permission("express_soi", clock.now(), None, "a card")
        late = people_of.Person("late@reader.example", "", "", "GB")
        added = people_of.add_person(long.contact_list, late, yes, actor=alice.user)
    rows, sql = most_read(found)
    assert rows <= MOST, sql
    assert ContactList.objects.get(pk=long.contact_list.pk).people_count == before + 1
    with CaptureQueriesContext(connection) as found:
        people_of.remove(added.contact, actor=alice.user)
    rows, sql = most_read(found)
    assert rows <= MOST, sql
    assert ContactList.objects.get(pk=long.contact_list.pk).people_count == before


def test_the_walk_shows_everybody_once_both_ways(larkfield, world, alice, monkeypatch):
    monkeypatch.setattr("compliance.views.lists.PAGE", 7)
    short = ContactList.objects.create(organization=larkfield, name="Short")
    world.contact_list = short
    names = [add_person(world, f"w{n:02}@reader.example").address for n in range(20)]
    url, seen = reverse("list_detail", args=[short.uid]), []
    page = alice.client.get(url)
    while True:
        shown = [item["contact"].address for item in page.context["members"]]
        seen.append(shown)
        if "after" not in page.context["page"]:
            break
        page = alice.client.get(f"{url}?after={page.context['page']['after']}")
    assert [name for shown in seen for name in shown] == names[::-1]
    back = alice.client.get(f"{url}?before={page.context['page']['before']}")
    assert [item["contact"].address for item in back.context["members"]] == seen[-2]
    first = alice.client.get(f"{url}?before={back.context['page']['before']}")
    assert [item["contact"].address for item in first.context["members"]] == seen[-3]
    assert "before" not in first.context["page"]


def test_what_was_frozen_is_what_was_approved(long, draft, alice):
    """The whole way of a long list: shown, typed, judged once more, planned."""
    review = reverse("campaign_review", args=[draft.uid])
    assert b"We are counting who gets it" in alice.client.get(review).content
    assert b"Approve and send" not in alice.client.get(review).content
    counting.work()
    page = alice.client.get(review)
    assert b"Approve and send" in page.content
    people = page.context["audience"].mailable
    assert people == lists.mailable_count(long.contact_list)
    order = {
        "key": str(uuid.uuid4()),
        "version": draft.version,
        "counted": page.context["form"].initial["counted"],
        "when": "now",
        "typed": str(people),
    }
    assert alice.client.post(review, order).status_code == 302
    draft.refresh_from_db()
    assert (draft.state, draft.approved_on["people"]) == (CampaignState.PLANNING, people)
    assert planning.plan(draft).mailable == people


def test_what_came_back_stands_on_the_overview(larkfield, world, alice):
    made = make_draft(world, alice.user)
    made.look_again = "4 people would get it now."
    made.save(update_fields=["look_again"])
    need = needs.needs(larkfield, clock.now())[0]
    assert (need.text, need.url_name, need.key) == (made.look_again, "campaign_review", made.uid)
