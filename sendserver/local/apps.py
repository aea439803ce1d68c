"""The local world as a Django application; installed by settings only where the local relays run."""

from django.apps import AppConfig


class LocalConfig(AppConfig):
    """No models: what it keeps are files below VAR_DIR."""

    name = "sendserver.local"
    label = "local"
