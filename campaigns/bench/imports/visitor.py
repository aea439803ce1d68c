"""Somebody who looks at the portal while a list is read: the web server as the product starts it, and a stopwatch."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import User
from campaigns.bench import processes
from campaigns.bench.errors import BenchError

EVERY: Final = 0.1  # seconds between two pages
PAGES: Final = ("/portal/", "/portal/lists/")
_SERVING: Final = ("--worker-class", "gthread", "--workers", "2", "--threads", "4", "--preload", "--no-control-socket")


@dataclass
class Visitor:
    """A signed-in person; `seconds` has one entry a page."""

    port: int
    cookie: str
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _ends: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Fetch page after page until told to end."""
        number = 0
        while not self._ends.wait(EVERY):
            self.fetch(PAGES[number % len(PAGES)])
            number += 1

    def fetch(self, page: str) -> None:
        """Fetch one page and note how long it took."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", page, headers={"Cookie": self.cookie, "Host": "localhost"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        self.seconds.append(time.monotonic() - begun)
        if answer.status != 200:
            self.failed.append(f"{page}: {answer.status} {answer.getheader('Location')}")

    @property
    def p95(self) -> float:
        """Return the milliseconds within which 95 of 100 pages came."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[int(0.95 * (len(ordered) - 1))]


@contextmanager
def visiting(user: User, folder: Path) -> Iterator[Visitor]:
    """Have somebody look at pages meanwhile; raises BenchError when a page did not come."""
    port = processes.free_port()
    with (folder / "web.log").open("wb") as log:
        command = [sys.executable, "-m", "gunicorn", "sendserver.wsgi", "-b", f"127.0.0.1:{port}", *_SERVING]
        web = processes.spawn(command, stdout=log, stderr=log)
        try:
            processes.wait_until(lambda: processes.answers(port), seconds=30, what="The web server did not answer")
            visitor = Visitor(port, _signed_in(user))
            for page in PAGES * 4:  # both processes have loaded what they load at first
                visitor.fetch(page)
            visitor.seconds.clear()
            thread = threading.Thread(target=visitor.look, daemon=True)
            thread.start()
            try:
                yield visitor
            finally:
                visitor._ends.set()
                thread.join()
        finally:
            processes.end(web)
    if visitor.failed:
        raise BenchError(f"A page did not come: {visitor.failed[0]}")


def _signed_in(user: User) -> str:
    """Return the cookie of a session as a password and a second factor leave it."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["account_authentication_methods"] = [
        {"method": "password", "at": timezone.now().timestamp(), "email": user.email, "reauthenticated": True}
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
