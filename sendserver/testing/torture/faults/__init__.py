"""The rows of the fault table, in its order: number, name, what plants it, what the product still lacks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sendserver.testing.torture.arena import Arena, Told
from sendserver.testing.torture.faults import conversations, deaths, people, releases, secured, stores

Plant = Callable[[Arena, Told, int], Told]


@dataclass(frozen=True)
class Row:
    """One fault. `missing` names a feature that the row asks for and the product has not; the row is not ok then."""

    number: int
    name: str
    plant: Plant | None
    missing: str = ""


ROWS = (
    Row(1, "kill -9 of a worker", deaths.kill_worker),
    Row(2, "kill -9 of the whole group and beat; a host lost with its journal", deaths.kill_group),
    Row(3, "SIGTERM in mid-send", deaths.sigterm),
    Row(4, "one relay refuses connections", conversations.refused),
    Row(5, "both relays away for long", conversations.both_away),
    Row(6, "relay killed between dot and 250", conversations.dies_behind_the_dot),
    Row(7, "421 at the banner, in mid-transaction, behind the dot", conversations.going_down),
    Row(8, "greylisted at RCPT", conversations.greylisted),
    Row(9, "452: the relay has no room", conversations.no_room),
    Row(10, "mailbox full for three days", conversations.mailbox_full),
    Row(11, "550 5.1.1 for one recipient", conversations.no_such_user),
    Row(12, "550 5.7.1 behind the dot", conversations.called_spam),
    Row(13, "5xx at MAIL, 535 at AUTH", secured.refused_for_good),
    Row(14, "replies that are none", conversations.nonsense),
    Row(15, "connection broken off at each phase", conversations.broken_off),
    Row(16, "half-open connection", conversations.half_open),
    Row(17, "relay hangs ten minutes at a phase", conversations.hanging),
    Row(18, "relay drips its replies", conversations.slow_drip),
    Row(19, "STARTTLS stripped, certificate not to be trusted", secured.no_trust),
    Row(20, "broker flushed, restarted, away for ten minutes", stores.broker_gone),
    Row(21, "every poke many times, redelivered, two workers a relay", stores.told_twice),
    Row(22, "database restarted, killed, its answer to a commit lost", stores.database_gone),
    Row(23, "failover that lost the last commits", stores.failed_over),
    Row(24, "disk full: journal, log, database, upload", stores.disk_full),
    Row(25, "clock of a worker jumps an hour", stores.clock_jumps),
    Row(26, "planner killed half-way, three at once", people.planners),
    Row(27, "unsubscribed, removed, added in mid-send", people.unsubscribed),
    Row(28, "Send pressed twenty times at once", people.pressed_often),
    Row(29, "draft changed behind Send", people.edited),
    Row(30, "suspended, paused, stopped, braked in mid-send", people.stopped),
    Row(31, "suspended while the customer resumes", people.suspended_while_resumed),
    Row(32, "messages that cannot be written", people.unwritable),
    Row(33, "message of more than 2 MB", people.too_large),
    Row(34, "one message kills its worker", deaths.poisoned),
    Row(35, "memory and open files of a lane", deaths.growing),
    Row(36, "worker alive but deaf", deaths.deaf),
    Row(37, "zombie wakes behind its lease, before the dot", deaths.zombie),
    Row(38, "old and new code together", releases.side_by_side),
    Row(39, "restored from a backup", stores.restored),
)
