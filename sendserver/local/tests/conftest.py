"""A folder of kept mail, and the site with the local world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendserver.lib.relays import RelayConfig
from sendserver.local import outbox
from sendserver.local.relay import Relay
from sendserver.local.smtpd import Envelope

Keep = Callable[..., str]


def newsletter(token: str = "", *, base: str = "http://localhost:8000", html: str = "") -> bytes:
    """Return a mail as a campaign's looks."""
    leave = f"<{base}/u/{token}/>, <mailto:u.{token}@u.sendserver.example?subject=unsubscribe>"
    html = html or f'<html><head></head><body><p>Six days</p><a href="{base}/c/abc/1/">See the bulbs</a></body></html>'
    return (
        "From: =?utf-8?q?Larkfield_Garden_Co=2E?= <news@mail.larkfield.example>\r\n"
        "To: ada@town.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <m1@m.sendserver.example>\r\n"
        f"List-Unsubscribe: {leave}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        "CFBL-Address: fbl@m.sendserver.example; report=arf\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSix days, plain\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--b--\r\n"
    ).encode()


@pytest.fixture
def var(tmp_path: Path, settings: Any) -> Path:
    """Return an empty VAR_DIR with the local world's pages switched on."""
    settings.VAR_DIR = tmp_path
    settings.ROOT_URLCONF = "sendserver.local.tests.site"
    outbox.outbox_of.cache_clear()
    return tmp_path


@pytest.fixture
def keep(var: Path) -> Keep:
    """Return what lets a relay take a mail; it gives the queue id."""
    relays = [
        Relay(RelayConfig.from_url(number, f"smtp://127.0.0.1:{number}?name=out{number}.x.example"), var)
        for number in (1, 2)
    ]

    def take(
        message: bytes, rcpt: str = "ada@town.example", relay: int = 1, mail_from: str = "b.tok@b.larkfield.example"
    ) -> str:
        envelope = Envelope("worker.example", "127.0.0.1", mail_from, [rcpt])
        return relays[relay - 1].take(envelope, message).rpartition(" ")[2]

    return take
