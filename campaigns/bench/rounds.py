"""The interleaved rounds: everybody once, in the same order, on the same sinks; ratios only inside one round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from campaigns.bench import world
from campaigns.bench.contenders import Field, signing_rate
from campaigns.bench.content import Content
from campaigns.bench.musts import BLASTER_FLOOR, SIGNATURES, Figure
from campaigns.bench.product import Lanes, Run, Spent
from campaigns.bench.samples import Sample
from campaigns.bench.world import Customer

Say = Callable[[str], None]
STEP: Final = 1000  # messages: two chunks, so that both lanes get the same
MARGIN: Final = 1.25  # by which a run that was too short is made longer
LIMIT_SLACK: Final = 1.05  # a limit that is exceeded by more was measured while somebody else had the machine
SIGNING_SECONDS: Final = 1.2  # before the signed run and again behind it


@dataclass
class Counts:
    """Messages a run: `all` for smtp-source, blaster and product alike; the slow ones send fewer. They only grow."""

    all: int
    product: int  # below `all` only where the product would take longer than the limit allows; said in the report
    rsa: int
    naive: int
    tls: int

    def words(self) -> str:
        """Return how many messages each run has."""
        fewer = "" if self.product == self.all else f", product {self.product} (fewer, to keep the time)"
        return f"messages a run {self.all}{fewer}, signed {self.rsa}, naive {self.naive}, TLS and plain {self.tls}"


@dataclass(frozen=True)
class Round:
    """What one round measured of one content."""

    key: str
    runs: Mapping[str, Run]
    signatures: float  # bare RSA-2048 signatures a second of two processes

    @property
    def source(self) -> float:
        """Return smtp-source's rate: the mean of before and after."""
        return (self.runs["source"].rate + self.runs["source again"].rate) / 2

    @property
    def blaster(self) -> float:
        """Return the blaster's rate, the better of one and two processes."""
        return max(self.runs["blaster 1"].rate, self.runs["blaster 2"].rate)

    @property
    def doubt(self) -> str:
        """Return why the round says nothing, "" when it counts: a ceiling was missed, or a limit was exceeded."""
        if self.blaster < BLASTER_FLOOR[self.key] * self.source:
            return f"blaster only {self.blaster / self.source:.2f} of smtp-source"
        if self.runs["product rsa"].rate * SIGNATURES > self.signatures * LIMIT_SLACK:
            return "more signatures than two idle processes make"
        return ""

    @property
    def counts(self) -> bool:
        """Tell whether the round says anything."""
        return not self.doubt

    def ratios(self) -> dict[str, float]:
        """Return the figures of this round by name."""
        product = self.runs["product"].rate
        found = {
            f"send_vs_smtp_source_{self.key}": product / self.source,
            f"send_vs_blaster_{self.key}": product / self.blaster,
            f"send_vs_naive_{self.key}": product / self.runs["naive"].rate,
            f"send_rsa_vs_rsa_limit_{self.key}": self.runs["product rsa"].rate * SIGNATURES / self.signatures,
        }
        if "tls" in self.runs:
            found["send_tls_vs_plain"] = self.runs["tls"].rate / self.runs["plain"].rate
        return found


@dataclass
class Arena:
    """Everything that a round needs, started before and warm."""

    ground: Field
    customer: Customer
    spent: Spent
    lanes: Mapping[str, Lanes]  # by setup: relay, portal, plain, tls
    samples: Mapping[str, Sample]
    say: Say
    least: float = 2.0  # seconds that a run must last to be believed
    used: dict[str, list[Run]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)  # in words: what makes the whole run worthless

    def product(self, content: Content, setup: str, people: int) -> Run:
        """Plan a new campaign and send it through one setup's lanes."""
        campaign = world.planned(self.customer.frozen(content, people), people)
        return self.lanes[setup].send(campaign, people, self.spent)

    def round(self, content: Content, counts: Counts, *, with_tls: bool) -> Round:
        """Let everybody run once."""
        sample = self.samples[content.key]
        order: dict[str, tuple[str, Callable[[int], Run]]] = {
            "source": ("all", partial(self.ground.source, sample)),
            "blaster 1": ("all", partial(self.ground.blaster, sample, workers=1)),
            "blaster 2": ("all", partial(self.ground.blaster, sample, workers=2)),
            "product": ("product", partial(self.product, content, "relay")),
            "product rsa": ("rsa", partial(self.product, content, "portal")),
            "naive": ("naive", partial(self.ground.naive, sample)),
            "source again": ("all", partial(self.ground.source, sample)),
        }
        if with_tls:
            order["plain"] = ("tls", partial(self.product, content, "plain"))
            order["tls"] = ("tls", partial(self.product, content, "tls"))
        equal = counts.all  # for the whole round, also when it turns out too short
        runs: dict[str, Run] = {}
        signatures = []
        for name, (kind, run) in order.items():
            if name == "product rsa":
                signatures.append(signing_rate(SIGNING_SECONDS))
            runs[name] = self._lasting(run, kind, counts, equal)
            if name == "product rsa":
                signatures.append(signing_rate(SIGNING_SECONDS))
            self.used.setdefault(f"{name} {content.key}", []).append(runs[name])
        done = Round(content.key, runs, sum(signatures) / len(signatures))
        self.say(_line(done))
        return done

    def _lasting(self, run: Callable[[int], Run], kind: str, counts: Counts, equal: int) -> Run:
        """Run; one that is too short is repeated longer, or in the next round where all send equally many."""
        asked = equal if kind == "all" else getattr(counts, kind)
        done = run(asked)
        if done.seconds >= self.least:
            return done
        more = whole(done.rate * self.least * MARGIN)
        if asked == equal:
            if counts.product == counts.all:
                counts.product = max(counts.product, more)
            counts.all = max(counts.all, more)
            return done
        setattr(counts, kind, max(asked, more))
        return run(getattr(counts, kind))


def _line(done: Round) -> str:
    words = " ".join(f"{name.removesuffix('_' + done.key)}={value:.3g}" for name, value in done.ratios().items())
    shortest = min(done.runs.values(), key=lambda run: run.seconds)
    verdict = f" NOT COUNTED: {done.doubt}" if done.doubt else ""
    return f"  {done.key}: {words}; shortest run {shortest.seconds:.1f} s{verdict}"


def calibrate(arena: Arena, content: Content, *, seconds: float, longest: float) -> Counts:
    """Return how many messages make every run last `seconds`, found by short runs of everybody.

    `longest` bounds the product's run in seconds, which would otherwise follow the fastest contender.
    """
    sample = arena.samples[content.key]
    fastest = max(
        arena.ground.source(sample, 4 * STEP).rate,
        arena.ground.blaster(sample, 4 * STEP, workers=1).rate,
        arena.ground.blaster(sample, 4 * STEP, workers=2).rate,
    )
    ours = arena.product(content, "relay", 4 * STEP).rate
    signed = arena.product(content, "portal", 2 * STEP).rate
    secured = min(arena.product(content, setup, 2 * STEP).rate for setup in ("plain", "tls"))
    naive = arena.ground.naive(sample, 400).rate
    everybody = whole(fastest * seconds)
    return Counts(
        everybody,
        min(everybody, max(whole(ours * longest), STEP)),
        whole(signed * seconds),
        max(2, round(naive * seconds) // 2 * 2),
        whole(secured * seconds),
    )


def whole(messages: float) -> int:
    """Return the next multiple of STEP."""
    return max(STEP, -int(-messages // STEP) * STEP)


def figures(rounds: list[Round]) -> list[Figure]:
    """Gather the ratios of the rounds that count."""
    found: dict[str, list[float]] = {}
    for done in rounds:
        if done.counts:
            for name, value in done.ratios().items():
                found.setdefault(name, []).append(value)
    return [Figure(name, tuple(values)) for name, values in sorted(found.items())]
