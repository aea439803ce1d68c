"""What is deleted when (rules DATA-RETENTION): an engine, and this floor's rules. The nightly run gathers the rules
of all floors (sendserver.pages.retention) and works as the owner's role: the application may not do most of it.

A rule deletes rows or empties columns, in pieces, each in its own transaction; a run that is killed goes on the next
night. Evidence stays (its tables refuse change); only side rows with personal parts go (accounts.personal), each with
an audit row that `verify_ledger` reads. The do-not-mail list stays for ever, as hashes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections, transaction
from django.db.models import Model

from accounts import personal
from compliance import evidence, policy
from compliance.consent import months_before
from compliance.models import AttestationPerson, ConsentEventPerson, EvidenceFile, RetentionRun, SavedPage
from sendserver.lib import clock

OWNER: Final = "owner"
PIECE: Final = 10_000  # rows in one transaction
RULE: Final = "DATA-RETENTION"
SIGNUPS_KEPT_D: Final = 2 * policy.SIGNUP_CONFIRM_D  # so long the weekly limit may look back
SECONDS: Final = 3600.0  # of one night
_LOCK: Final = 7_316_320


@dataclass(frozen=True)
class Rule:
    """One kind of data and its end. `due` is SQL for the keys that are due before %(before)s; `act` ends %(keys)s.

    `part` in place of `act`: the keys are personal parts of chained records, each of which is deleted by
    accounts.personal, so that the ledger knows when it went and under which rule. `each`: a function ends the keys.
    """

    code: str
    what: str  # for the staff's page
    keeps: str
    before: Callable[[datetime], datetime]
    due: str
    act: str = ""
    part: type[Model] | None = None
    each: Callable[[list[Any]], None] | None = None  # in place of `act`: more than rows goes


@dataclass(frozen=True)
class Result:
    """What a run did for one rule, or with `dry` would do; `rest` is left for the next night."""

    code: str
    what: str
    before: datetime
    rows: int
    rest: int = 0


def days(count: int) -> Callable[[datetime], datetime]:
    """Return a cut-off so many days back."""
    return lambda now: now - timedelta(days=count)


def months(count: int) -> Callable[[datetime], datetime]:
    """Return a cut-off so many calendar months back."""
    return lambda now: months_before(now, count)


def _forget_evidence(import_uids: list[Any]) -> None:
    """Delete what lies beside uploads: the rows as the owner, then the bytes that no row names any more."""
    digests: set[bytes] = set()
    for rows in (EvidenceFile, SavedPage):
        due = rows._default_manager.using(OWNER).filter(import_uid__in=import_uids)
        digests |= {bytes(digest) for digest in due.values_list("sha256", flat=True) if digest}
        due.delete()
    for digest in digests:
        evidence.drop(digest)


# ruff: noqa: S608 (statements of our own words)
_HAS_EVIDENCE: Final = """(EXISTS (SELECT 1 FROM compliance_evidencefile e WHERE e.import_uid = a.import_uid)
             OR EXISTS (SELECT 1 FROM compliance_savedpage p WHERE p.import_uid = a.import_uid))"""
RULES: Final = (
    Rule(
        "signers",
        "Names, networks and texts of people who signed statements",
        f"{policy.RET_EVIDENCE_Y} years after the last mail under the statement",
        months(12 * policy.RET_EVIDENCE_Y),
        """SELECT p.id FROM compliance_attestationperson p JOIN compliance_attestation a ON a.uid = p.attestation_uid
           WHERE a.signed_at < %(before)s AND NOT EXISTS (
             SELECT 1 FROM compliance_listmembership m
             WHERE m.attestation_id = a.id AND GREATEST(m.last_contact_at, m.added_at) >= %(before)s)""",
        part=AttestationPerson,
    ),
    Rule(
        "evidence",
        "Evidence files and saved pages beside statements (counted by upload)",
        f"{policy.RET_EVIDENCE_Y} years after the last mail under the statement",
        months(12 * policy.RET_EVIDENCE_Y),
        f"""SELECT a.import_uid FROM compliance_attestation a WHERE a.signed_at < %(before)s AND {_HAS_EVIDENCE}
           AND NOT EXISTS (SELECT 1 FROM compliance_listmembership m
             WHERE m.attestation_id = a.id AND GREATEST(m.last_contact_at, m.added_at) >= %(before)s)""",
        each=_forget_evidence,
    ),
    Rule(
        "draft_evidence",
        "Evidence files and saved pages of uploads that nobody signed (counted by upload)",
        f"{policy.RET_RAW_D} days after the upload",
        days(policy.RET_RAW_D),
        f"""SELECT a.uid FROM compliance_importjob a WHERE a.created_at < %(before)s AND a.attestation_id IS NULL
           AND a.state IN ('cancelled', 'failed') AND {_HAS_EVIDENCE.replace("a.import_uid", "a.uid")}""",
        each=_forget_evidence,
    ),
    Rule(
        "signups",
        "Confirmed sign-ups of people who are no longer on the list",
        f"{policy.RET_EVIDENCE_Y} years after the confirmation",
        months(12 * policy.RET_EVIDENCE_Y),
        """SELECT s.id FROM compliance_signup s WHERE s.confirmed_at < %(before)s
           AND NOT EXISTS (SELECT 1 FROM compliance_listmembership m WHERE m.signup_id = s.id)""",
        "DELETE FROM compliance_signup WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "consenters",
        "Addresses, networks, words and mails beside the steps of a person's consent",
        f"{policy.RET_EVIDENCE_Y} years after the last mail to the person",
        months(12 * policy.RET_EVIDENCE_Y),
        """SELECT p.event_uid FROM compliance_consenteventperson p
           JOIN compliance_consentevent e ON e.uid = p.event_uid
           WHERE e.recorded_at < %(before)s AND NOT EXISTS (
             SELECT 1 FROM compliance_listmembership m JOIN compliance_contact c ON c.id = m.contact_id
             WHERE c.uid = e.contact_uid AND GREATEST(m.last_contact_at, m.added_at) >= %(before)s)""",
        part=ConsentEventPerson,
    ),
    Rule(
        "problem_rows",
        "Rows of uploads that were not taken, and samples of proof (counted by upload)",
        f"{policy.RET_RAW_D} days after the upload",
        days(policy.RET_RAW_D),
        """SELECT j.id FROM compliance_importjob j WHERE j.created_at < %(before)s
           AND j.state IN ('done', 'failed', 'refused', 'cancelled')
           AND (EXISTS (SELECT 1 FROM compliance_importrow r WHERE r.job_id = j.id)
             OR EXISTS (SELECT 1 FROM compliance_proofrow p WHERE p.job_id = j.id))""",
        """WITH rows AS (DELETE FROM compliance_importrow WHERE job_id = ANY(%(keys)s))
           DELETE FROM compliance_proofrow WHERE job_id = ANY(%(keys)s)""",
    ),
    Rule(
        "unconfirmed",
        "Sign-ups that nobody confirmed",
        f"{SIGNUPS_KEPT_D} days",
        days(SIGNUPS_KEPT_D),
        "SELECT id FROM compliance_signup WHERE asked_at < %(before)s AND confirmed_at IS NULL",
        "DELETE FROM compliance_signup WHERE id = ANY(%(keys)s)",
    ),
    Rule(
        "marks",
        "Keyed marks of uploaded addresses",
        f"{policy.MARKS_MONTHS} months after the last upload",
        months(policy.MARKS_MONTHS),
        "SELECT DISTINCT mark FROM compliance_listmark WHERE seen_on < %(before)s",
        "DELETE FROM compliance_listmark WHERE mark = ANY(%(keys)s) AND seen_on < %(before)s",
    ),
)


def run(rules: Iterable[Rule], *, dry: bool, now: datetime | None = None, seconds: float = SECONDS) -> list[Result]:
    """Apply the rules, or with `dry` only count; return one result a rule, in their order.

    Two runs at once do the work once: the second waits for the first and finds nothing. A real run is written down.
    """
    begun, ends = now or clock.now(), time.monotonic() + seconds
    with _alone():
        results = [_apply(rule, begun, dry=dry, ends=ends) for rule in rules]
    if not dry:
        found = [{"code": one.code, "rows": one.rows, "rest": one.rest} for one in results]
        RetentionRun.objects.create(started_at=begun, finished_at=clock.now(), results=found)
    return results


class _alone:  # noqa: N801 (used as a word in `with`)
    """Hold a session lock of the owner's connection."""

    def __enter__(self) -> None:
        with connections[OWNER].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])

    def __exit__(self, *_: object) -> None:
        with connections[OWNER].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _apply(rule: Rule, now: datetime, *, dry: bool, ends: float) -> Result:
    before = rule.before(now)
    if dry:
        return Result(rule.code, rule.what, before, _count(rule, before))
    done = 0
    while piece := _piece(rule, before):
        done += piece
        if time.monotonic() > ends:
            return Result(rule.code, rule.what, before, done, _count(rule, before))
    return Result(rule.code, rule.what, before, done)


def _piece(rule: Rule, before: datetime) -> int:
    with transaction.atomic(using=OWNER), connections[OWNER].cursor() as cursor:
        keys = [row[0] for row in _rows(cursor, f"{rule.due} LIMIT {PIECE}", {"before": before})]
        if keys and rule.part is None and rule.each is None:
            cursor.execute(rule.act, {"keys": keys, "before": before})
    if rule.part is not None:
        for row in rule.part._default_manager.using(OWNER).filter(pk__in=keys):
            personal.delete(row, rule=RULE)
    if rule.each is not None and keys:
        rule.each(keys)
    return len(keys)


def _count(rule: Rule, before: datetime) -> int:
    with connections[OWNER].cursor() as cursor:
        return int(_rows(cursor, f"SELECT count(*) FROM ({rule.due}) AS due", {"before": before})[0][0])


def _rows(cursor: Any, statement: str, values: dict[str, Any]) -> list[Any]:
    cursor.execute(statement, values)
    return list(cursor.fetchall())
