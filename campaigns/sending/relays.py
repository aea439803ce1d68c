"""The two relays: their settings, what is known of their health, and the breaker between us and a sick one.

There is no third route: settings.RELAYS holds exactly two, and `problems` (a system check) refuses anything else.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from campaigns.models import RelayState
from sendserver.lib.relays import RelayConfig

KEYS = ("relay-1", "relay-2")
BREAKER_SECONDS = 30  # how long a relay that failed is left alone before it is asked again
FAULT_SECONDS = 300  # after a fault of configuration (sign-in, certificate, refused sender) waiting longer is kinder


def config(key: str) -> RelayConfig:
    """Return the settings of relay `key`; raises KeyError for any other name."""
    return settings.RELAYS[key]


def name_of(key: str) -> str:
    """Return a relay's host name for people to read; the key itself where no such relay is set any more."""
    known = settings.RELAYS.get(key)
    return str(known.name) if known else key


def other(key: str) -> str:
    """Return the key of the other relay."""
    return KEYS[1] if key == KEYS[0] else KEYS[0]


def state(key: str) -> RelayState:
    """Return the row of relay `key`, made on first use."""
    return RelayState.objects.get_or_create(key=key)[0]


def is_open(key: str) -> bool:
    """Tell whether relay `key` may be used now: not paused by staff, breaker closed."""
    row = state(key)
    return row.paused_at is None and not _is_broken(row)


def report_ok(key: str) -> None:
    """Write down a good conversation; closes the breaker."""
    now = timezone.now()
    changed = RelayState.objects.filter(
        Q(healthy=False) | Q(last_ok_at=None) | Q(last_ok_at__lt=now - timedelta(seconds=5)), key=key
    )
    changed.update(healthy=True, checked_at=now, last_ok_at=now, open_until=None)


def report_failure(key: str, error: str, *, seconds: int = BREAKER_SECONDS) -> None:
    """Open the breaker for `seconds`: nobody's message is blamed for a relay that is away."""
    state(key)
    RelayState.objects.filter(key=key).update(
        healthy=False,
        checked_at=Now(),
        last_error=error[:300],
        open_until=Now() + timedelta(seconds=seconds),
    )


def hold(key: str, *, actor: object, reason: str, drain: bool) -> bool:
    """Give relay `key` no new work by order of staff; what is on the wire finishes. The caller writes the audit row.

    With `drain` the other relay takes its work, without it waits. False if that was so already.
    """
    state(key)
    rows = RelayState.objects.filter(key=key).exclude(paused_at__isnull=False, drains=drain)
    changed = rows.update(paused_by=actor, paused_at=timezone.now(), paused_reason=reason[:200], drains=drain)
    return changed == 1


def resume(key: str) -> bool:
    """Use relay `key` again; False if it was not held."""
    held = RelayState.objects.filter(key=key).exclude(paused_at=None)
    changed = held.update(
        paused_by=None, paused_at=None, paused_reason="", drains=False, open_until=None, healthy=F("healthy")
    )
    return changed == 1


def is_held(key: str) -> bool:
    """Tell whether staff have paused or drain relay `key`."""
    return RelayState.objects.filter(key=key).exclude(paused_at=None).exists()


def is_gated(key: str) -> bool:
    """Tell whether relay `key` gets no campaign because its self-test has not passed; never where none is set up."""
    return bool(settings.RELAY_SELF_TEST) and _has_not_passed(state(key))


def hands_over(key: str) -> bool:
    """Tell whether the other lane takes the work of relay `key`: it cannot be used, and staff have not said wait."""
    row = state(key)
    if row.paused_at is not None:
        return row.drains
    return _is_broken(row) or (bool(settings.RELAY_SELF_TEST) and _has_not_passed(row))


def _is_broken(row: RelayState) -> bool:
    return row.open_until is not None and row.open_until > timezone.now()


def _has_not_passed(row: RelayState) -> bool:
    return row.probe_ok is not True


def report_probe(key: str, *, fault: str) -> None:
    """Write down what came of a self-test; "" is a pass."""
    state(key)
    words = fault[:300] or "Came home as it was sent, every signature holds"
    RelayState.objects.filter(key=key).update(probe_ok=not fault, probe_at=timezone.now(), probe_detail=words)


def problems() -> list[str]:
    """Return what is wrong with the configured relays, in words; nothing when they may be used."""
    found = [] if tuple(settings.RELAYS) == KEYS else ["There must be exactly two relays, relay-1 and relay-2."]
    configs = list(settings.RELAYS.values())
    if len({(item.host, item.port) for item in configs}) != len(configs):
        found.append("Both relays are the same server.")
    found += [problem for item in configs for problem in _problems_of(item)]
    return found


def _problems_of(item: RelayConfig) -> list[str]:
    if item.tls == "none" and not item.is_loopback:
        return [f"{item.key} at {item.host} would be plain SMTP, which is allowed to loopback only."]
    if item.user and item.tls == "none":
        return [f"{item.key} has a user name but no TLS: credentials never travel in the clear."]
    return []
