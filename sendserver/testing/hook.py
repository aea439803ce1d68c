"""A webhook of our own on loopback: keeps what it is told, with its signature."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Hook:
    """Listens while it is entered; `told` are the bodies, `calls` body and signature as they came."""

    def __init__(self, *, status: int = 200) -> None:
        self.calls: list[tuple[bytes, str]] = []
        self.status = status
        calls, hook = self.calls, self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                calls.append((body, self.headers["X-Sendserver-Signature"]))
                self.send_response(hook.status)
                if hook.status == 302:
                    self.send_header("Location", hook.url)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/oncall"

    @property
    def told(self) -> list[dict[str, Any]]:
        """Return what it was told, oldest first."""
        return [json.loads(body) for body, _ in list(self.calls)]

    def __enter__(self) -> Hook:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
