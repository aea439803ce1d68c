"""`check`: every check of the code in one go. Standard library only; the tools come from the environment."""

import secrets
from collections.abc import Callable, Mapping

from sendserver.local.config import Config
from sendserver.local.console import say

Call = Callable[[list[str], Config, dict[str, str] | None], int]


def production_settings() -> dict[str, str]:
    """Return an environment as a real installation has it, with keys made up for the occasion."""

    def key() -> str:
        return f"k1:{secrets.token_hex(32)}"

    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "TOKEN_KEYS": key(),
        "SUPPRESSION_KEYS": key(),
        "FIELD_KEYS": key(),
        "LEDGER_KEYS": key(),
        "BASE_URL": "https://portal.sendserver.example",
        "ALLOWED_HOSTS": "portal.sendserver.example",
        "TRUSTED_PROXIES": "1",
        "DATABASE_URL": "postgresql://sendserver_app:secret@db.sendserver.example/sendserver",
        "DATABASE_OWNER_URL": "postgresql://sendserver_owner:secret@db.sendserver.example/sendserver",
        "REDIS_URL": "rediss://:secret@broker.sendserver.example:6379/0",
        "RELAY_1_URL": "smtps://portal:secret@out1.sendserver.example:465?name=out1.sendserver.example",
        "RELAY_2_URL": "smtps://portal:secret@out2.sendserver.example:465?name=out2.sendserver.example",
        "DNS_SERVERS": "192.0.2.53:53,198.51.100.53:53",
        "LOCAL_WORLD": "off",
        "DEBUG": "off",
        "ONCALL_EMAIL": "oncall@sendserver.example",
        "PLATFORM_DOMAIN": "sendserver.example",
        "PLATFORM_LEGAL_NAME": "Sendserver Example Ltd",
        "PLATFORM_POSTAL_ADDRESS": "1 Example Street, 1010 Exampletown",
        "PLATFORM_COUNTRY": "AT",
        "PLATFORM_REGISTER": "FN 000000 a",
        "PLATFORM_RESPONSIBLE_PERSON": "Erika Example",
        "PLATFORM_PHONE": "+43 1 000000",
    }


def plans() -> Mapping[str, tuple[list[str], dict[str, str]]]:
    """Return what is run, by name: arguments of the environment's Python, and further variables."""
    real = production_settings()
    return {
        "lint": (["-m", "ruff", "check", "."], {}),
        "format": (["-m", "ruff", "format", "--check", "."], {}),
        "types": (["-m", "mypy", "sendserver", "accounts", "compliance", "campaigns", "abuse"], {}),
        "floors": (["-m", "pytest", "-q", "-p", "no:cacheprovider", "sendserver/tests/test_floors.py"], {}),
        "migrations": (["manage.py", "makemigrations", "--check", "--dry-run"], {}),
        "deployment": (["manage.py", "check", "--deploy", "--fail-level", "WARNING"], real),
    }


def run_all(settings: Config, call: Call) -> int:
    """Run every plan, print which failed, and return 1 if one did."""
    failed = []
    for name, (arguments, more) in plans().items():
        say(f"--- {name}: {' '.join(arguments)}")
        if call([str(settings.python), *arguments], settings, {**settings.environ, **more}) != 0:
            failed.append(name)
    say(f"--- Failed: {', '.join(failed)}" if failed else "--- All checks passed.")
    return 1 if failed else 0
