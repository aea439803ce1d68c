"""Who runs this platform: one frozen value, read from the environment, printed wherever the law asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Reader(Protocol):
    """What we need of an environment reader."""

    def str(self, var: str, default: str = ...) -> str: ...


@dataclass(frozen=True)
class Platform:
    """The operator's identity and mail hosts; Directive 2000/31/EC article 5 lists what must be shown."""

    name: str
    legal_name: str
    postal_address: str  # one line, parts separated by ", "
    country: str  # ISO 3166-1 alpha-2
    register: str
    responsible_person: str
    help_email: str
    abuse_email: str
    privacy_email: str
    phone: str
    domain: str  # mail hosts hang below it

    @property
    def mail_domain(self) -> str:
        """Return the domain of Message-ID, feedback address and the platform's own signature."""
        return f"m.{self.domain}"

    @property
    def return_domain(self) -> str:
        """Return the host that customers' return-path names point to."""
        return f"rp.{self.domain}"

    @property
    def unsubscribe_domain(self) -> str:
        """Return the domain of the mailto form of List-Unsubscribe."""
        return f"u.{self.domain}"

    @property
    def notice_from(self) -> str:
        """Return the From address of our own mail."""
        return f"{self.name} <notices@{self.mail_domain}>"

    @property
    def is_set(self) -> bool:
        """Tell whether an operator has filled in the identity that the law asks for."""
        return bool(self.legal_name and self.postal_address and self.responsible_person)

    @classmethod
    def from_env(cls, env: Reader) -> Platform:
        """Read `PLATFORM_*`; the legal parts have no default, and `check --deploy` asks for them."""
        domain = env.str("PLATFORM_DOMAIN", default="sendserver.example")
        return cls(
            name=env.str("PLATFORM_NAME", default="Sendserver"),
            legal_name=env.str("PLATFORM_LEGAL_NAME", default=""),
            postal_address=env.str("PLATFORM_POSTAL_ADDRESS", default=""),
            country=env.str("PLATFORM_COUNTRY", default=""),
            register=env.str("PLATFORM_REGISTER", default=""),
            responsible_person=env.str("PLATFORM_RESPONSIBLE_PERSON", default=""),
            help_email=env.str("PLATFORM_HELP_EMAIL", default=f"help@{domain}"),
            abuse_email=env.str("PLATFORM_ABUSE_EMAIL", default=f"abuse@{domain}"),
            privacy_email=env.str("PLATFORM_PRIVACY_EMAIL", default=f"privacy@{domain}"),
            phone=env.str("PLATFORM_PHONE", default=""),
            domain=domain,
        )
