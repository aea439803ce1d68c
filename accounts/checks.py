"""System checks of accounts: what a production start must have."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def identity_is_set(**_: Any) -> list[CheckMessage]:
    """Refuse a start without the operator's identity (Directive 2000/31/EC article 5)."""
    if settings.PLATFORM.is_set:
        return []
    hint = "Set PLATFORM_LEGAL_NAME, PLATFORM_POSTAL_ADDRESS and PLATFORM_RESPONSIBLE_PERSON."
    return [Error("The operator's identity is not set.", hint=hint, id="accounts.E001")]


@register(Tags.security, deploy=True)
def address_is_https(**_: Any) -> list[CheckMessage]:
    """Refuse plain HTTP: sign-in, codes and unsubscribe links depend on it."""
    if settings.BASE_URL.startswith("https://"):
        return []
    return [Error(f"BASE_URL is {settings.BASE_URL}.", hint="Set it to the https:// address.", id="accounts.E002")]


@register(Tags.security, deploy=True)
def keys_are_set(**_: Any) -> list[CheckMessage]:
    """Refuse missing keys: tokens, the do-not-mail list, sealed secrets and the ledger's head need theirs."""
    names = ("TOKEN_KEYS", "SUPPRESSION_KEYS", "FIELD_KEYS", "LEDGER_KEYS")
    return [
        Error(f"{name} is empty.", hint=f'Set {name}="k1:<64 hex digits>".', id="accounts.E003")
        for name in names
        if not getattr(settings, name)
    ]


@register(Tags.security, deploy=True)
def two_resolvers(**_: Any) -> list[CheckMessage]:
    """Warn when one resolver alone decides about domains."""
    if len(set(settings.DNS_SERVERS)) >= 2:
        return []
    return [Warning("DNS_SERVERS names fewer than two resolvers.", hint="Name two.", id="accounts.W001")]


@register(Tags.security, deploy=True)
def two_roles(**_: Any) -> list[CheckMessage]:
    """Warn when the application owns its tables: then nothing keeps evidence from being changed."""
    owner, app = settings.DATABASES["owner"], settings.DATABASES["default"]
    if owner.get("USER") != app.get("USER"):
        return []
    text = "The application uses the owner's database role, so append-only tables are protected by triggers alone."
    return [Warning(text, hint="Set DATABASE_OWNER_URL to another role.", id="accounts.W002")]
