"""Writing messages just in time: letters loaded once a slice, and what follows when one cannot be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

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

    def at_once(self, item: Item) -> mime.Written | None:
        """Return the message if its letter is loaded and it can be written; `written` says what follows if not."""
        letter = self.letters.get(item.campaign_id)
        if letter is None:
            return None
        try:
            written = self.limit.write(letter, item)
        except Exception:  # noqa: BLE001 (`written` meets it again and says what follows)
            self.limit.settled()
            return None
        self.counts[item.campaign_id].tried += 1
        return written

    async def written(self, held: Held, item: Item) -> mime.Written | None:
        """Return the message, or None when it cannot be written or its campaign cannot be sent at all."""
        if item.campaign_id in self.without.campaigns:
            self.lane.put_back(held)
            return None
        counts = self.counts.setdefault(item.campaign_id, Counts())
        counts.tried += 1
        try:
            letter = self.letters.get(item.campaign_id) or await self._letter(item.campaign_id)
            return self.limit.write(letter, item)
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
