"""Own data out: what we keep about a person and an organization, as JSON files in a streamed ZIP (GDPR 15, 20).

Secrets (password hash, second-factor seeds, signing keys) are no one's data to carry away and stay here. Lists and
campaigns have their own exports.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from accounts.models import (
    AuditEntry,
    BusinessProfile,
    CollectionPractice,
    FromAddress,
    Invitation,
    Membership,
    Organization,
    SendingDomain,
    StandingChange,
    TermsAcceptance,
    User,
    Verification,
)

SECRET = frozenset({"password", "previous_hash", "record_hash", "private_sealed"})
# Ids of other people and tables inside our database mean nothing outside it.
INTERNAL = frozenset({"id", "user_id", "organization_id", "domain_id", "invited_by_id", "decided_by_id", "actor_id"})


def archive(user: User, organization: Organization | None) -> Iterator[bytes]:
    """Yield the pieces of the ZIP; `organization` None leaves out everything but the person."""
    buffer = _Pipe()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, rows in _files(user, organization):
            with target.open(name, "w") as file:
                for piece in _json(rows):
                    file.write(piece.encode())
                    yield buffer.take()
    yield buffer.take()


class _Pipe(io.RawIOBase):
    """A file that hands over what was written since the last look; it cannot seek, so ZipFile streams."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _files(user: User, organization: Organization | None) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    yield "person.json", _rows(User.objects.filter(pk=user.pk))
    yield "person-memberships.json", _memberships(user)
    yield "person-documents.json", _rows(TermsAcceptance.objects.filter(user=user))
    yield "person-acts.json", _rows(AuditEntry.objects.filter(actor_uid=user.uid))
    if organization is None:
        return
    yield "organization.json", _rows(Organization.objects.filter(pk=organization.pk))
    yield "organization-team.json", _team(organization)
    tables: tuple[tuple[str, type[Model]], ...] = (
        ("profile", BusinessProfile),
        ("practice", CollectionPractice),
        ("verifications", Verification),
        ("domains", SendingDomain),
        ("from-addresses", FromAddress),
        ("invitations", Invitation),
        ("standing", StandingChange),
        ("audit", AuditEntry),
    )
    for name, model in tables:
        yield f"organization-{name}.json", _rows(model._default_manager.filter(organization=organization))


def _memberships(user: User) -> Iterator[dict[str, Any]]:
    for member in Membership.objects.filter(user=user).select_related("organization"):
        yield {"organization": member.organization.name, **_plain(member)}


def _team(organization: Organization) -> Iterator[dict[str, Any]]:
    for member in Membership.objects.for_org(organization).select_related("user"):
        yield {"name": member.user.name, "email": member.user.email, **_plain(member)}


def _rows(rows: QuerySet[Any]) -> Iterator[dict[str, Any]]:
    for row in rows.order_by("pk").iterator(chunk_size=500):
        yield _plain(row)


def _plain(row: Model) -> dict[str, Any]:
    names = [field.attname for field in row._meta.concrete_fields]
    return {name: getattr(row, name) for name in names if name not in SECRET | INTERNAL}


def _json(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a JSON array, one row a line."""
    separator = "[\n"
    for row in rows:
        yield separator + json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"
