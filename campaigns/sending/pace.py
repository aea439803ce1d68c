"""How fast a relay is fed: one token bucket a lane. The day's allowance of an organization is part of the claim."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Bucket:
    """Tokens come in at `rate` a second up to `burst`; a rate of 0 means no limit."""

    rate: float
    burst: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _tokens: float = field(default=0.0, init=False)
    _at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.burst = self.burst or max(1.0, self.rate)
        self._tokens, self._at = self.burst, self.clock()

    def take(self) -> float:
        """Take one token and return the seconds to wait before using it."""
        if self.rate <= 0:
            return 0.0
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)

    def _fill(self) -> None:
        now = self.clock()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def take_at_once(self) -> bool:
        """Take one token if one is there now."""
        if self.rate <= 0:
            return True
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def wait(self) -> None:
        """Take one token, waiting for it if need be."""
        seconds = self.take()
        if seconds > 0:
            await asyncio.sleep(seconds)
