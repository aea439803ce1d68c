"""A lane in a process of its own, for tests that kill it: `python -m campaigns.tests.lane_process <relay key> <json>`.

The JSON names database, relays, journal directory and sending figures, which a parent test has changed, and perhaps
`poison`: addresses that kill this process when their message is written.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "sendserver.settings"

import django
from django.conf import settings


def main(relay_key: str, changes: dict) -> None:
    """Run one slice with the parent's settings."""
    for alias in settings.DATABASES:
        settings.DATABASES[alias]["NAME"] = changes["database"]
    settings.SENDING = changes["sending"]
    settings.PACE = changes.get("pace", settings.PACE)
    settings.JOURNAL_DIR = Path(changes["journal"])
    django.setup()
    from campaigns.sending import deliver
    from sendserver.lib.relays import RelayConfig

    settings.RELAYS = {f"relay-{n}": RelayConfig.from_url(n, url) for n, url in enumerate(changes["relays"], start=1)}
    _poison(changes.get("poison", []))
    deliver.run_lane(relay_key)


def _poison(addresses: list) -> None:
    from campaigns.sending import mime

    write = mime.write_all

    def deadly(letter: mime.Letter, recipients: list) -> list:
        if any(one.address in addresses for one in recipients):
            os.kill(os.getpid(), signal.SIGKILL)
        return write(letter, recipients)

    mime.write_all = deadly


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
