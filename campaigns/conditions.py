"""What a person must be called for, read from the database and this machine's disk. Changes nothing, pages nobody."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Sum

from campaigns.models import Brake, Chunk, Outcome, RelayState, SetAside, SystemMail, Tally
from campaigns.sending import relays, turns
from sendserver.lib import clock

# Seconds that a condition must last before somebody is called; what needs a person in any case calls at once.
NONE_SECONDS: Final = 60.0  # no relay can be used
AWAY_SECONDS: Final = 300.0  # one relay is away, the other one carries on
SELF_TEST_SECONDS: Final = 300.0
STILL_SECONDS: Final = 180.0  # work waits and nothing is sent
DOUBT_SECONDS: Final = 600.0  # most doubt is settled by the relays' logs before
DOUBT_MOST: Final = 50  # messages in doubt over all campaigns: more than a death of every connection leaves
OWN_MAIL_MINUTES: Final = 30
DISK_LEAST: Final = 300 * 1024 * 1024  # octets


@dataclass(frozen=True)
class Condition:
    """Something that is so now. `patience`: seconds it must have lasted before a person is called."""

    key: str
    text: str
    patience: float = 0.0


def present() -> list[Condition]:
    """Return all that is so now."""
    return [condition for look in LOOKS for condition in look()]


def relay_conditions() -> Iterator[Condition]:
    """Relays that cannot be used through no order of staff, one by one and both together."""
    rows = [row for row in map(relays.state, relays.KEYS) if row.paused_at is None]
    for row in rows:
        if not row.healthy and _is_fault(row):
            yield Condition(
                f"{row.key}:fault",
                f"{row.key} refuses us: {row.last_error}. Sign-in, certificate or sender must be put right;"
                " campaigns wait, nobody's message is used up.",
            )
        elif not row.healthy:
            yield Condition(f"{row.key}:away", f"{row.key} cannot be used: {row.last_error}", AWAY_SECONDS)
        if relays.is_gated(row.key) and row.probe_ok is False:
            yield Condition(
                f"{row.key}:self-test", f"{row.key} fails its self-test: {row.probe_detail}", SELF_TEST_SECONDS
            )
    if rows and not any(row.healthy and not relays.is_gated(row.key) for row in rows):
        yield Condition("relays:none", "No relay can be used: nothing is sent.", NONE_SECONDS)


def _is_fault(row: RelayState) -> bool:
    """Tell whether the breaker was opened for as long as only a fault of configuration opens it."""
    if row.open_until is None or row.checked_at is None:
        return False
    return (row.open_until - row.checked_at).total_seconds() >= relays.FAULT_SECONDS


def standstill() -> Iterator[Condition]:
    """Work that may be sent, a relay that takes it, and nothing sent: no lane runs, or it is deaf."""
    usable = [key for key in relays.KEYS if relays.is_open(key) and relays.state(key).healthy]
    newest = Outcome.objects.order_by("-pk").values_list("at", flat=True).first()
    is_quiet = newest is None or clock.now() - newest > timedelta(seconds=STILL_SECONDS)
    if usable and is_quiet and (any(map(_has_work, usable)) or _is_deserted()):
        yield Condition("lanes:still", "Campaigns wait, a relay is in order, and nothing is sent.", STILL_SECONDS)


def _has_work(key: str) -> bool:
    return bool(turns.waiting(turns.Look(key, [key], (turns.CHUNK, turns.RETRY), set(), set(), [], False)))


def _is_deserted() -> bool:
    """Tell whether a lane left a chunk whose lease has ended, and nobody took it over."""
    return Chunk.objects.filter(state=Chunk.State.LEASED, lease_until__lt=clock.now()).exists()


def restored() -> Iterator[Condition]:
    """A restored database, which has stopped everything until a person confirms."""
    if Brake.objects.filter(kind=Brake.Kind.EPOCH, campaign=None, organization=None, lifted_at=None).exists():
        yield Condition("epoch", "All sending is stopped: the database may have been restored. A person must confirm.")


def doubts() -> Iterator[Condition]:
    """More messages in doubt than one incident leaves."""
    count = Tally.objects.filter(state=Outcome.State.IN_DOUBT).aggregate(all=Sum("count"))["all"] or 0
    if count > DOUBT_MOST:
        yield Condition("doubt", f"{count} messages are in doubt; more than {DOUBT_MOST} is unusual.", DOUBT_SECONDS)


def set_aside() -> Iterator[Condition]:
    """Messages that ended their process again and again."""
    count = SetAside.objects.filter(ordered_at=None).count()
    if count:
        yield Condition("aside", f"{count} messages ended their process again and again and were set aside.")


def own_mail() -> Iterator[Condition]:
    """Codes and letters that do not leave."""
    old = clock.now() - timedelta(minutes=OWN_MAIL_MINUTES)
    waiting = SystemMail.objects.filter(state__in=("queued", "sending"), created_at__lt=old).count()
    if waiting:
        yield Condition("own-mail", f"{waiting} mails of our own have waited for more than {OWN_MAIL_MINUTES} minutes.")


def disk() -> Iterator[Condition]:
    """The disk of journals and uploads of the machine that looks."""
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < DISK_LEAST:
        yield Condition("disk", f"{free // 2**20} MiB are left on the disk of journals and uploads.")


LOOKS: Final[tuple[Callable[[], Iterator[Condition]], ...]] = (
    relay_conditions,
    standstill,
    restored,
    doubts,
    set_aside,
    own_mail,
    disk,
)
