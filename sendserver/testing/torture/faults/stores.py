"""Rows 20 to 25 and 39: broker, database, disk, clock; what the product keeps its knowledge in."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import redis
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.urls import reverse
from psycopg import sql

from accounts.models import Role
from campaigns import brakes
from campaigns.models import Brake, Chunk, Delivery, Outcome, Retry
from campaigns.sending import relay_log, resolve
from campaigns.sending.poke import poke
from compliance.models import ImportJob
from sendserver.testing import databases
from sendserver.testing.full_disk import full_disk
from sendserver.testing.hook import Hook
from sendserver.testing.personas import join, make_user
from sendserver.testing.relay import Phase, ScriptedRelay, reply
from sendserver.testing.torture import books
from sendserver.testing.torture.arena import KEYS, PEOPLE, Arena, Told
from sendserver.testing.torture.child import Failpoint
from sendserver.testing.torture.faults.duty import is_called, on_duty
from sendserver.testing.torture.oracle import Cut

_FULL = """
CREATE FUNCTION torture_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER torture_full BEFORE INSERT ON campaigns_outcome FOR EACH ROW EXECUTE FUNCTION torture_full();
"""
_ROOM_AGAIN = "DROP TRIGGER torture_full ON campaigns_outcome; DROP FUNCTION torture_full()"
RETURN_SECONDS = 90.0  # within which a lane goes on once the broker is back (row 20)


def broker_gone(here: Arena, told: Told, seed: int) -> Told:
    """Row 20: the broker is flushed, restarted, or away for ten minutes (scaled); beat's pokes bring work back."""
    here.plan(300, delay=0.03)
    here.celery()
    here.poke()
    here.until(lambda: here.taken > here.chance.randint(3, 30))
    kind = ("away", "flushed", "restarted")[(seed - 1) % 3]
    told.hits = int(0 < here.taken < 300)
    if kind == "flushed":
        redis.Redis.from_url(settings.REDIS_URL).flushall()
    else:
        here.machine.kill("valkey")
        time.sleep(600 * here.scale.factor if kind == "away" else 0.2)
        here.machine.start("valkey")
    before = here.taken
    told.claim(
        before == 300 or here.until(lambda: here.taken > before, RETURN_SECONDS),
        f"no progress within {RETURN_SECONDS:g} s after the broker's return ({kind})",
    )
    here.settle(told)
    return told


def told_twice(here: Arena, told: Told, seed: int) -> Told:
    """Row 21: every poke comes many times, un-acked ones again after a second; two workers serve each relay."""
    here.plan(200)
    impatient = {"visibility_timeout": 1, "unacked_restore_interval": 1}
    for key in (*KEYS, *KEYS):
        here.worker(key, broker=impatient)
    here.poke(5)
    while here.taken < 150 and here.until(lambda: here.taken, 30):
        keys = [key for key in KEYS for _ in range(3)]
        here.chance.shuffle(keys)
        for key in keys:
            poke(key)
        time.sleep(0.1)
    here.until(lambda: len(_slices(here)) > 20)
    here.settle(told)
    told.hits = sum(word == "busy" for word in _slices(here)) + max(0, len(_slices(here)) - 4)
    return told


def _slices(here: Arena) -> list[str]:
    path = here.folder / "slices"
    return [line.split()[1] for line in path.read_text().splitlines()] if path.exists() else []


def database_gone(here: Arena, told: Told, seed: int) -> Told:
    """Row 22: the database restarts, is killed, or its answer to the commit of a 250 is lost."""
    here.plan(160, delay=0.03)
    kind = ("killed", "restarted", "answer lost", "sessions ended")[(seed - 1) % 4]
    told.incidents = 2
    if kind == "answer lost":
        point = here.chance.choice(("before the flush", "behind the flush"))
        here.lane("relay-1", failpoint=Failpoint(point, here.chance.randint(1, 2), "fail"))
        here.lane("relay-2")
        told.hits = int(here.until(lambda: "torture: the answer" in here.tail()))
        here.settle(told)
        return told
    here.lanes()
    here.until(lambda: here.taken > here.chance.randint(5, 60))
    time.sleep(here.chance.uniform(0, 0.4))
    told.hits = int(0 < here.taken < 160)
    if kind == "sessions ended":
        _end_sessions(here)
    else:
        _close()
        (here.machine.kill if kind == "killed" else here.machine.stop)("postgres")
        time.sleep(here.chance.uniform(0, 1.0))
        here.machine.start("postgres")
    here.settle(told)
    return told


def _end_sessions(here: Arena) -> None:
    with psycopg.connect(here.machine.services.superuser_url, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [settings.DATABASES["default"]["NAME"]],
        )
    _close()


def _close() -> None:
    for alias in connections:
        connections[alias].close()


def failed_over(here: Arena, told: Told, seed: int) -> Told:
    """Row 23: the database dies, a standby that lacks the last commits is promoted; the lanes live through it."""
    here.keep_logs(seed)
    here.plan(300, delay=0.2)
    _close()
    here.machine.copy_standby()
    here.lanes()
    here.until(lambda: here.taken > here.chance.randint(20, 100))
    told.hits = here.taken
    _close()
    here.machine.fail_over()
    told.cuts.append(Cut(time.monotonic(), 0.0))
    return _waits_for_a_person(here, told)


def restored(here: Arena, told: Told, seed: int) -> Told:
    """Row 39: a backup is put in the database's place; nothing leaves before the logs are read and somebody has looked.

    Every other backup is younger than a slice: it was taken while lanes held chunks, and their journals are gone since.
    """
    here.keep_logs(seed)
    here.plan(300, delay=0.1)
    lanes = here.lanes()
    here.until(lambda: here.taken > here.chance.randint(10, 40) and Outcome.objects.exists())
    for one in lanes:
        (one.end if seed % 2 else one.kill)()
    known = Outcome.objects.order_by("-pk").values_list("pk", flat=True)[0]
    backup = _copy_of(here)
    before = here.taken
    lanes = here.lanes()
    here.until(lambda: _remembered(here) > known + 10)  # the host has seen what the backup has not
    for one in lanes:
        (one.kill if seed % 2 else one.end)()
    told.hits = here.taken - before
    _close()
    databases.use(backup)
    told.cuts.append(Cut(time.monotonic(), 0.0))
    here.lanes()
    return _waits_for_a_person(here, told)


def _waits_for_a_person(here: Arena, told: Told) -> Told:
    """See that a brake comes on, that nothing leaves, what the logs prove; then a person acts on that and lifts it."""
    brake = Brake.objects.filter(kind=Brake.Kind.EPOCH, lifted_at=None)
    told.claim(here.until(brake.exists), "no brake is on")
    time.sleep(1.5)
    told.doubt = 2 * int(str(here.sending["connections"]))  # on the wire when it happened
    told.claim(
        here.until(lambda: _is_explained(here), here.lease_patience), "doubt is left of which the logs say nothing"
    )
    lifted = brake.first()
    if lifted is None:
        return told
    told.claim(relay_log.is_caught_up(lifted.set_at), "the logs are not read to their end")
    taken = {message.recipient for relay in here.relays for message in relay.accepted}
    states = books.states_of(here.campaign)
    forgotten = [who for who in taken if states[who] != "accepted"]
    told.claim(not forgotten, f"taken by a relay, yet not accepted before anything leaves: {forgotten[:5]}")
    told.cuts[-1] = replace(told.cuts[-1], until=time.monotonic())
    person = make_user("rita", "rita@staff.example", staff=True)
    for doubt in resolve.in_doubt(here.campaign):  # it acts on what the log shows
        delivery = Delivery.objects.get(pk=doubt.delivery_id)
        resolve.resend(delivery, actor=person, reason="Not in the relay's log")
    brakes.lift(lifted, actor=person, reason="The logs are read")
    here.until(lambda: not Retry.objects.exists())
    here.settle(told)
    return told


def _is_explained(here: Arena) -> bool:
    """Read logs until nothing is held any more and every doubt has its evidence."""
    here.read_logs()
    time.sleep(0.2)
    held = Chunk.objects.filter(state=Chunk.State.LEASED).exists()
    return not held and all(one.reply.startswith(relay_log.ABSENT) for one in resolve.in_doubt(here.campaign))


def _remembered(here: Arena) -> int:
    """Return the highest outcome that this round's host remembers (campaigns.sending.epoch)."""
    return int(json.loads((here.folder / "journal" / "epoch.json").read_text())["numbers"][0])


def _copy_of(here: Arena) -> str:
    name = f"{settings.DATABASES['default']['NAME']}_backup"
    _copy(here, str(settings.DATABASES["default"]["NAME"]), name)
    return name


def _copy(here: Arena, source: str, target: str) -> None:
    _end_sessions(here)
    with databases.owner_connection() as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(target), sql.Identifier(source)
            )
        )


def disk_full(here: Arena, told: Told, seed: int) -> Told:
    """Row 24: full is the disk of the journal, of the log, or of the database."""
    here.plan(delay=0.05)
    here.all_over("relay-1")
    with on_duty(here) as hook:
        (_journal_full, _log_full, _database_full)[(seed - 1) % 3](here, told, hook)
        _upload_refused(here, told)
        here.lanes()
        here.settle(told)
    return told


def _journal_full(here: Arena, told: Told, hook: Hook) -> None:
    """Without a journal nothing is sent."""
    limit = here.chance.randint(600, 9000)
    one = here.lane(file_limit=limit)
    told.hits = int(here.until(lambda: _is_full(here, limit)))
    time.sleep(0.5)  # what is on the wire is answered
    told.doubt = int(str(here.sending["connections"]))  # answers that could not be kept, one a connection
    _stands_still(here, told)
    is_called(here, told, hook, "journal:relay-1@")
    one.end()


def _log_full(here: Arena, told: Told, hook: Hook) -> None:
    """Without a log all is sent, a failure to be logged in the midst of it too."""
    one = here.lane(log="/dev/full", failpoint=Failpoint("before the flush", 2, "fail"))
    told.hits = int(here.until(lambda: here.taken >= PEOPLE))
    told.incidents = 1
    told.claim(one.is_alive, "the lane died of a log that cannot be written")
    is_called(here, told, hook, "log:relay-1@")


def _database_full(here: Arena, told: Told, hook: Hook) -> None:
    """Without room for outcomes the lane ends; the journal knows what it sent meanwhile."""
    one = here.lane()
    here.until(lambda: here.taken > here.chance.randint(3, 30))
    _as_superuser(here, _FULL)
    told.hits = int(here.until(lambda: "could not extend file" in here.tail()))
    time.sleep(1.0)
    _stands_still(here, told)
    told.claim(one.is_alive, "the lane died of it")
    is_called(here, told, hook, "database:full")
    _as_superuser(here, _ROOM_AGAIN)


def _upload_refused(here: Arena, told: Told) -> None:
    """An upload that finds no room is refused in words and leaves nothing, whether Django holds it in memory or not."""
    owner = join(here.organization, "Alice", Role.OWNER)
    store, kept = Path(settings.MEDIA_ROOT), settings.FILE_UPLOAD_TEMP_DIR
    store.mkdir(parents=True, exist_ok=True)
    settings.FILE_UPLOAD_TEMP_DIR = here.folder
    before = set(store.rglob("*")), set(here.folder.glob("*.upload*"))
    for octets in (300_000, settings.FILE_UPLOAD_MAX_MEMORY_SIZE + 300_000):
        data = b"email\n" + b"reader@crowd.example\n" * (octets // 21)
        form = {"contact_list": "new", "list_name": "Shop", "file": SimpleUploadedFile("people.csv", data, "text/csv")}
        with full_disk(100_000):
            answer = owner.client.post(reverse("upload_file"), form, headers={"host": "localhost"})
        told.claim(
            answer.status_code == 200 and b"We have no room" in answer.content, f"an upload: {answer.status_code}"
        )
    settings.FILE_UPLOAD_TEMP_DIR = kept
    told.claim(not ImportJob.objects.exists(), "an upload became a job without its file")
    told.claim((set(store.rglob("*")), set(here.folder.glob("*.upload*"))) == before, "half a file stays")


def _stands_still(here: Arena, told: Told) -> None:
    stuck = here.taken
    time.sleep(1.0)
    told.claim(0 < stuck < PEOPLE and here.taken == stuck, "it goes on sending")


def _as_superuser(here: Arena, statements: str) -> None:
    name = str(settings.DATABASES["default"]["NAME"])
    with psycopg.connect(here.machine.services.superuser_url, dbname=name, autocommit=True) as server:
        server.execute(statements)


def _is_full(here: Arena, limit: int) -> bool:
    sizes = [path.stat().st_size for path in (here.folder / "journal").glob("*.journal")]
    return any(size >= limit for size in sizes)


def clock_jumps(here: Arena, told: Told, seed: int) -> Told:
    """Row 25: a worker's wall clock jumps an hour forward or back; leases and waits go by the database's clock."""
    here.plan()
    for relay in here.relays:
        known: set[str] = set()
        _greylist_some(relay, known)
    jump = 3600.0 if seed % 2 else -3600.0
    for key in KEYS:
        here.lane(key, clock_jump=jump, clock_jump_after=here.chance.uniform(0.1, 0.6))
    here.settle(told)
    told.hits = int(bool(here.taken))
    gaps = _gaps(here)
    told.claim(bool(gaps), "nobody was greylisted")
    told.claim(min(gaps, default=0.0) >= 300 * here.scale.factor, f"a retry came after {min(gaps, default=0):.2f} s")
    told.claim(max(gaps, default=0.0) < 3000, "a retry came an hour late")
    return told


def _greylist_some(relay: ScriptedRelay, known: set[str]) -> None:
    def is_new(session: object) -> bool:
        address = str(getattr(session, "recipient", ""))
        if int(address[6:].partition("@")[0]) % 5 or address in known:
            return False
        known.add(address)
        return True

    relay.on(Phase.RCPT, reply("450 4.7.1 greylisted"), when=is_new)


def _gaps(here: Arena) -> list[float]:
    heard = books.waited(450)
    refused = {x.recipient: x.at for x in here.log if x.reply.startswith("450") and x.recipient in heard}
    taken = {line.recipient: line.at for line in here.log if line.phase == "dot" and line.reply.startswith("2")}
    return [taken[who] - at for who, at in refused.items() if who in taken]
