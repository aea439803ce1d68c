"""Secrets sealed anew: every kind, only while unchanged, the unreadable named and left, and no kind forgotten."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.core.management import call_command
from django.core.management.base import CommandError

from abuse import appeals, intake
from abuse.models import Complaint
from abuse.tests import make
from accounts import domain_keys, domains
from accounts.models import DkimKey, Organization, PlatformKey
from compliance import evidence, sealed_files
from sendserver.lib import crypto
from sendserver.pages import resealing
from sendserver.testing.personas import Persona
from sendserver.tests.test_floors import source_files

pytestmark = pytest.mark.django_db
NEW = {"k9": b"\x09" * 32}
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def old(
    settings: Any, tmp_path: Path, larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> dict[str, bytes]:
    """Leave one secret of each kind under the first key, put another key in front, and return the first ones."""
    monkeypatch.setattr(domain_keys, "generate", lambda: ("-----BEGIN a key", "public"))
    settings.MEDIA_ROOT = tmp_path
    before = settings.FIELD_KEYS
    domains.add(larkfield, "mail.larkfield.example", actor=alice.user)
    domains.platform_key()
    TOTP.activate(alice.user, SECRET)
    RecoveryCodes.activate(alice.user)
    to = make.delivery(make.campaign(larkfield))
    make.report(to, raw=b"Received: from somewhere")
    for room in resealing.ROOMS:
        sealed_files.keep(room, f"a file in {room}".encode())
    settings.FIELD_KEYS = {**NEW, **before}
    return before


def total(name: str) -> int:
    return sum(getattr(one, name) for one in resealing.run(dry=True))


def test_everything_opens_with_the_new_key_alone(old: dict[str, bytes], settings: Any, alice: Persona) -> None:
    out = StringIO()
    call_command("reseal", stdout=out)
    assert "Everything is under the newest key." in out.getvalue()
    settings.FIELD_KEYS = NEW
    for model in (DkimKey, PlatformKey):
        for sealed in model.objects.values_list("private_sealed", flat=True):
            assert crypto.open_text(sealed) == "-----BEGIN a key"
    assert intake.source_of(Complaint.objects.get()) == "Received: from somewhere"
    totp = Authenticator.objects.get(user=alice.user, type="totp")
    assert crypto.open_text(totp.data["secret"]) == SECRET
    assert len(RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).get_unused_codes()) == 10
    for room in (evidence.ROOM, appeals.ROOM):
        (path,) = (Path(settings.MEDIA_ROOT) / room).iterdir()
        assert sealed_files.read(room, bytes.fromhex(path.name)) == f"a file in {room}".encode()
        assert path.stat().st_mode & 0o777 == 0o600


def test_codes_stay_the_same_codes(old: dict[str, bytes], alice: Persona) -> None:
    row = Authenticator.objects.get(type="recovery_codes")
    before = RecoveryCodes(row).get_unused_codes()
    call_command("reseal", stdout=StringIO())
    row.refresh_from_db()
    assert RecoveryCodes(row).get_unused_codes() == before


def test_a_second_run_finds_nothing_to_do(old: dict[str, bytes]) -> None:
    assert total("resealed") == 8  # two keys of a domain, the platform's, a report, two factors, two files
    call_command("reseal", stdout=StringIO())
    assert (total("resealed"), total("new")) == (0, 8)


def test_a_dry_run_writes_nothing(old: dict[str, bytes], settings: Any) -> None:
    before = list(DkimKey.objects.order_by("pk").values_list("private_sealed", flat=True))
    call_command("reseal", "--dry-run", stdout=StringIO())
    assert list(DkimKey.objects.order_by("pk").values_list("private_sealed", flat=True)) == before
    settings.FIELD_KEYS = old
    assert domains.platform_key().private_pem


def test_what_cannot_be_opened_is_named_and_left(old: dict[str, bytes], settings: Any) -> None:
    row = DkimKey.objects.order_by("pk")[0]
    DkimKey.objects.filter(pk=row.pk).update(private_sealed="k0:lost")
    out = StringIO()
    with pytest.raises(CommandError, match="Keep every old key"):
        call_command("reseal", stdout=out)
    assert f"1 unreadable: {row.pk}" in out.getvalue()
    row.refresh_from_db()
    assert row.private_sealed == "k0:lost"
    assert DkimKey.objects.exclude(pk=row.pk).get().private_sealed.startswith("k9:")


def test_what_changed_meanwhile_is_not_overwritten(old: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    seal = crypto.seal_text

    def slow(text: str) -> str:
        DkimKey.objects.update(private_sealed=seal("a newer key"))
        return seal(text)

    monkeypatch.setattr(crypto, "seal_text", slow)
    (count, *_) = resealing.run(dry=False)
    assert (count.resealed, count.changed) == (0, 2)
    assert {crypto.open_text(one) for one in DkimKey.objects.values_list("private_sealed", flat=True)} == {
        "a newer key"
    }


def test_no_place_that_seals_is_forgotten() -> None:
    """Whoever seals something new has to tell the command, and comes by here."""
    sealing = {path.as_posix() for path in source_files() if _seals(path)}
    known = ("lib/crypto.py", "accounts/domain_keys.py", "accounts/adapter.py", "abuse/intake.py",
             "compliance/sealed_files.py", "pages/resealing.py")  # fmt: skip
    assert sorted(one for one in sealing if not one.endswith(known)) == []
    assert len(sealing) == len(known)


def _seals(path: Path) -> bool:
    return bool(re.search(r"\bseal_text\(", path.read_text(encoding="utf-8")))
