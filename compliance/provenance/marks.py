"""The memory of who uploaded what: marks (8 bytes of a keyed hash) with the customer, behind a wall in the database.

The application's role cannot read the table. Two functions of the owner's are all it may call: one remembers an
upload's people, one answers with counts over at least OVERLAP_MIN_ROWS addresses, never with an address or a name.
Bounds are blurred by `noise_of`, anew for each file, so that an upload changed by one address asks no useful question
about that address. Marks of addresses hashed under an older key are found through that key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import date
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Q

from accounts.models import Membership, Organization
from compliance import policy
from compliance.consent import months_before
from compliance.models import ImportJob, ImportState
from compliance.provenance.traits import Overlap
from sendserver.lib import clock, prepared
from sendserver.lib.addresses import AddressKey, suppression_hashes

PIECE: Final = 50_000  # memberships remembered in one transaction
_ENDED: Final = (ImportState.HELD, ImportState.DONE)


def noise_of(file_sha256: bytes) -> float:
    """Return by how much (a share, up to OVERLAP_NOISE either way) the bounds are moved for this file."""
    secret = next(iter(settings.SUPPRESSION_KEYS.values()))
    digest = hmac.new(secret, b"provenance noise" + file_sha256, hashlib.sha256).digest()
    return policy.OVERLAP_NOISE * (2 * int.from_bytes(digest[:4]) / 0xFFFFFFFF - 1)


# One value for all hashes, taken apart by the server: as an array of their own they are ten times as large on the way.
_OVERLAP: Final = """
SELECT * FROM provenance_overlap(%(places)s::int[], (
  SELECT array_agg(substr(one.hashes, at::int, 32) ORDER BY at)
  FROM (SELECT %(hashes)b::bytea AS hashes) one, generate_series(1, length(one.hashes), 32) at
), %(related)s::bigint[])
"""


def overlap(organization: Organization, keys: Sequence[str]) -> Overlap:
    """Return how many of the sampled address keys unrelated customers have; nothing for too small a sample."""
    if len(keys) < policy.OVERLAP_MIN_ROWS:
        return Overlap()
    places: list[int] = []
    hashes = bytearray()
    for place, key in enumerate(keys):
        for digest in suppression_hashes(AddressKey(key)):
            hashes += digest
            places.append(place)
    values = {"places": places, "hashes": bytes(hashes), "related": related(organization)}
    asked, known, widely, blocked, complained, bounced, holders = prepared.ask(_OVERLAP, values)[0]
    return Overlap(asked, known, widely, blocked, complained, bounced, tuple(holders or ()))


def related(organization: Organization) -> list[int]:
    """Return the organization and those that share a member with it: what they have in common is no wonder."""
    users = Membership.objects.filter(organization=organization).values("user")
    shared = Membership.objects.filter(user__in=users).values_list("organization_id", flat=True)
    return sorted({organization.pk, *shared})


def remember(job: ImportJob, *, piece: int = PIECE) -> bool:
    """Remember the next piece of an upload's people; tell whether all are remembered now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT provenance_remember(%s, %s, %s)", [job.pk, job.marked_up_to or 0, piece])
        last = cursor.fetchone()[0]
    fields = {"marked_at": clock.now()} if last is None else {"marked_up_to": last}
    ImportJob.objects.filter(pk=job.pk).update(**fields)
    for name, value in fields.items():
        setattr(job, name, value)
    return last is None


def remember_all() -> int:
    """Remember every upload that has ended and is not remembered yet; return how many were."""
    jobs = ImportJob.objects.filter(Q(state__in=_ENDED), marked_at=None).order_by("pk")
    for job in (found := list(jobs)):
        while not remember(job):
            pass
    return len(found)


def oldest_kept() -> date:
    """Return the day before which marks are forgotten (MARKS_MONTHS)."""
    return months_before(clock.now(), policy.MARKS_MONTHS).date()
