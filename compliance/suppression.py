"""The do-not-mail list: who must not be mailed, by one organization or by the whole platform.

One call puts an address on it, one takes it off. It does not decide who is mailable otherwise (compliance.consent)
and stops nothing by itself: planning, chunk fetch and pages join against LIVE_SUPPRESSION_SQL, so a row counts from
the moment it commits (rules UNSUB-EFFECT).
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from accounts import audit
from accounts.models import Organization, User
from compliance import list_exits, policy
from compliance.errors import LiftRefusedError
from compliance.models import ConsentEvent, ConsentEventPerson, Suppression
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, Who, hashes_of, suppression_hashes, suppression_key_id

UNDO_WINDOW = timedelta(minutes=policy.UNSUB_UNDO_MIN)  # a slip on the unsubscribe page can be taken back this long
UNKNOWN_KEY = "unknown"
ERASED = "erased"  # the source of an entry that stands for somebody whose data was erased
UNDOABLE_SOURCES = ("page", "preferences")  # pressed by a person on a page; one_click and mailto are not

# EXISTS test: true for an address that must not be mailed now. Fill in by .format(address_hash=..., organization=...),
# both SQL expressions of the outer query, never values. Contains no percent sign, so it fits any parameter style.
LIVE_SUPPRESSION_SQL = """EXISTS (
  SELECT 1 FROM compliance_suppression live
  WHERE live.address_hash = {address_hash}
    AND (live.organization_id = {organization} OR live.organization_id IS NULL)
    AND live.lifted_at IS NULL
    AND (live.until IS NULL OR live.until > now()))"""

# The stronger entry wins: for ever beats a date, and a one-click press can no longer be undone from the page.
_INSERT = """
INSERT INTO compliance_suppression
  (organization_id, address_hash, key_id, act, reason, source, delivery_id, created_at, until, lifted_at, lifted_reason)
SELECT %(organization)s, entry.hash, entry.key_id, %(act)s,
       %(reason)s, %(source)s, %(delivery)s, %(now)s, %(until)s, NULL, ''
FROM unnest(%(hashes)s::bytea[], %(key_ids)s::text[]) AS entry(hash, key_id)
ON CONFLICT (organization_id, address_hash, reason) WHERE lifted_at IS NULL DO UPDATE SET
  until = CASE WHEN compliance_suppression.until IS NULL OR excluded.until IS NULL THEN NULL
               ELSE GREATEST(compliance_suppression.until, excluded.until) END,
  source = CASE WHEN excluded.source = 'one_click' THEN excluded.source ELSE compliance_suppression.source END
RETURNING id, key_id
"""


def live_suppression_sql(address_hash: str, organization: str) -> str:
    """Return LIVE_SUPPRESSION_SQL for two SQL expressions, such as "c.address_hash" and "c.organization_id"."""
    return LIVE_SUPPRESSION_SQL.format(address_hash=address_hash, organization=organization)


def suppress(  # noqa: PLR0913 (one call for every way in)
    address_key: Who,
    *,
    organization: Organization | None,
    reason: str,
    source: str,
    delivery_id: int | None = None,
    until: datetime | None = None,
    platform: bool = False,
) -> Suppression:
    """Put an address on the do-not-mail list and return its row; twice is the same as once.

    `organization` None, or `platform`, means nobody on the platform may mail it. Every known key gets a row, so that
    contacts hashed before and after a key rotation are both found (architecture rule 11).
    """
    row = _insert(address_key, organization, (reason, source, delivery_id, until))
    if platform and organization is not None:
        _insert(address_key, None, (reason, source, delivery_id, until))
    return row


def _insert(
    who: Who, organization: Organization | None, what: tuple[str, str, int | None, datetime | None]
) -> Suppression:
    reason, source, delivery_id, until = what
    values = {
        "organization": organization.pk if organization else None,
        "hashes": hashes_of(who),
        # Which key a lone hash is of, nobody knows any more.
        "key_ids": list(settings.SUPPRESSION_KEYS) if isinstance(who, str) else [UNKNOWN_KEY],
        "act": uuid.uuid4(),
        "reason": Suppression.Reason(reason).value,
        "source": source,
        "delivery": delivery_id,
        "now": clock.now(),
        "until": until,
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        ids = {key_id: pk for pk, key_id in cursor.fetchall()}
    row = Suppression.objects.get(pk=ids.get(suppression_key_id()) or max(ids.values()))
    if len(ids) > 1:  # a key was added since the first time: rows of old and new keys become one act
        Suppression.objects.filter(pk__in=ids.values()).update(act=row.act)
    return row


def live(organization: Organization | None) -> QuerySet[Suppression]:
    """Return the rows in force for an organization, those of the whole platform included."""
    in_force = Q(until=None) | Q(until__gt=clock.now())
    return Suppression.objects.filter(in_force, Q(organization=organization) | Q(organization=None), lifted_at=None)


def find(organization: Organization, address_key: Who) -> list[Suppression]:
    """Return the rows in force that keep an organization from mailing an address, newest first."""
    rows = live(organization).filter(address_hash__in=hashes_of(address_key)).order_by("-created_at", "-pk")
    return list({row.act: row for row in rows}.values())


def counts(organization: Organization) -> list[tuple[str, int]]:
    """Return (reason in words, entries in force) of the organization's own list, most first; one act counts once."""
    rows = live(organization).filter(organization=organization).values_list("reason")
    found = rows.annotate(entries=Count("act", distinct=True)).order_by("-entries", "reason")
    return [(str(Suppression.Reason(reason).label), entries) for reason, entries in found]


def is_suppressed(organization: Organization, address_key: Who) -> bool:
    """Tell whether the organization must not mail the address."""
    return live(organization).filter(address_hash__in=hashes_of(address_key)).exists()


def carry_over(organization: Organization, address_key: AddressKey) -> None:
    """Give an address's entries a row under every key, so that a contact made after a rotation meets them in joins."""
    if len(settings.SUPPRESSION_KEYS) == 1:
        return
    list_exits.carry_over(organization, address_key)
    for row in find(organization, address_key):
        _insert(address_key, row.organization, (row.reason, row.source, row.delivery_id, row.until))


def lift(suppression: Suppression, *, reason: str, actor: User | None) -> bool:
    """Take one entry off the list, audited; tell whether it was still there.

    Staff may lift anything with a reason, and the receiver's own new yes (`actor` None) as well. A sender may take
    back only what a sender added: an unsubscribe, bounce or complaint is not its to lift (rules UNSUB-NO-RESURRECT).
    """
    if actor is not None and not actor.is_staff and suppression.reason != Suppression.Reason.OWNER:
        raise LiftRefusedError("Only the person who said stop, or our staff, can lift this entry.")
    if not reason.strip():
        raise LiftRefusedError("Lifting an entry needs a reason.")
    return _lift(suppression, reason, actor)


def lift_by_optin(confirmed: ConsentEvent) -> int:
    """Take off the sender's entries that a person's newer double opt-in outweighs; return how many acts.

    Newer means that both steps, asking and confirming, came after the entry, and that the person took both. What our
    staff entered stays, and so does what the person said to every sender (rules UNSUB-NO-RESURRECT, section 4).
    """
    request = ConsentEvent.objects.filter(
        uid__in=[confirmed.request_uid] if confirmed.request_uid else [], organization_id=confirmed.organization_id
    ).first()
    if request is None or not _is_double_optin(request, confirmed):
        raise LiftRefusedError("Only a sign-up that the person asked for and confirmed lifts an entry.")
    rows = Suppression.objects.filter(
        organization_id=confirmed.organization_id,
        address_hash__in=_every_hash(confirmed),
        lifted_at=None,
        created_at__lt=request.at,
    ).exclude(reason=Suppression.Reason.STAFF)
    acts = {row.act: row for row in rows}
    return sum(_lift(row, "A newer sign-up, confirmed by link", None) for row in acts.values())


def _every_hash(step: ConsentEvent) -> list[bytes]:
    """Return the hashes of a step's address under every key, as far as its personal part is still there."""
    part = ConsentEventPerson.objects.filter(pk=step.uid).first()
    return suppression_hashes(AddressKey(part.address.lower())) if part else [bytes(step.address_hash)]


def _is_double_optin(request: ConsentEvent, confirmed: ConsentEvent) -> bool:
    """Tell whether two steps are a person's own, of one address, in the right order."""
    kinds = (request.kind, confirmed.kind) == (ConsentEvent.Kind.REQUESTED, ConsentEvent.Kind.CONFIRMED)
    same = bytes(request.address_hash) == bytes(confirmed.address_hash)
    own = request.actor_uid is None and confirmed.actor_uid is None
    return kinds and same and own and request.at < confirmed.at <= clock.now()


@transaction.atomic
def _lift(suppression: Suppression, reason: str, actor: User | None) -> bool:
    rows = Suppression.objects.filter(act=suppression.act, lifted_at=None)
    if not rows.update(lifted_at=clock.now(), lifted_reason=reason[:200]):
        return False
    audit.record(
        "suppression.lifted",
        actor=actor,
        organization=suppression.organization,
        subject=f"suppression:{suppression.pk}",
        reason=reason,
    )
    return True


def undo_unsubscribe(organization: Organization, address_key: Who, *, delivery_id: int | None = None) -> bool:
    """Take back an unsubscribe that the receiver pressed on our page within UNDO_WINDOW; tell whether it was.

    With it goes the stop of every sender, when that was pressed on the same page. Never after a one-click POST, and
    never while a complaint or objection stands (architecture, Decisions).
    """
    fresh = undoable(organization, address_key, delivery_id=delivery_id)
    lifted = [lift(row, reason="The receiver took it back on the same page", actor=None) for row in fresh]
    return any(lifted)


def undoable(organization: Organization, address_key: Who, *, delivery_id: int | None = None) -> list[Suppression]:
    """Return the entries that `undo_unsubscribe` would lift now."""
    rows = find(organization, address_key)
    if any(row.reason in (Suppression.Reason.COMPLAINT, Suppression.Reason.OBJECTION) for row in rows):
        return []
    return [row for row in rows if _is_undoable(row, delivery_id)]


def _is_undoable(row: Suppression, delivery_id: int | None) -> bool:
    return (
        row.reason == Suppression.Reason.UNSUBSCRIBE
        and row.source in UNDOABLE_SOURCES
        and row.delivery_id == delivery_id
        and row.created_at > clock.now() - UNDO_WINDOW
    )


@transaction.atomic
def pause(organization: Organization, address_key: Who, *, until: datetime, delivery_id: int) -> None:
    """Keep a sender away until a moment, at the person's own wish; a new pause replaces the one before."""
    end_pause(organization, address_key)
    suppress(
        address_key,
        organization=organization,
        reason=Suppression.Reason.PAUSE,
        source="preferences",
        delivery_id=delivery_id,
        until=until,
    )


def end_pause(organization: Organization, address_key: Who) -> bool:
    """End the person's own pause, at their wish; tell whether one was running."""
    rows = [row for row in find(organization, address_key) if row.reason == Suppression.Reason.PAUSE]
    lifted = [lift(row, reason="The receiver ended the break", actor=None) for row in rows]
    return any(lifted)
