"""What the launcher prints. A terminal that went away is no reason to stop."""

import contextlib
import sys
import time
from collections.abc import Iterator


def say(text: str = "") -> None:
    """Print one line at once."""
    with contextlib.suppress(OSError):  # the terminal was closed; SIGHUP says so too
        print(text, flush=True)


def complain(text: str) -> None:
    """Print one line to the error output at once."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print what is being done, and afterwards how many seconds it took."""
    begun = time.monotonic()
    say(f"  {text} ...")
    yield
    say(f"  {text}: {time.monotonic() - begun:.1f} s")
