"""Who was left out of a campaign, counted by reason: at planning, and in the second of sending. Counts only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db import connection

from campaigns.models import Campaign, Outcome
from compliance.consent import WORDS

State = Outcome.State
# What the lanes say beside the reasons of consent.
OTHER_WORDS = {"removed": "Taken off the list meanwhile"}


@dataclass(frozen=True)
class Reason:
    """One reason in words, with the people it kept out when the list was frozen and when their turn came."""

    code: str
    words: str
    planned: int
    sending: int


def by_reason(campaign: Campaign) -> list[Reason]:
    """Return every reason with its people, most first.

    Both questions are answered by indexes: left-out deliveries have no number, and outcomes are asked for only while
    the tallies say that somebody was left out at sending.
    """
    planned, sending = _at_planning(campaign), _at_sending(campaign)
    codes = sorted(planned | sending, key=lambda code: (-(planned[code] + sending[code]), code))
    return [reason(code, planned[code], sending[code]) for code in codes]


def reason(code: str, planned: int, sending: int) -> Reason:
    """Return a reason with its words."""
    return Reason(code, words_of(code), planned, sending)


def words_of(code: str) -> str:
    """Return the short words of a reason."""
    return WORDS[code][0] if code in WORDS else OTHER_WORDS.get(code, code)


def _at_planning(campaign: Campaign) -> Counter[str]:
    return _counted(
        "SELECT skip_reason, count(*) FROM campaigns_delivery WHERE campaign_id = %s AND seq IS NULL GROUP BY 1",
        campaign,
    )


def _at_sending(campaign: Campaign) -> Counter[str]:
    told = campaign.tallies.filter(state__in=[State.SUPPRESSED, State.SKIPPED]).exclude(relay="", count__gt=0)
    if not told.exclude(count=0).exists():
        return Counter()
    return _counted(
        f"""SELECT CASE WHEN state = '{State.SUPPRESSED}' THEN 'suppressed' ELSE reply END, count(*)
            FROM campaigns_outcome WHERE campaign_id = %s AND state IN ('{State.SUPPRESSED}', '{State.SKIPPED}')
            GROUP BY 1""",  # noqa: S608 (enum values)
        campaign,
    )


def _counted(sql: str, campaign: Campaign) -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [campaign.pk])
        return Counter(dict(cursor.fetchall()))
