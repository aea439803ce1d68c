"""A report comes in: kept sealed, stopped at once when proven, gathered in one case; limits and false reports."""

from __future__ import annotations

import pytest

from abuse import figures, intake
from abuse.errors import TooManyReportsError
from abuse.matching import match_source, match_token
from abuse.models import Case, Complaint, ComplaintSource
from abuse.reputation import Level, judge
from abuse.tests import make
from accounts.models import Organization
from campaigns.models import Event
from compliance import policy
from compliance.models import Suppression
from compliance.suppression import is_suppressed
from sendserver.lib.addresses import AddressKey

pytestmark = pytest.mark.django_db


def test_proven_report_stops_the_sender_at_once(larkfield: Organization, hollin: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    complaint = make.report(to)
    assert complaint.stopped_at is not None
    assert is_suppressed(larkfield, AddressKey("ada@inbox.example"))
    assert not is_suppressed(hollin, AddressKey("ada@inbox.example"))
    assert Suppression.objects.get(organization=larkfield).reason == "complaint"
    assert Event.objects.get(kind="complained").source == "abuse_form"


def test_never_again_from_anyone(larkfield: Organization, hollin: Organization) -> None:
    make.report(make.delivery(make.campaign(larkfield), "ada@inbox.example"), never_platform=True)
    assert is_suppressed(hollin, AddressKey("ada@inbox.example"))


def test_second_report_may_widen_the_stop(larkfield: Organization, hollin: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    first, second = make.report(to), make.report(to, never_platform=True)
    assert is_suppressed(hollin, AddressKey("ada@inbox.example"))
    assert (first.case, first.reference) != (None, second.reference)
    assert first.case == second.case


def test_unproven_report_stops_nobody(larkfield: Organization) -> None:
    sent = make.campaign(larkfield)
    make.delivery(sent, "ada@inbox.example")
    raw = f"From: <news@{larkfield.domains.get().name}>\nTo: ada@inbox.example\n\n".encode()
    complaint = intake.receive(
        intake.Report(kind="phishing", source=ComplaintSource.FORM, match=match_source(raw), raw=raw)
    )
    assert (complaint.grade, complaint.stopped_at) == ("C", None)
    assert not Suppression.objects.exists()
    assert complaint.case is not None
    assert complaint.case.urgent is False  # what anybody can type does not jump the queue


def test_not_ours_opens_no_case() -> None:
    complaint = intake.receive(intake.Report(kind="other", source=ComplaintSource.FORM, match=match_token("nothing")))
    assert (complaint.grade, complaint.case) == ("X", None)


def test_source_is_kept_sealed(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    raw = make.source_of(to).encode()
    complaint = make.report(to, match=match_source(raw), raw=raw)
    complaint.refresh_from_db()
    assert b"Received" not in bytes(complaint.raw or b"")
    assert "Received: from out2" in intake.source_of(complaint)


def test_urgent_report_makes_the_case_urgent(larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    slow = make.report(to).case
    assert slow is not None
    until = slow.promised_until
    fast = make.report(make.delivery(to.campaign), Complaint.Kind.PHISHING).case
    assert fast == slow
    assert fast.urgent
    assert fast.promised_until < until


def test_thousands_of_reports_are_one_case(larkfield: Organization) -> None:
    sent = make.campaign(larkfield)
    for _ in range(30):
        make.report(make.delivery(sent), network="203.0.113.0/24")
    assert Case.objects.count() == 1
    assert Case.objects.get().complaints.count() == 30


def test_limits_per_network_and_per_address() -> None:
    for number in range(policy.REPORTS_PER_ADDRESS):
        intake.check_limits(f"10.0.{number}.0/24", "Ada@inbox.example")
    with pytest.raises(TooManyReportsError):
        intake.check_limits("10.9.0.0/24", "ada@inbox.example")
    for _ in range(policy.REPORTS_PER_NETWORK):
        intake.check_limits("198.51.100.0/24", "")
    with pytest.raises(TooManyReportsError):
        intake.check_limits("198.51.100.0/24", "")


def test_ten_web_reports_without_tokens_are_no_strike(larkfield: Organization) -> None:
    sent = make.campaign(larkfield, accepted=1000)
    raw = f"From: <news@{larkfield.domains.get().name}>\n\n".encode()
    for _ in range(10):
        intake.receive(
            intake.Report(
                kind="never_signed_up",
                source=ComplaintSource.FORM,
                match=match_source(raw),
                raw=raw,
                network="203.0.113.0/24",
            )
        )
    counts = figures.of_campaigns([sent.pk])[sent.pk]
    assert (counts.complaints, judge(counts).level) == (0, Level.FINE)


def test_burst_from_one_network_counts_as_one(larkfield: Organization) -> None:
    sent = make.campaign(larkfield, accepted=1000)
    for _ in range(policy.BURST_REPORTS):
        make.report(make.delivery(sent), network="203.0.113.0/24")
    make.report(make.delivery(sent), network="198.51.100.0/24")
    assert figures.of_campaigns([sent.pk])[sent.pk].complaints == 2


def test_same_person_counts_once_and_withdrawn_never(larkfield: Organization) -> None:
    sent = make.campaign(larkfield, accepted=1000)
    to = make.delivery(sent)
    make.report(to)
    make.report(to)
    gone = make.report(make.delivery(sent))
    assert figures.of_campaigns([sent.pk])[sent.pk].complaints == 2
    from abuse import cases

    cases.withdraw(gone)
    assert figures.of_organization(larkfield).complaints == 1
