"""Clicks without persons: a link's address holds the campaign and a number, the same for everybody (rules TRK-LINK).

The target stands in the link table, never in the address, so there is no open redirect, and a sender whom staff have
stopped gets no visitors. Nothing about the visitor is stored; requests that look like a scanner are counted apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import connection

from accounts.models import Standing
from campaigns import brakes
from campaigns.models import Brake, Campaign, Link
from sendserver.lib import tokens

SCANNER: Final = re.compile(
    r"bot\b|crawl|spider|preview|scan|monitor|curl|wget|python|java/|go-http|okhttp|libwww|headless|proofpoint|barracuda"
    r"|mimecast|safelinks|urldefense|facebookexternalhit|googleimageproxy",
    re.IGNORECASE,
)
_COUNT: Final = """
INSERT INTO campaigns_clickcount (link_id, hour, clicks, automated) VALUES (%s, %s, %s, %s)
ON CONFLICT (link_id, hour) DO UPDATE SET clicks = campaigns_clickcount.clicks + excluded.clicks,
  automated = campaigns_clickcount.automated + excluded.automated
"""


def click_url(campaign: Campaign) -> Callable[[int], str]:
    """Return what gives the counted address of a campaign's link by its number."""
    base = f"{settings.BASE_URL}/c/{tokens.seal(tokens.Purpose.CAMPAIGN, campaign.pk)}"
    return lambda number: f"{base}/{number}/"


def find(token: str, number: int) -> Link | None:
    """Return the link behind a token and a number, or None when either is not ours."""
    campaign_id = tokens.open_token(tokens.Purpose.CAMPAIGN, token)
    rows = Link.objects.select_related("campaign__organization")
    return None if campaign_id is None else rows.filter(campaign_id=campaign_id, number=number).first()


def is_stopped(link: Link) -> bool:
    """Tell whether staff have stopped the sender or the campaign: then nobody is sent on by itself."""
    if link.campaign.organization.standing in (Standing.SUSPENDED, Standing.BLOCKED):
        return True
    return brakes.live(campaign=link.campaign).filter(kind=Brake.Kind.STAFF).exists()


def looks_automated(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request looks like a scanner or a prefetch and not like a person."""
    agent = headers.get("User-Agent", "")
    prefetch = "prefetch" in f"{headers.get('Purpose', '')}{headers.get('Sec-Purpose', '')}".lower()
    return method != "GET" or prefetch or not agent or SCANNER.search(agent) is not None


def count(link: Link, at: datetime, *, automated: bool) -> None:
    """Add one click to the link's hour; concurrent clicks are all counted."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [link.pk, hour, int(not automated), int(automated)])
