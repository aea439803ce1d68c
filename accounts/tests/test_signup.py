"""Sign-up to first page, with the code from the real letter; what is refused, and what it gives away."""

from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from pytest_django import Settings as SettingsWrapper

from accounts import invitations, policy
from accounts.models import Membership, Organization, Role, TermsAcceptance, User
from sendserver.testing.personas import Persona, make_user

ANSWERS = {
    "name": "Dana Whitlock",
    "email": "Dana@larkfield.example",
    "password1": "potting shed at ten",
    "organization": "Larkfield Garden Co.",
    "who": "asked",
    "agree": "on",
}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _outbox(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def code_in(text: str) -> str:
    """Return the six-digit code of a letter."""
    found = re.search(r"^(\d{6})$", text, re.MULTILINE)
    assert found, text
    return found[1]


def sign_up(client: Client, **changes: str) -> str:
    """Post the form and return where it leads."""
    answer = client.post("/account/signup/", {**ANSWERS, **changes})
    return str(answer.headers.get("Location", answer.content.decode()))


def test_from_form_to_task_list(client: Client) -> None:
    """Form, code, task list: an owner of an unverified organization with both documents accepted."""
    assert sign_up(client) == "/account/confirm-email/"
    letter = mail.outbox[0]
    assert (letter.subject, letter.to) == ("Your Sendserver code", ["dana@larkfield.example"])
    assert letter.extra_headers["Auto-Submitted"] == "auto-generated"
    page = client.get("/account/confirm-email/").content.decode()
    assert "dana@larkfield.example" in page
    done = client.post("/account/confirm-email/", {"code": code_in(str(letter.body))})
    assert (done.status_code, done["Location"]) == (302, "/portal/verify/")
    assert client.get("/portal/verify/").status_code == 200
    person = User.objects.get()
    member = Membership.objects.get(user=person)
    assert (person.name, member.role, member.organization.name) == ("Dana Whitlock", Role.OWNER, "Larkfield Garden Co.")
    assert (member.organization.standing, member.organization.daily_allowance) == ("unverified", 0)
    accepted = set(TermsAcceptance.objects.filter(user=person).values_list("document", "version"))
    assert accepted == {("terms", policy.TERMS_VERSION), ("dpa", policy.DPA_VERSION)}


def test_before_the_code_there_are_no_rights(client: Client) -> None:
    """A half-made session opens no portal page."""
    sign_up(client)
    assert client.get("/portal/verify/")["Location"] == "/account/login/?next=/portal/verify/"
    assert client.get("/portal/new/")["Location"].startswith("/account/login/")


def test_the_session_key_changes_with_the_sign_in(client: Client) -> None:
    """A key known before is worth nothing after."""
    sign_up(client)
    before = client.session.session_key
    client.post("/account/confirm-email/", {"code": code_in(str(mail.outbox[0].body))})
    assert client.session.session_key != before


def test_three_wrong_codes_end_it(client: Client) -> None:
    """The right code does not work any more either."""
    sign_up(client)
    right = code_in(str(mail.outbox[0].body))
    wrong = "000000" if right != "000000" else "000001"
    for _ in range(policy.CODE_TRIES):
        client.post("/account/confirm-email/", {"code": wrong})
    client.post("/account/confirm-email/", {"code": right})
    assert not EmailAddress.objects.filter(verified=True).exists()


def test_bought_lists_are_refused_kindly(client: Client) -> None:
    """No account, no letter, and what to do instead."""
    assert "Start with people who sign up on your own form" in sign_up(client, who="bought")
    assert User.objects.count() == 0
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "Enter your full name"),
        ("name", "Da\u202ena", "Take out line breaks and invisible characters."),
        ("email", "dana", "Enter an e-mail address like name@example.com"),
        ("password1", "short", "too short"),
        ("organization", "", "Enter organization"),
        ("agree", "", "Tick the box to go on"),
        ("who", "", "Answer: Who will you write to?"),
    ],
)
def test_bad_input_says_how_to_correct_it(client: Client, field: str, value: str, words: str) -> None:
    """Nothing is made."""
    assert words in sign_up(client, **{field: value})
    assert User.objects.count() == 0


def test_a_known_address_gets_the_same_page_and_another_letter(client: Client) -> None:
    """Nobody can find out who has an account."""
    make_user("Dana", "dana@larkfield.example")
    assert sign_up(client) == "/account/confirm-email/"
    assert client.get("/account/confirm-email/").status_code == 200
    assert [letter.subject for letter in mail.outbox] == ["You have an account at Sendserver"]
    assert (User.objects.count(), Organization.objects.count()) == (1, 0)


def test_one_mailbox_is_not_bombed() -> None:
    """The fourth sign-up for one address in a day sends nothing, from whichever browser."""
    limit = policy.SIGNUP_PER_ADDRESS[0]
    for _ in range(limit + 2):
        sign_up(Client())
    assert len(mail.outbox) <= limit


def test_one_network_cannot_make_accounts_without_end(client: Client) -> None:
    """A network's limit holds across addresses."""
    limit = policy.SIGNUP_PER_NETWORK[0]
    for number in range(limit + 2):
        sign_up(Client(), email=f"p{number}@larkfield.example")
    assert User.objects.count() <= limit


def test_the_invited_are_asked_for_no_organization(alice: Persona, larkfield: Organization) -> None:
    """They sign up, confirm, and join the team that invited them."""
    invitation = invitations.invite(larkfield, email="may@larkfield.example", role=Role.EDITOR, actor=alice.user)
    path = f"/invite/{invitations.token_of(invitation)}/"
    browser = Client()
    assert "Create account" in browser.get(path).content.decode()
    assert 'name="organization"' not in browser.get("/account/signup/").content.decode()
    answers = {k: v for k, v in ANSWERS.items() if k not in ("organization", "who")}
    browser.post("/account/signup/", {**answers, "email": "may@larkfield.example", "next": path})
    code = code_in(str(mail.outbox[-1].body))
    assert browser.post("/account/confirm-email/", {"code": code, "next": path})["Location"] == path
    browser.post(path)
    member = Membership.objects.get(user__email="may@larkfield.example")
    assert (member.organization, member.role) == (larkfield, Role.EDITOR)
    assert Organization.objects.count() == 1


def test_mass_assignment_changes_nothing(client: Client) -> None:
    """Fields of the tables are no fields of the form."""
    sign_up(client, is_staff="on", is_superuser="on", standing="good", daily_allowance="9999")
    person, organization = User.objects.get(), Organization.objects.get()
    assert (person.is_staff, person.is_superuser) == (False, False)
    assert (organization.standing, organization.daily_allowance) == ("unverified", 0)


def test_links_in_letters_do_not_follow_the_host_header(client: Client, settings: SettingsWrapper) -> None:
    """A poisoned Host header reaches no letter."""
    settings.ALLOWED_HOSTS = ["*"]
    make_user("Dana", "dana@larkfield.example")
    client.post("/account/signup/", ANSWERS, headers={"host": "evil.example"})
    assert "evil.example" not in str(mail.outbox[0].body)
    assert settings.BASE_URL in str(mail.outbox[0].body)
