"""From addresses: at a proven domain, with a mailbox that answers (rules ID-FROM-TRUTH, ID-REPLY-TO)."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from hashlib import blake2s

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts import audit, limits, notices, policy
from accounts.errors import DomainRefusedError, TooManyError
from accounts.models import FromAddress, SendingDomain, User
from sendserver.lib import clock, tokens
from sendserver.lib.addresses import BadAddress, parse

CONFIRM_LINK_DAYS = 7
NOBODY = frozenset({"noreply", "no-reply", "donotreply", "do-not-reply", "no_reply"})
RESERVED = frozenset({"abuse", "postmaster", "mailer-daemon", "hostmaster", "webmaster", "noc", "security"})


def add(domain: SendingDomain, *, display_name: str, local_part: str, reply_to: str, actor: User) -> FromAddress:
    """Return a new From address after mailing its confirmation link; raises DomainRefusedError."""
    local, answers_to = _clean(domain, display_name, local_part, reply_to)
    if domain.from_addresses.filter(removed_at=None).count() >= policy.FROM_ADDRESSES_MAX:
        raise DomainRefusedError("FULL", f"A domain has at most {policy.FROM_ADDRESSES_MAX} addresses.")
    try:
        with transaction.atomic():
            sender = FromAddress.objects.create(
                organization=domain.organization,
                domain=domain,
                display_name=display_name,
                local_part=local,
                reply_to=answers_to,
            )
            _log("from_address.added", sender, actor)
    except IntegrityError as error:
        raise DomainRefusedError("KNOWN", "This address is on your list already.") from error
    with suppress(TooManyError):  # the address stands; its page offers the letter again
        ask_to_confirm(sender)
    return sender


def change(sender: FromAddress, *, display_name: str, reply_to: str, actor: User) -> None:
    """Change name and answering mailbox; another mailbox has to be confirmed anew.

    Raises TooManyError when no letter may go to it now: each change takes a letter, so mailboxes are not tried out.
    """
    _, answers_to = _clean(sender.domain, display_name, sender.local_part, reply_to)
    fields = ["display_name", "reply_to"]
    moved = answers_to != sender.reply_to
    sender.display_name, sender.reply_to = display_name, answers_to
    if moved:
        sender.confirmed_at = None
        fields.append("confirmed_at")
    with transaction.atomic():
        sender.save(update_fields=fields)
        _log("from_address.changed", sender, actor)
        if moved:
            ask_to_confirm(sender)


def _clean(domain: SendingDomain, display_name: str, local_part: str, reply_to: str) -> tuple[str, str]:
    """Return (local part, reply-to) in normal form, or say what is wrong."""
    address = parse(f"{local_part}@{domain.name}")
    if isinstance(address, BadAddress):
        raise DomainRefusedError("BAD-LOCAL", "Enter the part before the @ only, such as news")
    local = str(address.key).rpartition("@")[0]
    if local in RESERVED:
        raise DomainRefusedError("RESERVED", f"{local}@ is where complaints arrive. Choose another name.")
    if "@" in display_name:
        raise DomainRefusedError("NAME-ADDRESS", "Enter a name without an e-mail address in it.")
    answers = parse(reply_to) if reply_to else address
    if isinstance(answers, BadAddress):
        raise DomainRefusedError("BAD-REPLY", "Enter an e-mail address like name@example.com")
    if str(answers.key).partition("@")[0] in NOBODY:
        raise DomainRefusedError("NO-REPLY", "Somebody has to read the answers. Name a mailbox that is read.")
    return local, str(answers.key) if reply_to else ""


def mailbox(sender: FromAddress) -> str:
    """Return where answers go."""
    return sender.reply_to or sender.address


def is_confirmed(sender: FromAddress) -> bool:
    """Tell whether somebody confirmed the mailbox within the last 180 days."""
    oldest = clock.now() - timedelta(days=policy.REPLY_CONFIRM_DAYS)
    return sender.removed_at is None and sender.confirmed_at is not None and sender.confirmed_at >= oldest


def ask_to_confirm(sender: FromAddress) -> None:
    """Mail the confirmation link to the answering mailbox, after commit; TooManyError beyond the limits."""
    address = mailbox(sender)
    if _take_over(sender, address):
        return
    limits.count_letter(sender.organization, address)
    context = {
        "organization": sender.organization,
        "address": address,
        "days": CONFIRM_LINK_DAYS,
        "url": settings.BASE_URL + reverse("from_confirm", args=[token_of(sender)]),
    }
    subject = f"Do answers to {sender.organization.name} reach you here?"
    transaction.on_commit(
        lambda: notices.send_notice([address], subject=subject, template="emails/reply_confirm.txt", context=context)
    )


def _take_over(sender: FromAddress, address: str) -> bool:
    """Confirm at once when the same mailbox was confirmed for another address of this organization."""
    others = FromAddress.objects.for_org(sender.organization).filter(removed_at=None).exclude(pk=sender.pk)
    known = next((o for o in others.select_related("domain") if mailbox(o) == address and is_confirmed(o)), None)
    if known is None:
        return False
    sender.confirmed_at = known.confirmed_at
    sender.save(update_fields=["confirmed_at"])
    return True


def token_of(sender: FromAddress) -> str:
    """Return the token of the mailed link; it names the mailbox too, so an older letter confirms no newer one."""
    return tokens.seal(tokens.Purpose.CONFIRM, _number(sender, _today()))


def _today() -> int:
    """Return the days since 1970."""
    return int(clock.now().timestamp()) // 86_400


def _number(sender: FromAddress, day: int) -> int:
    """Pack key (32 bits), day since 1970 (16 bits) and a mark of the mailbox (16 bits) into one number."""
    return sender.pk << 32 | (day & 0xFFFF) << 16 | _mark(sender)


def _mark(sender: FromAddress) -> int:
    """Return 16 bits of the mailbox under our key, so that nobody can look for another mailbox with the same ones."""
    key = settings.SECRET_KEY.encode()[: blake2s.MAX_KEY_SIZE]
    return int.from_bytes(blake2s(mailbox(sender).encode(), key=key, digest_size=2).digest(), "big")


def from_token(token: str) -> FromAddress | None:
    """Return the From address behind a mailed link, or None when it is not ours, too old, or for another mailbox."""
    number = tokens.open_token(tokens.Purpose.CONFIRM, token)
    if number is None:
        return None
    sender = (
        FromAddress.objects.filter(pk=number >> 32, removed_at=None).select_related("organization", "domain").first()
    )
    if sender is None or number & 0xFFFF != _mark(sender):
        return None
    return sender if _today() - (number >> 16 & 0xFFFF) <= CONFIRM_LINK_DAYS else None


def confirm(sender: FromAddress) -> None:
    """Keep that somebody at the mailbox pressed the button."""
    sender.confirmed_at = clock.now()
    with transaction.atomic():
        sender.save(update_fields=["confirmed_at"])
        _log("from_address.confirmed", sender, None)


def remove(sender: FromAddress, *, actor: User) -> None:
    """Take the address out of use."""
    sender.removed_at = clock.now()
    with transaction.atomic():
        sender.save(update_fields=["removed_at"])
        _log("from_address.removed", sender, actor)


def _log(action: str, sender: FromAddress, actor: User | None) -> None:
    audit.record(action, actor=actor, organization=sender.organization, subject=f"from_address:{sender.uid}")
