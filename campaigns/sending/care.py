"""Looking after a relay around a slice: ask one that failed before it gets work, ask an idle one now and then.

By NOOP on a connection of its own, in the lane's process: nobody else connects to a relay. No message is touched.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import uvloop
from django.conf import settings

from campaigns.sending import relays, retry, selftest
from campaigns.sending.phases import Phase, WireError
from campaigns.sending.slices import Report
from campaigns.sending.smtp import SmtpConnection
from sendserver.lib import clock

ASK_SECONDS: Final = 30.0  # for all of it: a lane that says nothing for two minutes would be taken for deaf
IDLE_SECONDS: Final = 60  # a relay without a good conversation for so long is asked


def is_ready(key: str) -> bool:
    """Tell whether the lane may run: the relay answers if it failed before, and its self-test does not forbid it.

    Sends the self-test when it is due. A relay that does not pass is left alone while the other one can be used.
    """
    if not relays.state(key).healthy and not answers(key):
        return False
    selftest.send_if_due(key)
    other = relays.other(key)
    return not relays.is_gated(key) or relays.is_gated(other) or not relays.is_open(other)


def look_behind(key: str, report: Report) -> Report:
    """Ask a relay that had nothing to do in its slice, and has not been heard of for IDLE_SECONDS; return `report`."""
    if report.attempted or report.system or report.more:
        return report
    row = relays.state(key)
    heard = max(filter(None, (row.last_ok_at, row.checked_at)), default=None)
    if row.healthy and heard is not None and clock.now() - heard > timedelta(seconds=IDLE_SECONDS):
        answers(key)
    return report


def answers(key: str) -> bool:
    """Ask by NOOP and write down what came of it."""
    try:
        uvloop.run(_ask(key))
    except WireError as error:
        decision = retry.of_error(error)
        is_fault = decision.relay is retry.Relay.FAULT
        relays.report_failure(key, decision.rule, seconds=relays.FAULT_SECONDS if is_fault else relays.BREAKER_SECONDS)
        return False
    relays.report_ok(key)
    return True


async def _ask(key: str) -> None:
    connection = SmtpConnection(relays.config(key), selftest.SECONDS, helo=settings.PLATFORM.mail_domain)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await connection.open()
            await connection.noop()
    except TimeoutError as error:
        raise WireError(Phase.CONNECT, f"no answer within {ASK_SECONDS:g} s") from error
    finally:
        await connection.close()
