"""WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

import sendserver.celery  # noqa: F401 (makes ours the current Celery application, so that pokes find the broker)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
application = get_wsgi_application()
