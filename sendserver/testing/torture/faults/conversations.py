"""Rows 4 to 19: what a relay says, does not say, says slowly, or says to the wrong people."""

from __future__ import annotations

import time
from collections import Counter

from django.db.models import Max

from campaigns.models import Event, Outcome, RelayState, Retry
from campaigns.sending import relay_log, resolve
from compliance.models import Suppression
from sendserver.testing.hook import Hook
from sendserver.testing.relay import Phase, close, hang, raw_bytes, reply
from sendserver.testing.torture import books
from sendserver.testing.torture.arena import PATIENCE, PEOPLE, Arena, Told
from sendserver.testing.torture.faults.duty import is_called, is_told_of_the_end
from sendserver.testing.torture.oracle import QUEUED
from sendserver.testing.torture.relayside import dripping

BEFORE_DOT = (Phase.CONNECT, Phase.EHLO, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.BODY)
NONSENSE = (
    b"hello there\r\n",
    b"250-one\r\n550 two\r\n",
    b"250 " + b"x" * 5000 + b"\r\n",
    b"25\x000 ok\r\n",
    b"\r\n",
    b"999 what\r\n",
)


def refused(here: Arena, told: Told, seed: int) -> Told:
    """Row 4: one relay refuses connections; the other takes its part at its own rate, and nobody is blamed."""
    rate = 40
    here.urls = (here.urls[0], f"{here.urls[1]}&rate={rate}")
    here.relays[0].down()
    here.plan(100)
    here.lanes()
    here.until(lambda: here.taken > 60)
    told.hits = int(RelayState.objects.get(key="relay-1").healthy is False and not here.relays[0].accepted)
    here.relays[0].up()
    told.claim(here.until(lambda: here.relays[0].count(Phase.CONNECT) > 0 or here.taken == 100), "never asked again")
    here.settle(told)
    _nobody_blamed(here, told)
    times = [message.at for message in here.relays[1].accepted]
    busiest = max(sum(at <= other < at + 1.0 for other in times) for at in times)
    told.claim(busiest <= 2 * rate + 4, f"{busiest} messages a second at a relay that takes {rate}")
    return told


def both_away(here: Arena, told: Told, seed: int) -> Told:
    """Row 5: both relays die in mid-send and are away for many breaker times; nothing is counted against anybody."""
    here.plan()
    here.lanes()
    here.until(lambda: here.taken > 5)
    for relay in here.relays:
        relay.down()
    told.incidents = 2
    time.sleep(100 * here.scale.factor * 1.5)
    told.hits = int(here.taken < PEOPLE)
    stood = set(books.states_of(here.campaign).values())
    told.claim(stood <= {"planned", "deferred", "accepted", "in_doubt"}, f"while both were away: {stood}")
    for relay in here.relays:
        relay.up()
    here.settle(told)
    _nobody_blamed(here, told)
    return told


def dies_behind_the_dot(here: Arena, told: Told, seed: int) -> Told:
    """Row 6: a relay dies between our dot and its 250; its log tells which messages it had taken, and which not."""
    here.keep_logs(seed)
    here.plan(delay=0.1)
    here.lanes()
    here.until(lambda: here.relays[0].count(Phase.DOT) >= here.chance.randint(2, 20))
    here.until(lambda: any(one.recipient and one.raw for one in here.relays[0].sessions))
    here.relays[0].down()
    told.incidents = 1
    told.hits = sum(line.reply.startswith("killed") for line in here.relays[0].log)
    time.sleep(0.5)
    here.relays[0].up()
    here.settle(told)
    told.claim(
        "in_doubt" in books.states_of(here.campaign).values(), "nothing is in doubt, though dots were unanswered"
    )
    before = Outcome.objects.count()
    _settled_by_the_log(here, told)
    told.claim(Outcome.objects.count() > before, "the log settled nothing")
    return told


def _settled_by_the_log(here: Arena, told: Told) -> None:
    """See that what the relay had queued becomes accepted, and that of the rest the page says what the log shows."""

    def is_settled() -> bool:
        here.read_logs()
        time.sleep(0.2)
        doubts = [one.reply for one in resolve.in_doubt(here.campaign)]
        return all(reply.startswith(relay_log.ABSENT) for reply in doubts)

    told.claim(here.until(is_settled), "doubt is left of which the log says nothing")
    states = books.states_of(here.campaign)
    killed = {line.recipient: line.reply for line in here.relays[0].log if line.reply.startswith("killed")}
    for who, fate in killed.items():
        expected = "accepted" if fate == QUEUED else "in_doubt"
        told.claim(states[who] == expected, f"{who} was {fate} and is {states[who]}, not {expected}")
    unnamed = Outcome.objects.filter(reply__startswith="In the relay's log", queue_id="")
    told.claim(not unnamed.exists(), "accepted by the log without a queue id")


def going_down(here: Arena, told: Told, seed: int) -> Told:
    """Row 7: 421 at the banner, at MAIL, RCPT, DATA and behind the dot: definite, the relay is left alone."""
    phase = (Phase.CONNECT, Phase.MAIL, Phase.DOT, Phase.RCPT, Phase.DATA)[(seed - 1) % 5]
    _strike(here, told, phase, reply("421 4.3.2 shutting down"), times=4)
    told.claim(not told.incidents, "421 is an answer")
    if phase != Phase.DOT:
        _nobody_blamed(here, told)
    return told


def greylisted(here: Arena, told: Told, seed: int) -> Told:
    """Row 8: 450 and 451 at RCPT the first time; the same relay takes it the second time, after the wait."""
    here.plan(60)
    text = ("450 4.7.1 greylisted, try again later", "451 4.7.1 please come back")[seed % 2]
    for relay in here.relays:
        known: set[str] = set()

        def is_new(session: object, known: set[str] = known) -> bool:
            address = str(getattr(session, "recipient", ""))
            if int(address[6:].partition("@")[0]) % 4 or address in known:
                return False
            known.add(address)
            return True

        relay.on(Phase.RCPT, reply(text), when=is_new)
    here.lanes()
    here.settle(told)
    waits = [_wait_of(here, index, text) for index in (0, 1)]
    told.hits = sum(len(some) for some in waits)
    shortest = min((wait for some in waits for wait in some), default=0.0)
    told.claim(shortest >= 300 * here.scale.factor, f"tried again after {shortest:.2f} s")
    told.claim(set(books.states_of(here.campaign).values()) == {"accepted"}, "not everybody was reached")
    return told


def _wait_of(here: Arena, index: int, text: str) -> list[float]:
    """Return seconds from the refusal to the acceptance by the same relay; -1 where another took it."""
    heard = books.waited(int(text[:3]))
    refusals = {x.recipient: x.at for x in here.relays[index].log if x.reply == text and x.recipient in heard}
    taken = {message.recipient: message.at for message in here.relays[index].accepted}
    return [taken[who] - at if who in taken else -1.0 for who, at in refusals.items()]


def no_room(here: Arena, told: Told, seed: int) -> Told:
    """Row 9: 452 of the relay itself, at MAIL or RCPT: it is left alone, no recipient pays for it."""
    phase, text = (
        (Phase.MAIL, "452 4.3.1 insufficient system storage"),
        (Phase.RCPT, "452 4.5.3 too many recipients"),
    )[seed % 2]
    _strike(here, told, phase, reply(text), times=3)
    _nobody_blamed(here, told)
    return told


def mailbox_full(here: Arena, told: Told, seed: int) -> Told:
    """Row 10: 4.2.2 for three days, which pass as seconds here: soft, then expired with its reason, not suppressed."""
    day = 1 / 86_400
    names = ("STEPS_SECONDS", "LATER_SECONDS", "FULL_SECONDS", "MAX_AGE_SECONDS")
    values: tuple[object, ...] = (tuple(s * day for s in (300, 900, 1800, 3600)), 7200 * day, 1.0, 3.0)
    here.constants |= {f"campaigns.sending.retry.{name}": value for name, value in zip(names, values, strict=True)}
    here.plan(40)
    full = "reader5@crowd.example"
    for relay in here.relays:
        relay.on(Phase.RCPT, reply("452 4.2.2 mailbox full"), when=lambda session: session.recipient == full)
    here.lanes()
    here.until(lambda: books.states_of(here.campaign)[full] == "deferred")
    told.claim(not Suppression.objects.exists(), "suppressed at once")
    here.settle(told)
    told.hits = sum(line.phase == Phase.RCPT and line.reply.startswith("452") for line in here.log)
    last = Outcome.objects.filter(code=452).order_by("-pk")[0]
    told.claim(last.state == "rejected" and "full" in last.reply, f"ended as {last.state}: {last.reply}")
    told.claim(told.hits >= 3, f"asked {told.hits} times only")
    told.claim(Counter(books.states_of(here.campaign).values())["accepted"] == 39, "a neighbour paid for it")
    return told


def no_such_user(here: Arena, told: Told, seed: int) -> Told:
    """Row 11: 550 5.1.1 for one: refused and suppressed, RSET, and the session goes on."""
    here.plan(40)
    gone = f"reader{here.chance.randint(0, 39)}@crowd.example"
    for relay in here.relays:
        relay.on(Phase.RCPT, reply("550 5.1.1 no such user"), when=lambda session: session.recipient == gone)
    here.lanes()
    here.settle(told)
    refusals = [line for line in here.log if line.phase == Phase.RCPT and line.reply.startswith("550")]
    told.hits = len(refusals)
    states = books.states_of(here.campaign)
    told.claim(states.pop(gone) == "rejected" and set(states.values()) == {"accepted"}, "the wrong ones were refused")
    told.claim(Suppression.objects.count() == 1, f"{Suppression.objects.count()} suppressions")
    after = [line for line in here.log if line.session == refusals[0].session and line.at > refusals[0].at]
    told.claim(bool(after) and after[0].phase in (Phase.RSET, Phase.QUIT), "no RSET behind the refusal")
    return told


def called_spam(here: Arena, told: Told, seed: int) -> Told:
    """Row 12: 550 5.7.1 behind the dot: refused as a block, the address is not suppressed."""
    here.plan(60)
    for relay in here.relays:
        relay.on(Phase.DOT, reply("550 5.7.1 message looks like spam"), times=1)
    here.lanes()
    here.settle(told)
    told.hits = sum(line.phase == Phase.DOT and line.reply.startswith("550") for line in here.log)
    told.claim(not Suppression.objects.exists(), "somebody was suppressed for it")
    told.claim(Outcome.objects.filter(state="rejected").count() == told.hits, "not every refusal is on record")
    told.claim(Event.objects.filter(kind="bounced").count() == told.hits, "no event for the customer")
    return told


def sender_refused(here: Arena, told: Told, hook: Hook) -> Told:
    """Row 13: 5xx at MAIL on both relays: lanes pause, somebody is called, nobody is used up until it is mended."""
    here.plan(40)
    rules = [relay.rules for relay in here.relays]
    for relay in here.relays:
        relay.on(Phase.MAIL, reply("550 5.7.1 sender refused"))
    here.lanes()
    here.until(lambda: all(relay.count(Phase.MAIL) for relay in here.relays))
    time.sleep(1.0)
    told.hits = sum(relay.count(Phase.MAIL) for relay in here.relays)
    told.claim(set(books.states_of(here.campaign).values()) == {"planned"}, "somebody was used up by it")
    told.claim(not Outcome.objects.exists(), "an outcome was written")
    is_called(here, told, hook, "relay-1:fault", "relay-2:fault")
    for some in rules:
        some.clear()
    here.settle(told)
    _nobody_blamed(here, told)
    is_told_of_the_end(here, told, hook, "relay-1:fault", "relay-2:fault")
    return told


def nonsense(here: Arena, told: Told, seed: int) -> Told:
    """Row 14: replies that are none: before the dot like 421, behind it doubt; what is kept of them is short."""
    phase = (Phase.MAIL, Phase.DOT, Phase.RCPT, Phase.CONNECT, Phase.DATA)[(seed - 1) % 5]
    _strike(here, told, phase, raw_bytes(here.chance.choice(NONSENSE)), times=4)
    longest = max((len(text) for text in Outcome.objects.values_list("reply", flat=True)), default=0)
    told.claim(longest <= 300, f"a reply of {longest} characters is kept")
    return told


def broken_off(here: Arena, told: Told, seed: int) -> Told:
    """Row 15: FIN or RST at each phase: before the body definite, behind the dot in doubt."""
    phase = (Phase.DOT, *BEFORE_DOT)[(seed - 1) % 7]
    _strike(here, told, phase, close(reset=here.chance.random() < 0.5), times=4)
    return told


def half_open(here: Arena, told: Told, seed: int) -> Told:
    """Row 16: a connection over which nothing comes any more, at each phase; every wait has its end."""
    phase = (Phase.DOT, *BEFORE_DOT)[(seed - 1) % 7]
    _strike(here, told, phase, hang(3600), times=4, incidents=2)
    return told


def hanging(here: Arena, told: Told, seed: int) -> Told:
    """Row 17: a relay that hangs ten minutes at a phase; the other lane goes on meanwhile, nobody claims twice."""
    phase = (Phase.DOT, *BEFORE_DOT)[(seed - 1) % 7]
    here.plan(160)
    hung = 600 * here.scale.factor + 1.0
    here.relays[0].on(phase, hang(hung), times=8)
    here.lanes()
    here.until(lambda: len(here.relays[1].accepted) >= 60)
    stuck = len(here.relays[0].accepted)
    told.hits = int(stuck < 60)
    told.incidents = 2
    here.settle(told)
    # What it had in hand it takes when it wakes, long after we left: judged with that, nobody is there twice.
    told.claim(here.until(lambda: here.relays[0].is_still, PATIENCE + hung), "the relay still talks")
    return told


def slow_drip(here: Arena, told: Told, seed: int) -> Told:
    """Row 18: a reply that comes a byte a second (scaled) and never ends; the deadline of the phase is absolute."""
    phase = (Phase.DOT, Phase.MAIL, Phase.CONNECT, Phase.RCPT, Phase.DATA)[(seed - 1) % 5]
    _strike(here, told, phase, dripping(b"250 " + b"x" * 1500, max(0.02, here.scale.factor)), times=4)
    return told


def _strike(here: Arena, told: Told, phase: str, act: object, *, times: int, incidents: int = 1) -> None:  # noqa: PLR0913
    """Let relay 1 do `act` at `phase`, `times` times in all, from a random moment on; then leave it alone."""
    here.plan()
    after = 0 if phase in (Phase.CONNECT, Phase.EHLO) else here.chance.randint(0, 25)
    struck: list[float] = []

    def when(_: object) -> bool:
        if len(struck) >= times or len(here.relays[0].accepted) < after:
            return False
        struck.append(time.monotonic())
        return True

    here.relays[0].on(phase, act, when=when)  # type: ignore[arg-type]
    here.lanes()
    here.until(lambda: struck)
    # One conversation a time may come into doubt; a relay that answers leaves none. A message and its dot may leave
    # in one write, so a break in mid-body may be doubt as well: the kernel had the dot.
    answers = getattr(act, "__qualname__", "").startswith("reply")
    is_doubtful = phase in (Phase.BODY, Phase.DOT) and not answers
    told.incidents = incidents * times if is_doubtful else 0
    here.settle(told)
    told.hits = len(struck)
    if is_doubtful:
        told.doubt = len(struck)


def _nobody_blamed(here: Arena, told: Told) -> None:
    """Claim that nobody was refused, and nobody's attempts counted, for a relay's own trouble."""
    rejected = Outcome.objects.filter(state="rejected").count()
    attempts = Outcome.objects.aggregate(most=Max("attempt"))["most"] or 0
    told.claim(not rejected, f"{rejected} people refused for a relay's trouble")
    told.claim(attempts <= 1, f"attempts counted up to {attempts}")
    told.claim(not Retry.objects.exists(), "retries are left")
