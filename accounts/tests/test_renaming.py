"""A verified sender takes no other name unread, and both names are written down each time."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts import renaming, review, verification
from accounts.models import AuditEntry, Organization, Standing, Verification, VerificationState
from accounts.tests.test_verification import add_profile
from accounts.verification import Answer, Ruling
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db
SETTINGS = {"name": "Alice", "time_zone": "UTC", "organization_zone": "UTC"}


def ask(persona: Persona, name: str) -> None:
    answer = persona.client.post(reverse("settings"), {**SETTINGS, "organization": name})
    assert answer.status_code == 302


def names(organization: Organization) -> tuple[str, str]:
    row = Organization.objects.get(pk=organization.pk)
    return row.name, row.wanted_name


def entries(*actions: str) -> list[tuple[str, dict[str, str]]]:
    rows = AuditEntry.objects.filter(action__startswith="organization.ren").order_by("pk")
    return list(rows.values_list("action", "detail"))


def test_before_verification_a_name_is_taken_at_once(larkfield: Organization, alice: Persona) -> None:
    Organization.objects.update(standing=Standing.UNVERIFIED)
    ask(alice, "Larkfield Two")
    assert names(larkfield) == ("Larkfield Two", "")
    assert entries() == [("organization.renamed", {"from": "Larkfield Garden Co.", "to": "Larkfield Two"})]
    assert not Verification.objects.exists()


@pytest.mark.parametrize("standing", [one for one in Standing.values if one != Standing.UNVERIFIED])
def test_afterwards_it_waits_for_staff(larkfield: Organization, alice: Persona, standing: str) -> None:
    Organization.objects.update(standing=standing)
    ask(alice, "Your Bank")
    ask(alice, "Your Bank")  # saved again: one wish, one row
    assert names(larkfield) == ("Larkfield Garden Co.", "Your Bank")
    assert entries() == [("organization.rename_asked", {"from": "Larkfield Garden Co.", "to": "Your Bank"})]
    assert Verification.objects.get().state == VerificationState.SUBMITTED
    page = alice.client.get(reverse("settings")).content.decode()
    assert "Until they have read it, the name is Larkfield Garden Co." in page


@pytest.mark.parametrize(
    ("answer", "after", "action"),
    [
        (Answer.APPROVE, ("Your Bank", ""), "organization.renamed"),
        (Answer.REFUSE, ("Larkfield Garden Co.", ""), "organization.rename_refused"),
        (Answer.ASK, ("Larkfield Garden Co.", "Your Bank"), "organization.rename_asked"),
    ],
)
def test_the_answer_of_staff_settles_it(
    larkfield: Organization, alice: Persona, moderator: Persona, answer: Answer, after: tuple[str, str], action: str
) -> None:
    ask(alice, "Your Bank")
    verification.decide(Verification.objects.get(), Ruling(answer, "Seen."), actor=moderator.user)
    assert names(larkfield) == after
    assert entries()[-1] == (action, {"from": "Larkfield Garden Co.", "to": "Your Bank"})


def test_a_wish_is_taken_back_by_the_name_that_stands(larkfield: Organization, alice: Persona) -> None:
    ask(alice, "Your Bank")
    ask(alice, "Larkfield Garden Co.")
    assert names(larkfield) == ("Larkfield Garden Co.", "")
    assert entries()[-1][0] == "organization.rename_withdrawn"


def test_nothing_waits_and_nothing_is_settled(larkfield: Organization, alice: Persona) -> None:
    renaming.settle(larkfield, accepted=True, actor=alice.user, reason="x")
    assert (names(larkfield), entries()) == (("Larkfield Garden Co.", ""), [])


def test_a_manager_cannot_rename(larkfield: Organization, alice: Persona, bob: Persona) -> None:
    ask(bob, "Your Bank")
    assert names(larkfield) == ("Larkfield Garden Co.", "")


def test_staff_see_both_names(larkfield: Organization, alice: Persona) -> None:
    ask(alice, "Your Bank")
    sheet = review.sheet(Verification.objects.get())
    assert any("Verified as Larkfield Garden Co." in line for line in sheet.against)
    assert any("“Larkfield Garden Co.” to “Your Bank”" in step["text"] for step in sheet.history)


def test_a_new_zone_has_a_row_of_its_own(larkfield: Organization, alice: Persona) -> None:
    values = {**SETTINGS, "organization": larkfield.name, "organization_zone": "Europe/London"}
    alice.client.post(reverse("settings"), values)
    entry = AuditEntry.objects.get(action="organization.zone_changed")
    assert entry.detail == {"from": "UTC", "to": "Europe/London"}
    assert entries() == []


def test_a_changed_company_is_written_down_with_both_names(larkfield: Organization, alice: Persona) -> None:
    profile = add_profile(larkfield)
    url, before = reverse("verify_business"), profile.legal_name
    form = alice.client.get(url).context["form"]
    values = {name: "" if value is None else value for name, value in form.initial.items()}
    assert alice.client.post(url, {**values, "legal_name": "Other Ltd"}).status_code == 302
    detail = AuditEntry.objects.get(action="profile.saved").detail
    assert detail["identity"] == {"legal_name": {"from": before, "to": "Other Ltd"}}
    sheet = review.sheet(Verification.objects.get())
    assert any(f"“{before}” to “Other Ltd”" in step["text"] for step in sheet.history)
