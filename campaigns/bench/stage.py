"""Put everything up that the rounds need, in order, and take it down again whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from campaigns.bench import certificate, samples, tools, world
from campaigns.bench.contenders import Field
from campaigns.bench.content import CONTENTS
from campaigns.bench.product import Lanes, Setup, Spent
from campaigns.bench.rounds import Arena
from campaigns.bench.samples import Sample
from campaigns.bench.sinks import OwnSink, Pair, PostfixSink
from campaigns.bench.world import Customer

Say = Callable[[str], None]
SAMPLE_PEOPLE: Final = 200
# A broker database each: an idle worker must not take the poke that is meant for another setup.
RELAY_SIGNS: Final = Setup("relay", 1, "smtp://127.0.0.1:{port}?name=out{number}.sendserver.example&signs=on")
PORTAL_SIGNS: Final = Setup("portal", 2)
PLAIN: Final = Setup("plain", 3, RELAY_SIGNS.relay)
TLS: Final = "smtps://127.0.0.1:{{port}}?name=out{{number}}.sendserver.example&signs=on&ca={ca}"
KEEPING: Final = Setup("keeping", 5, RELAY_SIGNS.relay)


@contextmanager
def arena(folder: Path, cache: Path, say: Say) -> Iterator[Arena]:
    """Give a warm arena; raises BenchError."""
    found = tools.fetch(cache)
    with ExitStack() as stack:
        say("Making the customer and taking samples ...")
        customer, spent = Customer.make(), Spent.find()
        patterns = _samples(folder, customer, spent)
        say("Starting sinks and lanes ...")
        sinks = _pair(stack, Pair([PostfixSink.start(found, folder) for _ in range(2)]))
        pem, ca = certificate.make(folder)
        own = _pair(stack, Pair([OwnSink.start(folder) for _ in range(2)]))
        secure = _pair(stack, Pair([OwnSink.start(folder, certificate=pem) for _ in range(2)]))
        secured = Setup("tls", 4, TLS.format(ca=ca))
        lanes = {}
        for setup, pair in ((RELAY_SIGNS, sinks), (PORTAL_SIGNS, sinks), (PLAIN, own), (secured, secure)):
            lanes[setup.name] = _started(stack, setup, pair, folder)
        ground = Field(found, sinks, 2 * settings.SENDING["connections"], folder)
        yield Arena(ground, customer, spent, lanes, patterns, say)


def _pair(stack: ExitStack, pair: Pair) -> Pair:
    stack.callback(pair.stop)
    return pair


def _started(stack: ExitStack, setup: Setup, pair: Pair, folder: Path) -> Lanes:
    lanes = Lanes(setup, pair, folder, environment())
    stack.callback(lanes.stop)
    lanes.start()
    return lanes


def environment() -> Mapping[str, str]:
    """Return what the lanes inherit: our own environment, which names database, keys and platform."""
    return dict(os.environ)


def _samples(folder: Path, customer: Customer, spent: Spent) -> dict[str, Sample]:
    """Send a few hundred messages to sinks that keep them, look at each, and write the patterns."""
    kept = [folder / f"kept-{number}" for number in (1, 2)]
    patterns = {}
    with ExitStack() as stack:
        pair = _pair(stack, Pair([OwnSink.start(folder, keep=keep) for keep in kept]))
        lanes = _started(stack, KEEPING, pair, folder)
        for content in CONTENTS:
            campaign = world.planned(customer.frozen(content, SAMPLE_PEOPLE), SAMPLE_PEOPLE)
            lanes.send(campaign, SAMPLE_PEOPLE, spent)
            taken = samples.read(kept)
            samples.refuse_wrong(taken, SAMPLE_PEOPLE)
            patterns[content.key] = samples.make(content, campaign, taken, folder)
    return patterns
