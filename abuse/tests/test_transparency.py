"""The public figures of the desk: counted on a beat, right in each row, never counted by a visitor."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from abuse import appeals, intake, judging, transparency
from abuse.matching import match_token
from abuse.models import Case, Complaint, ComplaintSource, DecisionKind, MonthFigures
from abuse.tasks import count_months
from abuse.tests import make
from abuse.tests.test_moderation import decide
from accounts.models import Organization, User
from campaigns import brakes
from campaigns.models import Brake
from sendserver.lib import clock
from sendserver.testing.personas import Persona, make_organization

pytestmark = pytest.mark.django_db
D = DecisionKind
PAGE = "/transparency/"


@pytest.fixture
def ruth(db: None) -> User:
    return make.moderator_user("Ruth")


@pytest.fixture
def tomas(db: None) -> User:
    return make.moderator_user("Tomas")


def counts() -> dict[str, Any]:
    return transparency.count(clock.now().date())


def case(name: str) -> Case:
    return make.case_of(make_organization(f"{name} Ltd"))


def test_each_decision_is_counted_in_its_row(ruth: User, tomas: User) -> None:
    decide(case("A"), ruth, D.WARN)
    decide(case("B"), ruth, D.NO_ACTION)
    decide(case("C"), ruth, D.SUSPEND_CAMPAIGN)
    suspended = case("E")
    decide(suspended, ruth, D.SUSPEND)
    decide(make.case_of(suspended.organization), ruth, D.RESTORE)
    found = counts()
    assert (found["reports"], found["proven"], found["not_ours"]) == (5, 5, 0)
    assert (found["warned"], found["no_action"], found["campaigns"]) == (1, 1, 1)
    assert (found["suspended"], found["restored"], found["blocked"]) == (1, 1, 0)
    assert found["decide_s"] is not None


def test_a_block_counts_once_it_is_confirmed(ruth: User, tomas: User) -> None:
    blocked = case("A")
    first = decide(blocked, ruth, D.BLOCK)
    assert (counts()["suspended"], counts()["blocked"]) == (1, 0)
    blocked.refresh_from_db()
    decide(blocked, tomas, D.BLOCK, confirms=first)
    assert (counts()["suspended"], counts()["blocked"]) == (1, 1)


def test_appeals_and_automatic_pauses(larkfield: Organization, alice: Persona, ruth: User, tomas: User) -> None:
    decision = decide(make.case_of(larkfield), ruth, D.WARN)
    appeal = appeals.make(decision, user=alice.user, ground="facts", text="No.")
    appeals.decide(appeal, actor=tomas, reverse=True, reason="Right.")
    brakes.set_brake(Brake.Kind.COMPLAINTS, "By figures", organization=larkfield)
    brakes.set_brake(Brake.Kind.STAFF, "By a person", organization=larkfield, actor=ruth)
    found = counts()
    assert (found["appeals"], found["reversed"], found["automatic"]) == (1, 1, 1)


def test_a_report_about_other_mail(larkfield: Organization) -> None:
    intake.receive(intake.Report(kind="other", source=ComplaintSource.FORM, match=match_token("x")))
    assert (counts()["reports"], counts()["not_ours"], counts()["proven"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (datetime(2026, 2, 1, tzinfo=UTC), True),
        (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 1, tzinfo=UTC), False),
        (datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), False),
    ],
)
def test_a_month_ends_where_the_next_begins(larkfield: Organization, moment: datetime, inside: bool) -> None:
    make.report(make.delivery(make.campaign(larkfield)))
    Complaint.objects.update(received_at=moment)
    assert transparency.count(date(2026, 2, 1))["reports"] == int(inside)


def test_this_month_and_the_last_are_counted_anew_and_older_ones_stay(
    larkfield: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.report(make.delivery(make.campaign(larkfield)))
    assert count_months() == 2
    this, last = MonthFigures.objects.order_by("-month")
    assert (this.counts["reports"], last.counts["reports"]) == (1, 0)
    later = clock.now() + timedelta(days=70)
    monkeypatch.setattr(clock, "now", lambda: later)
    Complaint.objects.all().delete()  # what retention may do
    count_months()
    assert MonthFigures.objects.get(pk=this.pk).counts["reports"] == 1
    assert MonthFigures.objects.count() == 4


def test_a_visitor_reads_rows_and_counts_nothing(larkfield: Organization, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        make.report(make.delivery(make.campaign(larkfield)))
    count_months()
    with django_assert_num_queries(1) as asked:
        page = Client().get(PAGE).content.decode()
    assert "abuse_monthfigures" in asked.captured_queries[0]["sql"]
    assert "LIMIT" in asked.captured_queries[0]["sql"]
    assert f'<td class="r">{3}</td>' in page
    assert larkfield.name not in page


def test_before_the_first_count_the_page_says_so() -> None:
    assert "Nothing counted yet" in Client().get(PAGE).content.decode()


def test_one_person_alone_is_shown_while_it_is_so_and_afterwards(settings: Any) -> None:
    assert "needs a second person" in Client().get(PAGE).content.decode()
    settings.REQUIRE_SECOND_PERSON = False
    count_months()
    assert "One person is enough at the moment" in Client().get(PAGE).content.decode()
    settings.REQUIRE_SECOND_PERSON = True
    page = Client().get(PAGE).content.decode()
    assert "needs a second person" in page
    assert f"Counted while one person was enough: {clock.now():%B %Y}" in page.replace("\n", " ")


def test_the_footer_leads_there() -> None:
    assert f'href="{PAGE}"' in Client().get("/").content.decode()
    assert reverse("transparency") == PAGE


def test_the_round_of_judging_does_not_need_it() -> None:
    judging.run()
    assert not MonthFigures.objects.exists()
