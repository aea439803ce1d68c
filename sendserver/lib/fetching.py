"""One page of the public web, asked for on behalf of a customer, and nothing else (SSRF: reliability 3.3).

The only client of the product that calls an address which somebody outside typed. Bounds: http and https on their own
ports, names that resolve to public addresses only (every one of them), the connection made to the very address that was
checked, redirects looked at like the first request, a deadline for all together that also ends a server which drips, a
bound on bytes. No cookies, no credentials, no script is run. It keeps nothing; callers do.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

Ip = IPv4Address | IPv6Address
PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = IPv6Network("64:ff9b::/96")
_MOVED: Final = (301, 302, 303, 307, 308)
_BLOCK: Final = 64 * 1024


class FetchError(Exception):
    """The page could not be had; the message is for the customer and says nothing of our network."""


def is_public(ip: Ip) -> bool:
    """Tell whether an address belongs to the public internet: no private, loopback, link-local or mapped one."""
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(inner)
        if ip in _NAT64:
            return is_public(IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


def resolve(host: str, port: int) -> list[Ip]:
    """Return every address of a host, as the system resolves it; FetchError when there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError("The page’s host was not found.") from error
    return [ip_address(str(one[4][0]).partition("%")[0]) for one in found]


@dataclass(frozen=True)
class Limits:
    """What one call may cost: seconds and bytes for all its redirects together. Tests put their own network in."""

    seconds: float = 10.0
    most_bytes: int = 2 * 1024 * 1024
    redirects: int = 3
    agent: str = "Sendserver"
    ports: dict[str, int] = field(default_factory=lambda: dict(PORTS))
    resolve: Callable[[str, int], list[Ip]] = resolve
    may_call: Callable[[Ip], bool] = is_public


@dataclass(frozen=True)
class Fetched:
    """A page as it was answered: where it was in the end, the status, its media type, its bytes."""

    url: str
    status: int
    media_type: str
    body: bytes


def fetch(url: str, limits: Limits | None = None) -> Fetched:
    """Return what stands at an address; FetchError in words when we do not ask there, or nothing whole comes back."""
    limits = limits or Limits()
    ends = time.monotonic() + limits.seconds
    for _ in range(limits.redirects + 1):
        got = _ask(_parts(url, limits), limits, ends)
        if isinstance(got, Fetched):
            return got
        url = urljoin(url, got)
    raise FetchError("The page leads on to others without end.")


def _parts(url: str, limits: Limits) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("This is no address of a page.") from error
    if parts.scheme not in limits.ports or not parts.hostname:
        raise FetchError("Only addresses that begin with http:// or https:// are looked at.")
    if parts.username is not None or parts.password is not None:
        raise FetchError("An address with a user name or password in it is not looked at.")
    if port not in (None, limits.ports[parts.scheme]):
        raise FetchError("Only the usual ports of the web are looked at.")
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise FetchError("This is no address of a page.")
    return parts


def _ask(parts: SplitResult, limits: Limits, ends: float) -> Fetched | str:
    """Return the page, or the address that it leads to."""
    host, port = str(parts.hostname), limits.ports[parts.scheme]
    found = limits.resolve(host, port)
    if not found or not all(limits.may_call(ip) for ip in found):
        raise FetchError("This address is not on the public internet.")
    try:
        with _connected(parts.scheme, host, (found[0], port), ends) as sock:
            return _talk(sock, parts, limits, ends)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError("The page did not answer, or not in time.") from error


@contextmanager
def _connected(scheme: str, host: str, where: tuple[Ip, int], ends: float) -> Iterator[socket.socket]:
    """Hold a connection to the address that was checked; the host's name is used for the certificate only.

    A timer ends it, so that no dripping, of the handshake neither, outlives the deadline.
    """
    left = max(0.1, ends - time.monotonic())
    sock = socket.create_connection((str(where[0]), where[1]), timeout=left)
    if scheme == "https":
        context = ssl.create_default_context()
        sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    timer = threading.Timer(left, _cut, [sock])
    timer.daemon = True
    timer.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        yield sock
    finally:
        timer.cancel()
        sock.close()


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _talk(sock: socket.socket, parts: SplitResult, limits: Limits, ends: float) -> Fetched | str:
    """Send one GET and read its answer."""
    sock.sendall(_request(parts, limits))
    answer = http.client.HTTPResponse(sock, method="GET")
    answer.begin()
    if answer.status in _MOVED and answer.headers.get("Location"):
        return str(answer.headers["Location"])
    body = _body(answer, limits.most_bytes)
    if time.monotonic() > ends:
        raise FetchError("The page did not answer, or not in time.")
    return Fetched(parts.geturl(), answer.status, answer.headers.get_content_type(), body)


def _request(parts: SplitResult, limits: Limits) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = str(parts.hostname)
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {f'[{host}]' if ':' in host else host}",
        f"User-Agent: {limits.agent}",
        "Accept: text/html, application/xhtml+xml, text/plain, application/pdf",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    except UnicodeEncodeError as error:
        raise FetchError("Write the address with % codes and the host in its xn-- form.") from error


def _body(answer: http.client.HTTPResponse, most: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchError("The page came compressed, though we asked for it as it is.")
    body = b""
    while block := answer.read(_BLOCK):
        body += block
        if len(body) > most:
            raise FetchError(f"The page is larger than {most // 1024 // 1024} MB.")
    if answer.length:
        raise FetchError("The page broke off.")
    return body
