"""The people behind the addresses: `python -m sendserver.local.recipients` reads what the relays kept and reacts.

Everything goes the way it would go in the world: bounce reports, feedback reports and automatic replies by SMTP to the
inbound door, clicks and one-click unsubscribes by HTTP. Only mail with a List-Unsubscribe header is reacted to, so
the portal's own letters are left alone. What was done is noted; after a restart nothing is done twice.
"""

from __future__ import annotations

import heapq
import re
import secrets
import smtplib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime, make_msgid
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from sendserver.lib.relays import RelayConfig
from sendserver.local import mailstore
from sendserver.local.mailstore import LogLine, Reaction
from sendserver.local.manners import manner_of

PATIENCE = 10.0  # seconds for one conversation
FIRST_AFTER, SPREAD = 6.0, 20.0  # seconds after the mail was taken: nobody reacts at once, and not all together
TRIES = 40
TRY_AGAIN = 5.0  # seconds; the portal may still be starting
LOOK_EVERY = 0.5
TOO_OLD = timedelta(days=1)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True)
class World:
    """Where things are."""

    var: Path
    base_url: str
    inbound: tuple[str, int]
    mail_domain: str

    @classmethod
    def from_settings(cls) -> World:
        """Return the world of Django's settings."""
        from django.conf import settings

        host, _, port = settings.INBOUND_LISTEN.rpartition(":")
        return cls(settings.VAR_DIR, settings.BASE_URL, (host, int(port)), settings.PLATFORM.mail_domain)


@dataclass(frozen=True)
class Mail:
    """A mail in somebody's hands."""

    line: LogLine
    raw: bytes
    message: EmailMessage

    @property
    def unsubscribe(self) -> str:
        """Return the List-Unsubscribe header."""
        return str(self.message.get("List-Unsubscribe", ""))

    @property
    def host(self) -> str:
        """Return the mail server of the reader."""
        return f"mx.{self.line.rcpt_to.rpartition('@')[2]}"


class CannotReactError(Exception):
    """The mail offers no way to do that, or nobody answered."""


# --- What people can do


def bounce(world: World, mail: Mail) -> str:
    """Return a report that the mailbox does not exist: RFC 3464, from the null sender to the return path."""
    return _return_report(world, mail, "5.1.1", "550 5.1.1 The mailbox does not exist")


def full(world: World, mail: Mail) -> str:
    """Return a report that the mailbox is full."""
    return _return_report(world, mail, "5.2.2", "552 5.2.2 The mailbox is full")


def _return_report(world: World, mail: Mail, status: str, diagnostic: str) -> str:
    reporting = f"Reporting-MTA: dns; {mail.host}\r\nArrival-Date: {format_datetime(mail.line.moment)}\r\n\r\n"
    recipient = (
        f"Final-Recipient: rfc822; {mail.line.rcpt_to}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {diagnostic}\r\n"
    )
    report = _report(
        _head(mail, mail.line.mail_from, "Undelivered mail", f"MAILER-DAEMON@{mail.host}"),
        ("text/plain", f"Your message to {mail.line.rcpt_to} was not delivered.\r\n\r\n{diagnostic}\r\n".encode()),
        ("message/delivery-status", (reporting + recipient).encode()),
        ("text/rfc822-headers", mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n"),
    )
    return f"Bounce report {status} sent to {mail.line.mail_from}: {_mail(world, mail, mail.line.mail_from, report)}"


def complain(world: World, mail: Mail) -> str:
    """Press the spam button: the mailbox provider sends a feedback report, RFC 5965, to the CFBL address (RFC 9477)."""
    target = str(mail.message.get("CFBL-Address", "")).partition(";")[0].strip() or f"fbl@{world.mail_domain}"
    fields = (
        f"Feedback-Type: abuse\r\nUser-Agent: Inbox/1.0\r\nVersion: 1\r\n"
        f"Original-Mail-From: <{mail.line.mail_from}>\r\n"
        f"Original-Rcpt-To: <{mail.line.rcpt_to}>\r\nArrival-Date: {format_datetime(mail.line.moment)}\r\n"
        f"Reporting-MTA: dns; {mail.host}\r\nSource-IP: 127.0.0.1\r\n"
    )
    sender = f"feedback@{mail.host}"
    report = _report(
        _head(mail, target, "FW: unwanted message", sender),
        ("text/plain", b"This is a report of an unwanted message.\r\n"),
        ("message/feedback-report", fields.encode()),
        ("message/rfc822", mail.raw),
    )
    return f"Feedback report sent to {target}: {_mail(world, mail, target, report, sender=sender)}"


def away(world: World, mail: Mail) -> str:
    """Answer automatically, to the return path and from the null sender: RFC 3834."""
    subject = " ".join(str(mail.message.get("Subject", "")).split()).encode("ascii", "replace").decode()
    message_id = str(mail.message.get("Message-ID", "")).strip()
    head = _head(mail, mail.line.mail_from, f"Auto: {subject}", mail.line.rcpt_to)
    reply = f"{head}In-Reply-To: {message_id}\r\n\r\nI am on holiday and read mail again next week.\r\n".encode()
    return f"Automatic reply sent to {mail.line.mail_from}: {_mail(world, mail, mail.line.mail_from, reply)}"


def leave(world: World, mail: Mail) -> str:
    """Unsubscribe as a mail program does: one POST, RFC 8058 section 3.2."""
    url = _found(r"<(https?://[^>\s]+)>", mail.unsubscribe)
    if str(mail.message.get("List-Unsubscribe-Post", "")) != "List-Unsubscribe=One-Click":
        raise CannotReactError("the mail offers no one-click unsubscribe")
    return f"One-click unsubscribe: {_web(world, url, b'List-Unsubscribe=One-Click')}"


def leave_by_mail(world: World, mail: Mail) -> str:
    """Unsubscribe by a mail to the mailto address: RFC 2369 section 3.2."""
    parts = urlsplit(_found(r"<(mailto:[^>\s]+)>", mail.unsubscribe))
    target = unquote(parts.path)
    subject = parse_qs(parts.query).get("subject", ["unsubscribe"])[0]
    head = _head(mail, target, " ".join(subject.split()), mail.line.rcpt_to, automatic=False)
    letter = f"{head}\r\nunsubscribe\r\n".encode()
    return f"Unsubscribe mail sent to {target}: {_mail(world, mail, target, letter, sender=mail.line.rcpt_to)}"


def click(world: World, mail: Mail) -> str:
    """Open the first counted link; where it leads is not followed."""
    part = mail.message.get_body(("html", "plain"))
    text = str(part.get_content()) if part else ""
    url = _found(re.escape(world.base_url) + r"/c/[^\s\"'<>]+", text)
    return f"Opened {url}: {_web(world, url)}"


ACTS: dict[str, Callable[[World, Mail], str]] = {
    "bounce": bounce,
    "full": full,
    "complain": complain,
    "away": away,
    "leave": leave,
    "leave_by_mail": leave_by_mail,
    "click": click,
}


# --- How they do it


def _head(mail: Mail, target: str, subject: str, sender: str, *, automatic: bool = True) -> str:
    """Return the header of something that is sent back, each line ended."""
    lines = [
        f"From: {sender}",
        f"To: {target}",
        f"Subject: {subject}",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: {make_msgid(domain=mail.host)}",
        *(["Auto-Submitted: auto-replied"] if automatic else []),
        "MIME-Version: 1.0",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _report(head: str, *parts: tuple[str, bytes]) -> bytes:
    """Return a multipart/report (RFC 6522) named after its second part, octets untouched."""
    boundary = f"=_{secrets.token_hex(12)}"
    kind = parts[1][0].partition("/")[2]
    opening = f'{head}Content-Type: multipart/report; report-type={kind}; boundary="{boundary}"\r\n\r\n'.encode()
    bodies = [f"--{boundary}\r\nContent-Type: {name}\r\n\r\n".encode() + body + b"\r\n" for name, body in parts]
    return opening + b"".join(bodies) + f"--{boundary}--\r\n".encode()


def _mail(world: World, mail: Mail, target: str, message: bytes, *, sender: str = "") -> str:
    """Hand a mail to the inbound door and return its answer."""
    try:
        with smtplib.SMTP(*world.inbound, local_hostname=mail.host, timeout=PATIENCE) as door:
            door.ehlo_or_helo_if_needed()
            door.mail(sender)
            code, text = door.rcpt(target)
            if code == 250:
                code, text = door.data(message)
    except (OSError, smtplib.SMTPException) as error:
        raise CannotReactError(str(error)) from error
    if code >= 400:
        raise CannotReactError(f"{code} {text.decode('ascii', 'replace')}")
    return f"{code} {text.decode('ascii', 'replace')}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The sites that links lead to do not exist here."""

    def redirect_request(self, *_: object) -> None:
        return None


def _web(world: World, url: str, data: bytes | None = None) -> str:
    """Ask our own portal, and nobody else, and return its answer."""
    if not url.startswith(f"{world.base_url}/"):
        raise CannotReactError(f"{url} is not on this machine")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    request = urllib.request.Request(url, data, {"User-Agent": BROWSER})
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            return f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        if error.code >= 400:
            raise CannotReactError(f"answered {error.code}") from error
        return f"answered {error.code}"
    except OSError as error:
        raise CannotReactError(str(error)) from error


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise CannotReactError("the mail has no such link")
    return match[1] if match.re.groups else match[0]


def listens(config: RelayConfig) -> bool:
    """Tell whether a relay answers on its port."""
    try:
        with socket.create_connection((config.host, config.port), 1):
            return True
    except OSError:
        return False


def react(world: World, line: LogLine, act: str) -> Reaction | None:
    """Do one thing and note it; None when the mail is gone or is none of a campaign. Raises CannotReactError."""
    try:
        raw = mailstore.path_of(world.var, line.id).read_bytes()
    except FileNotFoundError:
        return None
    mail = Mail(line, raw, message_from_bytes(raw, _class=EmailMessage, policy=default))
    if not mail.unsubscribe:
        return None
    words = ACTS[act](world, mail)
    reaction = Reaction(datetime.now(UTC).isoformat(timespec="seconds"), line.id, line.rcpt_to, act, words)
    mailstore.note_reaction(world.var, reaction)
    return reaction


# --- The process


class People:
    """Everybody's plans: who reacts to what, and when."""

    def __init__(self, world: World, *, after: float = FIRST_AFTER, spread: float = SPREAD) -> None:
        self.world = world
        self.after = after
        self.spread = spread
        self.readers = [mailstore.Reader(world.var, key) for key in mailstore.KEYS]
        self.plans: list[tuple[float, str, int, LogLine, str]] = []
        done = mailstore.Tail(mailstore.reactions_file(world.var), Reaction)
        self.done = {reaction.id for reaction in done.fresh()}

    def look(self, now: float) -> None:
        """Plan reactions to what arrived; `now` in seconds since 1970."""
        for reader in self.readers:
            for line in reader.fresh():
                act = manner_of(line.rcpt_to).act
                if (
                    act
                    and line.taken
                    and line.id not in self.done
                    and now - line.moment.timestamp() < TOO_OLD.total_seconds()
                ):
                    wait = self.after + self.spread * (int(line.id[-4:], 16) / 65536)
                    heapq.heappush(self.plans, (line.moment.timestamp() + wait, line.id, 1, line, act))
            reader.lines.clear()

    def act(self, now: float) -> int:
        """Do what is due and return how many things that were."""
        count = 0
        while self.plans and self.plans[0][0] <= now:
            _, queue_id, attempt, line, act = heapq.heappop(self.plans)
            try:
                react(self.world, line, act)
                count += 1
            except CannotReactError as error:
                print(f"{line.rcpt_to}: {act} not done ({error})", flush=True)
                if attempt < TRIES:
                    heapq.heappush(self.plans, (now + TRY_AGAIN, queue_id, attempt + 1, line, act))
        return count


def main() -> None:
    """React until the process is ended."""
    people = People(World.from_settings())
    print("the people read their mail", flush=True)
    while True:
        people.look(time.time())
        people.act(time.time())
        time.sleep(LOOK_EVERY)


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    main()
