"""The words of the pages know every state of the product."""

from __future__ import annotations

from accounts.models import Standing
from campaigns.models import CampaignState
from sendserver.lib import words


def test_states_of_the_product_have_words() -> None:
    assert set(words.STANDINGS) == set(Standing.values)
    assert set(CampaignState.values) <= set(words.CAMPAIGN_STATES)
