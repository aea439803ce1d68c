"""A page of the public web is fetched; nothing of ours, nothing without end, nothing above its bound."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from sendserver.lib import fetching
from sendserver.lib.fetching import FetchError, Limits, fetch, is_public

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"


@contextmanager
def server(*answers: bytes, drip: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """Serve raw answers on loopback, one a connection; yield its port and what was asked."""
    door = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            try:
                sock, _ = door.accept()
            except OSError:
                return
            with sock:
                asked.append(sock.recv(65536))
                try:
                    for byte in answer if drip else ():
                        sock.sendall(bytes([byte]))
                        time.sleep(drip)
                    if not drip:
                        sock.sendall(answer)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield door.getsockname()[1], asked
    finally:
        door.close()
        thread.join(5)


def near(port: int, **more: object) -> Limits:
    """Return limits under which a loopback server stands for the public web."""
    own: dict[str, object] = {
        "ports": {"http": port},
        "resolve": lambda host, _port: [ip_address("127.0.0.1")],
        "may_call": lambda _ip: True,
        "agent": "Test",
        **more,
    }
    return Limits(**own)  # type: ignore[arg-type]


def test_a_page_comes_as_it_stands() -> None:
    with server(HEAD + b"<p>Sign up</p>") as (port, asked):
        got = fetch("http://larkfield.example/news?from=a", near(port))
    assert (got.status, got.media_type, got.body) == (200, "text/html", b"<p>Sign up</p>")
    lines = asked[0].split(b"\r\n")
    assert lines[0] == b"GET /news?from=a HTTP/1.1"
    assert b"Host: larkfield.example" in lines
    assert not [line for line in lines if line.lower().startswith((b"cookie", b"authorization", b"referer"))]


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.9", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_what_is_ours_or_nobodys_is_not_called(ip: str) -> None:
    assert not is_public(ip_address(ip))
    with pytest.raises(FetchError, match="not on the public internet"):
        fetch("http://evil.example/", Limits(resolve=lambda host, port: [ip_address(ip)]))


def test_public_addresses_are() -> None:
    assert all(is_public(ip_address(ip)) for ip in ("9.9.9.9", "93.184.215.14", "2620:fe::fe"))


def test_one_private_address_among_public_ones_is_enough() -> None:
    mixed = [ip_address("9.9.9.9"), ip_address("127.0.0.1")]
    with pytest.raises(FetchError, match="not on the public internet"):
        fetch("http://evil.example/", Limits(resolve=lambda host, port: mixed))


def test_the_system_s_own_resolver_is_looked_at_too() -> None:
    for name in ("localhost", "127.1", "0x7f000001", "2130706433", "[::1]"):
        with pytest.raises(FetchError):
            fetch(f"http://{name}/")


def test_the_address_that_was_checked_is_the_one_that_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers otherwise a moment later (DNS rebinding) changes nothing: it is asked once."""
    answers = iter([[ip_address("9.9.9.9")], [ip_address("127.0.0.1")]])
    called: list[object] = []

    def create(where: object, timeout: float) -> socket.socket:
        called.append(where)
        raise OSError

    monkeypatch.setattr(fetching.socket, "create_connection", create)
    with pytest.raises(FetchError):
        fetch("http://rebind.example/", Limits(resolve=lambda host, port: next(answers)))
    assert called == [("9.9.9.9", 80)]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "javascript:alert(1)", "a.example", "http://",
        "http://a.example:22/", "http://a.example:443/", "http://user:secret@a.example/", "http://a.example:x/",
        "http://a.example/\r\nHost: b", "http://a.example/a b", "http://[::1/", "http://a.example/ä",
    ],
)  # fmt: skip
def test_other_addresses_are_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching.socket, "create_connection", lambda *_a, **_k: socket.socketpair()[0])
    with pytest.raises(FetchError):
        fetch(url, Limits(resolve=lambda host, port: [ip_address("9.9.9.9")], seconds=0.3))


def test_a_redirect_is_looked_at_like_the_first_request() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://inner.example/\r\nContent-Length: 0\r\n\r\n"

    def resolve(host: str, _port: int) -> list[fetching.Ip]:
        return [ip_address("127.0.0.1" if host == "outer.example" else "127.0.0.2")]

    with (
        server(moved) as (port, _),
        pytest.raises(FetchError, match="not on the public internet"),
    ):
        fetch("http://outer.example/", near(port, resolve=resolve, may_call=lambda ip: str(ip) == "127.0.0.1"))


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://a.example:22/", "http://u:p@a.example/"])
def test_a_redirect_to_what_is_not_asked(where: str) -> None:
    moved = f"HTTP/1.1 301 Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
    with server(moved, HEAD) as (port, asked), pytest.raises(FetchError):
        fetch("http://outer.example/", near(port))
    assert len(asked) == 1


def test_redirects_end() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
    with server(*[moved] * 9) as (port, asked), pytest.raises(FetchError, match="without end"):
        fetch("http://outer.example/", near(port))
    assert len(asked) == 4


def test_a_redirect_within_the_page_is_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: news\r\nContent-Length: 0\r\n\r\n"
    with server(moved, HEAD + b"here") as (port, _):
        got = fetch("http://outer.example/a/b", near(port))
    assert (got.url, got.body) == ("http://outer.example/a/news", b"here")


def test_too_large_a_page_is_not_read_to_its_end() -> None:
    with server(HEAD + b"x" * 400_000) as (port, _), pytest.raises(FetchError, match="larger"):
        fetch("http://outer.example/", near(port, most_bytes=100_000))


@pytest.mark.parametrize("answer", [HEAD + b"x" * 500, b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 500])
def test_a_server_that_drips_is_cut_off(answer: bytes) -> None:
    begun = time.monotonic()
    with server(answer, drip=0.02) as (port, _), pytest.raises(FetchError):
        fetch("http://outer.example/", near(port, seconds=0.5))
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff nonsense",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
        HEAD[:-2] + b"Content-Length: 9\r\n\r\nhalf",
    ],
)
def test_odd_answers_are_one_error(answer: bytes) -> None:
    with server(answer) as (port, _), pytest.raises(FetchError):
        fetch("http://outer.example/", near(port))


def test_a_compressed_answer_is_refused() -> None:
    bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n\x1f\x8b" + b"\x00" * 100
    with server(bomb) as (port, _), pytest.raises(FetchError, match="compressed"):
        fetch("http://outer.example/", near(port))
