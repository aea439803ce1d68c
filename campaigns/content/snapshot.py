"""The frozen content: what was approved is what is sent (rules CONTENT-SNAPSHOT)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from campaigns.content.compile import MessageContent
from campaigns.models import Snapshot
from compliance import rules
from compliance.models import ContactList
from sendserver.lib import chain


def document(
    content: MessageContent, lists: Sequence[ContactList], segment: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a snapshot keeps: content, the lists' uids, the segment's conditions, the versions of the rules."""
    uids = sorted(str(one.uid) for one in lists)
    kept = {**content.to_json(), "lists": uids, "rules": rules.version()}
    return {**kept, "segment": segment} if segment else kept


def sha256(stored: dict[str, Any]) -> bytes:
    """Return the hash that binds approval, verdict and sending to one content, 32 bytes."""
    return hashlib.sha256(chain.canonical(stored)).digest()


def load(snapshot: Snapshot) -> MessageContent:
    """Return the content of a snapshot; ValueError when its hash does not fit, so that nothing altered is sent."""
    if sha256(snapshot.content) != bytes(snapshot.sha256):
        raise ValueError(f"snapshot {snapshot.pk} does not fit its hash")
    return MessageContent.from_json(snapshot.content)
