"""Two at once: two moderators, many reporters, two appeals. Real transactions on real connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from abuse import moderation
from abuse.errors import AbuseError
from abuse.models import Case, Complaint, Decision
from abuse.tests import make
from accounts.ledger import first_broken
from accounts.models import AuditEntry, StandingChange
from sendserver.testing.personas import make_organization

pytestmark = [pytest.mark.django_db(transaction=True)]


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Run the acts together and return what each gave or raised."""
    start = Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        try:
            start.wait(10)
            return act()
        except AbuseError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_one_decision_and_one_case() -> None:
    organization = make_organization("Larkfield Garden Co.")
    ruth, tomas = make.moderator_user("Ruth"), make.moderator_user("Tomas")
    sent = make.campaign(organization, accepted=1000)
    people = [make.delivery(sent) for _ in range(4)]

    reports = at_once(*[lambda to=to: make.report(to) for to in people])
    assert [type(report) for report in reports] == [Complaint] * 4
    case = Case.objects.get()
    assert case.complaints.count() == 4

    def decide(actor: object, kind: str) -> object:
        request = moderation.DecisionRequest(case=case, kind=kind, actor=actor, rule="2.3", reason="x")  # type: ignore[arg-type]
        return moderation.apply_decision(request)

    answers = at_once(lambda: decide(ruth, "suspend"), lambda: decide(tomas, "warn"))
    assert sorted(type(answer).__name__ for answer in answers) == ["Decision", "DecisionRefusedError"]
    assert (Decision.objects.count(), StandingChange.objects.count()) == (1, 1)
    assert first_broken(AuditEntry) is None
    assert first_broken(Decision) is None
