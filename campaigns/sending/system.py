"""Our own mail (codes, letters, notices): Django's e-mail backend writes it into the queue of the two relays.

There is no third route: nothing here connects anywhere. A lane takes the rows before any campaign and signs them with
the platform's key (campaigns.sending.deliver).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email import policy
from email.message import EmailMessage as Mail
from email.utils import formataddr, formatdate, getaddresses, parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import BadHeaderError, make_msgid
from django.db import transaction
from django.utils import timezone

from campaigns.models import SystemMail
from campaigns.sending.poke import poke_after_commit
from campaigns.sending.relays import KEYS, is_open, other
from sendserver.lib.addresses import Address, parse

# Header lines end with CRLF and everything is 7-bit, so that no relay rewrites a byte below the signature.
_POLICY = policy.SMTP.clone(max_line_length=76, cte_type="7bit")
_OWN_HEADERS = frozenset(
    {"from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"}
)


class SystemMailBackend(BaseEmailBackend):
    """Queue each message once per recipient; nobody sees another recipient's address."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Store the messages and return how many; relays are poked when the open transaction commits."""
        return sum(queue(message) > 0 for message in email_messages)


def queue(message: EmailMessage) -> int:
    """Write one row a recipient and return their number; an address that cannot be mailed is left out."""
    recipients = [item for item in map(parse, _bare(message.recipients())) if isinstance(item, Address)]
    with transaction.atomic():
        rows = [_row(message, recipient) for recipient in recipients]
        SystemMail.objects.bulk_create(rows)
        poke_after_commit(row.relay for row in rows)
    return len(rows)


def _bare(recipients: Iterable[str]) -> list[str]:
    return [address for _, address in getaddresses(list(recipients)) if address]


def _row(message: EmailMessage, recipient: Address) -> SystemMail:
    return SystemMail(
        recipient=recipient.original,
        sender=parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
        message=write(message, recipient.original),
        relay=relay_for(recipient),
        due_at=timezone.now(),
    )


def relay_for(recipient: Address) -> str:
    """Return the relay for a recipient: always the same one while it works, so that greylisting passes."""
    key = KEYS[sum(recipient.key.encode()) % 2]
    return key if is_open(key) or not is_open(other(key)) else other(key)


def write(message: EmailMessage, recipient: str) -> bytes:
    """Return the final bytes for one recipient, unsigned: CRLF, 7-bit, one To; raises BadHeaderError."""
    if "\r" in message.from_email or "\n" in message.from_email:  # parsing would hide it
        raise BadHeaderError("From holds a line break")
    mail = Mail(policy=_POLICY)
    for name, value in _headers(message, recipient):
        if "\r" in value or "\n" in value or "\0" in value:
            raise BadHeaderError(f"{name} holds a line break")
        mail[name] = value
    mail.set_content(message.body, subtype=message.content_subtype, cte="quoted-printable")
    for alternative in getattr(message, "alternatives", ()) if isinstance(message, EmailMultiAlternatives) else ():
        mail.add_alternative(str(alternative[0]), subtype=alternative[1].partition("/")[2], cte="quoted-printable")
    for name, content, kind in message.attachments:
        octets = content.encode() if isinstance(content, str) else content
        main, _, sub = (kind or "application/octet-stream").partition("/")
        mail.add_attachment(octets, maintype=main, subtype=sub, filename=name, cte="base64")
    return mail.as_bytes()


def _headers(message: EmailMessage, recipient: str) -> list[tuple[str, str]]:
    extra = {name: str(value) for name, value in message.extra_headers.items()}
    name, address = parseaddr(message.from_email)
    headers = [
        ("Date", extra.get("Date", formatdate(usegmt=False))),
        ("From", formataddr((name, address))),
        ("To", recipient),
        ("Subject", str(message.subject)),
        ("Message-ID", extra.get("Message-ID", make_msgid(domain=settings.PLATFORM.mail_domain))),
    ]
    if message.reply_to:
        headers.append(("Reply-To", ", ".join(message.reply_to)))
    if not any(key.lower() == "auto-submitted" for key in extra):
        headers.append(("Auto-Submitted", "auto-generated"))  # RFC 3834 section 5
    return headers + [(key, value) for key, value in extra.items() if key.lower() not in _OWN_HEADERS]
