"""Our own mail to people: plain text first, HTML of the same words, no tracking, no pictures.

The words of a letter live once, in `templates/emails/<name>.txt`: paragraphs parted by blank lines. The HTML part is
made from them, so the two cannot differ. Leaves through Django's mail, which queues it for a relay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import mark_safe

from accounts.models import User

_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,)]")


def send_notice(recipients: Iterable[User | str], *, subject: str, template: str, context: Mapping[str, Any]) -> int:
    """Send one letter to each recipient by itself and return how many were queued.

    `template` is a plain-text template such as "emails/invitation.txt". RFC 3834: marked as sent by a machine.
    """
    text = render_text(template, context)
    count = 0
    for recipient in recipients:
        address = recipient.email if isinstance(recipient, User) else recipient
        count += compose(subject, text, address).send()
    return count


def compose(subject: str, text: str, address: str) -> EmailMultiAlternatives:
    """Return the letter as a message; line breaks in the subject are folded away."""
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[address],
        reply_to=[settings.PLATFORM.help_email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(html_of(text), "text/html")
    return message


def render_text(template: str, context: Mapping[str, Any]) -> str:
    """Return a letter's words with the common foot; no HTML escaping, since this part is plain text."""
    body = render_to_string(template, {**context, **_common()}).strip()
    foot = render_to_string("emails/foot.txt", {**context, **_common()}).strip()
    return f"{body}\n\n-- \n{foot}\n"


def _common() -> dict[str, Any]:
    return {"platform": settings.PLATFORM, "base_url": settings.BASE_URL}


def html_of(text: str) -> str:
    """Return the same words as HTML: paragraphs, line breaks and links, nothing else."""
    paragraphs = [part.strip("\n") for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    inner = "".join(f"<p>{_linked(part)}</p>" for part in paragraphs)
    return render_to_string("emails/notice.html", {"body": mark_safe(inner)})


def _linked(text: str) -> str:
    parts, end = [], 0
    for match in _LINK.finditer(text):
        if not match.group().startswith(f"{settings.BASE_URL}/"):
            continue  # words of customers stand in letters too: their addresses do not become links of ours
        url = escape(match.group())
        parts += [escape(text[end : match.start()]), f'<a href="{url}">{url}</a>']
        end = match.end()
    return "".join([*parts, escape(text[end:])]).replace("\n", "<br>\n")
