"""The words of the pages know every state of the product."""

from __future__ import annotations

import hashlib

from accounts.models import Standing
from campaigns.models import CampaignState
from sendserver.lib import words
from sendserver.pages import papers


def test_states_of_the_product_have_words() -> None:
    assert set(words.STANDINGS) == set(Standing.values)
    assert set(CampaignState.values) <= set(words.CAMPAIGN_STATES)


# What was published under a version never changes: another text is another version (and moves to papers.OLD).
PUBLISHED = {
    ("terms", "1"): "4721a30ebadf7b18",
    ("dpa", "1"): "911b8140b4ac1902",
}


def test_a_published_document_reads_as_it_was_accepted() -> None:
    found = {
        key: hashlib.sha256(repr((paper.lead, paper.parts)).encode()).hexdigest()[:16]
        for key, paper in papers.published().items()
    }
    assert found == PUBLISHED
