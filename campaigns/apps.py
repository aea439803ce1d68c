"""App configuration."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    """Compose, plan, send, events, reports."""

    name = "campaigns"

    def ready(self) -> None:
        """Register the system checks."""
        from campaigns import checks  # noqa: F401
