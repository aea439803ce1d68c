"""Staff pages: the queue, a case on one page, deciding, second person, appeals; and hostile text shown as text."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape as html_escape

from abuse import appeals, cases, intake
from abuse.matching import match_source
from abuse.models import Appeal, Case, CaseState, Complaint, ComplaintSource, Decision, DecisionKind
from abuse.tests import make
from abuse.tests.test_moderation import decide
from accounts.models import Organization
from sendserver.testing.personas import Persona, _staff

pytestmark = pytest.mark.django_db
XSS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</textarea><svg onload=alert(1)>",
    '"><iframe srcdoc="<script>alert(1)</script>">',
    "{{ 7|add:7 }}{% debug %}",
    "</pre><style>*{display:none}</style>",
)


@pytest.fixture
def ruth(db: None) -> Persona:
    return make.staff("Ruth")


@pytest.fixture
def tomas(db: None) -> Persona:
    return make.staff("Tomas")


@pytest.fixture
def looker(db: None) -> Persona:
    """Staff with a second factor and no group: may look, not decide."""
    return _staff("Nell", superuser=False)


def url(case: Case, what: str = "change") -> str:
    return reverse(f"admin:abuse_case_{what}", args=[case.pk])


def form(kind: str = "warn", **fields: str) -> dict[str, str]:
    return {"kind": kind, "rule": "2.3", "reason": "Mail after a no.", "must": "Stop.", "reporter": "", **fields}


def test_queue_shows_open_cases_oldest_promise_first(ruth: Persona, larkfield: Organization) -> None:
    slow = make.case_of(larkfield)
    fast = make.report(make.delivery(make.campaign(larkfield)), Complaint.Kind.PHISHING).case
    assert fast is not None
    done = make.case_of(larkfield)
    decide(done, ruth.user, DecisionKind.NO_ACTION)
    page = ruth.client.get(reverse("admin:abuse_case_changelist")).content.decode()
    assert page.index(fast.reference) < page.index(slow.reference)
    assert done.reference not in page
    everything = ruth.client.get(reverse("admin:abuse_case_changelist"), {"is": "all"}).content.decode()
    assert done.reference in everything


def test_queue_costs_the_same_for_one_and_three(
    ruth: Persona, larkfield: Organization, django_assert_max_num_queries: object
) -> None:
    def count() -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as context:
            ruth.client.get(reverse("admin:abuse_case_changelist"))
        return len(context)

    make.case_of(larkfield)
    count()
    one = count()
    for _ in range(2):
        make.case_of(larkfield)
    assert count() == one


def test_case_on_one_page(ruth: Persona, larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield, accepted=1000), "ada@inbox.example")
    raw = make.source_of(to)
    case = make.report(
        to, text="I never gave them this address", raw=raw.encode(), match=match_source(raw.encode())
    ).case
    assert case is not None
    page = ruth.client.get(url(case)).content.decode()
    for text in (
        "What speaks for the sender", "What speaks against", "I never gave them this address", "Source as pasted",
        "Received: from out2.sendserver.example", "No statement behind 1 of 1", "Message as sent", "See both e-mails",
        "Rules suggest", "Complaints per week", "a…@inbox.example",
    ):  # fmt: skip
        assert text in page, text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)


def test_suggested_reason_names_no_reporter(ruth: Persona, larkfield: Organization) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from campaigns.events import EventData, record_event

    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    left = timezone.now() - timedelta(days=15)
    record_event(EventData("unsubscribed", "one_click", "u1", left, delivery=to))
    case = make.report(to, "cannot_stop", reporter_email="ada@inbox.example", reporter_name="Ada Lovelace").case
    assert case is not None
    reason = ruth.client.get(url(case)).context["form"].initial["reason"]
    assert "One person unsubscribed" in reason
    for secret in ("inbox.example", "Ada"):
        assert secret not in reason


def test_deciding_from_the_page(ruth: Persona, larkfield: Organization) -> None:
    case = make.case_of(larkfield)
    preview = ruth.client.post(url(case, "decide"), {**form(), "preview": "yes"}).content.decode()
    assert "To the reporter" in preview
    fragment = ruth.client.post(url(case, "letters"), form("suspend")).content.decode()
    assert "Sending suspended: Larkfield" in fragment
    assert "<html" not in fragment
    assert not Decision.objects.exists()
    assert ruth.client.post(url(case, "decide"), form()).status_code == 302
    larkfield.refresh_from_db()
    assert larkfield.standing == "warned"
    assert Decision.objects.get().actor == ruth.user


def test_letters_preview_is_what_goes(ruth: Persona, alice: Persona, larkfield: Organization) -> None:
    from django.core import mail

    case = make.case_of(larkfield)
    fragment = ruth.client.post(url(case, "letters"), form()).content.decode()
    ruth.client.post(url(case, "decide"), form())
    body = str(mail.outbox[0].body)
    for line in body.split("\n-- \n")[0].split("\n\n"):
        if "DN-" not in line and "On " not in line and "http" not in line:
            assert line.strip()[:40] in fragment.replace("&quot;", '"'), line


@pytest.mark.parametrize("fields", [{"kind": "restore"}, {"kind": "nonsense"}, {"reason": ""}, {"rule": "9.9"}])
def test_bad_decisions_are_refused(ruth: Persona, larkfield: Organization, fields: dict[str, str]) -> None:
    case = make.case_of(larkfield)
    response = ruth.client.post(url(case, "decide"), form(**fields))
    assert response.status_code == 422
    assert "<title>Error:" in response.content.decode()
    assert not Decision.objects.exists()


def test_second_person_on_the_page(ruth: Persona, tomas: Persona, larkfield: Organization) -> None:
    case = make.case_of(larkfield)
    ruth.client.post(url(case, "decide"), form("block"))
    larkfield.refresh_from_db()
    assert larkfield.standing == "suspended"
    assert "A second person answers this" in ruth.client.get(url(case)).content.decode()
    ruth.client.post(url(case, "second"), {"confirm": "yes"})
    larkfield.refresh_from_db()
    assert larkfield.standing == "suspended"
    assert "Confirm: block" in tomas.client.get(url(case)).content.decode()
    tomas.client.post(url(case, "second"), {"confirm": "yes"})
    larkfield.refresh_from_db()
    assert larkfield.standing == "blocked"


def test_claim_lock(ruth: Persona, tomas: Persona, larkfield: Organization) -> None:
    case = make.case_of(larkfield)
    ruth.client.post(url(case, "claim"))
    assert "Open with Ruth" in tomas.client.get(url(case)).content.decode()
    assert tomas.client.post(url(case, "decide"), form()).status_code == 409
    ruth.client.post(url(case, "release"))
    assert tomas.client.post(url(case, "decide"), form()).status_code == 302


def test_who_may_look_and_who_may_act(
    looker: Persona, alice: Persona, administrator: Persona, larkfield: Organization, client: Client
) -> None:
    case = make.case_of(larkfield)
    for outsider in (client, alice.client):
        assert outsider.get(url(case)).status_code == 302
        assert outsider.post(url(case, "decide"), form()).status_code == 302
    assert looker.client.get(url(case)).status_code == 403
    for what in ("claim", "release", "note", "decide", "letters", "second"):
        assert looker.client.post(url(case, what), form()).status_code == 403, what
        assert administrator.client.get(url(case, what)).status_code == 405, what
    assert not Decision.objects.exists()
    assert administrator.client.post(url(case, "decide"), form()).status_code == 302


@pytest.mark.parametrize("model", ["case", "appeal", "complaint", "decision"])
def test_nothing_is_added_changed_or_deleted(administrator: Persona, larkfield: Organization, model: str) -> None:
    case = make.case_of(larkfield)
    decision = decide(case, administrator.user, DecisionKind.WARN)
    appeals.make(decision, user=make.moderator_user("X"), ground="facts", text="x")
    row = {"case": case, "appeal": Appeal.objects.get(), "complaint": Complaint.objects.get(), "decision": decision}[
        model
    ]
    client = administrator.client
    assert client.get(reverse(f"admin:abuse_{model}_changelist")).status_code == 200
    page = reverse(f"admin:abuse_{model}_change", args=[row.pk])
    assert client.get(page).status_code == 200
    assert client.get(reverse(f"admin:abuse_{model}_add")).status_code == 403
    assert client.get(reverse(f"admin:abuse_{model}_delete", args=[row.pk])).status_code == 403
    before = type(row).objects.values().get(pk=row.pk)
    client.post(page, {"state": "decided", "standing": "good", "kind": "restore", "reason": "x"})
    assert type(row).objects.values().get(pk=row.pk) == before


def test_appeal_page(ruth: Persona, tomas: Persona, alice: Persona, larkfield: Organization) -> None:
    decision = decide(make.case_of(larkfield), ruth.user, DecisionKind.SUSPEND)
    appeal = appeals.make(decision, user=alice.user, ground="facts", text="They signed up anew.")
    act = reverse("admin:abuse_appeal_decide", args=[appeal.pk])
    page = reverse("admin:abuse_appeal_change", args=[appeal.pk])
    assert "Someone who did not decide before" in ruth.client.get(page).content.decode()
    assert ruth.client.post(act, {"reason": "x", "reverse": "yes"}).status_code == 409
    assert "They signed up anew." in tomas.client.get(page).content.decode()
    assert tomas.client.post(act, {"reason": "", "reverse": "yes"}).status_code == 422
    assert tomas.client.post(act, {"reason": "They did.", "reverse": "yes"}).status_code == 302
    larkfield.refresh_from_db()
    assert larkfield.standing == "good"


@pytest.mark.parametrize("attack", XSS)
def test_hostile_text_stays_text(administrator: Persona, larkfield: Organization, client: Client, attack: str) -> None:
    to = make.delivery(make.campaign(larkfield))
    source = f"{make.source_of(to)}\r\nX-Evil: {attack}\r\n{attack}"
    form_ = {"kind": "other", "share": "no", "text": attack, "raw": source, "email": "", "token": ""}
    assert client.post(reverse("abuse"), form_).status_code == 302
    Organization.objects.update(name=f"Lark {attack}"[:120])
    complaint = Complaint.objects.get()
    case = complaint.case
    assert case is not None
    cases.note(case, administrator.user, attack)
    pages = [
        url(case),
        reverse("admin:abuse_case_changelist"),
        reverse("admin:abuse_complaint_changelist"),
        reverse("admin:abuse_complaint_change", args=[complaint.pk]),
        reverse("admin:index"),
    ]
    for page in pages:
        text = administrator.client.get(page).content.decode()
        assert not re.search(r"<svg onload|<img src=x|<style|<script>alert|<iframe srcdoc|14\{%", text), page
    assert html_escape(attack) in administrator.client.get(url(case)).content.decode()


def test_message_is_sealed_off(administrator: Persona, larkfield: Organization) -> None:
    case = make.case_of(larkfield)
    response = administrator.client.get(url(case, "message"))
    assert "sandbox" in response["Content-Security-Policy"]
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "script-src" not in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    text = administrator.client.get(url(case, "message"), {"as": "text"})
    assert text["Content-Type"].startswith("text/plain")


def test_staff_open_a_case_of_their_own(administrator: Persona, larkfield: Organization) -> None:
    administrator.client.post(reverse("admin:abuse_case_open", args=[larkfield.uid]))
    case = Case.objects.get()
    assert (case.organization, case.campaign_id, case.state) == (larkfield, None, CaseState.OPEN)
    page = administrator.client.get(url(case)).content.decode()
    assert "Opened by staff" in page
    assert 'value="suspend_campaign"' not in page


def test_unmatched_reports_are_found(administrator: Persona) -> None:
    complaint = intake.receive(
        intake.Report(kind="phishing", source=ComplaintSource.FORM, match=match_source(b"hello"), text="help me")
    )
    page = administrator.client.get(reverse("admin:abuse_complaint_changelist"), {"case_is": "none"}).content.decode()
    assert complaint.reference in page


def test_records_are_written_in_words(administrator: Persona, ruth: Persona, larkfield: Organization) -> None:
    """24 hours and the zone; yes and no; the statement as the customer reads it; names for actors."""
    case = make.case_of(larkfield)
    decision = decide(case, ruth.user, DecisionKind.WARN)
    complaint = case.complaints.get()
    get = administrator.client.get
    report = get(reverse("admin:abuse_complaint_change", args=[complaint.pk])).content.decode()
    assert f"{complaint.received_at:%H:%M} UTC" in report
    assert "icon-no" not in report
    assert '<dt>Share identity</dt><dd class="wrap-any">No</dd>' in report
    shown = get(reverse("admin:abuse_decision_change", args=[decision.pk])).content.decode()
    assert "<dt>Not content?</dt>" in shown
    log = get(reverse("admin:accounts_auditentry_changelist")).content.decode()
    assert ruth.user.get_full_name() in log


def test_an_organization_leads_to_its_records(administrator: Persona, larkfield: Organization) -> None:
    case = make.case_of(larkfield)
    page = administrator.client.get(reverse("admin:accounts_organization_change", args=[larkfield.pk]))
    links = re.findall(r'href="(/staff/[^"]+[?&]q=[^"]+|/staff/[^"]+\?is=[^"]+)"', page.content.decode())
    assert len(links) == 7
    for link in links:
        assert administrator.client.get(link.replace("&amp;", "&")).status_code == 200, link
    cases_link = next(link for link in links if "/case/" in link).replace("&amp;", "&")
    assert case.reference in administrator.client.get(cases_link).content.decode()
