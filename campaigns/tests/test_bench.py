"""The parts of the benchmark that could be wrong without anybody noticing. No database, no Postfix, a few seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import uvloop

from campaigns.bench import blaster, musts, naive, processes, report
from campaigns.bench.errors import BenchError, ToolsMissingError
from campaigns.bench.musts import MUSTS, Figure, Must
from campaigns.bench.product import Run, Setup
from campaigns.bench.rounds import Round, figures, whole
from campaigns.bench.sinks import OwnSink, Pair
from campaigns.bench.tools import fetch
from sendserver.testing.relay import Phase, ScriptedRelay, reply

PIPELINING = ("PIPELINING", "8BITMIME")
MESSAGE = b"Subject: constant\r\n\r\n.begins with a dot\r\nends\r\n"
SHOT = blaster.Shot(b"a@bench.example", b"reader%07d@crowd.example", blaster.body_of(MESSAGE))


def blast(relays: list[ScriptedRelay], *, sessions: int, messages: int, first: int = 1) -> int:
    return uvloop.run(
        blaster.blast(SHOT, [relay.port for relay in relays], sessions=sessions, messages=messages, first=first)
    )


def a_round(**rates: float) -> Round:
    """Return a round in which everybody ran a second; rates in messages a second."""
    usual = {"source": 90, "source again": 110, "blaster 1": 120, "blaster 2": 200, "product": 80}
    usual |= {"product rsa": 30, "naive": 4, "plain": 50, "tls": 40}
    made = {**usual, **{name.replace("_", " "): rate for name, rate in rates.items()}}
    return Round("20k", {name: Run(int(rate), 1.0) for name, rate in made.items()}, signatures=100.0)


# --- the blaster
def test_blaster_delivers_every_message_once_and_whole() -> None:
    with ScriptedRelay(extensions=PIPELINING) as one, ScriptedRelay(extensions=PIPELINING) as two:
        assert blast([one, two], sessions=4, messages=41, first=11) == 41
        taken = one.accepted + two.accepted
    assert sorted(message.recipient for message in taken) == [f"reader{n:07d}@crowd.example" for n in range(11, 52)]
    assert {message.raw for message in taken} == {MESSAGE}
    assert {message.sender for message in taken} == {"a@bench.example"}
    assert len(one.sessions) == len(two.sessions) == 2


def test_blaster_needs_one_round_trip_a_message() -> None:
    with ScriptedRelay(extensions=PIPELINING) as relay:
        blast([relay], sessions=1, messages=5)
        phases = [line.phase for line in relay.log if line.phase in (Phase.MAIL, Phase.DOT)]
    assert phases == [Phase.MAIL, Phase.DOT] * 5


@pytest.mark.parametrize("phase", [Phase.RCPT, Phase.DATA, Phase.DOT])
def test_blaster_accepts_no_refusal(phase: str) -> None:
    with ScriptedRelay(extensions=PIPELINING) as relay:
        relay.on(phase, reply("451 4.3.0 later"), times=1)
        with pytest.raises((blaster.UnexpectedReplyError, ConnectionError)):
            blast([relay], sessions=1, messages=5)


def test_blaster_refuses_a_server_without_pipelining() -> None:
    with ScriptedRelay(extensions=("8BITMIME",)) as relay, pytest.raises(blaster.UnexpectedReplyError):
        blast([relay], sessions=1, messages=1)


# --- the sinks
def test_own_sinks_count_what_helpers_send(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    pair = Pair([OwnSink.start(tmp_path, keep=keep), OwnSink.start(tmp_path)])
    order = {"sender": "a@bench.example", "recipient": "r%d@crowd.example", "message": str(tmp_path / "message.eml")}
    try:
        before = pair.counts()
        order |= {"ports": pair.ports, "sessions": 2, "messages": 30, "first": 1}
        answers = processes.run_helpers("campaigns.bench.blaster", [order])
        pair.wait_for(before, 30, seconds=5)
        with pytest.raises(BenchError, match="where 29 were sent"):
            pair.wait_for(before, 29, seconds=1)
    finally:
        pair.stop()
    assert [answer["sent"] for answer in answers] == [30]
    assert len({json.loads(line)["recipient"] for line in keep.read_bytes().splitlines()}) == 15


def test_an_idle_sink_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    pair = Pair([OwnSink.start(tmp_path), OwnSink.start(tmp_path)])
    try:
        uvloop.run(blaster.blast(SHOT, pair.ports[:1], sessions=1, messages=4))
        with pytest.raises(BenchError, match=r"\[4, 0\]"):
            pair.wait_for([0, 0], 4, seconds=1)
    finally:
        pair.stop()


def test_what_cannot_be_fetched_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolsMissingError, match=r"^smtp-sink and smtp-source could not be fetched [^\n]*\.$"):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- the naive loop
def test_naive_message_is_filled() -> None:
    order = {
        "subject": "For {{ first_name }}",
        "text": 'Hello {{ first_name | default: "there" }}, {{ code }}',
        "html": "<p>{{ code }}</p>",
        "from": "News <news@bench.example>",
        "headers": {"List-Id": "<l.bench.example>"},
        "recipient": "r%d@crowd.example",
        "values": {"code": "BULB"},
    }
    message = naive.message_for(order, 7)
    assert message["Subject"] == "For Reader 7"
    assert message.get_body(("plain",)).get_content() == "Hello Reader 7, BULB\n"
    assert message.get_body(("html",)).get_content() == "<p>BULB</p>\n"


# --- arithmetic
def test_ratios_of_a_round() -> None:
    assert a_round().ratios() == pytest.approx(
        {
            "send_vs_smtp_source_20k": 0.8,  # 80 to the mean of 90 and 110
            "send_vs_blaster_20k": 0.4,  # the better of one and two processes
            "send_vs_naive_20k": 20.0,
            "send_rsa_vs_rsa_limit_20k": 0.6,  # two signatures a message
            "send_tls_vs_plain": 0.8,
        }
    )


def test_a_round_below_the_blasters_floor_is_left_out() -> None:
    slow = a_round(blaster_2=105, blaster_1=109)
    assert not slow.counts
    assert figures([slow]) == []
    kept = {figure.name: figure.values for figure in figures([a_round(), slow, a_round(product=100)])}
    assert kept["send_vs_smtp_source_20k"] == (0.8, 1.0)


def test_a_round_beyond_the_limit_of_signing_is_left_out() -> None:
    assert a_round(product_rsa=52).counts  # 104 signatures where two processes make 100
    assert a_round(product_rsa=53).doubt == "more signatures than two idle processes make"


def test_cost_is_microseconds_a_message() -> None:
    run = Run(1000, 2.0, {"worker": 0.05, "postgres": 0.01, "sink-1": 0.2})
    assert (run.rate, run.cost("worker", "postgres", "valkey")) == (500, pytest.approx(60))


@pytest.mark.parametrize(("wanted", "given"), [(1, 1000), (1000, 1000), (1001, 2000), (0, 1000)])
def test_both_lanes_get_whole_chunks(wanted: int, given: int) -> None:
    assert whole(wanted) == given


def test_figure_as_json() -> None:
    assert Figure("x", (3.0, 1.0, 2.0)).as_json() == {"name": "x", "ratio": 2.0, "min": 1.0, "max": 3.0}


# --- the musts
def test_the_musts_are_those_that_were_promised() -> None:
    assert {name: must.bound for name, must in MUSTS.items()} == {
        "send_vs_smtp_source_20k": 0.80,
        "send_vs_smtp_source_3k": 0.75,
        "send_vs_blaster_20k": 0.65,
        "send_vs_blaster_3k": 0.50,
        "send_vs_naive_20k": 15,
        "send_vs_naive_3k": 15,
        "send_rsa_vs_rsa_limit_20k": 0.45,
        "send_rsa_vs_rsa_limit_3k": 0.65,
        "cost_100k_vs_10k": 1.10,
        "cost_1m_vs_10k": 1.10,
        "lane_rss_mib": 100,
        "lane_rss_growth_mib": 5,
        "plan_vs_copy": 0.18,
    }
    assert {name for name, must in MUSTS.items() if must.at_most} == {
        *("cost_100k_vs_10k", "cost_1m_vs_10k", "lane_rss_mib", "lane_rss_growth_mib")
    }
    assert musts.BLASTER_FLOOR == {"20k": 1.10, "3k": 1.30}
    assert set(musts.NAMES_QUICK) == {name for name in MUSTS if name.startswith("send_")} | {"send_tls_vs_plain"}


def test_a_bound_is_loosened_in_its_own_direction() -> None:
    assert Must(0.8, 1.0).limit(0.8) == pytest.approx(0.64)
    assert Must(100, 60, at_most=True).limit(0.8) == pytest.approx(125)


def kept(**changed: float) -> list[Figure]:
    """Return figures that keep every must by a hair, with changes."""
    values = {name: must.bound for name, must in MUSTS.items()} | {"send_tls_vs_plain": 0.1} | changed
    return [Figure(name, (value,)) for name, value in values.items()]


def test_exit_code_says_whether_every_must_is_kept() -> None:
    assert report.verdict(kept(), musts.NAMES_FULL, share=1.0) == (["Every bound is kept."], 0)
    for name, must in MUSTS.items():
        worse = must.bound * (1.01 if must.at_most else 0.99)
        said, code = report.verdict(kept(**{name: worse}), musts.NAMES_FULL, share=1.0)
        assert (code, len(said)) == (1, 1)
        assert said[0].startswith(f"MISSED: {name} is ")


def test_the_median_decides() -> None:
    figure = Figure("send_vs_naive_20k", (1.0, 15.0, 30.0))
    assert musts.missed([figure], [], share=1.0) == []


def test_the_short_run_holds_to_less() -> None:
    found = kept(send_vs_blaster_3k=0.41)
    assert report.verdict(found, musts.NAMES_QUICK, share=musts.QUICK_SHARE)[1] == 0
    assert report.verdict(found, musts.NAMES_FULL, share=1.0)[1] == 1


def test_a_figure_that_was_not_measured_is_a_miss() -> None:
    found = [figure for figure in kept() if figure.name != "send_vs_naive_3k"]
    assert report.verdict(found, musts.NAMES_FULL, share=1.0) == (["MISSED: send_vs_naive_3k was not measured"], 1)


def test_a_run_without_enough_rounds_does_not_count() -> None:
    said, code = report.verdict(kept(), musts.NAMES_FULL, share=1.0, failed=["3k: too few rounds count"])
    assert (said, code) == (["MISSED: 3k: too few rounds count"], 1)


def test_table_names_the_missed() -> None:
    lines = report.table(kept(send_vs_naive_3k=1.0), share=1.0)
    assert [line for line in lines if "MISSED" in line] == [
        "| send_vs_naive_3k | 1 | 1 | 1 | >= 15 | 15 | 25 | MISSED |"
    ]


def test_each_setup_has_its_own_relays() -> None:
    urls = Setup("x", 1, "smtp://127.0.0.1:{port}?name=out{number}.example&signs=on").urls([5001, 5002])
    assert urls == {
        "RELAY_1_URL": "smtp://127.0.0.1:5001?name=out1.example&signs=on",
        "RELAY_2_URL": "smtp://127.0.0.1:5002?name=out2.example&signs=on",
    }
