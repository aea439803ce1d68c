"""Our own mail is queued for the two relays, one row a recipient."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.message import BadHeaderError

from campaigns.models import SystemMail
from campaigns.sending import relays

BACKEND = "campaigns.sending.system.SystemMailBackend"


def _send(**changes: object) -> int:
    fields = {
        "subject": "Code für Sie",
        "body": "Your code is 123 456.\n.\nGrüße",
        "from_email": "Sendserver <notices@m.sendserver.example>",
        "to": ["Ada <ada@inbox.example>", "bert@inbox.example"],
        **changes,
    }
    message = EmailMultiAlternatives(**fields)  # type: ignore[arg-type]
    message.attach_alternative("<p>Your code is <b>123 456</b>.</p>", "text/html")
    return get_connection(BACKEND).send_messages([message])


@pytest.mark.django_db
def test_one_row_a_recipient_and_nobody_sees_another() -> None:
    assert _send() == 1
    rows = list(SystemMail.objects.order_by("pk"))
    assert [row.recipient for row in rows] == ["ada@inbox.example", "bert@inbox.example"]
    assert {row.relay for row in rows} <= set(relays.KEYS)
    assert b"bert@" not in bytes(rows[0].message)
    assert rows[0].sender == "notices@m.sendserver.example"


@pytest.mark.django_db
def test_bytes_are_seven_bit_crlf_and_read_back() -> None:
    _send()
    raw = bytes(SystemMail.objects.earliest("pk").message)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == "Code für Sie"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@m.sendserver.example>")
    assert mail.get_body(("plain",)).get_content().startswith("Your code is 123 456.")
    assert "<b>123 456</b>" in mail.get_body(("html",)).get_content()


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["subject", "from_email"])
def test_a_line_break_in_a_header_is_refused(header: str) -> None:
    with pytest.raises((BadHeaderError, ValueError)):
        _send(**{header: "x\r\nBcc: all@inbox.example"})
    assert SystemMail.objects.count() == 0


@pytest.mark.django_db
def test_an_unmailable_address_is_left_out() -> None:
    assert _send(to=["not an address", "ok@inbox.example"]) == 1
    assert SystemMail.objects.get().recipient == "ok@inbox.example"


@pytest.mark.django_db
def test_a_paused_relay_gets_no_new_mail() -> None:
    relays.report_failure("relay-1", "refused")
    for number in range(6):
        _send(to=[f"p{number}@inbox.example"])
    assert set(SystemMail.objects.values_list("relay", flat=True)) == {"relay-2"}
