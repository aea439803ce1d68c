"""Documents by version: asked again after a change, once for each organization, never forgotten, never a trap."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from accounts import documents, policy
from accounts.models import AuditEntry, Membership, Organization, Role, TermsAcceptance
from sendserver.testing.personas import Persona, make_organization, sign_in

pytestmark = pytest.mark.django_db
PAGE = "/portal/documents/"


@pytest.fixture
def newer(larkfield: Organization, alice: Persona, victor: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both documents get a second version after everybody accepted the first."""
    monkeypatch.setattr(policy, "TERMS_VERSION", "2")
    monkeypatch.setattr(policy, "DPA_VERSION", "2")


def versions(persona: Persona) -> set[tuple[str, str, int | None]]:
    rows = TermsAcceptance.objects.filter(user=persona.user)
    return set(rows.values_list("document", "version", "organization_id"))


def test_nobody_is_asked_while_nothing_is_new(alice: Persona, victor: Persona) -> None:
    for persona in (alice, victor):
        assert persona.client.get("/portal/").status_code == 200
        assert b"Nothing is missing" in persona.client.get(PAGE).content


@pytest.mark.usefixtures("newer")
def test_an_owner_is_asked_at_the_next_sign_in_and_goes_on_to_the_page(larkfield: Organization, alice: Persona) -> None:
    client = sign_in(alice.user)
    answer = client.get("/portal/lists/?page=2")
    assert answer["Location"] == f"{PAGE}?next=%2Fportal%2Flists%2F%3Fpage%3D2"
    page = client.get(answer["Location"]).content.decode()
    assert "There is a newer version" in page
    answer = client.post(PAGE, {"agree": "on", "next": "/portal/lists/?page=2"})
    assert answer["Location"] == "/portal/lists/?page=2"
    assert client.get("/portal/lists/").status_code == 200
    org = larkfield.pk
    assert versions(alice) == {("terms", "1", org), ("dpa", "1", org), ("terms", "2", org), ("dpa", "2", org)}
    entry = AuditEntry.objects.get(action="documents.accepted")
    assert (entry.detail, entry.organization_id) == ({"terms": "2", "dpa": "2"}, org)


@pytest.mark.usefixtures("newer")
def test_a_member_accepts_the_terms_for_themselves_only(victor: Persona) -> None:
    client = sign_in(victor.user)
    assert client.get("/portal/")["Location"].startswith(PAGE)
    assert "Data-processing agreement</a>" not in client.get(PAGE).content.decode()
    client.post(PAGE, {"agree": "on"})
    assert ("terms", "2", None) in versions(victor)
    assert not any(document == "dpa" and version == "2" for document, version, _ in versions(victor))
    assert client.get("/portal/").status_code == 200


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("posted", [{}, {"agree": ""}])
def test_without_the_yes_nothing_is_written(alice: Persona, posted: dict[str, str]) -> None:
    client, before = sign_in(alice.user), TermsAcceptance.objects.count()
    assert b"Tick the box to go on" in client.post(PAGE, posted).content
    assert TermsAcceptance.objects.count() == before
    assert client.get("/portal/").status_code == 302


@pytest.mark.usefixtures("newer")
def test_a_second_yes_writes_nothing_more(alice: Persona) -> None:
    alice.client.post(PAGE, {"agree": "on"})
    count = TermsAcceptance.objects.count()
    alice.client.post(PAGE, {"agree": "on"})
    assert TermsAcceptance.objects.count() == count


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("name", ["settings", "org_close", "team", "standing"])
def test_who_does_not_agree_can_take_the_data_leave_close_and_answer(alice: Persona, name: str) -> None:
    assert sign_in(alice.user).get(reverse(name)).status_code == 200


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("name", ["own_data", "team_leave"])
def test_so_does_leaving_in_one_post(alice: Persona, name: str) -> None:
    answer = sign_in(alice.user).post(reverse(name))
    assert not answer.headers.get("Location", "").startswith(PAGE)


def test_who_is_at_work_loses_nothing_that_is_being_saved(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.client.get("/portal/")
    monkeypatch.setattr(policy, "TERMS_VERSION", "2")
    assert not alice.client.post(reverse("campaign_new"), {"name": "Spring"})["Location"].startswith(PAGE)
    assert alice.client.get(reverse("portal_now"), headers={"HX-Request": "true"}).status_code == 200
    assert alice.client.get("/portal/")["Location"].startswith(PAGE)


@pytest.mark.usefixtures("newer")
def test_a_new_session_saves_nothing_before_the_yes(alice: Persona) -> None:
    client = sign_in(alice.user)
    assert client.post(reverse("campaign_new"), {"name": "Spring"})["Location"] == f"{PAGE}?next=%2Fportal%2F"
    answer = client.get(reverse("portal_now"), headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"][: len(PAGE)]) == (204, PAGE)


def test_a_second_organization_has_an_acceptance_of_its_own(alice: Persona) -> None:
    url = reverse("org_new")
    assert b"Tick the box to go on" in alice.client.post(url, {"name": "Fernside"}).content
    assert not Organization.objects.filter(name="Fernside").exists()
    alice.client.post(url, {"name": "Fernside", "agree": "on"})
    made = Organization.objects.get(name="Fernside")
    assert {("terms", "1", made.pk), ("dpa", "1", made.pk)} <= versions(alice)
    assert alice.client.get("/portal/").status_code == 200


def test_an_organization_from_before_is_asked_for_when_it_is_opened(alice: Persona) -> None:
    older = make_organization("Fernside")
    Membership.objects.create(organization=older, user=alice.user, role=Role.OWNER)
    assert alice.client.get("/portal/").status_code == 200
    alice.client.post(reverse("org_switch", args=[older.uid]))
    assert alice.client.get("/portal/")["Location"].startswith(PAGE)
    alice.client.post(PAGE, {"agree": "on"})
    assert {("terms", "1", older.pk), ("dpa", "1", older.pk)} <= versions(alice)


def test_another_owners_yes_counts_for_the_organization(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "DPA_VERSION", "2")
    documents.accept_missing(alice.user, larkfield, owner=True)
    other = make_organization("Fernside")
    documents.accept(alice.user, other)
    assert not documents.missing(alice.user, larkfield, owner=True)


@pytest.mark.usefixtures("newer")
def test_another_organizations_yes_does_not_count(larkfield: Organization, alice: Persona) -> None:
    documents.accept(alice.user, make_organization("Fernside"))
    assert documents.missing(alice.user, larkfield, owner=True).organization == ("terms", "dpa")
    assert documents.missing(alice.user, larkfield, owner=True).person == ()


def test_old_acceptances_are_refused_any_change(alice: Persona) -> None:
    for act in (lambda rows: rows.update(version="9"), lambda rows: rows.delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            act(TermsAcceptance.objects.filter(user=alice.user))


def test_the_next_page_is_one_of_ours(alice: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "TERMS_VERSION", "2")
    answer = alice.client.post(PAGE, {"agree": "on", "next": "https://evil.example/"})
    assert answer["Location"] == "/portal/"


def test_a_visitor_signs_in_first() -> None:
    assert Client().get(PAGE)["Location"].startswith("/account/login/")


def test_asking_costs_a_session_one_look(alice: Persona, django_assert_max_num_queries) -> None:
    alice.client.get(reverse("team"))
    alice.client.get(reverse("domains"))
    with django_assert_max_num_queries(40) as asked:
        alice.client.get(reverse("domains"))
    assert not [one for one in asked.captured_queries if "termsacceptance" in one["sql"]]
