"""Free and taken ports of this machine. Looks only; it reserves nothing."""

import random
import socket

# Below the range that Linux hands out to outgoing connections (32768 up), so that a
# port found free now is not taken by somebody's outgoing call a moment later.
LOWEST, HIGHEST = 20_000, 32_000
TRIES = 200


def is_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether nobody could listen on `host`:`port` with TCP now.

    A port in TIME_WAIT counts as free. PermissionError (a port under 1024) is the caller's to explain.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise
        except OSError:
            return True
    return False


def _udp_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port(avoid: set[int] | None = None) -> int:
    """Return a port on 127.0.0.1 that is free for TCP and UDP and is not in `avoid`."""
    for _ in range(TRIES):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311 -- a port is no secret
        if port not in (avoid or set()) and not is_taken(port) and not _udp_taken(port):
            return port
    raise OSError(f"no free port found between {LOWEST} and {HIGHEST}")


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port(found))
    return sorted(found)
