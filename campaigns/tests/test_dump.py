"""What arrives, against a reference renderer that shares no code with the compiler; `make proof` does it at length."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import Error as DatabaseError
from django.db import transaction

from campaigns.bench import world
from campaigns.bench.world import Customer
from campaigns.content.compile import compile_message
from campaigns.content.snapshot import load
from campaigns.errors import RenderError
from campaigns.models import Delivery
from campaigns.sending import slices
from campaigns.tests.lanes import planned, run_both, two_relays
from compliance.models import Contact
from sendserver.testing.personas import make_organization
from sendserver.testing.proof import people
from sendserver.testing.proof.dump import expected_of
from sendserver.testing.proof.letters import Judge, Taken
from sendserver.testing.proof.people import Person

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
PEOPLE = len(people.PAIRS) + 20


def somebody(number: int) -> Person:
    """Return every hostile value in every column once, and twenty usual people."""
    if number <= len(people.PAIRS):
        return people.with_pair(number, people.PAIRS[number - 1])
    return Person(number, people.usual(number))


def test_every_hostile_value_is_harmless_or_refused_alone(settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(slices, "judge", lambda *_: False)  # so many would rightly brake; the brake has its own tests
    customer = Customer.make(person=somebody)
    with two_relays(settings, tmp_path) as relays:
        settings.SENDING["chunk_size"] = 200
        campaign = world.planned(customer.frozen(people.CONTENT, PEOPLE), PEOPLE)
        judge = Judge(expected_of(campaign))
        run_both()
        taken = [Taken(one.sender, one.recipient, one.raw) for relay in relays for one in relay.accepted]
    owners = dict(Delivery.objects.filter(campaign=campaign).values_list("pk", "address"))
    wrong: list[str] = []
    for one, turn in zip(taken, count(), strict=False):
        person = somebody(int(one.recipient[len("reader") :].partition("@")[0]))
        delivery, found = judge.judge(one, person)
        wrong += found + (judge.signatures(one) if turn % 8 == 0 else [])
        assert owners[delivery] == one.recipient
    assert wrong == []
    refused = {world.address(n) for n in range(1, PEOPLE + 1) if judge.is_refused(somebody(n), world.address(n))}
    assert {one.recipient for one in taken} == {world.address(n) for n in range(1, PEOPLE + 1)} - refused
    assert len(taken) == PEOPLE - len(refused)
    assert 50 < len(refused) < len(people.PAIRS) / 2
    harsh = {world.address(n) for n in range(1, PEOPLE + 1) if somebody(n).hostile in people.HARSH}
    assert refused <= harsh  # else a long run would come to more than the brake allows


def test_the_judge_sees_what_is_wrong(settings: Any, tmp_path: Path) -> None:
    customer = Customer.make(person=somebody)
    with two_relays(settings, tmp_path) as relays:
        campaign = world.planned(customer.frozen(people.CONTENT, 20), 20)
        judge = Judge(expected_of(campaign))
        run_both()
        message = next(one for relay in relays for one in relay.accepted)
    good = Taken(message.sender, message.recipient, message.raw)
    person = somebody(int(good.recipient[len("reader") :].partition("@")[0]))
    assert judge.judge(good, person)[1] == judge.signatures(good) == []
    for old, new in (
        (b"Mill Lane", b"Mill Lame"),
        (b"Precedence: bulk\r\n", b"Precedence: bulk\r\nX-Other: 1\r\n"),
        (b"\r\nTo: ", b"\r\nTo: x@y.example, "),
        (b"/why/k", b"/why/j"),
        (b"bulk\r\n", b"bulk\n"),
    ):
        assert old in good.raw
        assert judge.judge(good._replace(raw=good.raw.replace(old, new)), person)[1]
    assert judge.signatures(good._replace(raw=good.raw.replace(b"Subject: ", b"Subject: x")))
    assert judge.judge(good._replace(sender="b.x@y.example"), person)[0] is None


def test_nul_does_not_come_into_the_database_and_is_not_written(settings: Any, tmp_path: Path) -> None:
    with two_relays(settings, tmp_path):
        campaign = planned(make_organization("Larkfield Garden Co."), 1)
    contact = Contact.objects.get()
    for column in ({"first_name": "a\0b"}, {"fields": {"city": "a\0b"}}):
        with pytest.raises((DatabaseError, ValueError)), transaction.atomic():
            Contact.objects.filter(pk=contact.pk).update(**column)
    assert campaign.snapshot is not None
    with pytest.raises(RenderError):
        compile_message(load(campaign.snapshot)).body({"first_name": "a\0b", "unsubscribe_url": "https://x.example/"})
