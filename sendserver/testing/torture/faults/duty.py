"""The person on duty of a round: a webhook that keeps what it is told, and the looks that the beat would have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from campaigns import alarms
from campaigns.sending import relays
from sendserver.testing.hook import Hook
from sendserver.testing.torture.arena import Arena, Told


@contextmanager
def on_duty(here: Arena) -> Iterator[Hook]:
    """Listen to calls of this process, whose looks go by the round's scale as its lanes do."""
    before = (settings.ONCALL_WEBHOOK, settings.ONCALL_WEBHOOK_KEY, relays.FAULT_SECONDS)
    fault: Any = here.constants["campaigns.sending.relays.FAULT_SECONDS"]
    with Hook() as hook:
        settings.ONCALL_WEBHOOK, settings.ONCALL_WEBHOOK_KEY, relays.FAULT_SECONDS = hook.url, "torture" * 5, fault
        try:
            yield hook
        finally:
            settings.ONCALL_WEBHOOK, settings.ONCALL_WEBHOOK_KEY, relays.FAULT_SECONDS = before


def is_called(here: Arena, told: Told, hook: Hook, *beginnings: str) -> None:
    """Claim that somebody is called, while the fault lasts, for each key that begins so."""

    def all_told() -> bool:
        alarms.watch()
        keys = [str(one["key"]) for one in hook.told if one["state"] == "open"]
        return all(any(key.startswith(begin) for key in keys) for begin in beginnings)

    told.claim(here.until(all_told, 20), f"nobody was called for {beginnings}, but {hook.told}")


def is_told_of_the_end(here: Arena, told: Told, hook: Hook, *beginnings: str) -> None:
    """Claim that whoever was called hears that it is over, once it is."""

    def all_over() -> bool:
        alarms.watch()
        keys = [str(one["key"]) for one in hook.told if one["state"] == "over"]
        return all(any(key.startswith(begin) for key in keys) for begin in beginnings)

    told.claim(here.until(all_over, 20), f"nobody heard of the end of {beginnings}, but {hook.told}")
