"""App configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People, organizations, verification, domains, standing."""

    name = "accounts"
