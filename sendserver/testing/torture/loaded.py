"""Loads Django when imported: first of what the server of forks has in memory, before the modules that need it."""

import django

django.setup()
