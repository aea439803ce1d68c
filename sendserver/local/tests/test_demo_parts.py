"""The parts of the demo story that need no portal: its file, its secrets, and the messy file of the large run."""

from __future__ import annotations

import csv
import io
import stat
from datetime import UTC, datetime
from pathlib import Path

from sendserver.local import demo_people
from sendserver.local.demo_secrets import Credentials, credentials
from sendserver.testing.journey_parts import totp
from sendserver.testing.messy import messy_file

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_the_uploaded_file_has_everybody_and_some_trouble() -> None:
    text = demo_people.newsletter_file(240, NOW).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 240 + 4
    addresses = [row["E-mail"] for row in rows[:240]]
    assert len(set(addresses)) == 240
    assert all(address.endswith(".example") for address in addresses)
    assert {"gus.moved@bounce.example", "ivy@inbox.example", "lara@later.example"} <= set(addresses)


def test_secrets_are_made_once_kept_private_and_added_to(tmp_path: Path) -> None:
    first = credentials(tmp_path, ["nina"])
    again = credentials(tmp_path, ["nina", "mona"])
    assert again["nina"] == first["nina"]
    assert again["mona"].password != first["nina"].password
    assert stat.S_IMODE((tmp_path / "secrets" / "demo.json").stat().st_mode) == 0o600


def test_codes_are_those_of_an_authenticator_app() -> None:
    own = Credentials("x", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert own.code() == totp(own.totp_secret)
    assert len(own.code()) == 6


def test_the_messy_file_is_the_same_each_time_and_counts_itself() -> None:
    one, two = messy_file(2000, now=NOW), messy_file(2000, now=NOW)
    assert one == two
    assert len(one.good) + one.duplicates + one.broken == one.rows == 2000
    assert one.duplicates > 40
    assert one.broken > 20
    lines = one.data.splitlines()
    assert len(lines) == 2001
    assert any(_is_not_utf8(line) for line in lines)
    assert any(not line.isascii() and not _is_not_utf8(line) for line in lines)


def _is_not_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False
