"""Tables of campaigns, one module a subject."""

from campaigns.models.composing import Campaign, CampaignState, ClickCount, Link, Snapshot
from campaigns.models.events import Event, EventKind, InboundMail
from campaigns.models.sending import (
    Brake,
    Chunk,
    Delivery,
    Outcome,
    Pace,
    RelayState,
    Retry,
    SetAside,
    SystemMail,
    Tally,
    Turn,
    Usage,
)

__all__ = [
    "Brake",
    "Campaign",
    "CampaignState",
    "Chunk",
    "ClickCount",
    "Delivery",
    "Event",
    "EventKind",
    "InboundMail",
    "Link",
    "Outcome",
    "Pace",
    "RelayState",
    "Retry",
    "SetAside",
    "Snapshot",
    "SystemMail",
    "Tally",
    "Turn",
    "Usage",
]
