"""Made-up uploads through the real row check and the real score; the world around them is answered from memory.

The database's part of the facts (overlap, do-not-mail list, look-ups) is counted here as the SQL and the resolver
would; compliance/tests/test_provenance_world.py holds the two against each other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from compliance import policy
from compliance.imports import holds
from compliance.imports.columns import KEEP, Plan
from compliance.imports.reading import Row
from compliance.imports.rows import Claim, Refused, Taken, judge
from compliance.imports.scan import Counts
from compliance.models.lists import ConsentBasis
from compliance.provenance import traits
from compliance.provenance.score import Facts, Level, Score, score
from compliance.provenance.traits import Overlap
from compliance.testing.made import TODAY, Upload

NOW = datetime.combine(TODAY + timedelta(days=1), time(9), UTC)


def judged(upload: Upload) -> Score:
    """Return the score of a made-up upload."""
    return score(facts_of(upload))


def facts_of(upload: Upload) -> Facts:
    """Return the facts of a made-up upload as a scan would find them."""
    counts, keys = _read(upload)
    sample = _sample(keys)
    sampled = set(sample)
    looked_at = sample[: policy.DOMAINS_SAMPLE]
    found = traits.read(
        [key for key in keys if key in sampled],
        looked_at=len(looked_at),
        dead=sum(key.rpartition("@")[2] in upload.world.dead_domains for key in looked_at),
        traps=len(upload.world.traps & set(keys)),
        overlap=_overlap(upload, sample),
    )
    names = [upload.file_name, "Readers", *upload.header]
    return Facts(counts, found, names, jumped=holds.jumped(counts.rows, upload.world.biggest))


def _read(upload: Upload) -> tuple[Counts, list[str]]:
    kept = {index: upload.targets.get(index, KEEP) for index in range(len(upload.header))}
    plan, claim = Plan(kept, upload.header, "dmy"), Claim(basis=ConsentBasis.EXPRESS_SOI)
    counts, bad, dates, keys = Counts(done=True), Counter[str](), Counter[str](), dict[str, None]()
    said_no = 0
    for line, cells in enumerate(upload.rows, start=2):
        row = judge(Row(line, cells), plan, claim, NOW)
        counts.rows += 1
        if isinstance(row, Refused):
            bad[row.reason] += 1
            continue
        _take(counts, dates, row)
        if row.key in upload.world.said_no:
            said_no += 1
        else:
            keys[row.key] = None
    counts.bad, counts.said_no, counts.same_date = dict(bad), {"unsubscribe": said_no}, max(dates.values(), default=0)
    return counts, list(keys)


def _take(counts: Counts, dates: Counter[str], row: Taken) -> None:
    counts.good += 1
    if row.consent_at is not None:
        counts.dated += 1
        dates[row.consent_at.isoformat()] += 1


def _sample(keys: list[str]) -> list[str]:
    """Return the sample in the order of a keyed hash, as the database does."""
    order = sorted(keys, key=lambda key: hashlib.blake2b(key.encode(), digest_size=8, key=b"made").digest())
    return order[: policy.OVERLAP_SAMPLE]


def _overlap(upload: Upload, sample: list[str]) -> Overlap:
    world, asked = upload.world, set(sample)
    if len(asked) < policy.OVERLAP_MIN_ROWS:
        return Overlap()
    held: Counter[str] = Counter()
    for addresses in world.others.values():
        held.update(addresses & asked)
    at_blocked: set[str] = set().union(*(world.others[name] for name in world.blocked)) & asked
    return Overlap(
        asked=len(asked),
        known=len(held),
        widely=sum(count >= 3 for count in held.values()),
        blocked=len(at_blocked),
        complained=len(world.complained & asked),
        bounced=len((world.bounced - world.complained) & asked),
        holders=tuple(sorted((len(addresses & asked) for addresses in world.others.values()), reverse=True)[:10]),
    )


def table(uploads: Any) -> dict[str, dict[str, Any]]:
    """Return, for each kind: how many were judged, how many at each level, and what the commonest reasons were.

    `hold_agreed`: held though staff agreed to the length; `hold_or_jump`: held by the score or for the length alone.
    """
    rows: dict[str, dict[str, Any]] = {}
    for upload in uploads:
        facts = facts_of(upload)
        found = score(facts)
        row = rows.setdefault(
            upload.kind,
            {
                "is_bad": upload.is_bad,
                "lists": 0,
                "rows": 0,
                "hold": 0,
                "ask": 0,
                "pass": 0,
                "jump": 0,
                "hold_or_jump": 0,
                "hold_agreed": 0,
                "why": Counter(),
            },
        )
        row["lists"] += 1
        row["rows"] += len(upload.rows)
        row[found.level.value] += 1
        row["jump"] += facts.jumped
        row["hold_or_jump"] += facts.jumped or found.level == Level.HOLD
        row["hold_agreed"] += score(replace(facts, jumped=False)).level == Level.HOLD
        if found.level != "pass":
            row["why"].update(sign.text for sign in found.signs)
    return rows
