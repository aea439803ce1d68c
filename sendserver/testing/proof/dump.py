"""Every message as it must be: a campaign with hostile people goes to sinks that keep it, and each one is judged.

The files of the sinks are read and thrown away while the lanes still send, by two processes, so that memory does not
grow with the number of people.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.db import connection

from accounts.domains import platform_key, return_path_host
from accounts.models import FromAddress, PlatformKey
from campaigns.bench import world
from campaigns.bench.errors import BenchError
from campaigns.bench.product import Lanes, Setup
from campaigns.bench.world import Customer
from campaigns.models import Brake, Campaign, Delivery
from campaigns.sending import letters as product_letters
from campaigns.sending import sweep
from sendserver.testing.proof import people, sinks
from sendserver.testing.proof.letters import Expected, Judge, Taken, read
from sendserver.testing.proof.stage import Ground, Proof

PEOPLE: Final = 100_000
SIGNATURES_EVERY: Final = 50  # messages of which one's signatures are verified by dkimpy
READERS: Final = 2
COMPLAINTS_MOST: Final = 20
PATIENCE: Final = 120.0  # seconds without a message
SETUP: Final = Setup("dump", 6)  # the portal signs


@dataclass
class Found:
    """What came of one file, or of all."""

    numbers: list[tuple[int, int]] = field(default_factory=list)  # person and delivery
    signatures: int = 0
    wrong: list[str] = field(default_factory=list)
    wrong_count: int = 0
    peak_mib: float = 0.0


_judge: Judge


def prepare(expected: str) -> None:
    """Set a reading process up."""
    import django

    django.setup()  # for the keys of tokens
    global _judge  # noqa: PLW0603 (one a process, made once)
    _judge = Judge(Expected.from_json(expected))


def judge_file(path: str) -> Found:
    """Judge one file and remove it."""
    found = judged(_judge, Path(path))
    Path(path).unlink()
    found.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def judged(judge: Judge, path: Path) -> Found:
    """Judge all messages of a file."""
    found = Found()
    for taken in read(path):
        number = number_of(taken.recipient)
        delivery, wrong = _looked_at(judge, taken, number)
        found.numbers.append((number, delivery or 0))
        if number % SIGNATURES_EVERY == 0 or number < SIGNATURES_EVERY:
            found.signatures += 2
            wrong += judge.signatures(taken)
        found.wrong_count += len(wrong)
        found.wrong += wrong[: COMPLAINTS_MOST - len(found.wrong)]
    return found


def _looked_at(judge: Judge, taken: Taken, number: int) -> tuple[int | None, list[str]]:
    try:
        return judge.judge(taken, people.person(number))
    except Exception as error:  # noqa: BLE001 (what a parser chokes on is what we look for)
        return None, [f"{taken.recipient}: cannot be read, {type(error).__name__}: {error}"]


def number_of(recipient: str) -> int:
    """Return the number of the person with this address."""
    return int(recipient.partition("@")[0].removeprefix("reader"))


def expected_of(campaign: Campaign) -> Expected:
    """Return what the messages of a frozen campaign have in common, its words out of the snapshot's plain JSON."""
    from django.conf import settings

    assert campaign.snapshot is not None
    assert campaign.from_address is not None
    stored, domain = campaign.snapshot.content, campaign.from_address.domain
    sender: FromAddress = campaign.from_address
    key, platform = domain.keys.get(active=True), platform_key()
    public = PlatformKey.objects.get(active=True).public_b64
    return Expected(
        subject=stored["subject"],
        text=stored["text"],
        html=stored["html"],
        sender=f'"{sender.display_name}" <{sender.address}>',
        reply_to=sender.reply_to,
        list_id=stored["list_id"],
        feedback_id=product_letters.feedback_id(campaign),
        return_host=return_path_host(domain),
        base_url=settings.BASE_URL,
        mail_domain=settings.PLATFORM.mail_domain,
        unsubscribe_domain=settings.PLATFORM.unsubscribe_domain,
        keys={
            f"{key.selector}._domainkey.{domain.name}": f"v=DKIM1; k=rsa; p={key.public_b64}",
            f"{platform.selector}._domainkey.{platform.domain}": f"v=DKIM1; k=rsa; p={public}",
        },
    )


def run(ground: Ground, count: int) -> Proof:
    """Send to `count` people and judge everything that arrives."""
    begun = time.monotonic()
    customer = Customer.make("Larkfield Garden Co.", person=people.person)
    campaign = world.planned(customer.frozen(people.CONTENT, count), count)
    expected = expected_of(campaign)
    with sinks.two(ground.folder, keeps=True) as pair:
        lanes = Lanes(SETUP, pair.pair, ground.folder, ground.environ)
        lanes.start()
        try:
            found = _read_all(ground, lanes, pair, campaign, expected)
        finally:
            lanes.stop()
        logged = [one.recipient for one in pair.seen()]
    sweep.sweep()
    # Who is refused and arrives all the same is called wrong by the judge; so only those who are missing are asked for.
    judge, missing = Judge(expected), set(range(1, count + 1)) - {number for number, _ in found.numbers}
    refused = {n for n in missing if judge.is_refused(people.person(n), world.address(n))}
    proof = _verdict(campaign, found, refused, logged)
    proof.figures["seconds"] = round(time.monotonic() - begun, 1)
    return proof


def _read_all(ground: Ground, lanes: Lanes, pair: sinks.Sinks, campaign: Campaign, expected: Expected) -> Found:
    """Poke the lanes and judge what the sinks hand over until everybody has an outcome."""
    total, waiting = Found(), set[Future[Found]]()
    with ProcessPoolExecutor(READERS, initializer=prepare, initargs=(expected.to_json(),)) as readers:
        try:
            lanes.poke()
            for files in _files(ground, lanes, pair, campaign):
                waiting |= {readers.submit(judge_file, str(path)) for path in files}
                done = {one for one in waiting if one.done()}
                waiting -= done
                for one in done:
                    _add(total, one.result())
            for one in wait(waiting).done:
                _add(total, one.result())
        except BaseException:
            readers.shutdown(cancel_futures=True)  # nobody waits for what was handed over and not begun
            raise
    return total


def _files(ground: Ground, lanes: Lanes, pair: sinks.Sinks, campaign: Campaign) -> Iterator[list[Path]]:
    """Yield complete files, each once, until the campaign is through; raises BenchError when nothing moves."""
    given: set[Path] = set()
    before, moved = 0, time.monotonic()
    is_over = False
    while True:
        fresh = [path for sink in (pair.one, pair.two) if sink.keep for path in sorted(sink.keep.glob("*.done"))]
        fresh = [path for path in fresh if path not in given]
        given.update(fresh)
        yield fresh
        if is_over:
            return
        time.sleep(0.5)
        lanes.refuse_dead()
        pair.refuse_dead()
        if brake := Brake.objects.filter(campaign=campaign, lifted_at=None).first():
            raise BenchError(f"The campaign is braked: {brake.reason}")
        taken = sum(pair.counts())
        if taken > before:
            before, moved = taken, time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            raise BenchError(f"Nothing moves: {taken} messages have come.\n{lanes.words()}")
        if not campaign.chunks.exclude(state="done").exists():
            pair.one.hand_over()
            pair.two.hand_over()
            time.sleep(2.0)
            is_over = True


def _add(total: Found, found: Found) -> None:
    total.numbers += found.numbers
    total.signatures += found.signatures
    total.wrong_count += found.wrong_count
    total.wrong += found.wrong[: COMPLAINTS_MOST - len(total.wrong)]
    total.peak_mib = max(total.peak_mib, found.peak_mib)


def _verdict(campaign: Campaign, found: Found, refused: set[int], logged: list[str]) -> Proof:
    count = campaign.planned_count
    rows = Delivery.objects.filter(campaign=campaign).values_list("pk", "address")
    owners = {pk: number_of(address) for pk, address in rows.iterator()}
    arrived = {number for number, _ in found.numbers}
    strayed = sum(owners.get(delivery) != number for number, delivery in found.numbers)
    failed = set(map(number_of, _failed(campaign)))
    counts = _states(campaign)
    hostile = [pair for n in range(1, count + 1) if (pair := people.person(n).hostile)]
    slots = _slots(campaign)
    figures: dict[str, object] = {
        "people": count,
        "messages": len(found.numbers),
        "unique": len(arrived),
        "slots": slots,
        "hostile_people": len(hostile),
        "hostile_values_of_fields": f"{len(set(hostile))} of {len(people.PAIRS)}",
        "render_failed": len(failed),
        "signatures_verified": found.signatures,
        "wrong": found.wrong_count,
        "reader_peak_mib": round(found.peak_mib, 1),
    }
    proof = Proof("dump", figures, list(found.wrong))
    proof.claim(len(found.numbers) == len(arrived) == len(logged) == len(set(logged)), "a recipient came twice")
    proof.claim(arrived == set(range(1, count + 1)) - refused, "not exactly those came whose message may be written")
    proof.claim(failed == refused, f"the reference would refuse others: {sorted(failed ^ refused)[:10]}")
    wanted = {"accepted": count - len(refused), **({"render_failed": len(refused)} if refused else {})}
    proof.claim(counts == wanted, f"the books say {counts}")
    proof.claim(strayed == 0, f"{strayed} tokens lead to somebody else's delivery")
    proof.claim(found.signatures > 0, "no signature was verified")
    proof.claim(slots >= people.CONTENT.slots, "too few places for values")
    proof.claim(not found.wrong_count, "messages are not as they should be")
    return proof


def _slots(campaign: Campaign) -> int:
    assert campaign.snapshot is not None
    return int(campaign.snapshot.content["html"].count("{{") + campaign.snapshot.content["text"].count("{{"))


def _states(campaign: Campaign) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, count(*) FROM delivery_state WHERE campaign_id = %s GROUP BY state", [campaign.pk]
        )
        return dict(cursor.fetchall())


def _failed(campaign: Campaign) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.address FROM delivery_state s JOIN campaigns_delivery d ON d.id = s.delivery_id"
            " WHERE s.campaign_id = %s AND s.state = 'render_failed'",
            [campaign.pk],
        )
        return [row[0] for row in cursor.fetchall()]
