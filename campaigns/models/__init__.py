"""Tables of campaigns, one module a subject."""

from campaigns.models.alarms import Alarm
from campaigns.models.canary import Canary
from campaigns.models.composing import Campaign, CampaignState, ClickCount, Link, Snapshot
from campaigns.models.events import Event, EventKind, InboundMail, LinkRequest
from campaigns.models.relay_log import RelayLog, RelayTrace
from campaigns.models.sending import (
    Brake,
    Chunk,
    Delivery,
    Outcome,
    Pace,
    RelayProbe,
    RelayState,
    Retry,
    SetAside,
    SystemMail,
    Tally,
    Turn,
    Usage,
)

__all__ = [
    "Alarm",
    "Brake",
    "Campaign",
    "CampaignState",
    "Canary",
    "Chunk",
    "ClickCount",
    "Delivery",
    "Event",
    "EventKind",
    "InboundMail",
    "Link",
    "LinkRequest",
    "Outcome",
    "Pace",
    "RelayLog",
    "RelayProbe",
    "RelayState",
    "RelayTrace",
    "Retry",
    "SetAside",
    "Snapshot",
    "SystemMail",
    "Tally",
    "Turn",
    "Usage",
]
