#!/usr/bin/env python
"""Django's command line for the portal."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    from django.core.management import execute_from_command_line

    import sendserver.celery  # noqa: F401 (makes ours the current Celery application, so that pokes find the broker)

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
