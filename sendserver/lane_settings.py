"""The settings of a lane's process: those of the portal, without the apps that a lane never asks anything.

A lane serves no page. What stays are the tables it reads and writes; sign-in, staff area and abuse desk cost memory.
"""

from sendserver.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.auth",  # accounts.User stands on it
    "django.contrib.contenttypes",
    "accounts",
    "compliance",
    "campaigns",
]
# Django's own default of logging loads the pages that show errors to developers; sendserver.lane sets ours up.
LOGGING_CONFIG = None
