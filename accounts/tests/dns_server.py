"""A scripted DNS server on a real UDP and TCP port: a zone as a dict, and faults on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

MAX = 65_535


@dataclass
class Server:
    """`zone` maps (name, type) to texts; names in `fails` get SERVFAIL, those in `mute` no answer at all."""

    zone: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    chases: bool = True  # like a resolver; False: like an authoritative server, CNAME only
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def put(self, name: str, kind: str, *values: str) -> None:
        """Publish a record set, replacing an older one."""
        self.zone[name.lower(), kind] = list(values)

    def drop(self, name: str, kind: str) -> None:
        """Take a record set away."""
        self.zone.pop((name.lower(), kind), None)

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        """Return the reply to one question, None to stay silent."""
        question = query.question[0]
        name, kind = str(question.name).rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.mute:
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if name in self.fails:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply
        self._fill(reply, name, kind)
        return reply

    def _fill(self, reply: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(10):
            if (name, kind) in self.zone:
                reply.answer.append(self._set(name, kind))
                return
            if (name, "CNAME") not in self.zone:
                break
            reply.answer.append(self._set(name, "CNAME"))
            if not self.chases:
                return
            name = self.zone[name, "CNAME"][0].rstrip(".").lower()
        if not any(known == name for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)

    def _set(self, name: str, kind: str) -> dns.rrset.RRset:
        texts = [self._text(kind, value) for value in self.zone[name, kind]]
        return dns.rrset.from_text_list(f"{name}.", 60, "IN", kind, texts)

    def _text(self, kind: str, value: str) -> str:
        if kind == "TXT":
            return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255)) or '""'
        return value if value.endswith(".") or kind in ("A", "AAAA") else f"{value}."


def _port_pair() -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a TCP socket on the same free port; a port taken for TCP is given back."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(("127.0.0.1", udp.getsockname()[1]))
        except OSError:
            udp.close()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Serve on a free loopback port until the block ends."""
    udp, tcp = _port_pair()
    server.address = f"127.0.0.1:{udp.getsockname()[1]}"
    done = threading.Event()
    threads = [
        threading.Thread(target=_serve_udp, args=(udp, server, done)),
        threading.Thread(target=_serve_tcp, args=(tcp, server, done)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        done.set()
        for thread in threads:
            thread.join()
        udp.close()
        tcp.close()


def _serve_udp(sock: socket.socket, server: Server, done: threading.Event) -> None:
    sock.settimeout(0.05)
    while not done.is_set():
        try:
            data, peer = sock.recvfrom(MAX)
        except TimeoutError:
            continue
        query = dns.message.from_wire(data)
        reply = server.answer(query)
        if reply is not None:
            wire = reply.to_wire(max_size=MAX)
            if len(wire) > 1232:
                short = dns.message.make_response(query)
                short.flags |= dns.flags.TC
                wire = short.to_wire()
            sock.sendto(wire, peer)


def _serve_tcp(sock: socket.socket, server: Server, done: threading.Event) -> None:
    sock.settimeout(0.05)
    while not done.is_set():
        try:
            connection, _ = sock.accept()
        except TimeoutError:
            continue
        with connection:
            length = int.from_bytes(connection.recv(2), "big")
            reply = server.answer(dns.message.from_wire(connection.recv(length)))
            if reply is not None:
                wire = reply.to_wire()
                connection.sendall(len(wire).to_bytes(2, "big") + wire)
