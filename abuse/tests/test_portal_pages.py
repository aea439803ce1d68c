"""The customer's side: standing, case, appeal; strangers, members without the right, and no reporter anywhere."""

from __future__ import annotations

import pytest
from django.urls import reverse

from abuse.models import Appeal, CaseState, DecisionKind
from abuse.tests import make
from abuse.tests.test_moderation import decide
from accounts.models import Organization
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
SECRETS = ("ada@inbox.example", "Ada Lovelace", "my private words")


@pytest.mark.parametrize("standing", ["unverified", "good", "warned", "suspended", "blocked"])
def test_standing_page_for_each_standing(alice: Persona, larkfield: Organization, standing: str) -> None:
    Organization.objects.filter(pk=larkfield.pk).update(standing=standing)
    page = alice.client.get(reverse("standing")).content.decode()
    assert "No decisions yet" in page
    assert 'aria-current="step"' in page


def test_standing_page_after_a_decision(alice: Persona, larkfield: Organization) -> None:
    decision = decide(make.case_of(larkfield), make.moderator_user("Ruth"), DecisionKind.WARN)
    page = alice.client.get(reverse("standing")).content.decode()
    for text in (decision.reference, "2.3 No mail after a no", "Send appeal", "Strike 1", "You are warned"):
        assert text in page


def test_appeal(alice: Persona, mallory: Persona, victor: Persona, larkfield: Organization) -> None:
    decision = decide(make.case_of(larkfield), make.moderator_user("Ruth"), DecisionKind.WARN)
    url = reverse("standing_appeal", args=[decision.uid])
    form = {"ground": "facts", "text": "They signed up anew."}
    assert mallory.client.post(url, form).status_code == 404
    assert victor.client.post(url, form).status_code == 403
    assert alice.client.get(url).status_code == 405
    assert alice.client.post(url, {"ground": "facts", "text": ""}).status_code == 422
    assert not Appeal.objects.exists()
    assert alice.client.post(url, form).status_code == 302
    assert alice.client.post(url, form).status_code == 409
    assert Appeal.objects.get().made_by == alice.user


def secret_case(larkfield: Organization) -> str:
    to = make.delivery(make.campaign(larkfield), SECRETS[0])
    complaint = make.report(to, reporter_email=SECRETS[0], reporter_name=SECRETS[1], text=SECRETS[2])
    assert complaint.case is not None
    decide(complaint.case, make.moderator_user("Ruth"), DecisionKind.ASK, customer_must="How did this person sign up?")
    return complaint.case.reference


def test_case_page(alice: Persona, bob: Persona, victor: Persona, mallory: Persona, larkfield: Organization) -> None:
    reference = secret_case(larkfield)
    url = reverse("abuse_case", args=[reference])
    page = alice.client.get(url).content.decode()
    assert "How did this person sign up?" in page
    assert not [secret for secret in SECRETS if secret in page]
    assert mallory.client.get(url).status_code == 404
    assert mallory.client.post(url, {"text": "x"}).status_code == 404
    assert victor.client.get(url).status_code == 200
    assert victor.client.post(url, {"text": "x"}).status_code == 403
    assert alice.client.post(url, {"text": " "}).status_code == 422
    assert bob.client.post(url, {"text": "At our till."}).status_code == 302
    case = larkfield.cases.get()
    assert case.state == CaseState.ANSWERED
    assert "At our till." in alice.client.get(url).content.decode()
    assert alice.client.get(reverse("abuse_case", args=["nonsense"])).status_code == 404


def test_reporter_who_agreed_is_shown(alice: Persona, larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), SECRETS[0])
    case = make.report(to, reporter_email=SECRETS[0], share_identity=True).case
    assert case is not None
    assert SECRETS[0] in alice.client.get(reverse("abuse_case", args=[case.reference])).content.decode()


def test_decided_case_takes_no_answer(alice: Persona, larkfield: Organization) -> None:
    case = make.case_of(larkfield)
    decide(case, make.moderator_user("Ruth"), DecisionKind.WARN)
    assert alice.client.post(reverse("abuse_case", args=[case.reference]), {"text": "x"}).status_code == 409
    assert "appeal" in alice.client.get(reverse("abuse_case", args=[case.reference])).content.decode()


def test_nothing_tells_the_reporter(alice: Persona, larkfield: Organization) -> None:
    secret_case(larkfield)
    for url in (reverse("standing"), reverse("audit"), reverse("own_data")):
        page = alice.client.get(url)
        text = b"".join(page.streaming_content) if page.streaming else page.content
        for secret in (SECRETS[1], SECRETS[2]):
            assert secret.encode() not in text
