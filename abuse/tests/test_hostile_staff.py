"""Hostile tries at staff pages: addresses and words that the database cannot take are no errors."""

from __future__ import annotations

import pytest
from django.urls import reverse

from abuse import cases
from abuse.models import CaseEntry
from accounts.models import Organization
from campaigns.models import RelayState
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", ["²", "9" * 5000, "9" * 30, "x"])
@pytest.mark.parametrize("page", ["case", "appeal"])
def test_a_key_that_is_none_is_not_found(administrator: Persona, page: str, key: str) -> None:
    assert administrator.client.get(f"/staff/abuse/{page}/{key}/change/").status_code in (302, 404)


@pytest.mark.parametrize("query", ["organization__standing=%00", "urgent__exact=%00", "q=%00"])
def test_a_filter_with_a_nul_is_refused(administrator: Persona, query: str) -> None:
    assert administrator.client.get(f"/staff/abuse/case/?{query}").status_code == 400


@pytest.mark.parametrize("path", ["/portal/cases/%00/", "/abuse/t/%00/", "/?x=%00"])
def test_no_address_holds_a_nul(alice: Persona, path: str) -> None:
    assert alice.client.get(path).status_code == 400


def test_a_nul_in_a_reason_is_left_out(larkfield: Organization, moderator: Persona) -> None:
    case = cases.open_case(larkfield, None)
    for name in ("note", "second"):
        url = reverse(f"admin:abuse_case_{name}", args=[case.pk])
        assert moderator.client.post(url, {"reason": "Seen\x00 it."}).status_code == 302
    assert CaseEntry.objects.get(kind=CaseEntry.Kind.NOTE).text == "Seen it."
    moderator.client.post("/staff/relays/relay-1/pause/", {"reason": "Slow\x00 today."})
    assert RelayState.objects.get(key="relay-1").paused_at is not None
