"""Time made short: every lease, timeout and wait of sending, times one factor."""

from __future__ import annotations

from dataclasses import dataclass

from compliance import policy

QUICK, SLOW = 0.01, 0.1
SLOW_SEED = 10  # the one seed of a row that runs at 1/10; shorter runs have none
SLICE_LEAST = 2.0  # seconds; 1/100 of a slice would be mostly its beginning and its end


@dataclass(frozen=True)
class Scale:
    """A factor and what follows from it."""

    factor: float = QUICK

    @classmethod
    def of_seed(cls, seed: int) -> Scale:
        """Return the scale of this seed."""
        return cls(SLOW if seed == SLOW_SEED else QUICK)

    def sending(self, **changes: object) -> dict[str, object]:
        """Return settings.SENDING; the stop poll keeps its production value, since its bound is 2 s at any scale."""
        return {
            "lease_seconds": 900 * self.factor,
            "slice_seconds": max(SLICE_LEAST, 50 * self.factor),
            "connections": 4,
            "chunk_size": 30,
            "stop_poll_seconds": 0.5,
            "timeouts": {"connect": 30.0, "command": 60.0, "body": 180.0, "dot": 600.0},
            "timeout_scale": self.factor,
            **changes,
        }

    def constants(self) -> dict[str, object]:
        """Return constants of modules, by dotted name; a name that is gone is an error of torture's own."""
        steps = tuple(seconds * self.factor for seconds in (300, 900, 1800, 3600))
        return {
            "campaigns.sending.relays.BREAKER_SECONDS": 30 * self.factor,
            "campaigns.sending.relays.FAULT_SECONDS": 300 * self.factor,
            "campaigns.sending.owners.DEAF_SECONDS": 12.0,
            "campaigns.sending.retry.STEPS_SECONDS": steps,
            "campaigns.sending.retry.LATER_SECONDS": 7200 * self.factor,
            "campaigns.sending.retry.FULL_SECONDS": 86_400 * self.factor,
            "campaigns.sending.retry.MAX_AGE_SECONDS": policy.RETRY_MAX_H * 3600 * self.factor,
        }
