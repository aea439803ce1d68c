"""The oracle finds what it is there to find: hand-made logs and books, sound ones and each kind of bad one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sendserver.testing.torture import report
from sendserver.testing.torture.oracle import Books, Cut, Expected, Seen, Verdict, judge
from sendserver.testing.torture.report import Round

CALM = Expected(slots=4, incidents=0)


def books_of(states: dict[str, str], **changes: object) -> Books:
    counts = Counter(states.values())
    books = Books(states, len(states), dict(counts), {"accepted": counts["accepted"]}, "sent")
    return replace(books, **changes)  # type: ignore[arg-type]


def talk(session: str, *people: str, reply: str = "250 2.0.0 ok", at: float = 1.0, quits: bool = True) -> list[Seen]:
    """Return one session's log: each person gets a message, the last reply as given."""
    lines = []
    for who in people:
        lines += [Seen(at, session, phase, "" if phase == "mail" else who, "250 ok") for phase in ("mail", "rcpt")]
        lines += [Seen(at, session, "data", who, "354 go"), Seen(at, session, "body", who, "")]
        lines.append(Seen(at, session, "dot", who, "250 2.0.0 ok" if who != people[-1] else reply))
    return [*lines, Seen(at, session, "quit", "", "221 bye")] if quits else lines


def problems(books: Books, log: list[Seen], expected: Expected = CALM) -> list[str]:
    return [problem[:3] for problem in judge(books, log, expected).problems]


def test_a_sound_round_has_no_problem() -> None:
    verdict = judge(books_of({"a": "accepted", "b": "accepted"}), talk("1", "a", "b"), CALM)
    assert verdict == Verdict(0, 0, 0, 0, [])


def test_two_acceptances_are_a_duplicate() -> None:
    verdict = judge(books_of({"a": "accepted"}), talk("1", "a", "a"), CALM)
    assert verdict.duplicates == 1
    assert verdict.problems[0].startswith("(a)")


@pytest.mark.parametrize("answer", ["closed", "", "killed", "25?"])
def test_a_second_dot_behind_an_unknown_answer_is_a_duplicate(answer: str) -> None:
    log = talk("1", "a", reply=answer, quits=False) + talk("2", "a")
    verdict = judge(books_of({"a": "accepted"}), log, CALM)
    assert verdict.duplicates == 1


@pytest.mark.parametrize("answer", ["450 4.7.1 later", "421 4.3.2 closing", "550 5.7.1 spam"])
def test_a_second_dot_behind_a_refusal_is_none(answer: str) -> None:
    assert problems(books_of({"a": "accepted"}), talk("1", "a", reply=answer) + talk("2", "a")) == []


@pytest.mark.parametrize("state", ["planned", "deferred"])
def test_an_open_row_is_lost(state: str) -> None:
    verdict = judge(books_of({"a": "accepted", "b": state}), talk("1", "a"), CALM)
    assert (verdict.lost, verdict.problems[0][:3]) == (1, "(b)")


def test_a_planned_person_without_a_row_is_lost() -> None:
    verdict = judge(books_of({"a": "accepted"}, planned=2), talk("1", "a"), CALM)
    assert (verdict.lost, verdict.problems[0][:3]) == (1, "(b)")


def test_taken_by_a_relay_but_called_rejected() -> None:
    assert problems(books_of({"a": "rejected"}), talk("1", "a")) == ["(c)"]
    assert problems(books_of({}), talk("1", "stranger")) == ["(c)"]


def test_called_accepted_without_a_relay() -> None:
    verdict = judge(books_of({"a": "accepted"}), talk("1", "a", reply="550 5.7.1 spam"), CALM)
    assert (verdict.lost, verdict.problems[0][:3]) == (1, "(d)")


def test_doubt_without_an_incident_is_too_much() -> None:
    log = talk("1", "a", reply="closed", quits=False)
    assert problems(books_of({"a": "in_doubt"}), log) == ["(e)"]
    assert problems(books_of({"a": "in_doubt"}), log, replace(CALM, incidents=1)) == []


def test_more_doubt_than_sessions_that_broke_off_is_too_much() -> None:
    log = talk("1", "a", reply="closed", quits=False) + talk("2", "b")
    verdict = judge(books_of({"a": "in_doubt", "b": "in_doubt"}), log, replace(CALM, incidents=3))
    assert (verdict.in_doubt, verdict.bound) == (2, 1)
    assert verdict.problems[0].startswith("(e)")


def test_a_relay_that_hangs_behind_its_354_may_leave_doubt() -> None:
    log = [line for line in talk("1", "a", quits=False) if line.phase not in ("body", "dot")]
    assert problems(books_of({"a": "in_doubt"}), log, replace(CALM, incidents=1)) == []
    refused = [replace(line, reply="451 no") if line.phase == "data" else line for line in log]
    assert problems(books_of({"a": "in_doubt"}), refused, replace(CALM, incidents=1)) == ["(e)"]


def test_more_doubt_than_slots_is_too_much() -> None:
    log = [line for n in range(5) for line in talk(str(n), f"p{n}", quits=False)]
    states = {f"p{n}": "in_doubt" for n in range(5)}
    assert judge(books_of(states), log, replace(CALM, incidents=1)).bound == 4
    assert problems(books_of(states), log, replace(CALM, incidents=1)) == ["(e)"]


def test_counts_that_differ() -> None:
    log = talk("1", "a")
    assert problems(books_of({"a": "accepted"}, tallies={"accepted": 2}), log) == ["(f)"]
    assert problems(books_of({"a": "accepted"}, page={"accepted": 0}), log) == ["(f)"]


def test_mail_behind_the_cut() -> None:
    log = talk("1", "a", at=10.0)
    books = books_of({"a": "accepted"})
    late, grace = Cut(7.0, 2.0), Cut(9.0, 2.0)
    assert problems(books, log, replace(CALM, cuts=[late])) == ["(g)"]
    assert problems(books, log, replace(CALM, cuts=[grace])) == []
    assert problems(books, log, replace(CALM, cuts=[replace(late, until=9.5)])) == []
    assert problems(books, log, replace(CALM, cuts=[replace(late, recipients=frozenset({"b"}))])) == []
    assert problems(books, log, replace(CALM, cuts=[replace(late, recipients=frozenset({"a"}))])) == ["(g)"]


def test_a_campaign_that_does_not_end() -> None:
    assert problems(books_of({"a": "accepted"}, campaign="sending"), talk("1", "a")) == ["(h)"]


@pytest.mark.parametrize(
    ("rounds", "missing", "ok"),
    [
        ([Round(1, 1, Verdict())], "", True),
        ([Round(1, 1, Verdict()), Round(2, 0, Verdict())], "", False),  # it did not land
        ([Round(1, 1, Verdict(problems=["(b) x"]))], "", False),
        ([Round(1, 1, Verdict(), ["no progress"])], "", False),
        ([Round(1, 1, Verdict())], "a feature", False),
        ([], "", False),
    ],
)
def test_a_row_is_ok_only_when_every_round_landed_and_was_sound(rounds: list[Round], missing: str, ok: bool) -> None:
    row = report.line(7, "421", rounds, missing=missing)
    assert row["ok"] is ok
    assert " ".join(row) == "fault name seeds hits duplicates lost in_doubt_max in_doubt_bound ok"
    assert ("(missing: a feature)" in str(row["name"])) is bool(missing)


def test_doubt_and_its_bound_are_of_the_same_round() -> None:
    rounds = [Round(1, 1, Verdict(in_doubt=1, bound=8)), Round(2, 1, Verdict(in_doubt=3, bound=4))]
    row = report.line(1, "kill", rounds)
    assert (row["in_doubt_max"], row["in_doubt_bound"]) == (3, 4)
