"""The two mail servers as outsiders may know them, and whether the service works."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.conf import settings
from django.db.models import Min

from campaigns.models import InboundMail, RelayState, SystemMail
from sendserver.lib.relays import RelayConfig

State = Literal["ok", "paused", "down", "unknown"]
LATE: Final = timedelta(minutes=10)  # our own mail and returned mail wait seconds, not minutes
TRANSPORTS: Final = {"none": "Local connection", "starttls": "STARTTLS", "implicit": "TLS from the start"}


@dataclass(frozen=True)
class Server:
    """One of the two servers."""

    number: int
    name: str
    addresses: tuple[str, ...]
    transport: str
    state: State
    checked_at: datetime | None


@dataclass(frozen=True)
class Part:
    """One line of the status page; `ok` is None while nothing is known."""

    name: str
    ok: bool | None
    text: str


def servers() -> list[Server]:
    """Return both servers with their state as last seen."""
    known = {row.key: row for row in RelayState.objects.all()}
    return [_server(relay, known.get(relay.key)) for relay in settings.RELAYS.values()]


def _server(relay: RelayConfig, seen: RelayState | None) -> Server:
    return Server(
        number=relay.number,
        name=relay.name,
        addresses=relay.addresses,
        transport=TRANSPORTS[relay.tls],
        state=_state(seen),
        checked_at=seen.checked_at if seen else None,
    )


def _state(seen: RelayState | None) -> State:
    if seen is None or seen.checked_at is None:
        return "unknown"
    if seen.paused_at:
        return "paused"
    return "ok" if seen.healthy else "down"


def status(now: datetime) -> list[Part]:
    """Return what works and what does not, in the order people ask for it."""
    return [
        Part("Website and unsubscribe links", True, "You are reading this page."),
        *[_server_part(server) for server in servers()],
        _system_mail_part(now),
        _inbound_part(now),
    ]


def _server_part(server: Server) -> Part:
    words: dict[State, tuple[bool | None, str]] = {
        "ok": (True, "Takes our mail."),
        "paused": (False, "Paused by our staff; mail waits."),
        "down": (False, "Does not answer; mail waits and goes on by itself."),
        "unknown": (None, "Not checked since the start."),
    }
    ok, text = words[server.state]
    return Part(f"Mail server {server.name}", ok, text)


def _system_mail_part(now: datetime) -> Part:
    waiting = SystemMail.objects.filter(state__in=[SystemMail.State.QUEUED, SystemMail.State.SENDING])
    late = _is_late(waiting.aggregate(first=Min("created_at"))["first"], now)
    return Part("Codes and letters", not late, "Some wait longer than usual." if late else "Leave at once.")


def _inbound_part(now: datetime) -> Part:
    first = InboundMail.objects.filter(processed_at=None).aggregate(first=Min("received_at"))["first"]
    late = _is_late(first, now)
    return Part("Returned mail and feedback", not late, "Some waits to be read." if late else "Read as it arrives.")


def _is_late(first: datetime | None, now: datetime) -> bool:
    return first is not None and now - first > LATE


def as_json(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the postmaster page for programs."""
    return {
        "operator": settings.PLATFORM.legal_name or settings.PLATFORM.name,
        "servers": [
            {"name": one.name, "helo": one.name, "addresses": list(one.addresses), "state": one.state}
            for one in servers()
        ],
        "dkim_domain": settings.PLATFORM.mail_domain,
        "message_id_domain": settings.PLATFORM.mail_domain,
        "feedback_address": f"fbl@{settings.PLATFORM.mail_domain}",
        "contacts": {
            "abuse": settings.PLATFORM.abuse_email,
            "help": settings.PLATFORM.help_email,
            "postmaster": f"postmaster@{settings.PLATFORM.domain}",
        },
        "limits": policy,
    }
