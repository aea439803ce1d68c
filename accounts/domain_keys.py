"""Signing keys of sending domains and of the platform: made here, sealed at rest, read once per campaign."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.db import transaction

from accounts import policy
from accounts.models import DkimKey, PlatformKey, SendingDomain
from sendserver.lib import crypto

SELECTORS: Final = ("p1", "p2")
PLATFORM_SELECTOR: Final = "m1"


@dataclass(frozen=True)
class SigningKey:
    """What a DKIM signer needs; `private_pem` is PKCS 8 and must not be stored or logged."""

    selector: str
    domain: str
    private_pem: str

    def __repr__(self) -> str:
        return f"SigningKey({self.selector}._domainkey.{self.domain})"


def generate() -> tuple[str, str]:
    """Return a new RSA key as (private PEM, public base64 of the DER SubjectPublicKeyInfo)."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=policy.DKIM_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode(), base64.b64encode(public).decode()


def ensure_keys(domain: SendingDomain) -> list[DkimKey]:
    """Return the domain's two keys in order of selector, making what is missing; the first made one signs."""
    with transaction.atomic():
        SendingDomain.objects.select_for_update().get(pk=domain.pk)
        have = {key.selector: key for key in domain.keys.all()}
        for selector in SELECTORS:
            if selector not in have:
                have[selector] = _make(domain, selector, active=not any(key.active for key in have.values()))
    return [have[selector] for selector in SELECTORS]


def _make(domain: SendingDomain, selector: str, *, active: bool) -> DkimKey:
    private, public = generate()
    sealed = crypto.seal_text(private)
    return DkimKey.objects.create(
        domain=domain, selector=selector, private_sealed=sealed, public_b64=public, active=active
    )


def signing_key(domain: SendingDomain) -> SigningKey:
    """Return the key that signs for the domain now."""
    ensure_keys(domain)
    key = domain.keys.get(active=True)
    return SigningKey(key.selector, domain.name, crypto.open_text(key.private_sealed))


def platform_key() -> SigningKey:
    """Return the platform's own signing key (d= the mail domain), making it on first use."""
    key = PlatformKey.objects.filter(active=True).first() or _make_platform_key()
    return SigningKey(key.selector, settings.PLATFORM.mail_domain, crypto.open_text(key.private_sealed))


def platform_public() -> tuple[str, str]:
    """Return (selector, public base64) of the platform's active key."""
    key = PlatformKey.objects.filter(active=True).first() or _make_platform_key()
    return key.selector, key.public_b64


def _make_platform_key() -> PlatformKey:
    """Make the first platform key; of two at once, the first one in wins."""
    private, public = generate()
    fields = {"private_sealed": crypto.seal_text(private), "public_b64": public, "active": True}
    key, _ = PlatformKey.objects.get_or_create(selector=PLATFORM_SELECTOR, defaults=fields)
    return key


def txt_value(public_b64: str) -> str:
    """Return the key record's text; RFC 6376 section 3.6.1. An empty key says "revoked"."""
    return f"v=DKIM1; k=rsa; p={public_b64}"
