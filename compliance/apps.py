"""App configuration."""

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    """Lists, consent, suppression, rules and the gate."""

    name = "compliance"
