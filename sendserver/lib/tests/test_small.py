"""The small helpers: chain, crypto, clock, client address, limits, states, log lines, relay settings."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from django.test import RequestFactory

from sendserver.lib import chain, clientip, clock, crypto, ratelimit, states
from sendserver.lib.logs import LineFormatter
from sendserver.lib.relays import RelayConfig


def test_a_chain_depends_on_every_field_and_on_the_past() -> None:
    first = chain.link(chain.GENESIS, {"a": 1, "b": "ü"})
    assert first == chain.link(chain.GENESIS, {"b": "ü", "a": 1})
    assert first != chain.link(chain.GENESIS, {"a": 2, "b": "ü"})
    assert chain.link(first, {"a": 1}) != chain.link(chain.GENESIS, {"a": 1})


@pytest.mark.parametrize("record", [{"a": 1.5}, {"a": [1, {"b": 0.1}]}])
def test_a_chain_refuses_floats(record: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        chain.link(chain.GENESIS, record)


def test_sealed_text_opens_and_shows_nothing(settings: object) -> None:
    sealed = crypto.seal_text("a private key")
    assert "private" not in sealed
    assert crypto.open_text(sealed) == "a private key"
    settings.FIELD_KEYS = {"k2": b"\x02" * 32, **settings.FIELD_KEYS}  # type: ignore[attr-defined]
    assert crypto.open_text(sealed) == "a private key"
    assert crypto.seal_text("x").startswith("k2:")


@pytest.mark.parametrize("sealed", ["k9:abc", "nonsense", ""])
def test_an_unknown_key_is_said(sealed: str) -> None:
    with pytest.raises(crypto.UnreadableSecretError):
        crypto.open_text(sealed)


def test_an_altered_secret_is_said() -> None:
    with pytest.raises(crypto.UnreadableSecretError, match="altered"):
        crypto.open_text(crypto.seal_text("x")[:-4] + "AAA=")


def test_business_days_leave_out_the_weekend() -> None:
    friday = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert clock.business_days_after(friday, 1) == datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    assert clock.business_days_after(friday, 5) == datetime(2026, 11, 27, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.7, 203.0.113.9", "198.51.100.7"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "nonsense", "0.0.0.0"),
    ],
)
def test_the_visitor_cannot_choose_its_address(settings: object, proxies: int, forwarded: str, expected: str) -> None:
    settings.TRUSTED_PROXIES = proxies  # type: ignore[attr-defined]
    request = RequestFactory().get("/", HTTP_X_FORWARDED_FOR=forwarded, REMOTE_ADDR="192.0.2.1")
    assert clientip.client_ip(request) == expected


def test_networks_are_counted_by_prefix() -> None:
    assert clientip.prefix("192.0.2.77") == "192.0.2.0/24"
    assert clientip.prefix("2001:db8:1:2::3") == "2001:db8:1::/48"


def test_a_limit_counts_and_keeps_people_apart() -> None:
    answers = [ratelimit.allow("login", "ada", limit=2, seconds=60) for _ in range(3)]
    assert answers == [True, True, False]
    assert ratelimit.allow("login", "bob", limit=2, seconds=60)
    assert ratelimit.allow("reset", "ada", limit=2, seconds=60)


def test_a_limit_without_its_counter_permits_nothing(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    monkeypatch.setattr(ratelimit, "_client", None)
    assert not ratelimit.allow("login", "ada", limit=100, seconds=60)


def test_states_move_along_the_table_only() -> None:
    table = {"a": frozenset({"b"}), "b": frozenset[str]()}
    states.require(table, "a", "b")
    for source, target in (("b", "a"), ("a", "a"), ("c", "a")):
        with pytest.raises(states.TransitionRefusedError):
            states.require(table, source, target)


def test_a_celery_worker_logs_what_the_settings_say() -> None:
    """Celery would raise the level to WARNING where its command is started without one."""
    import sendserver.celery

    root = logging.getLogger()
    before = root.level, list(root.handlers)
    sendserver.celery.app.log.setup(loglevel="CRITICAL", redirect_stdouts=True, colorize=False)
    assert (root.level, list(root.handlers)) == before


def test_no_input_can_forge_a_log_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "from %s", ("a\r\n2026 INFO forged\x1b[2J\u2028",), None)
    line = LineFormatter().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert "\\x0d" in line


def test_relay_settings_are_parsed() -> None:
    relay = RelayConfig.from_url(2, "smtp://us%40er:p%3Aw@mx.example:2587?name=out2.example&signs=on&rate=5")
    assert (relay.key, relay.host, relay.port, relay.tls) == ("relay-2", "mx.example", 2587, "starttls")
    assert (relay.user, relay.password, relay.signs, relay.rate) == ("us@er", "p:w", True, 5.0)


@pytest.mark.parametrize(
    ("url", "tls", "port"),
    [
        ("smtp://127.0.0.1:2501", "none", 2501),
        ("smtp://mx.example", "starttls", 587),
        ("smtps://mx.example", "implicit", 465),
        ("smtp://mx.example?tls=none", "none", 587),
    ],
)
def test_encryption_is_the_default_off_the_machine(url: str, tls: str, port: int) -> None:
    relay = RelayConfig.from_url(1, url)
    assert (relay.tls, relay.port) == (tls, port)


def test_an_unknown_kind_of_encryption_is_refused() -> None:
    with pytest.raises(ValueError, match="not one of"):
        RelayConfig.from_url(1, "smtp://mx.example?tls=maybe")
