"""Free and taken ports of this machine. Looks only; it reserves nothing."""

import errno
import random
import socket

# Below the range that Linux hands out to outgoing connections (32768 up), so that a
# port found free now is not taken by somebody's outgoing call a moment later.
LOWEST, HIGHEST = 20_000, 32_000
TRIES = 200


class NoSuchAddressError(OSError):
    """The host name or address is none of this machine's."""


def is_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether nobody could listen on `host`:`port` with TCP now.

    A port in TIME_WAIT counts as free. Raises NoSuchAddressError, and PermissionError for a port under 1024.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise NoSuchAddressError(host) from error
            return True
    return False


def free_from(port: int, host: str) -> int:
    """Return the first free port at or after `port`, never one under 1024: what to suggest to a person."""
    return next(number for number in range(max(port, 1024), 65_536) if not is_taken(number, host))


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
        port = random.randint(LOWEST, HIGHEST)
        if port not in (avoid or set()) and not is_taken(port) and not _udp_taken(port):
            return port
    raise OSError(f"no free port found between {LOWEST} and {HIGHEST}")


def free_ports(count: int) -> list[int]:
    """Return `count` different free ports."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port(found))
    return sorted(found)
