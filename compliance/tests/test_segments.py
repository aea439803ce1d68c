"""Segments: what conditions pick, what they never pick, and what is refused."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from django.db import connection

from compliance import list_exits, policy, tags
from compliance.errors import SegmentRefusedError, TagRefusedError
from compliance.imports import kinds
from compliance.models import Contact, ContactField, ContactList, Segment, Tag
from compliance.segments import store, subjects
from compliance.segments.conditions import Condition, Conditions, Group, from_json
from compliance.segments.vocabulary import vocabulary_of
from compliance.segments.where import where_of
from compliance.suppression import suppress
from compliance.tests.segment_world import field, make, one, picked, segment
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db
EVERYBODY = {"ada", "ben", "cy", "dora", "eli"}


@pytest.fixture
def world(larkfield):
    """Return five people, with their columns in the register."""
    made = make(larkfield)
    made.city = field(larkfield, "City")
    made.age = field(larkfield, "Age", kinds.NUMBER)
    made.born = field(larkfield, "Born", kinds.DATE)
    made.open = field(larkfield, "Open day", kinds.YES_NO)
    return made


@pytest.mark.parametrize(
    ("op", "value", "names"),
    [
        ("is", "YORK", {"ada"}),
        ("is_not", "york", {"ben", "cy", "dora", "eli"}),
        ("contains", "york", {"ada", "eli"}),
        ("contains", "%", {"ben"}),
        ("contains", "_", {"ben"}),
        ("lacks", "york", {"ben", "cy", "dora"}),
        ("starts", "New", {"eli"}),
        ("filled", "", {"ada", "ben", "eli"}),
        ("empty", "", {"cy", "dora"}),
        ("is", "' OR '1'='1", set()),
        ("is", "x) OR (1=1", set()),
        ("contains", "\\", set()),
        ("is", "%(seg0)s", set()),
        ("contains", "\u202e", set()),
    ],
)
def test_text(larkfield, world, op, value, names):
    assert picked(larkfield, one(world.city, op, value)) == names


@pytest.mark.parametrize(
    ("op", "value", "names"),
    [
        ("is", "36.0", {"ada"}),
        ("is_not", "36", {"ben", "cy", "dora", "eli"}),
        ("above", "35.99", {"ada", "cy"}),
        ("above", "9" * 30, {"cy"}),
        ("below", "0", {"ben"}),
        ("filled", "", {"ada", "ben", "cy"}),
        ("empty", "", {"dora", "eli"}),
    ],
)
def test_numbers_compare_as_numbers_and_what_is_none_is_left_out(larkfield, world, op, value, names):
    assert picked(larkfield, one(world.age, op, value)) == names


@pytest.mark.parametrize(
    ("op", "value", "names"),
    [
        ("on", "1989-12-10", {"ada"}),
        ("before", "1990-01-01", {"ada"}),
        ("after", "1989-12-10", {"fay"}),
        ("last_days", "30", {"fay"}),
        ("older", "365", {"ada"}),
        ("filled", "", {"ada", "fay"}),
        ("empty", "", {"ben", "cy", "dora", "eli"}),
    ],
)
def test_dates(larkfield, world, op, value, names):
    from campaigns.tests.world import add_person

    add_person(world, "fay@reader.example", fields={"Born": f"{clock.now() - timedelta(days=5):%Y-%m-%d}"})
    assert picked(larkfield, one(world.born, op, value)) == names


def test_yes_and_no(larkfield, world):
    assert picked(larkfield, one(world.open, "yes")) == {"ben"}
    assert picked(larkfield, one(world.open, "no")) == {"cy"}
    assert picked(larkfield, one(world.open, "empty")) == {"ada", "dora", "eli"}


def test_person_consent_and_activity(larkfield, world):
    other = ContactList.objects.get(name="Open days")
    found = {
        (subject, op, value): picked(larkfield, one(subject, op, value))
        for subject, op, value in [
            ("first_name", "is", "élodie"),
            ("domain", "is", "other.example"),
            ("address", "starts", "CY@"),
            ("last_name", "empty", ""),
            ("list", "on", str(other.uid)),
            ("list", "off", str(other.uid)),
            ("basis", "is", "express_written"),
            ("basis", "is_not", "express_doi"),
            ("consent_at", "last_days", "31"),
            ("consent_at", "older", "365"),
            ("consent_at", "before", f"{clock.now() - timedelta(days=300):%Y-%m-%d}"),
            ("consent_at", "after", f"{clock.now() - timedelta(days=32):%Y-%m-%d}"),
            ("confirmed_at", "empty", ""),
            ("country", "is", "DE"),
            ("country", "is_not", "DE"),
            ("country", "unknown", ""),
            ("joined", "last_days", "1"),
            ("joined", "older", "99"),
            ("mailed", "last_days", "7"),
            ("mailed", "not_last_days", "7"),
            ("mailed", "never", ""),
            ("bounced", "last_days", "30"),
            ("bounced", "last_days", "5"),
            ("bounced", "not_last_days", "30"),
            ("bounced", "never", ""),
        ]
    }
    assert list(found.values()) == [
        {"dora"},
        {"ben"},
        {"cy"},
        EVERYBODY,
        {"dora", "eli"},
        {"ada", "ben", "cy"},
        {"dora"},
        {"dora", "eli"},
        EVERYBODY,
        {"dora", "eli"},
        {"dora", "eli"},
        EVERYBODY,
        {"dora", "eli"},
        {"cy"},
        EVERYBODY - {"cy"},
        set(),
        EVERYBODY - {"ben"},
        {"ben"},
        {"ada"},
        EVERYBODY - {"ada"},
        {"cy", "dora", "eli"},
        {"cy"},
        set(),
        EVERYBODY - {"cy"},
        EVERYBODY - {"cy"},
    ]


def test_every_comparison_of_every_subject_can_be_asked(larkfield, world, alice):
    """No key of the tables leads to SQL that fails, and none to words that break."""
    tag = tags.create(larkfield, "spring", actor=alice.user)
    values = {
        subjects.NONE: "",
        subjects.TEXT: "x",
        subjects.NUMBER: "-1.5",
        subjects.DATE: "9999-12-31",
        subjects.DAYS: str(policy.SEGMENT_DAYS),
        subjects.TAG: str(tag.uid),
        subjects.LIST: str(world.contact_list.uid),
        subjects.BASIS: "express_doi",
        subjects.COUNTRY: "GB",
    }
    own = {world.city: "text", world.age: "number", world.born: "date", world.open: "yes_no"}
    kinds_of = {**{key: subject.ops for key, subject in subjects.FIXED.items()}, **own}
    asked = 0
    for key, ops in kinds_of.items():
        for op, meaning in subjects.OPS[ops].items():
            conditions = one(key, op, values[meaning.takes])
            where = where_of(larkfield, conditions)
            assert not where.missing
            assert "%" not in where.sql.replace("%(seg", "")
            picked(larkfield, conditions)
            assert vocabulary_of(larkfield, conditions.every()).lines(conditions)[0]
            asked += 1
    assert asked == sum(len(subjects.OPS[ops]) for ops in kinds_of.values()) > 60


def test_tags_pick_whoever_gave_them(larkfield, world, alice):
    tags.give(Contact.objects.filter(address__startswith="ada"), ["VIP"], actor=alice.user)
    uid = str(Tag.objects.get().uid)
    assert picked(larkfield, one("tag", "has", uid)) == {"ada"}
    assert picked(larkfield, one("tag", "lacks", uid)) == EVERYBODY - {"ada"}


def test_who_left_a_list_is_not_on_it(larkfield, world):
    other = ContactList.objects.get(name="Open days")
    list_exits.leave(other, AddressKey("dora@reader.example"))
    assert picked(larkfield, one("list", "on", str(other.uid))) == {"eli"}


def test_groups_are_joined_as_they_say(larkfield, world):
    """Random groups pick what their single conditions pick, joined in Python."""
    dice = random.Random(4)
    singles = [
        Condition(world.city, "contains", "york"),
        Condition(world.age, "above", "0"),
        Condition("basis", "is", "express_doi"),
        Condition("country", "is_not", "DE"),
        Condition("mailed", "never"),
        Condition("domain", "is", "other.example"),
        Condition(world.open, "empty"),
    ]
    # Only of people on one list, where a test of the membership is a test of the person.
    ContactList.objects.get(name="Open days").memberships.all().delete()
    alone = {single: picked(larkfield, Conditions("all", (Group("all", (single,)),))) for single in singles}

    def join(match, sets):
        return set.intersection(*sets) if match == "all" else set.union(*sets)

    for _ in range(60):
        groups = tuple(
            Group(dice.choice(["all", "any"]), tuple(dice.sample(singles, dice.randint(1, 4))))
            for _ in range(dice.randint(1, 4))
        )
        conditions = Conditions(dice.choice(["all", "any"]), groups)
        expected = join(
            conditions.match, [join(group.match, [alone[single] for single in group.conditions]) for group in groups]
        )
        assert picked(larkfield, conditions) == expected, conditions


def test_consent_is_asked_of_one_membership(larkfield, world):
    """Eli has an express_doi of this month and an express_soi of last year: no single permission is both."""
    both = Conditions(
        "all", (Group("all", (Condition("basis", "is", "express_doi"), Condition("consent_at", "older", "365"))),)
    )
    assert picked(larkfield, both) == set()


def test_nobody_of_the_do_not_mail_list_is_in_a_segment(larkfield, world):
    suppress(AddressKey("ada@reader.example"), organization=larkfield, reason="unsubscribe", source="page")
    suppress(AddressKey("ben@other.example"), organization=None, reason="complaint", source="arf")
    for conditions in (one("last_name", "empty"), one("first_name", "is_not", "nobody"), one("bounced", "never")):
        assert picked(larkfield, conditions) & {"ada", "ben"} == set()
    either = Conditions(
        "any", (Group("any", (Condition("first_name", "is", "Ada"),)), one("country", "is", "GB").groups[0])
    )
    assert picked(larkfield, either) == {"dora", "eli"}


def test_another_tenants_things_mean_nothing(larkfield, hollin, world, alice, mallory):
    foreign = tags.create(hollin, "spring", actor=mallory.user)
    column = field(hollin, "City")
    theirs = ContactList.objects.create(organization=hollin, name="Pots")
    for conditions in (
        one("tag", "has", str(foreign.uid)),
        one("tag", "lacks", str(foreign.uid)),
        one("list", "off", str(theirs.uid)),
        one(column, "empty"),
        one(column, "is_not", "x"),
    ):
        assert picked(larkfield, conditions) == set()
        assert where_of(larkfield, conditions).missing
        with pytest.raises(SegmentRefusedError):
            store.save(larkfield, "theirs", conditions, actor=alice.user)
        assert "spring" not in str(vocabulary_of(larkfield, conditions.every()).lines(conditions))


def test_what_is_gone_never_widens(larkfield, world, alice):
    tag = tags.create(larkfield, "spring", actor=alice.user)
    conditions = one("tag", "lacks", str(tag.uid))
    assert picked(larkfield, conditions) == EVERYBODY
    Tag.objects.all().delete()
    assert picked(larkfield, conditions) == set()
    assert where_of(larkfield, conditions).missing == ("Tag is not a tag no longer there: There is no such tag.",)
    number = one(world.age, "is_not", "1")
    ContactField.objects.filter(name="Age").update(kind=kinds.DATE)
    assert picked(larkfield, number) == set()


def test_a_tag_in_use_is_not_deleted(larkfield, world, alice):
    tag = tags.create(larkfield, "spring", actor=alice.user)
    made = segment(larkfield, one("tag", "has", str(tag.uid)), alice.user, name="Spring people")
    with pytest.raises(TagRefusedError, match="Spring people"):
        tags.delete(tag, actor=alice.user)
    store.delete(made, actor=alice.user)
    tags.delete(tag, actor=alice.user)


def test_names_are_taken_once_while_the_segment_stands(larkfield, hollin, world, alice):
    made = segment(larkfield, one("last_name", "empty"), alice.user, name="Spring")
    with pytest.raises(SegmentRefusedError, match="already"):
        segment(larkfield, one("last_name", "empty"), alice.user, name="SPRING")
    store.delete(made, actor=alice.user)
    assert not store.delete(made, actor=alice.user)
    segment(larkfield, one("last_name", "empty"), alice.user, name="spring")
    segment(hollin, one("last_name", "empty"), alice.user, name="spring")


def test_there_is_a_limit_to_segments(larkfield, world, alice, monkeypatch):
    monkeypatch.setattr(policy, "SEGMENTS_MAX", 1)
    made = segment(larkfield, one("last_name", "empty"), alice.user)
    with pytest.raises(SegmentRefusedError, match="room for 1"):
        segment(larkfield, one("last_name", "empty"), alice.user, name="Another")
    store.save(larkfield, "Renamed", one("last_name", "filled"), actor=alice.user, segment=made)
    assert Segment.objects.get().name == "Renamed"


GOOD = {"match": "all", "groups": [{"match": "any", "conditions": [{"subject": "s", "op": "o", "value": "v"}]}]}


def deep(levels):
    """Return JSON that nests groups in groups."""
    found = GOOD
    for _ in range(levels):
        found = {"match": "all", "groups": [found]}
    return found


def many(groups, conditions):
    """Return JSON of that many groups and conditions in each."""
    group = {"match": "any", "conditions": GOOD["groups"][0]["conditions"] * conditions}
    return {"match": "all", "groups": [group] * groups}


def with_value(value):
    """Return JSON with one value."""
    return {"match": "all", "groups": [{"match": "any", "conditions": [{"subject": "s", "op": "o", "value": value}]}]}


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        [],
        {},
        {"match": "all"},
        {"match": "all", "groups": []},
        {"match": "some", "groups": GOOD["groups"]},
        {"match": ["all"], "groups": GOOD["groups"]},
        {"match": "all", "groups": {"0": 1}},
        {**GOOD, "sql": "1=1"},
        {"match": "all", "groups": [{"match": "all", "conditions": []}]},
        {"match": "all", "groups": [{"match": "all", "conditions": [{"subject": "s", "op": "o"}]}]},
        with_value(1),
        with_value(None),
        with_value({"$gt": ""}),
        with_value("x" * 201),
        with_value("a\x00b"),
        many(6, 1),
        many(5, 5),
        many(1, 21),
        many(1, 10_000),
        deep(1),
        deep(500),
        json.loads("[" * 900 + "]" * 900),
    ],
)  # fmt: skip
def test_json_of_another_shape_is_refused(stored):
    with pytest.raises(SegmentRefusedError):
        from_json(stored)


def test_json_goes_round():
    assert from_json(GOOD).to_json() == GOOD
    assert from_json(many(5, 4)).to_json() == many(5, 4)
    assert len(from_json(GOOD).digest) == 32
    assert from_json(GOOD).digest != from_json(with_value("w")).digest


@pytest.mark.parametrize(
    ("subject", "op", "value"),
    [
        ("c.id; DROP TABLE", "is", "x"),
        ("own:", "is", "x"),
        ("own:' || pg_sleep(9)", "is", "x"),
        ("id", "is", "1"),
        ("first_name", "regex", "(a+)+$"),
        ("first_name", "is", "  "),
        ("first_name", "filled", "x"),
        ("joined", "last_days", "0"),
        ("joined", "last_days", "99999"),
        ("joined", "last_days", "1e3"),
        ("joined", "last_days", "-1"),
        ("joined", "last_days", "٣"),
        ("consent_at", "before", "2026-02-30"),
        ("consent_at", "before", "20260230"),
        ("consent_at", "before", "2026-W01-1"),
        ("basis", "is", "anything"),
        ("country", "is", "XX"),
        ("tag", "has", "not a uid"),
        ("tag", "has", "00000000-0000-0000-0000-000000000000"),
        ("list", "on", ""),
        ("age", "above", "9" * 31),
        ("age", "above", "NaN"),
        ("age", "above", "Infinity"),
        ("age", "above", "1e9"),
    ],
)
def test_conditions_that_cannot_be_asked_are_refused_with_their_place(larkfield, world, alice, subject, op, value):
    key = world.age if subject == "age" else subject
    group = Group("all", (Condition("last_name", "empty"), Condition(key, op, value)))
    with pytest.raises(SegmentRefusedError) as caught:
        store.save(larkfield, "Some", Conditions("all", (group,)), actor=alice.user)
    assert caught.value.place == (0, 1)
    assert not Segment.objects.exists()
    assert where_of(larkfield, Conditions("all", (group,))).missing


def test_long_values_take_no_time(larkfield, world):
    """The only patterns are ours and linear: a column of half a megabyte is judged at once."""
    Contact.objects.filter(address__startswith="ada").update(fields={"Age": "9" * 250_000 + "x", "City": "a" * 500_000})
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '2s'")
    assert "ada" not in picked(larkfield, one(world.age, "above", "1"))
    assert "ada" not in picked(larkfield, one(world.city, "contains", "a" * 199 + "b"))
