"""App configuration."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    """Compose, plan, send, events, reports."""

    name = "campaigns"
