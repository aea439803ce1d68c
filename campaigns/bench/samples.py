"""What the product really puts on the wire, taken once before the rounds: the pattern that all other contenders send.

A small campaign goes to sinks that keep everything. It must have come out right (one message a person, complete,
parseable, with its places filled); the one of median size is what smtp-source and the blaster repeat.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from campaigns.bench import world
from campaigns.bench.content import Content
from campaigns.bench.errors import BenchError
from campaigns.content.snapshot import load
from campaigns.models import Campaign


@dataclass(frozen=True)
class Sample:
    """The pattern of one content, in files that helpers and smtp-source read."""

    key: str
    sender: str
    recipient: str  # holds %d
    message: Path  # the bytes on the wire, CRLF, not dot-stuffed
    lines: Path  # the same with LF, as smtp-source takes it
    naive: Path  # JSON for campaigns.bench.naive
    octets: int
    slots: int


@dataclass(frozen=True)
class Taken:
    """One message as a keeping sink wrote it down."""

    sender: str
    recipient: str
    raw: bytes


def read(files: Sequence[Path]) -> list[Taken]:
    """Return the messages of keeping sinks and empty their files."""
    found = []
    for file in files:
        for line in file.read_bytes().splitlines():
            record = json.loads(line)
            found.append(Taken(record["sender"], record["recipient"], base64.b64decode(record["raw"])))
        file.write_bytes(b"")
    return found


def refuse_wrong(messages: Sequence[Taken], people: int) -> None:
    """Raise BenchError unless everybody got one complete message of their own."""
    recipients = {message.recipient for message in messages}
    if len(messages) != people or recipients != {world.address(n) for n in range(1, people + 1)}:
        raise BenchError(f"{len(messages)} messages came for {len(recipients)} recipients, {people} were planned.")
    for message in messages:
        number = int(message.recipient.partition("@")[0].removeprefix("reader"))
        parsed = email.message_from_bytes(message.raw, policy=email.policy.default)
        parts = [part.get_content() for part in parsed.iter_parts()]
        code = world.values(number)["code"]
        if parsed.defects or len(parts) != 2 or not all(code in part for part in parts):
            raise BenchError(f"The message for {message.recipient} is not as it should be.")


def make(content: Content, campaign: Campaign, messages: Sequence[Taken], folder: Path) -> Sample:
    """Write the pattern's files; the content is the campaign's frozen one."""
    if campaign.snapshot is None:
        raise BenchError("The campaign has no frozen content.")
    frozen = load(campaign.snapshot)
    slots = frozen.html.count("{{") + frozen.text.count("{{")
    if slots < content.slots:
        raise BenchError(f"The message of {content.key} has {slots} places for values, not {content.slots}.")
    chosen = sorted(messages, key=lambda message: len(message.raw))[len(messages) // 2]
    message, lines, naive = (folder / f"sample-{content.key}.{end}" for end in ("eml", "txt", "json"))
    message.write_bytes(chosen.raw)
    lines.write_bytes(chosen.raw.replace(b"\r\n", b"\n"))
    parsed = email.message_from_bytes(chosen.raw, policy=email.policy.default)
    wanted = ("Reply-To", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Message-ID")
    letter = {
        "subject": frozen.subject,
        "text": frozen.text,
        "html": frozen.html,
        "from": str(parsed["From"]),
        "headers": {name: str(parsed[name]) for name in wanted if parsed[name]},
        "values": {**world.values(1), "unsubscribe_url": _url(1), "why_url": _url(2), "report_url": _url(3)},
    }
    naive.write_text(json.dumps(letter), encoding="utf-8")
    recipient = f"reader%07d@{world.DOMAIN}"
    return Sample(content.key, chosen.sender, recipient, message, lines, naive, len(chosen.raw), slots)


def _url(number: int) -> str:
    return f"https://portal.sendserver.example/u/{number}/" + "x" * 32
