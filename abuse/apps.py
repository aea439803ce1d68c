"""App configuration."""

from django.apps import AppConfig


class AbuseConfig(AppConfig):
    """Complaints, cases, moderation, reputation."""

    name = "abuse"
