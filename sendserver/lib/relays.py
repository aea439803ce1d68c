"""The settings of one relay, parsed from a URL. There are exactly two; nothing here opens a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

Tls = Literal["none", "starttls", "implicit"]
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class RelayConfig:
    """Where a relay listens and how we talk to it."""

    number: int
    name: str  # the host name it announces, such as out1.sendserver.example
    host: str
    port: int
    tls: Tls
    user: str
    password: str
    ca_file: str
    signs: bool  # True: the relay signs with DKIM, the portal does not
    rate: float  # messages a second, 0 for no limit
    log_file: str  # Postfix log for resolving doubt, empty when not readable
    addresses: tuple[str, ...] = ()  # public IP addresses it sends from, printed for postmasters
    log_zone: str = "UTC"  # of the times in its log, where they name none

    @property
    def key(self) -> str:
        """Return the queue name, `relay-1` or `relay-2`."""
        return f"relay-{self.number}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether plain SMTP is allowed at all (architecture, decisions)."""
        return self.host in LOOPBACK

    @classmethod
    def from_url(cls, number: int, url: str) -> RelayConfig:
        """Parse `smtp[s]://user:password@host:port?name=&tls=&ca=&signs=on&rate=&log=&logzone=&ips=a,b`."""
        parts = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        host = parts.hostname or "127.0.0.1"
        default_tls = "implicit" if parts.scheme == "smtps" else "none" if host in LOOPBACK else "starttls"
        tls = query.get("tls", default_tls)
        if tls not in ("none", "starttls", "implicit"):
            raise ValueError(f"relay {number}: tls={tls} is not one of none, starttls, implicit")
        log_zone = query.get("logzone", "UTC")
        ZoneInfo(log_zone)  # a name that is none raises
        return cls(
            number=number,
            name=query.get("name", host),
            host=host,
            port=parts.port or (465 if tls == "implicit" else 587),
            tls=tls,  # type: ignore[arg-type]
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            ca_file=query.get("ca", ""),
            signs=query.get("signs", "off") == "on",
            rate=float(query.get("rate", "0")),
            log_file=query.get("log", ""),
            addresses=tuple(ip for ip in query.get("ips", "").split(",") if ip),
            log_zone=log_zone,
        )
