"""The self-test that gates sending: a message goes through a relay and comes home by the inbound door, untouched.

It has every header of a campaign message and awkward text. What comes home must have each of them octet by octet,
the same body, and signatures that hold. A relay that has not passed gets no campaign (fail closed); our own mail
leaves by it only when the other one cannot be used either. Set up by RELAY_SELF_TEST, a host that leads to our door.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from typing import Final

import uvloop
from django.conf import settings
from django.db import transaction

from accounts.domain_keys import platform_key, platform_public, txt_value
from accounts.resolving import asker
from campaigns.content.compile import MessageContent, compile_message
from campaigns.inbound.addresses import probe_address
from campaigns.models import RelayProbe
from campaigns.sending import dkim, mime, relays
from campaigns.sending.mime import Letter, Recipient
from campaigns.sending.phases import Answer, Envelope, Phase, WireError
from campaigns.sending.smtp import SmtpConnection, Timeouts
from sendserver.lib import clock, dkim_check

log = logging.getLogger(__name__)
EVERY: Final = timedelta(hours=1)
AGAIN: Final = timedelta(minutes=1)  # while it does not pass
PATIENCE: Final = timedelta(minutes=10)  # for the way home
KEPT: Final = timedelta(days=7)
NOBODY: Final = 0  # no delivery has this number
SECONDS: Final = Timeouts(connect=10.0, command=10.0, body=10.0, dot=20.0)
TEST_SECONDS: Final = 45.0  # for the whole conversation; a lane that says nothing for two minutes is taken for deaf
SIGNATURE: Final = b"dkim-signature"


# Text that relays like to change: a leading dot, blanks in rows, soft line ends, a line that begins with From.
TEXT: Final = "\n".join(
    (".leading dot", "two  blanks", "long " * 30, "Zeile für Zeile, 行ごとに", "{{ unsubscribe_url }}", "", "From here")
)
SUBJECT: Final = "Prüfung: keeps this relay every header as it is? Zeile für Zeile, 行ごとに, 한 줄씩"


def send_if_due(key: str) -> None:
    """Send a self-test through relay `key` when it is time for one; a relay that is away is not called unfaithful."""
    if not settings.RELAY_SELF_TEST or _is_under_way(key):
        return
    row, now = relays.state(key), clock.now()
    if row.probe_at is None or now - row.probe_at >= (EVERY if row.probe_ok else AGAIN):
        RelayProbe.objects.filter(relay=key, sent_at__lt=now - KEPT).delete()
        _send(key)


def _is_under_way(key: str) -> bool:
    """Tell whether a self-test is still on its way; one that is out for too long has failed."""
    waiting = RelayProbe.objects.filter(relay=key, judged_at=None).order_by("-pk").first()
    if waiting is None:
        return False
    if clock.now() - waiting.sent_at < PATIENCE:
        return True
    _judge(waiting, f"It did not come home within {PATIENCE.seconds // 60} minutes")
    return False


def _send(key: str) -> None:
    probe = RelayProbe.objects.create(relay=key, message=b"", sent_at=clock.now())
    written = mime.write(_letter(key), Recipient(NOBODY, probe_address(probe.pk), {"first_name": "Zoë"}))
    probe.message = written.message
    probe.save(update_fields=["message"])
    try:
        answer = uvloop.run(_converse(key, written.envelope, written.message))
    except WireError as error:
        if error.phase is not Phase.DOT:  # behind the dot it may come home all the same
            probe.delete()
            log.info("%s could not be tested: %s", key, error)
        return
    if not answer.is_accepted:
        _refused(probe, answer)


def _refused(probe: RelayProbe, answer: Answer) -> None:
    if answer.reply.is_temporary:
        probe.delete()
    else:
        _judge(probe, f"The relay refused it: {answer.reply.code} {answer.reply.text}")


def _letter(key: str) -> Letter:
    platform = settings.PLATFORM
    content = MessageContent(
        subject=SUBJECT,
        preheader="",
        from_name=platform.name,
        from_address=f"notices@{platform.mail_domain}",
        reply_to=platform.help_email,
        html=f"<p>{TEXT}</p>",
        text=TEXT,
        list_name="Self-test",
        list_id=f"self-test.{platform.mail_domain}",
    )
    return Letter(
        compiled=compile_message(content),
        from_name=content.from_name,
        from_address=content.from_address,
        reply_to=content.reply_to,
        list_name=content.list_name,
        list_id=content.list_id,
        feedback_id=f"probe:{key}:test:{platform.name.lower()}",
        return_host=platform.return_domain,
        signers=() if relays.config(key).signs else (dkim.Signer.of(platform_key()),),
    )


async def _converse(key: str, envelope: Envelope, message: bytes) -> Answer:
    connection = SmtpConnection(relays.config(key), SECONDS, helo=settings.PLATFORM.mail_domain)
    try:
        async with asyncio.timeout(TEST_SECONDS):
            await connection.open()
            return await connection.send(envelope, message, lambda: None)
    except TimeoutError as error:  # it may have gone
        raise WireError(Phase.DOT, f"not done within {TEST_SECONDS:g} s") from error
    finally:
        await connection.close()


# --- coming home
def came_home(probe_id: int, raw: bytes) -> str:
    """Judge a self-test that came in by the door and return what was found, in words; a second copy changes nothing."""
    with transaction.atomic():
        probe = RelayProbe.objects.select_for_update().filter(pk=probe_id).first()
        if probe is None or probe.judged_at is not None:
            return "a self-test that was judged already"
        fault = differences(bytes(probe.message), raw, relay_signs=relays.config(probe.relay).signs)
        _judge(probe, fault)
    return fault or "as it was sent"


def _judge(probe: RelayProbe, fault: str) -> None:
    probe.judged_at, probe.fault = clock.now(), fault[:300]
    probe.save(update_fields=["judged_at", "fault"])
    relays.report_probe(probe.relay, fault=fault)
    if fault:
        log.error("the self-test of %s failed: %s", probe.relay, fault)


def differences(sent: bytes, came: bytes, *, relay_signs: bool) -> str:
    """Return the first difference that matters between what was sent and what came, in words; "" for none.

    On top may stand what a relay writes there: traces and further signatures.
    """
    head, _, body = sent.partition(b"\r\n\r\n")
    came_head, _, came_body = came.partition(b"\r\n\r\n")
    before, after = _by_name(head), _by_name(came_head)
    for name, fields in before.items():
        found = after.get(name, [])
        kept = not (Counter(fields) - Counter(found)) if name == SIGNATURE else found == fields
        if not kept:
            what = "was changed" if len(found) == len(fields) else "is missing" if not found else "stands there twice"
            return f"{fields[0].partition(b':')[0].decode('ascii', 'replace')} {what}"
    if came_body.rstrip(b"\r\n") != body.rstrip(b"\r\n"):
        return "The text was changed"
    return _signature_fault(came, relay_signs=relay_signs)


def _by_name(head: bytes) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in dkim_check.split_fields(head):
        found.setdefault(line.partition(b":")[0].strip().lower(), []).append(line)
    return found


def _signature_fault(came: bytes, *, relay_signs: bool) -> str:
    """Return what is wrong with the signatures: ours must hold, or, where the relay signs, one for our domain."""
    domain = settings.PLATFORM.mail_domain
    ours = [one for one in dkim_check.check(came, key_text) if one.domain == domain]
    if not ours:
        return f"No signature of {domain} is on it"
    if any(one.holds for one in ours) if relay_signs else all(one.holds for one in ours):
        return ""
    return f"The signature of {domain} does not hold: {next(one.fault for one in ours if not one.holds)}"


def key_text(name: str) -> str:
    """Return the text of a key record: our own from our books, so that this tests the relay and not a resolver."""
    selector, public = platform_public()
    if name == f"{selector}._domainkey.{settings.PLATFORM.mail_domain}":
        return txt_value(public)
    return next(iter(asker(settings.DNS_SERVERS[0])(name, "TXT").values), "")
