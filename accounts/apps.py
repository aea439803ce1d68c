"""App configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People, organizations, verification, domains, standing."""

    name = "accounts"

    def ready(self) -> None:
        """Register the system checks."""
        from accounts import checks  # noqa: F401 (registers by being imported)
