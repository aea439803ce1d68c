"""Message after message without a pause: what is done in the moment in which a relay's answer comes in.

While a relay takes everything, nothing has to be waited for but its answers, and no coroutine is resumed for a message.
A `Stream` takes a step only when all of it can be done at once: the message on the wire was taken, the next one's
envelope too, and that one may be sent now. Everything else it leaves, untouched, to the lane's own conversation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from campaigns.sending.attempt import Ready
from campaigns.sending.claim import Item
from campaigns.sending.replies import Reply
from campaigns.sending.slices import FRESH_SECONDS
from campaigns.sending.smtp import AT_ONCE_MAX, SmtpConnection


class Host(Protocol):
    """What a stream needs of its lane."""

    ending: bool
    relay_failed: bool
    attempted: int

    def ready_at_once(self) -> Ready | None:
        """Return the next recipient if nothing has to be waited for."""

    def is_stopped(self, item: Item) -> bool:
        """Tell whether this campaign may not be sent now."""

    def note_taken(self, ready: Ready, reply: Reply, following: Item) -> None:
        """Write down that the relay took a message, and that the dot of the following one comes now."""


@dataclass(slots=True)
class Talk:
    """What one connection is about: `current` is being sent, of `following` the envelope is on the wire.

    `coming` is written and nothing else: its envelope goes with the following one's message.
    """

    current: Ready
    following: Ready | None = None
    coming: Ready | None = None

    def next(self) -> Talk | None:
        """Return what the connection is about once the current one is through."""
        return Talk(self.following, coming=self.coming) if self.following else None


def look_ahead(lane: Host, connection: SmtpConnection, talk: Talk) -> None:
    """Choose who follows the current message, and who comes behind that one."""
    if connection.pipelines and talk.following is None:
        talk.following, talk.coming = talk.coming or lane.ready_at_once(), None
    if talk.following is not None and talk.coming is None:
        talk.coming = lane.ready_at_once()


class Stream:
    """A connection's conversation while it goes on at once; `talk` says how far it has come, also behind an error."""

    def __init__(self, lane: Host, connection: SmtpConnection, talk: Talk) -> None:
        self.lane, self.connection, self.talk = lane, connection, talk

    def step(self) -> bool:
        """Write down that the current message was taken and send the following one; False when that is not for here."""
        lane, connection, talk = self.lane, self.connection, self.talk
        current, following = talk.current, talk.following
        if following is None or lane.ending or lane.relay_failed or len(following.written.message) > AT_ONCE_MAX:
            return False
        held = current.held
        if held.claim.chunk_id is None:  # due retries are of many campaigns and attempts
            return False
        if held.on_wire == 1 and not held.waiting:  # its last one: the claim is written down, which takes a while
            return False
        if time.monotonic() - following.looked_at > FRESH_SECONDS or lane.is_stopped(following.item):
            return False
        if not following.held.is_leased():
            return False
        reply = connection.welcomed()
        if reply is None:
            return False
        coming = talk.coming
        lane.note_taken(current, reply, following.item)
        held.on_wire -= 1
        talk.current, talk.following, talk.coming = following, coming, None
        lane.attempted += 1
        connection.write_message(following.written.message, coming.written.envelope if coming else None)
        if coming is not None:
            talk.coming = lane.ready_at_once()
        return True
