"""Tags: by hand, by upload, on a whole list; and what taking an upload back does to them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from campaigns.own_data import collect
from compliance import policy, tag_orders, tags
from compliance.errors import SignatureRefusedError, TagRefusedError
from compliance.imports import columns, fixes, run, tagging, undo
from compliance.imports.staff import decide_held
from compliance.models import Contact, ContactTag, ImportJob, ImportRow, ImportState, Tag, TagOrder
from compliance.tests import helpers
from sendserver.lib import clock

pytestmark = pytest.mark.django_db
HEADER = "email,signed up,country,tags"
PLAN = {
    "targets": {"0": "email", "1": "consent_at", "2": "country", "3": "tags"},
    "date_order": "dmy",
    "has_header": True,
}


def rows(*pairs):
    """Return CSV of (name, tags)."""
    people = [(f"{name}@reader.example", "2026-10-01", "GB", f'"{given}"') for name, given in pairs]
    return helpers.csv_of(people, header=HEADER)


def upload(organization, user, *pairs, everybody=(), **more):
    """Return an upload that was read."""
    plan = PLAN | ({"tags": list(everybody)} if everybody else {})
    return helpers.finished(organization, user, rows(*pairs), plan=plan, **more)


def tagged(organization):
    """Return who has which tags, by name."""
    found = {}
    for row in ContactTag.objects.filter(tag__organization=organization).select_related("tag", "contact"):
        found.setdefault(row.contact.address.split("@")[0], set()).add(row.tag.name)
    return found


def counts(organization):
    """Return how many people each tag has, as kept."""
    return dict(Tag.objects.for_org(organization).values_list("name", "people_count"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("spring, garden fair", ["spring", "garden fair"]),
        ("VIP;vip|Vip", ["VIP"]),
        (" ,, ;| ", []),
        ("STRASSE,straße", ["STRASSE"]),
        ("cafe\u0301,caf\u00e9", ["caf\u00e9"]),
        ("שלום, مرحبا", ["שלום", "مرحبا"]),
        ("<script>alert(1)</script>", ["<script>alert(1)</script>"]),
        ("' OR 1=1 --", ["' OR 1=1 --"]),
        ("two\nlines", ["two lines"]),
    ],
)
def test_split(text, names):
    assert tags.split(text) == names


@pytest.mark.parametrize(
    "text", ["x" * 61, "a\u202eb", "a\u200bb", "a\x00b", ",".join(map(str, range(51))), ",".join(["tag"] * 10_000)]
)
def test_split_refuses(text):
    with pytest.raises(TagRefusedError):
        tags.split(text)


def test_a_column_and_the_whole_upload_give_tags(larkfield, alice):
    upload(larkfield, alice.user, ("ada", "spring, VIP"), ("ben", ""), ("cy", "vip"), everybody=["fair"])
    assert tagged(larkfield) == {"ada": {"spring", "VIP", "fair"}, "ben": {"fair"}, "cy": {"VIP", "fair"}}
    assert counts(larkfield) == {"spring": 1, "VIP": 2, "fair": 3}


def test_people_known_before_get_tags_too(larkfield, alice):
    upload(larkfield, alice.user, ("ada", "old"))
    upload(larkfield, alice.user, ("ada", "new"), ("ben", "new"))
    assert tagged(larkfield) == {"ada": {"old", "new"}, "ben": {"new"}}


def test_the_row_that_wins_gives_the_tags_wherever_pieces_are_cut(larkfield, alice):
    data = [("ada", "2026-05-01", "late"), ("ben", "2026-05-01", "x"), ("ada", "2026-04-01", "early")]
    people = [(f"{name}@reader.example", day, "GB", tag) for name, day, tag in data]
    people += [("ben@reader.example", "2026-06-01", "GB", "")]
    csv = helpers.csv_of(people, header=HEADER)
    for size in (1, 2, 10):
        Contact.objects.all().delete()
        job = helpers.signed(larkfield, alice.user, csv, plan=PLAN)
        assert run.run(job, piece=size)
        assert tagged(larkfield) == {"ada": {"late"}}, size


def test_undo_takes_its_own_tags_and_no_others(larkfield, alice):
    first = upload(larkfield, alice.user, ("ada", "kept"), ("ben", "kept"))
    target = first.contact_list
    tags.give([Contact.objects.get(address="ada@reader.example")], ["by hand"], actor=alice.user)
    before = list(ContactTag.objects.order_by("pk").values_list("tag__name", "contact__address", "upload"))
    second = upload(
        larkfield, alice.user, ("ada", "kept, more"), ("ben", "more"), ("cy", "brand new"), everybody=["wave"],
        contact_list=target,
    )  # fmt: skip
    tags.give([Contact.objects.get(address="ben@reader.example")], ["more"], actor=alice.user)
    assert undo.undo(second, actor=alice.user)
    second.refresh_from_db()
    assert second.state == ImportState.CANCELLED
    after = list(ContactTag.objects.order_by("pk").values_list("tag__name", "contact__address", "upload"))
    assert sorted(after) == sorted([*before, ("more", "ben@reader.example", 0)])  # what a hand gave meanwhile stays
    # Words that only this upload brought and nobody has are gone; the others count anew.
    assert counts(larkfield) == {"kept": 2, "by hand": 1, "more": 1}


def test_undo_takes_tags_from_people_whom_a_later_upload_has_now(larkfield, alice):
    first = upload(larkfield, alice.user, ("ada", "first"))
    upload(larkfield, alice.user, ("ada", "second"), contact_list=first.contact_list)
    assert undo.undo(first, actor=alice.user)
    assert tagged(larkfield) == {"ada": {"second"}}
    assert counts(larkfield) == {"second": 1}


def test_undo_of_tags_in_small_pieces_and_by_two_workers(larkfield, alice):
    job = upload(larkfield, alice.user, *[(f"p{n}", "t") for n in range(12)], everybody=["u"])
    ImportJob.objects.filter(pk=job.pk).update(state=ImportState.UNDOING)
    job.refresh_from_db()
    other = ImportJob.objects.get(pk=job.pk)
    assert not undo.go_on(job, seconds=-1, piece=5)
    assert undo.go_on(other, piece=5)
    assert not ContactTag.objects.exists()
    assert counts(larkfield) == {}


def test_a_mended_row_gives_its_tags_and_takes_them_back(larkfield, alice):
    people = [("not an address", "2026-10-01", "GB", "spring"), ("ben@reader.example", "2026-10-01", "GB", "fair")]
    job = helpers.finished(larkfield, alice.user, helpers.csv_of(people, header=HEADER), plan=PLAN)
    row = ImportRow.objects.get(job=job)
    fixes.use(job, row, "ada@reader.example", actor=alice.user)
    assert tagged(larkfield) == {"ada": {"spring"}, "ben": {"fair"}}
    assert counts(larkfield) == {"spring": 1, "fair": 1}
    row.refresh_from_db()
    fixes.reopen(job, row, actor=alice.user)
    assert tagged(larkfield) == {"ben": {"fair"}}
    assert counts(larkfield)["spring"] == 0


def test_a_row_whose_tags_cannot_be_read_is_listed_and_mended(larkfield, alice):
    job = upload(larkfield, alice.user, ("ada", "x" * 61), ("ben", "ok"))
    row = ImportRow.objects.get(job=job)
    assert (row.reason, fixes.cell_of(job, row)) == ("tags_wrong", "x" * 61)
    fixes.use(job, row, "short", actor=alice.user)
    assert tagged(larkfield) == {"ada": {"short"}, "ben": {"ok"}}


def test_who_may_not_be_added_gets_no_tag(larkfield, alice):
    from compliance import suppression
    from sendserver.lib.addresses import AddressKey

    suppression.suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    upload(larkfield, alice.user, ("ada", "spring"), ("ben", "spring"), everybody=["fair"])
    assert tagged(larkfield) == {"ben": {"spring", "fair"}}


def test_ten_thousand_different_tags_are_refused_before_anything_is_signed(larkfield, alice):
    with pytest.raises(SignatureRefusedError, match="more than 1,000 tags"):
        upload(larkfield, alice.user, *[(f"p{n}", f"tag{n}") for n in range(10_000)])
    assert not Tag.objects.exists()
    assert not Contact.objects.exists()


def test_refused_by_staff_leaves_no_tags(larkfield, alice, moderator):
    job = upload(larkfield, alice.user, ("ada", "spring"))
    ImportJob.objects.filter(pk=job.pk).update(state=ImportState.HELD, held_reasons=["size_jump"])
    job.refresh_from_db()
    assert decide_held(job, approve=False, actor=moderator.user, reason="No proof was shown.")
    assert tagged(larkfield) == counts(larkfield) == {}  # taken back as by its owner: nobody else had it


def test_old_uploads_settle_into_one_row(larkfield, alice):
    first = upload(larkfield, alice.user, ("ada", "spring"))
    second = upload(larkfield, alice.user, ("ada", "spring"), ("ben", "spring"), contact_list=first.contact_list)
    assert ContactTag.objects.count() == 3
    ImportJob.objects.update(finished_at=clock.now() - timedelta(days=policy.IMPORT_UNDO_D + 1))
    undo.forget_before(clock.now())
    assert {row.upload for row in ContactTag.objects.all()} == {0}
    assert tagged(larkfield) == {"ada": {"spring"}, "ben": {"spring"}}
    assert ContactTag.objects.count() == 2
    assert tagging.settle_before(clock.now(), 10) == 0
    assert second.pk


def test_no_tag_no_question(larkfield, alice, django_assert_num_queries):
    job = helpers.signed(larkfield, alice.user, helpers.csv_of(helpers.people(3)))
    with django_assert_num_queries(0):
        tagging.write(None, job, {})


def test_a_column_called_tags_is_not_taken_unasked(larkfield, alice):
    """Tags are kept data: a file whose words would not do as tags must not lose rows by our guess."""
    assert columns.propose(["email", "tags"], [["ada@reader.example", "x" * 90]]).targets == {0: "email"}


def test_give_and_take_by_hand(larkfield, alice):
    job = upload(larkfield, alice.user, ("ada", "spring"), ("ben", ""))
    ada, ben = Contact.objects.order_by("address")
    assert tags.give([ada, ben], ["Spring", "fair"], actor=alice.user) == 3
    assert counts(larkfield) == {"spring": 2, "fair": 2}
    spring = Tag.objects.get(key="spring")
    assert tags.take([ada, ben], spring, actor=alice.user) == 2
    assert counts(larkfield)["spring"] == 0
    assert undo.undo(job, actor=alice.user)
    assert tagged(larkfield) == {}


def test_deleting_a_person_counts_them_out(larkfield, alice):
    from compliance import people

    upload(larkfield, alice.user, ("ada", "spring"), ("ben", "spring"))
    people.remove(Contact.objects.get(address="ada@reader.example"), actor=alice.user)
    assert counts(larkfield) == {"spring": 1}
    assert ContactTag.objects.count() == 1


def test_rename_and_delete(larkfield, alice):
    upload(larkfield, alice.user, ("ada", "spring, fair"))
    spring = Tag.objects.get(key="spring")
    with pytest.raises(TagRefusedError, match="already"):
        tags.rename(spring, "FAIR", actor=alice.user)
    tags.rename(spring, "SPRING", actor=alice.user)
    tags.delete(spring, actor=alice.user)
    assert tagged(larkfield) == {"ada": {"fair"}}


def test_a_whole_list_gets_a_tag_in_pieces(larkfield, alice):
    job = helpers.finished(larkfield, alice.user, helpers.csv_of(helpers.people(23)))
    tag = tags.create(larkfield, "spring", actor=alice.user)
    order = tag_orders.order(tag, job.contact_list, gives=True, actor=alice.user)
    assert not tag_orders.go_on(order, seconds=-1, piece=5)  # killed after one piece
    assert ContactTag.objects.count() == 5
    assert [row.pk for row in tag_orders.waiting()] == [order.pk]
    assert tag_orders.go_on(TagOrder.objects.get(pk=order.pk), piece=5)
    assert counts(larkfield) == {"spring": 23}
    assert tag_orders.go_on(tag_orders.order(tag, job.contact_list, gives=False, actor=alice.user))
    assert counts(larkfield) == {"spring": 0}
    assert tag_orders.waiting() == []


def test_a_copy_of_ones_data_names_the_tags(larkfield, alice):
    from campaigns import planning
    from campaigns.models import Delivery
    from campaigns.returning import holder_of_delivery
    from campaigns.tests.lanes import frozen
    from campaigns.tests.world import make_world
    from sendserver.lib.tokens import Purpose, seal

    world = make_world(larkfield, 1)
    tags.give(Contact.objects.all(), ["VIP"], actor=alice.user)
    planning.plan(frozen(world))
    delivery = Delivery.objects.get()
    holder = holder_of_delivery(delivery.pk, seal(Purpose.DELIVERY, delivery.pk))
    assert collect(holder).person[0]["tags"] == ["VIP"]
    assert json.loads(collect(holder).as_json(holder))["person"][0]["tags"] == ["VIP"]


def test_the_columns_page_takes_tags_for_everybody(larkfield, alice):
    job = helpers.upload(larkfield, alice.user, helpers.csv_of(helpers.people(2)))
    url = reverse("upload_columns", args=[job.uid])
    columns = {"column-0": "email", "column-1": "consent_at", "column-2": "country", "date_order": "dmy"}
    page = alice.client.post(url, columns | {"tags": "x" * 61})
    assert "Tags for everybody: a tag has at most 60 characters" in page.content.decode()
    assert alice.client.post(url, columns | {"tags": "spring, <b>fair</b>"}).status_code == 302
    job.refresh_from_db()
    assert job.columns["tags"] == ["spring", "<b>fair</b>"]
    page = alice.client.get(url).content.decode()
    assert 'value="spring, &lt;b&gt;fair&lt;/b&gt;"' in page
