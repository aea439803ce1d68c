"""The oracle: what the relays saw against what the ledger says, points (a) to (h) of the fault table. Pure.

It asks neither a database nor a socket: `books` and `log` come in as values, so bad ones can be made by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

QUEUED = "killed, queued"  # the relay died with the message in its queue: taken, though nobody was told
FINAL = frozenset({"accepted", "rejected", "in_doubt", "suppressed", "skipped", "cancelled", "render_failed"})


@dataclass(frozen=True)
class Seen:
    """One line of a relay's log: what it saw in which session, and what it answered."""

    at: float
    session: str  # relay and number
    phase: str
    recipient: str
    reply: str


@dataclass(frozen=True)
class Books:
    """The portal's side: state by address, tallies, the figures of the campaign's page, the campaign's own state."""

    states: Mapping[str, str]
    planned: int
    tallies: Mapping[str, int]
    page: Mapping[str, int]
    campaign: str


@dataclass(frozen=True)
class Cut:
    """From `at` (the relays' clock) plus `grace` seconds until `until`, `recipients` (None: all) get nothing."""

    at: float
    grace: float
    recipients: frozenset[str] | None = None
    until: float = float("inf")


@dataclass(frozen=True)
class Expected:
    """What the round allows: how many deaths of processes or conversations, how the campaign may stand at its end.

    `doubt` replaces the bound of the log where a whole host was lost with its journal: what it held then.
    """

    slots: int
    incidents: int
    doubt: int | None = None
    ends: frozenset[str] = frozenset({"sent"})
    open_states: frozenset[str] = frozenset()  # states besides FINAL that may be left, where a person must act
    lost_ledger: bool = False  # the database forgot: only relays can tell, so rows and log need not agree
    cuts: Sequence[Cut] = ()


@dataclass
class Verdict:
    """What the oracle found; `problems` are sentences, none means that the round is sound."""

    duplicates: int = 0
    lost: int = 0
    in_doubt: int = 0
    bound: int = 0
    problems: list[str] = field(default_factory=list)


def judge(books: Books, log: Sequence[Seen], expected: Expected) -> Verdict:
    """Judge one round."""
    taken = Counter(line.recipient for line in log if is_taken(line))
    handed = Counter(line.recipient for line in log if is_handed_over(line))
    verdict = Verdict()
    verdict.duplicates = _twice(verdict, taken, handed)
    if not expected.lost_ledger:
        verdict.lost = _lost(verdict, books, taken, expected)
        _misrecorded(verdict, books, taken)
    verdict.in_doubt = sum(state == "in_doubt" for state in books.states.values())
    verdict.bound = bound(log, expected)
    if verdict.in_doubt > verdict.bound:
        verdict.problems.append(f"(e) {verdict.in_doubt} in doubt, at most {verdict.bound} were past the dot")
    _counts(verdict, books)
    _cuts(verdict, log, expected.cuts)
    if books.campaign not in expected.ends:
        verdict.problems.append(f"(h) the campaign is {books.campaign}, not {' or '.join(sorted(expected.ends))}")
    return verdict


def is_taken(line: Seen) -> bool:
    """Tell whether the relay took the message: it answered the dot with 2xx, or died with it in its queue."""
    return line.phase == "dot" and (line.reply.startswith("2") or line.reply == QUEUED)


def is_handed_over(line: Seen) -> bool:
    """Tell whether the relay had the whole message and did not refuse it: 2xx, silence, nonsense or a lost answer."""
    return line.phase == "dot" and line.reply[:1] not in ("4", "5")


def bound(log: Sequence[Seen], expected: Expected) -> int:
    """Return how many may be in doubt: one for each session that broke off with a message under way.

    Counted from the relays' log (a session that saw 354 and never QUIT), and never more than slots times incidents.
    The 354 counts, not the body: a relay that hangs there notes the body only when it wakes, if ever.
    """
    if expected.doubt is not None:
        return expected.doubt
    started = {line.session for line in log if line.phase == "data" and line.reply.startswith("354")}
    ended = {line.session for line in log if line.phase == "quit"}
    return min(len(started - ended), expected.slots * expected.incidents)


def _twice(verdict: Verdict, taken: Counter[str], handed: Counter[str]) -> int:
    twice = {who: count for who, count in taken.items() if count > 1}
    again = {who: count for who, count in handed.items() if count > 1 and who not in twice}
    if twice:
        verdict.problems.append(f"(a) taken more than once: {_some(twice)}")
    if again:
        verdict.problems.append(f"(a) handed over again though the first answer is unknown: {_some(again)}")
    return sum(count - 1 for count in (*twice.values(), *again.values()))


def _lost(verdict: Verdict, books: Books, taken: Counter[str], expected: Expected) -> int:
    left = [who for who, state in books.states.items() if state not in FINAL | expected.open_states]
    unsent = [who for who, state in books.states.items() if state == "accepted" and not taken[who]]
    missing = max(0, books.planned - len(books.states))
    if left:
        verdict.problems.append(f"(b) still open: {_some(f'{who} {books.states[who]}' for who in left)}")
    if unsent:
        verdict.problems.append(f"(d) called accepted, but no relay took them: {_some(unsent)}")
    if missing:
        verdict.problems.append(f"(b) {missing} of {books.planned} planned people have no row")
    return len(left) + len(unsent) + missing


def _misrecorded(verdict: Verdict, books: Books, taken: Counter[str]) -> None:
    wrong = [who for who in taken if books.states.get(who, "no row") not in ("accepted", "in_doubt")]
    if wrong:
        verdict.problems.append(
            f"(c) taken by a relay, but recorded as {_some(f'{who} {books.states.get(who)}' for who in wrong)}"
        )


def _counts(verdict: Verdict, books: Books) -> None:
    ledger = Counter(books.states.values())
    tallied = {state: count for state, count in books.tallies.items() if count}
    if dict(ledger) != tallied:
        verdict.problems.append(f"(f) ledger {dict(ledger)} but tallies {tallied}")
    for state, count in books.page.items():
        if count != ledger[state]:
            verdict.problems.append(f"(f) the page says {count} {state}, the ledger {ledger[state]}")


def _cuts(verdict: Verdict, log: Sequence[Seen], cuts: Sequence[Cut]) -> None:
    for cut in cuts:
        late = [line for line in log if cut.at + cut.grace < line.at < cut.until and _is_begun(line, cut)]
        if late:
            after = max(line.at for line in late) - cut.at
            verdict.problems.append(f"(g) {len(late)} messages begun up to {after:.2f} s after the cut")


def _is_begun(line: Seen, cut: Cut) -> bool:
    if cut.recipients is None:
        return line.phase == "mail"
    return line.phase == "rcpt" and line.recipient in cut.recipients


def _some(words: Iterable[str] | Mapping[str, int]) -> str:
    """Return the first few of many, in words."""
    items = [f"{who} x{count}" for who, count in words.items()] if isinstance(words, Mapping) else list(words)
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
