"""Rows 26 to 33: what customers, recipients and moderators do in the middle of it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection, connections
from django.urls import reverse

from accounts import standing
from accounts.models import Organization, Role, Standing, User
from campaigns import brakes, control
from campaigns.errors import CampaignError
from campaigns.models import Brake, Campaign, Chunk, Delivery, Snapshot
from campaigns.tests.lanes import crowd, frozen
from campaigns.tests.world import World, add_person, make_draft, make_world
from compliance.models import Contact, ContactList, ListMembership
from compliance.suppression import suppress
from sendserver.lib.addresses import AddressKey
from sendserver.lib.states import TransitionRefusedError
from sendserver.testing.personas import join, make_organization, make_user, sign_in
from sendserver.testing.torture import books, child
from sendserver.testing.torture.arena import Arena, Child, Told
from sendserver.testing.torture.child import Failpoint
from sendserver.testing.torture.oracle import Cut

STOP_SECONDS = 2.0  # architecture rule 5


def planners(here: Arena, told: Told, seed: int) -> Told:
    """Row 26: a planner is killed half-way, then three plan at once; one audience, counted once."""
    world = _world(here, 90)
    suppress(AddressKey("reader7@crowd.example"), organization=world.organization, reason="unsubscribe", source="form")
    here.campaign = frozen(world)
    victim = Child("planner", child.plan, here.order(failpoint=Failpoint("in mid-plan")))
    told.hits = int(victim.wait() == -9)
    told.claim(not Delivery.objects.exists(), "a half plan was left")
    several = [Child("planner", child.plan, here.order()) for _ in range(3)]
    codes = [one.wait() for one in several]
    told.claim(codes == [0, 0, 0], f"planners ended with {codes}")
    numbered = list(Delivery.objects.exclude(seq=None).order_by("seq").values_list("seq", flat=True))
    told.claim(numbered == list(range(1, 90)), f"{len(numbered)} numbered deliveries of 89")
    spans = sorted(Chunk.objects.values_list("first_seq", "last_seq"))
    told.claim(sum(last - first + 1 for first, last in spans) == 89, "the chunks do not cover the audience")
    here.lanes()
    here.settle(told)
    told.claim("reader7@crowd.example" not in {m.recipient for r in here.relays for m in r.accepted}, "mailed")
    return told


def unsubscribed(here: Arena, told: Told, seed: int) -> Told:
    """Row 27: people unsubscribe, are removed and are added while it is sent; the audience is frozen, a stop holds."""
    here.plan(240, delay=0.15)
    here.lanes()
    here.until(lambda: here.taken > here.chance.randint(5, 40))
    waiting = [who for who, state in books.states_of(here.campaign).items() if state == "planned"]
    chosen = here.chance.sample(waiting, 12)
    for who in chosen[:8]:
        suppress(AddressKey(who), organization=here.organization, reason="unsubscribe", source="one_click")
        told.cuts.append(Cut(time.monotonic(), STOP_SECONDS, frozenset({who})))
    ListMembership.objects.filter(contact__address__in=chosen[8:]).delete()
    told.cuts.append(Cut(time.monotonic(), STOP_SECONDS, frozenset(chosen[8:])))
    late = _late_reader(here)
    here.settle(told)
    states = books.states_of(here.campaign)
    told.hits = sum(states[who] in ("suppressed", "skipped") for who in chosen)
    told.claim(late not in states, "somebody added later got a delivery")
    told.claim(len(states) == 240, f"{len(states)} deliveries of 240")
    return told


def _late_reader(here: Arena) -> str:
    contact_list = ContactList.objects.get(organization=here.organization)
    attestation = ListMembership.objects.filter(contact_list=contact_list).first().attestation  # type: ignore[union-attr]
    world = World(here.organization, contact_list, here.campaign.from_address, attestation)  # type: ignore[arg-type]
    return str(add_person(world, "late@crowd.example").address)


def pressed_often(here: Arena, told: Told, seed: int) -> Told:
    """Row 28: twenty presses of Send at once, double clicks and two people; one plan."""
    world = _world(here, 40)
    alice, bob = (join(world.organization, name, Role.OWNER) for name in ("Alice", "Bob"))
    draft = make_draft(world, alice.user, from_address=world.from_address)
    here.campaign = draft
    url = reverse("campaign_review", args=[draft.uid])
    same = str(uuid.uuid4())
    gate = threading.Barrier(20)

    def press(number: int) -> int:
        client = sign_in((alice, bob)[number % 2].user)
        key = same if number % 3 else str(uuid.uuid4())
        try:
            gate.wait(60)
            values = {"key": key, "version": draft.version, "when": "now", "typed": "40"}
            return client.post(url, values, SERVER_NAME="localhost").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(press, range(20)))
    told.hits = len(codes)
    told.claim(max(codes) < 500, f"answers {sorted(set(codes))}")
    told.claim(Snapshot.objects.count() == 1, f"{Snapshot.objects.count()} snapshots")
    several = [Child("planner", child.plan, here.order()) for _ in range(2)]
    told.claim([one.wait() for one in several] == [0, 0], "a planner failed")
    told.claim(Delivery.objects.count() == 40, f"{Delivery.objects.count()} deliveries of 40")
    here.lanes()
    here.settle(told)
    return told


def edited(here: Arena, told: Told, seed: int) -> Told:
    """Row 29: the draft's row changes behind Send, even by other means than ours; all bodies are the frozen one."""
    here.plan(160, subject="The old subject")
    here.lanes()
    here.until(lambda: here.taken > here.chance.randint(1, 60))
    Campaign.objects.filter(pk=here.campaign.pk).update(subject="CHANGED", body="# CHANGED\n", version=99)
    told.hits = int(here.taken < 160)
    here.settle(told)
    raws = [message.raw for relay in here.relays for message in relay.accepted]
    told.claim(all(b"The old subject" in raw for raw in raws), "a message without the frozen subject")
    told.claim(all(b"potting shed" in raw and b"CHANGED" not in raw for raw in raws), "a changed message left")
    return told


def stopped(here: Arena, told: Told, seed: int) -> Told:
    """Row 30: suspend, pause, brake or stop in mid-send, at a fast, a slow and a throttled relay; then let it go on."""
    kind = ("suspended", "paused", "stopped", "braked")[(seed - 1) % 4]
    pace = ("fast", "slow", "throttled")[(seed - 1) % 3]
    if pace == "throttled":
        here.urls = (f"{here.urls[0]}&rate=15", f"{here.urls[1]}&rate=15")
    here.plan(400, delay={"fast": 0.1, "slow": 0.6, "throttled": 0.02}[pace])
    actor = make_user("Mona", "mona@staff.example", staff=True)
    here.lanes()
    here.until(lambda: here.taken > here.chance.randint(3, 30))
    lift = _forbid(here, kind, actor)
    at = time.monotonic()
    time.sleep(STOP_SECONDS + 2.0)
    told.hits = int(0 < here.taken < 400)
    if lift is None:
        told.ends = frozenset({"stopped"})
        told.cuts.append(Cut(at, STOP_SECONDS))
    else:
        told.cuts.append(Cut(at, STOP_SECONDS, until=time.monotonic()))
        for relay in here.relays:
            relay.delay = 0.01
        lift()
    here.settle(told)
    return told


def _forbid(here: Arena, kind: str, actor: User) -> Callable[[], object] | None:
    """Do it, and return what undoes it; None for a stop."""
    campaign = Campaign.objects.get(pk=here.campaign.pk)
    if kind == "suspended":
        standing.move(here.organization, Standing.SUSPENDED, actor=actor, reason="Looking at complaints")
        return lambda: standing.move(here.organization, Standing.GOOD, actor=actor, reason="Looked at")
    if kind == "paused":
        control.pause(campaign, actor=actor)
        return lambda: control.resume(campaign, actor=actor)
    if kind == "braked":
        brake = brakes.set_brake(Brake.Kind.STAFF, "Wait", actor=actor)
        return lambda: brakes.lift(brake, actor=actor, reason="Go on")
    control.stop(campaign, actor=actor)
    return None


def suspended_while_resumed(here: Arena, told: Told, seed: int) -> Told:
    """Row 31: a moderator suspends while the customer presses Resume again and again; the suspension wins."""
    here.plan(300, delay=0.1)
    actor = make_user("Mona", "mona@staff.example", staff=True)
    here.lanes()
    here.until(lambda: here.taken > here.chance.randint(3, 30))
    over = threading.Event()
    presses: list[str] = []

    def insist() -> None:
        while not over.is_set():
            for move in (control.pause, control.resume):
                try:
                    move(Campaign.objects.get(pk=here.campaign.pk), actor=actor)
                    presses.append(move.__name__)
                except (CampaignError, TransitionRefusedError):
                    presses.append("refused")
            time.sleep(0.02)
        connections.close_all()

    customer = threading.Thread(target=insist)
    customer.start()
    time.sleep(here.chance.uniform(0.1, 0.6))
    standing.move(here.organization, Standing.SUSPENDED, actor=actor, reason="Looking at complaints")
    at = time.monotonic()
    time.sleep(STOP_SECONDS + 1.5)
    over.set()
    customer.join(30)
    told.hits = presses.count("resume") if here.taken < 300 else 0
    told.cuts.append(Cut(at, STOP_SECONDS, until=time.monotonic()))
    standing.move(Organization.objects.get(), Standing.GOOD, actor=actor, reason="Looked at")
    here.settle(told)
    return told


def unwritable(here: Arena, told: Told, seed: int) -> Told:
    """Row 32: a value that cannot stand in a header, for one recipient, or for many; many brake the campaign."""
    many = seed % 2 == 0
    here.plan(200, subject="News for {{ first_name }}")
    first = here.chance.randint(5, 60)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_delivery"
            " SET merge = merge || jsonb_build_object('first_name', 'x' || chr(10) || 'Bcc: y')"
            " WHERE seq BETWEEN %s AND %s",
            [first, first + (19 if many else 0)],
        )
    here.lanes()
    if many:
        told.ends, told.open_states = frozenset({"sending"}), frozenset({"planned"})
        here.until(lambda: Brake.objects.filter(kind=Brake.Kind.RENDER, lifted_at=None).exists())
        time.sleep(1.0)
        told.claim(Brake.objects.filter(kind=Brake.Kind.RENDER, lifted_at=None).exists(), "no brake")
    here.settle(told)
    failed = list(books.states_of(here.campaign).values()).count("render_failed")
    told.hits = failed
    told.claim(many or failed == 1, f"{failed} could not be written")
    told.claim(not any(b"\nBcc" in m.raw for relay in here.relays for m in relay.accepted), "a header was injected")
    return told


def too_large(here: Arena, told: Told, seed: int) -> Told:
    """Row 33, its size: a message of more than 2 MB fails alone, the worker lives."""
    here.plan(120, subject="News", body="Hello {{ first_name }}\n\n[Shop](https://larkfield.example/)\n")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_delivery SET merge = merge || jsonb_build_object('first_name', repeat('x y ', 600000))"
            " WHERE seq = %s",
            [here.chance.randint(1, 100)],
        )
    lanes = here.lanes()
    here.until(lambda: here.taken >= 119)
    told.claim(all(one.is_alive for one in lanes), "a worker died of it")
    here.settle(told)
    told.hits = list(books.states_of(here.campaign).values()).count("render_failed")
    told.claim(told.hits == 1, f"{told.hits} failed")
    return told


def _world(here: Arena, people: int) -> World:
    here.apply()
    here.organization = make_organization("Larkfield Garden Co.", allowance=100_000)
    world = make_world(here.organization, 0)
    crowd(world, people)
    ContactList.objects.update(people_count=Contact.objects.count())
    return world
