"""Public figures: hidden on too little mail, counted right, and never the reason that a page falls."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from abuse.models import Case, CaseState, Complaint
from accounts.models import Organization
from campaigns.models import Campaign, CampaignState, Event, EventKind, InboundMail, Outcome, RelayState, Tally
from sendserver.pages import figures, servers


def campaign(organization: Organization, *, days_ago: float, accepted: int, relay: str = "relay-1") -> Campaign:
    started = timezone.now() - timedelta(days=days_ago)
    one = Campaign.objects.create(organization=organization, name="A", state=CampaignState.SENT, started_at=started)
    Tally.objects.create(campaign=one, relay=relay, state=Outcome.State.ACCEPTED, count=accepted)
    return one


def complaint(organization: Organization, name: str, grade: str, *, delivery: int | None = None) -> None:
    Complaint.objects.create(
        reference=name,
        kind=Complaint.Kind.UNWANTED,
        source="form",
        grade=grade,
        organization=organization,
        delivery_id=delivery,
        received_at=timezone.now() - timedelta(days=1),
    )


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "enough"), [(6.9, False), (7.1, True)])
def test_figures_are_hidden_under_seven_days(
    client: Client, larkfield: Organization, days: float, enough: bool
) -> None:
    campaign(larkfield, days_ago=days, accepted=1_284_310)
    assert figures.count(timezone.now()).enough is enough
    for path in ("/", "/stats/"):
        assert ("1,284,310" in client.get(path).content.decode()) is enough


@pytest.mark.django_db
def test_only_thirty_days_count(larkfield: Organization) -> None:
    one = campaign(larkfield, days_ago=8, accepted=10_000)
    campaign(larkfield, days_ago=31, accepted=500)
    for number, at in ((1, 1), (2, 1), (3, 40)):
        Event.objects.create(
            kind=EventKind.BOUNCED,
            at=timezone.now() - timedelta(days=at),
            campaign_id=one.pk,
            source="dsn",
            dedupe=f"b{number}",
        )
    found = figures.count(timezone.now())
    assert (found.accepted, found.bounced) == (10_000, 2)


@pytest.mark.django_db
def test_only_proven_complaints_count(larkfield: Organization) -> None:
    campaign(larkfield, days_ago=8, accepted=20_000)
    for grade in "ABCX":
        complaint(larkfield, f"AB-{grade}", grade)
    found = figures.count(timezone.now())
    assert found.complaints == 2
    assert found.complaints_per_10000 == "1.0"


@pytest.mark.django_db
def test_complaints_are_counted_at_the_server_that_sent(larkfield: Organization) -> None:
    one = campaign(larkfield, days_ago=1.5, accepted=5_000, relay="relay-2")
    Outcome.objects.create(
        delivery_id=7, campaign_id=one.pk, state=Outcome.State.ACCEPTED, relay="relay-2", at=timezone.now()
    )
    complaint(larkfield, "AB-1", "A", delivery=7)
    weeks = figures.count(timezone.now()).weeks
    assert len(weeks) == figures.WEEKS
    assert weeks[-1][1] == (0.0, 2.0)


@pytest.mark.django_db
def test_the_middle_time_of_decisions(larkfield: Organization) -> None:
    now = timezone.now()
    for turn, hours in enumerate((1, 5, 50)):
        opened = now - timedelta(days=3)
        Case.objects.create(
            reference=f"CA-{turn}",
            organization=larkfield,
            state=CaseState.DECIDED,
            opened_at=opened,
            promised_until=opened,
            decided_at=opened + timedelta(hours=hours),
        )
    assert figures.count(now).median_decision_s == 5 * 3600


@pytest.mark.django_db
def test_nothing_decided_is_said_and_not_zero(larkfield: Organization) -> None:
    assert figures.count(timezone.now()).median_decision_s is None


@pytest.mark.django_db
def test_a_failed_count_leaves_the_page_standing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: object) -> None:
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(figures, "count", fail)
    assert "not available right now" in client.get("/").content.decode()
    assert client.get("/stats/").status_code == 200
    assert client.get("/postmaster/").status_code == 200


@pytest.mark.django_db
def test_figures_are_counted_once_an_hour(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    real = figures.count
    monkeypatch.setattr(figures, "count", lambda now: calls.append(now) or real(now))
    client.get("/")
    client.get("/stats/")
    assert len(calls) == 1


def relay(**values: object) -> None:
    RelayState.objects.update_or_create(key="relay-1", defaults={"checked_at": timezone.now(), **values})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"healthy": True}, "ok"),
        ({"healthy": False}, "down"),
        ({"healthy": True, "paused_at": timezone.now()}, "paused"),
        ({"checked_at": None}, "unknown"),
    ],
)
def test_a_server_says_how_it_is(client: Client, values: dict[str, object], state: str) -> None:
    relay(**values)
    assert servers.servers()[0].state == state
    assert client.get("/postmaster.json").json()["servers"][0]["state"] == state
    assert client.get("/status/").status_code == 200


@pytest.mark.django_db
def test_mail_that_waits_too_long_is_a_fault(client: Client) -> None:
    assert "Works" in client.get("/status/").content.decode()
    InboundMail.objects.create(
        received_at=timezone.now() - timedelta(minutes=11),
        rcpt_to="b@x.example",
        peer="::1",
        raw=b"x",
        sha256=b"x" * 32,
    )
    text = client.get("/status/").content.decode()
    assert "Something needs our attention" in text
    assert "Some waits to be read" in text
