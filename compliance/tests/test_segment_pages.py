"""Pages of tags, columns and segments: written without scripts, hostile input, other tenants' things."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from campaigns.tests.world import make_world
from compliance import policy, tags
from compliance.models import Contact, ContactField, ContactList, ContactTag, KeptCount, ListMembership, Segment, Tag
from compliance.segments import counts
from compliance.segments.where import Where
from compliance.tests.segment_world import field, make, one, segment

pytestmark = pytest.mark.django_db
NEW = "/portal/lists/segments/new/"
HOSTILE = '"><script>alert(1)</script>\u05e9\u05dc\u05d5\u05dd'


@pytest.fixture
def world(larkfield):
    """Return five people on two lists."""
    return make(larkfield)


def form(html):
    """Return what a browser would post from the segment's form, without any button."""
    inside = html[html.index('id="segment"') : html.index('class="s-actions">', html.index('id="segment"'))]
    data = {}
    for name, value in re.findall(r'<input[^>]*? name="([^"]+)"(?:[^>]*? value="([^"]*)")?', inside):
        data |= {name: value}
    for name, options in re.findall(r'<select[^>]*? name="([^"]+)"[^>]*>(.*?)</select>', inside, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        data[name] = chosen[1]
    data.pop("csrfmiddlewaretoken", None)
    return data


def press(client, url, html, act, **typed):
    """Press a button of the form and return the page."""
    answer = client.post(url, form(html) | typed | {"act": act})
    return answer if answer.status_code != 200 else answer.content.decode()


def test_a_segment_is_written_with_submit_buttons_alone(larkfield, alice, world):
    tags.give(Contact.objects.filter(address__startswith="ada"), ["VIP"], actor=alice.user)
    page = alice.client.get(NEW).content.decode()
    page = press(alice.client, NEW, page, "add-0", **{"g0-new": "tag"})
    assert "Something is to correct" not in page  # a row just added is not blamed
    assert 'list="tag-names"' in page
    page = press(alice.client, NEW, page, "look", **{"g0-c0-value": "vip"})
    assert "1 person" in page
    page = press(alice.client, NEW, page, "group")
    page = press(alice.client, NEW, page, "add-1", **{"g1-new": "country"})
    page = press(alice.client, NEW, page, "add-1", **{"g1-new": "first_name", "g1-c0-value": "DE"})
    page = press(alice.client, NEW, page, "look", **{"match": "any", "g1-match": "any", "g1-c1-value": "BEN"})
    assert "3 people" in page
    page = press(alice.client, NEW, page, "drop-1-1")
    assert "2 people" in page
    refused = press(alice.client, NEW, page, "save")
    assert "Enter a name." in refused
    answer = press(alice.client, NEW, refused, "save", name=HOSTILE)
    assert answer.status_code == 302
    made = Segment.objects.get()
    assert made.conditions["match"] == "any"
    assert [len(group["conditions"]) for group in made.conditions["groups"]] == [1, 1]
    shown = alice.client.get(answer["Location"]).content.decode()
    assert "<script>alert" not in shown
    assert 'value="VIP"' in shown
    assert "2 people" in shown
    listed = alice.client.get(reverse("segments")).content.decode()
    assert "<script>alert" not in listed
    assert "Tag is “VIP”" in listed


def test_changing_the_comparison_changes_the_input(larkfield, alice, world):
    page = alice.client.get(NEW).content.decode()
    page = press(alice.client, NEW, page, "add-0", **{"g0-new": "consent_at"})
    assert 'type="date"' in page
    page = press(alice.client, NEW, page, "look", **{"g0-c0-op": "last_days", "g0-c0-value": ""})
    assert 'type="number"' in page
    page = press(alice.client, NEW, page, "save", name="x", **{"g0-c0-value": "0"})
    assert "Enter a number of days" in page


@pytest.mark.parametrize(
    "typed",
    [
        {},
        {"act": "save", "name": "x"},
        {"act": "add-9", "g0-match": "all"},
        {"act": "add-0", "g0-match": "all", "g0-new": "c.id"},
        {"act": "add-0", "g0-match": "all", "g0-new": "own:x"},
        {"act": "drop-0-99", "g0-match": "all"},
        {"act": "drop-0", "g0-match": "all"},
        {"act": "'; DROP TABLE", "match": "' OR 1=1", "g0-match": "x"},
        {"name": "x" * 100_000, "act": "save"},
        {
            "name": "a\x00b",
            "g0-match": "all",
            "g0-c0-subject": "first_name",
            "g0-c0-op": "is",
            "g0-c0-value": "\x00",
        },
        {
            "name": "x",
            "g0-match": "all",
            "g0-c0-subject": "x" * 10_000,
            "g0-c0-op": "y" * 10_000,
            "g0-c0-value": "z" * 10_000,
        },
        {"name": "x", "g0-match": "all", "g0-c0-subject": "first_name", "g0-c0-op": "__class__", "g0-c0-value": "x"},
    ],
)
def test_hostile_forms_save_nothing_and_break_nothing(larkfield, alice, world, typed):
    assert alice.client.post(NEW, typed).status_code == 200
    assert alice.client.post(reverse("segment_count"), typed).status_code == 200
    assert not Segment.objects.exists()


def test_no_more_fields_are_read_than_there_may_be(larkfield, alice, world):
    data = {"name": "x", "match": "any"}
    for group in range(20):
        data[f"g{group}-match"] = "any"
        for place in range(12):
            at = f"g{group}-c{place}"
            data |= {f"{at}-subject": "first_name", f"{at}-op": "is", f"{at}-value": "x"}
    answer = alice.client.post(NEW, data)
    assert answer.status_code == 200
    assert f"At most {policy.SEGMENT_CONDITIONS} conditions." in answer.content.decode()
    assert not Segment.objects.exists()


def test_other_tenants_things_in_the_post(larkfield, hollin, alice, mallory, world):
    theirs = make_world(hollin, 2, list_name="Secret pots")
    tag = tags.create(hollin, "secret tag", actor=mallory.user)
    column = field(hollin, "Secret column")
    foreign = segment(hollin, one("last_name", "empty"), mallory.user, name="Secret segment")
    for subject, op, value in (
        ("tag", "has", str(tag.uid)),
        ("tag", "lacks", "secret tag"),
        ("list", "off", str(theirs.contact_list.uid)),
        (column, "empty", ""),
    ):
        data = {"name": "x", "g0-match": "all", "g0-c0-subject": subject, "g0-c0-op": op, "g0-c0-value": value}
        page = alice.client.post(NEW, data).content.decode()
        assert "Something is to correct" in page
        assert "Secret" not in page
    assert Segment.objects.for_org(larkfield).count() == 0
    mine, ada = world.contact_list, Contact.objects.get(address__startswith="ada")
    ticked = {"name": "x", "act": "give", "who": "ticked"}
    person = Contact.objects.filter(organization=hollin).first()
    for url, data, code in (
        (reverse("segment_detail", args=[foreign.uid]), {"name": "mine"}, 404),
        (reverse("segment_delete", args=[foreign.uid]), {}, 404),
        (reverse("tag_detail", args=[tag.uid]), {"name": "mine"}, 404),
        (reverse("tag_delete", args=[tag.uid]), {}, 404),
        (reverse("contact_tags", args=[person.uid]), {"give": "mine"}, 404),
        (reverse("list_tags", args=[theirs.contact_list.uid]), {"name": "mine", "act": "give", "who": "all"}, 404),
        (reverse("field_text", args=[ContactField.objects.get(organization=hollin).uid]), {}, 404),
        (reverse("contact_tags", args=[ada.uid]), {"take": str(tag.uid)}, 404),
        (reverse("list_tags", args=[mine.uid]), ticked | {"person": str(person.uid)}, 302),
    ):  # fmt: skip
        assert alice.client.post(url, data).status_code == code, url
    assert not ContactTag.objects.exists()
    assert Tag.objects.get(organization=hollin).name == "secret tag"
    assert Segment.objects.get(pk=foreign.pk).deleted_at is None


def test_tags_on_a_persons_page(larkfield, alice, victor, world):
    ada = Contact.objects.get(address__startswith="ada")
    url = reverse("contact_tags", args=[ada.uid])
    assert alice.client.post(url, {"give": f"VIP, {HOSTILE}"}).status_code == 302
    page = alice.client.get(reverse("contact_detail", args=[ada.uid])).content.decode()
    assert "<script>alert" not in page
    assert "VIP" in page
    assert victor.client.post(url, {"give": "x"}).status_code == 403
    assert alice.client.post(url, {"give": ",".join(f"t{n}" for n in range(10_000))}, follow=True).status_code == 200
    assert alice.client.post(url, {"give": ""}).status_code == 302
    assert ContactTag.objects.count() == 2
    assert alice.client.post(url, {"take": str(Tag.objects.get(key="vip").uid)}).status_code == 302
    assert alice.client.post(url, {"take": "no uid"}).status_code == 404
    assert ContactTag.objects.count() == 1


def test_tags_on_a_list(larkfield, alice, world):
    url = reverse("list_tags", args=[world.contact_list.uid])
    people = list(Contact.objects.order_by("address")[:2])
    ticked = {"name": "spring", "act": "give", "who": "ticked", "person": [str(one.uid) for one in people]}
    page = alice.client.post(url, ticked, follow=True).content.decode()
    assert "2 of 2 ticked got “spring”" in page
    alice.client.post(url, {"name": "spring", "act": "give", "who": "all"})
    assert Tag.objects.get().people_count == 5
    alice.client.post(url, {"name": "SPRING", "act": "take", "who": "all"})
    assert Tag.objects.get().people_count == 0
    wrong = [
        {},
        {"name": "a,b", "act": "give", "who": "all"},
        {"name": "new", "act": "take", "who": "all"},
        {"name": "x", "act": "drop", "who": "all"},
        {"name": "spring", "act": "give", "who": "ticked", "person": "x"},
    ]
    for data in wrong:
        assert "Nothing was changed." in alice.client.post(url, data, follow=True).content.decode()
    assert Tag.objects.count() == 1
    outsider = ListMembership.objects.filter(contact=people[0])
    outsider.delete()
    assert "1 of 1 ticked" in alice.client.post(url, ticked, follow=True).content.decode()


def test_the_tags_page(larkfield, alice, victor, world):
    url = reverse("tags")
    assert alice.client.post(url, {"name": HOSTILE}).status_code == 302
    assert "already" in alice.client.post(url, {"name": HOSTILE.upper()}).content.decode()
    page = alice.client.get(url).content.decode()
    assert "<script>alert" not in page.lower()
    tag = Tag.objects.get()
    detail = reverse("tag_detail", args=[tag.uid])
    assert "<script>alert" not in alice.client.get(detail).content.decode()
    assert victor.client.get(detail).status_code == 200
    segment(larkfield, one("tag", "has", str(tag.uid)), alice.user, name="Asks")
    page = alice.client.post(reverse("tag_delete", args=[tag.uid]), follow=True).content.decode()
    assert "The segment “Asks” asks for this tag" in page
    assert alice.client.post(detail, {"name": "plain"}).status_code == 302
    Segment.objects.all().delete()
    alice.client.post(reverse("tag_delete", args=[tag.uid]))
    assert not Tag.objects.exists()


def test_a_page_of_ten_thousand_tags(larkfield, alice, world, django_assert_max_num_queries):
    """More than there may be, as two uploads at once could bring: pages stay short."""
    Tag.objects.bulk_create(
        [Tag(organization=larkfield, name=f"tag {n}", key=f"tag {n}", people_count=n) for n in range(10_000)]
    )
    with django_assert_max_num_queries(30):
        page = alice.client.get(reverse("tags")).content
    assert len(page) < 60_000
    data = {"name": "x", "g0-match": "all", "g0-c0-subject": "tag", "g0-c0-op": "has", "g0-c0-value": "TAG 9999"}
    with django_assert_max_num_queries(60):
        page = alice.client.post(NEW, data | {"act": "look"}).content
    assert len(page) < 120_000
    assert b"0 people" in page
    assert "room for 1,000 tags" in alice.client.post(reverse("tags"), {"name": "one more"}).content.decode()


def test_the_page_of_segments_asks_as_many_questions_for_three_as_for_one(
    larkfield, alice, world, django_assert_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    asked = []
    for number in range(3):
        made = segment(larkfield, one("first_name", "is", f"n{number}"), alice.user, name=f"s{number}")
        counts.ask(larkfield, one("first_name", "is", f"n{number}"))
        assert made.pk
        counts.work()
        with CaptureQueriesContext(connection, ) as found:  # fmt: skip
            alice.client.get(reverse("segments"))
        asked.append(len(found))
    assert asked[1] == asked[2]


def test_a_long_count_is_said_to_be_under_way_and_comes_by_itself(larkfield, alice, world, monkeypatch):
    made = segment(larkfield, one("last_name", "empty"), alice.user)
    url = reverse("segment_detail", args=[made.uid])
    monkeypatch.setattr(counts, "where_of", lambda *_: Where("(SELECT true FROM pg_sleep(5))", {}))
    page = alice.client.get(url).content.decode()
    assert "Still counting" in page
    assert 'hx-trigger="load delay:2s"' in page
    assert "Still counting" in alice.client.get(reverse("segments")).content.decode()
    monkeypatch.undo()
    assert counts.work() == 1
    page = alice.client.get(url).content.decode()
    assert "5 people" in page
    KeptCount.objects.update(took=None)
    assert "given up" in alice.client.get(url).content.decode()


def test_readers_see_and_change_nothing(larkfield, alice, victor, eve, world):
    made = segment(larkfield, one("last_name", "empty"), alice.user)
    url = reverse("segment_detail", args=[made.uid])
    page = victor.client.get(url).content.decode()
    assert "Save segment" not in page
    assert victor.client.post(url, form(page) | {"act": "save", "name": "y"}).status_code == 403
    assert (
        eve.client.post(url, form(eve.client.get(url).content.decode()) | {"act": "save", "name": "y"}).status_code
        == 302
    )
    made.refresh_from_db()
    assert made.name == "y"
    assert ContactList.objects.filter(organization=larkfield).count() == 2
