"""The small DNS of the local world: `python -m sendserver.local.dns`, on both addresses of DNS_SERVERS, UDP and TCP.

It answers what names.py says, with the platform's zone read from the database. Two ports stand for two resolvers,
since domain checks ask two and want them to agree.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import django

from sendserver.local import names

FRESH_SECONDS = 1.0  # a zone read from the database is good for that long
_log = logging.getLogger(__name__)


class Zones:
    """The zone, read again when it is older than FRESH_SECONDS, in one thread with one database connection."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.read_at = float("-inf")
        self.zone: names.Zone | None = None
        self.thread = ThreadPoolExecutor(1)
        self.lock = asyncio.Lock()

    async def current(self) -> names.Zone | None:
        """Return the zone; None while the database does not answer."""
        async with self.lock:
            if time.monotonic() - self.read_at > FRESH_SECONDS:
                self.zone = await asyncio.get_running_loop().run_in_executor(self.thread, self._read)
                self.read_at = time.monotonic()
        return self.zone

    def _read(self) -> names.Zone | None:
        from django.conf import settings
        from django.db import DatabaseError, close_old_connections

        from accounts.domains import platform_zone

        close_old_connections()
        try:
            own = [names.Name(record.name, record.type, record.value) for record in platform_zone()]
        except DatabaseError:
            _log.exception("the platform's zone cannot be read")
            return None
        relay_names = [relay.name for relay in settings.RELAYS.values()]
        here = names.hosts(settings.PLATFORM.domain, relay_names)
        return names.zone_of([*here, *own, *names.published(self.var)])

    def close(self) -> None:
        """End the thread and its database connection."""
        from django.db import connections

        self.thread.submit(connections.close_all)
        self.thread.shutdown()


class Udp(asyncio.DatagramProtocol):
    """Queries by UDP."""

    def __init__(self, zones: Zones) -> None:
        self.zones = zones
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        octets = names.respond(data, await self.zones.current(), udp=True)
        if octets:
            self.transport.sendto(octets, addr)


async def answer_tcp(zones: Zones, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer queries by TCP, each behind its length (RFC 7766), until the client has no more."""
    try:
        while True:
            length = int.from_bytes(await reader.readexactly(2), "big")
            octets = names.respond(await reader.readexactly(length), await zones.current(), udp=False)
            if octets is None:
                break
            writer.write(len(octets).to_bytes(2, "big") + octets)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def listen(zones: Zones, addresses: list[tuple[str, int]]) -> None:
    """Listen on every address by UDP and TCP."""
    loop = asyncio.get_running_loop()
    for host, port in addresses:
        await loop.create_datagram_endpoint(lambda: Udp(zones), local_addr=(host, port))
        await asyncio.start_server(lambda reader, writer: answer_tcp(zones, reader, writer), host, port)
        print(f"names are answered at {host}:{port}", flush=True)


def addresses_of(servers: list[str]) -> list[tuple[str, int]]:
    """Return host and port of each "host:port"."""
    return [(host, int(port)) for host, _, port in (server.rpartition(":") for server in servers)]


async def _run() -> None:
    from django.conf import settings

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    zones = Zones(settings.VAR_DIR)
    await listen(zones, addresses_of(settings.DNS_SERVERS))
    await stop.wait()
    zones.close()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    django.setup()
    asyncio.run(_run())
