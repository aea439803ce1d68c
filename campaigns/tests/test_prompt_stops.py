"""What the database said of a recipient counts for a second, from the moment it was asked (architecture rule 5)."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Delivery
from campaigns.sending import claim as claims
from campaigns.sending import deliver
from campaigns.tests.lanes import planned, states, two_relays
from compliance.suppression import suppress
from sendserver.lib.addresses import AddressKey
from sendserver.testing.personas import make_organization
from sendserver.testing.relay import PLAIN_EXTENSIONS, Phase, hang, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def leave(delivery: Delivery) -> None:
    suppress(AddressKey(delivery.address), organization=delivery.organization, reason="unsubscribe", source="page")


def test_a_look_does_not_grow_younger_on_its_way_to_the_wire(settings: Any, tmp_path: Path) -> None:
    with two_relays(settings, tmp_path, extensions=PLAIN_EXTENSIONS) as (relay, _):
        settings.SENDING |= {"connections": 1}
        campaign = planned(make_organization("Larkfield Garden Co."), 2)
        second = Delivery.objects.get(campaign=campaign, seq=2)
        gate, reached = threading.Event(), threading.Event()
        relay.on(Phase.DATA, wait_for(gate, reached), times=1)
        relay.on(Phase.DATA, hang(0.6))  # the second one's turn comes when it was looked at 0.7 s ago, its body at 1.3
        thread = threading.Thread(target=deliver.run_lane, args=("relay-1",))
        thread.start()
        assert reached.wait(10)
        time.sleep(0.7)
        leave(second)
        gate.set()
        thread.join(30)
        assert relay.recipients == [Delivery.objects.get(campaign=campaign, seq=1).address]
        assert states(campaign) == {"accepted": 1, "suppressed": 1}


def test_a_look_is_as_old_as_its_question(settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    claim_next = claims.claim_next

    def slowly(*arguments: Any) -> Any:
        claim = claim_next(*arguments)
        if claim is not None:  # somebody leaves while the answer is under way
            leave(Delivery.objects.get(pk=claim.items[0].delivery_id))
            time.sleep(1.1)
        return claim

    monkeypatch.setattr(claims, "claim_next", slowly)
    with two_relays(settings, tmp_path) as (relay, _):
        campaign = planned(make_organization("Larkfield Garden Co."), 2)
        deliver.run_lane("relay-1")
        assert len(relay.accepted) == 1
        assert states(campaign) == {"accepted": 1, "suppressed": 1}
