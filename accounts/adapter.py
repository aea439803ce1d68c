"""How allauth meets our people."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter


class AccountAdapter(DefaultAccountAdapter):
    """Our names, addresses and limits for allauth."""


class MFAAdapter(DefaultMFAAdapter):
    """Second factors; secrets are sealed at rest."""
