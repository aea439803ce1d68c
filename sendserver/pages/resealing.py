"""Secrets at rest sealed anew with the newest of FIELD_KEYS, so that an old key can be taken out of the list.

Each row is written only while it still holds what was read, so nothing that changes meanwhile is overwritten; run it
again until nothing is left. Stops at nothing: what cannot be opened is counted, named by its id, and left alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Model

from abuse import appeals
from abuse.models import Complaint
from accounts.models import DkimKey, PlatformKey
from compliance import evidence
from sendserver.lib import crypto

ROOMS: Final = (evidence.ROOM, appeals.ROOM)
MFA_SECRETS: Final = ("secret", "seed")  # what allauth's types hand to MFAAdapter.encrypt


@dataclass
class Count:
    """What became of one kind of secret."""

    kind: str
    new: int = 0  # under the newest key already
    resealed: int = 0
    changed: int = 0  # somebody else wrote it meanwhile
    unreadable: list[str] = field(default_factory=list)


def run(*, dry: bool) -> list[Count]:
    """Seal everything anew; `dry` only counts what would be."""
    return [
        _rows(DkimKey, "private_sealed", dry=dry),
        _rows(PlatformKey, "private_sealed", dry=dry),
        _reports(dry=dry),
        _factors(dry=dry),
        *(_files(room, dry=dry) for room in ROOMS),
    ]


def newest() -> str:
    """Return the id of the key that seals now."""
    return str(next(iter(settings.FIELD_KEYS)))


def _anew(count: Count, place: str, sealed: str, write: Callable[[str], bool], *, dry: bool) -> None:
    """Seal one value anew and count it; `write` tells whether the value was still the one that was read."""
    if sealed.partition(":")[0] == newest():
        count.new += 1
        return
    try:
        text = crypto.open_text(sealed)
    except crypto.UnreadableSecretError:
        count.unreadable.append(place)
        return
    if dry or write(crypto.seal_text(text)):
        count.resealed += 1
    else:
        count.changed += 1


def _rows(model: type[Model], name: str, *, dry: bool) -> Count:
    count, rows = Count(str(model._meta.verbose_name_plural).capitalize()), model._default_manager
    for pk, sealed in rows.order_by("pk").values_list("pk", name).iterator():
        _anew(count, str(pk), sealed, _writer(rows, pk, name, sealed), dry=dry)
    return count


def _writer(rows: Any, pk: int, name: str, before: Any) -> Callable[[str], bool]:
    def write(anew: str) -> bool:
        value = anew.encode() if isinstance(before, bytes) else anew
        return bool(rows.filter(pk=pk, **{name: before}).update(**{name: value}))

    return write


def _reports(*, dry: bool) -> Count:
    count, rows = Count("Pasted sources of reports"), Complaint.objects
    for pk, raw in rows.exclude(raw=None).order_by("pk").values_list("pk", "raw").iterator():
        sealed = bytes(raw or b"")
        if sealed:
            _anew(count, str(pk), sealed.decode(), _writer(rows, pk, "raw", sealed), dry=dry)
    return count


def _factors(*, dry: bool) -> Count:
    """Reseal what second factors keep; a factor with several secrets counts once for each."""
    count = Count("Second factors")
    for row in Authenticator.objects.order_by("pk").iterator():
        for name, value in _sealed_in(row.data):
            _anew(count, f"{row.pk} {name}", value, _factor_writer(row.pk, name, value), dry=dry)
    return count


def _sealed_in(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in MFA_SECRETS:
        value = data.get(name)
        if isinstance(value, str) and ":" in value:
            yield name, value


def _factor_writer(pk: int, name: str, before: str) -> Callable[[str], bool]:
    def write(anew: str) -> bool:
        rows = Authenticator.objects.filter(pk=pk, **{f"data__{name}": before})
        data = rows.values_list("data", flat=True).first()
        return data is not None and bool(rows.filter(data=data).update(data={**data, name: anew}))

    return write


def _files(room: str, *, dry: bool) -> Count:
    count, place = Count(f"Files in {room}"), Path(settings.MEDIA_ROOT) / room
    for path in sorted(place.glob("[0-9a-f]*")) if place.is_dir() else ():
        _anew(count, path.name, path.read_text(encoding="ascii"), _file_writer(path), dry=dry)
    return count


def _file_writer(path: Path) -> Callable[[str], bool]:
    def write(anew: str) -> bool:
        draft = path.with_name(f".{path.name}.{os.getpid()}.anew")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(anew)
            file.flush()
            os.fsync(file.fileno())
        if not path.exists():  # thrown away meanwhile
            draft.unlink()
            return False
        draft.replace(path)
        return True

    return write
