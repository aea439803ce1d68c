"""Torture shortens time by settings; what it shortens are the production values, written out here."""

from __future__ import annotations

import importlib

from django.conf import settings

from sendserver.testing.torture.__main__ import ROWS as NUMBERS
from sendserver.testing.torture.faults import ROWS
from sendserver.testing.torture.scale import SLOW, SLOW_SEED, Scale

PRODUCTION = {
    "lease_seconds": 900,
    "slice_seconds": 50,
    "connections": 10,
    "chunk_size": 1000,
    "stop_poll_seconds": 0.5,
    "timeouts": {"connect": 30.0, "command": 60.0, "body": 180.0, "dot": 600.0},
    "timeout_scale": 1.0,
}
CONSTANTS = {
    "campaigns.sending.relays.BREAKER_SECONDS": 30,
    "campaigns.sending.relays.FAULT_SECONDS": 300,
    "campaigns.sending.owners.DEAF_SECONDS": 120.0,
    "campaigns.sending.retry.STEPS_SECONDS": (300, 900, 1800, 3600),
    "campaigns.sending.retry.LATER_SECONDS": 7200,
    "campaigns.sending.retry.FULL_SECONDS": 86_400,
    "campaigns.sending.retry.MAX_AGE_SECONDS": 48 * 3600,
}


def test_production_values() -> None:
    assert {name: settings.SENDING[name] for name in PRODUCTION} == PRODUCTION
    for name, value in CONSTANTS.items():
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) == value, name


def test_torture_scales_every_one_of_them() -> None:
    for factor in (0.01, 0.1):
        scale = Scale(factor)
        assert set(scale.sending()) == set(PRODUCTION)
        assert scale.sending()["lease_seconds"] == 900 * factor
        assert scale.sending()["timeout_scale"] == factor
        assert scale.sending()["timeouts"] == PRODUCTION["timeouts"]
        assert set(scale.constants()) == set(CONSTANTS)


def test_one_seed_of_twenty_is_slow() -> None:
    assert [seed for seed in range(1, 21) if Scale.of_seed(seed).factor == SLOW] == [SLOW_SEED]


def test_the_table_is_whole() -> None:
    assert [row.number for row in ROWS] == list(NUMBERS) == list(range(1, 40))
