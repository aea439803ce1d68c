"""Writing messages just in time: letters loaded once a slice, and what follows when one cannot be written."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from django.db import Error as DatabaseError

from campaigns.errors import CampaignError, RenderError
from campaigns.sending import letters, mime, slices
from campaigns.sending.claim import Item, Without
from campaigns.sending.limit import WritingLimit
from campaigns.sending.outcomes import State, result_of
from campaigns.sending.slices import Counts, Held
from compliance import policy
from sendserver.lib import clock

log = logging.getLogger(__name__)
TOGETHER_MAX: Final = 32  # messages written at once: most of the gain, some milliseconds
TOGETHER_SECONDS: Final = 0.02  # of the lane's pace, at most: what is written ahead of its turn is out in a moment
TOGETHER_OCTETS: Final = 128 * 1024
TOGETHER_SIGNED: Final = 8  # a signature takes as long as all else of some messages
KEPT_SECONDS: Final = 0.25  # behind that a message is written anew, with its date
_NOT_KEPT: Final = (None, 0.0)
Value = TypeVar("Value")


class Host(Protocol):
    """What the writer needs of its lane."""

    key: str

    async def db(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run a database function in a thread."""

    def put_back(self, held: Held) -> None:
        """Leave a recipient as if never tried."""


class Writer:
    """The letters of a slice. `without` is what the lane passes over; `counts` what the slice saw of each campaign."""

    def __init__(self, lane: Host, without: Without) -> None:
        self.lane, self.without = lane, without
        self.letters: dict[int, mime.Letter] = {}
        self.counts: dict[int, Counts] = {}
        self.limit = WritingLimit(policy.RENDER_MAX_S)
        self._loading = asyncio.Lock()
        # Written along: the message of a delivery, and until when it is used, on the monotonic clock
        self._kept: dict[int, tuple[mime.Written, float]] = {}
        self._alone = 0  # how many more are written by themselves, since one among them cannot be written

    def at_once(self, waiting: deque[tuple[Item, float]], per_second: Callable[[], float]) -> mime.Written | None:
        """Return the message of the first who waits; None when it cannot be written now: `written` says what follows.

        Of those behind as many as go out in a moment, at the lane's pace, are written along and kept for that moment.
        When one of them cannot be written, each is tried by itself.
        """
        item = waiting[0][0]
        letter = self.letters.get(item.campaign_id)
        if letter is None:
            return None
        found, until = self._kept.pop(item.delivery_id, _NOT_KEPT)
        if time.monotonic() > until:
            found = None
        if found is None:
            try:
                found = self._written_along(letter, waiting, per_second) or self.limit.write(letter, [item])[0]
            except Exception:  # noqa: BLE001 (`written` meets it again and says what follows)
                self.limit.settled()
                return None
        self.counts[item.campaign_id].tried += 1
        return found

    def _written_along(
        self, letter: mime.Letter, waiting: deque[tuple[Item, float]], per_second: Callable[[], float]
    ) -> mime.Written | None:
        """Write several and return the first; None when it is to be written by itself."""
        if self._alone:
            self._alone -= 1
            return None
        most = TOGETHER_SIGNED if letter.signers else TOGETHER_OCTETS // letter.compiled.octets
        campaign, many = waiting[0][0].campaign_id, min(TOGETHER_MAX, most, round(per_second() * TOGETHER_SECONDS))
        some = [item for item, _ in islice(waiting, many) if item.campaign_id == campaign]
        if len(some) < 2:
            return None
        try:
            messages = self.limit.write(letter, some)
        except Exception:  # noqa: BLE001 (of one of them; which one shows when they are written one by one)
            self.limit.settled()
            self._alone = len(some) - 1
            return None
        if len(self._kept) > TOGETHER_MAX:  # of people who went another way
            self._kept.clear()
        until = time.monotonic() + KEPT_SECONDS
        for item, written in zip(some[1:], messages[1:], strict=True):
            self._kept[item.delivery_id] = written, until
        return messages[0]

    async def written(self, held: Held, item: Item) -> mime.Written | None:
        """Return the message, or None when it cannot be written or its campaign cannot be sent at all."""
        if item.campaign_id in self.without.campaigns:
            self.lane.put_back(held)
            return None
        counts = self.counts.setdefault(item.campaign_id, Counts())
        counts.tried += 1
        try:
            letter = self.letters.get(item.campaign_id) or await self._letter(item.campaign_id)
            return self.limit.write(letter, [item])[0]
        except letters.LetterError as error:
            self.lane.put_back(held)
            self.without.campaigns.add(item.campaign_id)
            await self.lane.db(slices.brake_for, item.campaign_id, error)
        except (RenderError, CampaignError) as error:
            await self._unwritable(held, item, str(error))
        except DatabaseError:
            raise
        except Exception as error:  # one message is poison: it fails alone, instead of failing every slice
            log.exception("delivery %s could not be written", item.delivery_id)
            await self._unwritable(held, item, type(error).__name__)
        return None

    async def judge(self, campaign_id: int) -> None:
        """Set the brake that what was seen asks for."""
        if await self.lane.db(slices.judge, campaign_id, self.counts[campaign_id]):
            self.without.campaigns.add(campaign_id)

    async def _unwritable(self, held: Held, item: Item, text: str) -> None:
        self.limit.settled()
        self.counts[item.campaign_id].render_failed += 1
        at = clock.now()
        held.results.append(result_of(item, State.RENDER_FAILED, relay=self.lane.key, at=at, reply=text[:300]))
        await self.judge(item.campaign_id)

    async def _letter(self, campaign_id: int) -> mime.Letter:
        """Load a letter once, for however many connections begin with it together."""
        async with self._loading:
            letter = self.letters.get(campaign_id)
            if letter is None:
                letter = self.letters[campaign_id] = await self.lane.db(letters.load, campaign_id, self.lane.key)
        return letter
