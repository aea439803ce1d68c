"""Signing in, second factors, resets: what opens a session, what does not, and what is kept how."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.conf import settings as live_settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from accounts import policy
from accounts.adapter import MFAAdapter
from accounts.models import User
from sendserver.testing.personas import Persona, make_user, sign_in, use_second_factor

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _outbox(settings: SettingsWrapper) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def enrol(user: User) -> str:
    """Give the person an app and recovery codes; return the app's secret."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return secret


def code_of(secret: str) -> str:
    """Return what the app shows now."""
    return str(format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time()))))


def log_in(client: Client, email: str, password: str = PASSWORD) -> str:
    """Post the form and return where it leads, "" when it stays."""
    return str(client.post("/account/login/", {"login": email, "password": password}).headers.get("Location", ""))


def test_a_password_opens_the_portal(alice: Persona) -> None:
    """For somebody without a second factor."""
    browser = Client()
    assert log_in(browser, alice.user.email) == "/portal/"
    assert browser.get("/portal/team/").status_code == 200


def test_with_a_second_factor_the_password_opens_nothing(alice: Persona) -> None:
    """Every page stays shut until the code was right; then the session's key is new."""
    secret, browser = enrol(alice.user), Client()
    assert log_in(browser, alice.user.email) == "/account/2fa/authenticate/"
    half = browser.session.session_key
    for page in ("/portal/team/", "/portal/settings/", "/account/email/", "/account/2fa/", "/staff/"):
        assert browser.get(page).status_code == 302, page
    assert browser.post("/portal/settings/data/").status_code == 302
    assert browser.post("/account/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert browser.post("/account/2fa/authenticate/", {"code": code_of(secret)})["Location"] == "/portal/"
    assert browser.get("/portal/team/").status_code == 200
    assert browser.session.session_key != half


def test_a_recovery_code_works_once(alice: Persona) -> None:
    """The second use does not open the door."""
    enrol(alice.user)
    codes = Authenticator.objects.get(user=alice.user, type=Authenticator.Type.RECOVERY_CODES).wrap()
    code = codes.get_unused_codes()[0]
    for expected in (302, 200):
        browser = Client()
        log_in(browser, alice.user.email)
        assert browser.post("/account/2fa/authenticate/", {"code": code}).status_code == expected


def test_secrets_are_sealed_at_rest(alice: Persona) -> None:
    """The seed of the app does not stand in the table."""
    secret = enrol(alice.user)
    rows = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in rows
    assert MFAAdapter().decrypt(Authenticator.objects.get(type="totp").data["secret"]) == secret


def test_staff_cannot_drop_their_last_factor(moderator: Persona, alice: Persona) -> None:
    """Customers can."""
    enrol(alice.user)
    adapter = MFAAdapter()
    assert adapter.can_delete_authenticator(Authenticator.objects.get(user=alice.user, type="totp"))
    assert not adapter.can_delete_authenticator(Authenticator.objects.get(user=moderator.user, type="totp"))


def test_guessing_a_password_is_limited(alice: Persona) -> None:
    """After five wrong ones the right one does not work either, from any browser."""
    for _ in range(5):
        log_in(Client(), alice.user.email, "wrong")
    assert log_in(Client(), alice.user.email) == ""


def test_unknown_people_and_wrong_passwords_look_alike(alice: Persona) -> None:
    """The same words."""

    def words(email: str) -> str:
        page = Client().post("/account/login/", {"login": email, "password": "wrong"}).content.decode()
        found = re.search(r'<div class="s-errors".*?</div>', page, re.DOTALL)
        assert found
        return found[0]

    assert words(alice.user.email) == words("nobody@else.example")


def test_a_new_password_by_code(alice: Persona) -> None:
    """Ask, code from the letter, new password; the owner is told."""
    browser = Client()
    assert (
        browser.post("/account/password/reset/", {"email": alice.user.email})["Location"]
        == "/account/password/reset/confirm/"
    )
    assert browser.get("/account/password/reset/confirm/").status_code == 200
    found = re.search(r"^([A-Z0-9-]{6,12})$", str(mail.outbox[0].body), re.MULTILINE)
    assert found, mail.outbox[0].body
    browser.post("/account/password/reset/confirm/", {"code": found[1]})
    assert browser.get("/account/password/reset/complete/").status_code == 200
    browser.post(
        "/account/password/reset/complete/",
        {"password1": "an older potting shed", "password2": "an older potting shed"},
    )
    assert log_in(Client(), alice.user.email, "an older potting shed") == "/portal/"
    assert mail.outbox[-1].subject == "Your password was reset"


def test_a_reset_tells_nothing(alice: Persona) -> None:
    """A stranger's address leads to the same page; its letter names no account."""
    places = []
    for email in (alice.user.email, "nobody@else.example"):
        browser = Client()
        places.append(browser.post("/account/password/reset/", {"email": email})["Location"])
        assert browser.get(places[-1]).status_code == 200
    assert places[0] == places[1]
    assert mail.outbox[1].subject == "No account for this address at Sendserver"


def test_resets_to_one_mailbox_are_limited(alice: Persona) -> None:
    """Three an hour."""
    for _ in range(6):
        Client().post("/account/password/reset/", {"email": alice.user.email})
    assert len(mail.outbox) == 3


def test_changing_the_address_waits_for_the_code(alice: Persona) -> None:
    """The old one counts until the new one is confirmed; then the old one is told."""
    alice.client.post("/account/email/", {"email": "alice@new.example", "action_add": ""})
    assert User.objects.get(pk=alice.user.pk).email == "alice@larkfield.example"
    letter = mail.outbox[0]
    assert letter.to == ["alice@new.example"]
    found = re.search(r"^(\d{6})$", str(letter.body), re.MULTILINE)
    assert found
    alice.client.post("/account/confirm-email/", {"code": found[1]})
    assert User.objects.get(pk=alice.user.pk).email == "alice@new.example"
    told = [m.to[0] for m in mail.outbox if m.subject == "Your e-mail address was changed"]
    assert told == ["alice@larkfield.example"]


SIGNED_IN = [
    "account_email", "account_change_password", "mfa_index", "mfa_activate_totp", "mfa_list_webauthn",
    "mfa_add_webauthn", "usersessions_list", "account_reauthenticate", "account_logout",
]  # fmt: skip
ENROLLED = [
    "mfa_index", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_reauthenticate",
    "mfa_download_recovery_codes",
]  # fmt: skip
OPEN = [
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_inactive",
    "account_password_reset_completed",
]
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*(?:src=|application/json))")


def looks_right(page: str) -> bool:
    """Tell whether a page is ours: our style, no inline script or style, no word we do not use."""
    return 'href="/static/css/portal.css"' in page and not INLINE.search(page) and "Email" not in page


@pytest.mark.parametrize("name", SIGNED_IN)
def test_pages_of_a_person(alice: Persona, name: str) -> None:
    """Render in our frame under the strict policy."""
    answer = alice.client.get(reverse(name))
    assert answer.status_code == 200
    assert looks_right(answer.content.decode())


@pytest.mark.parametrize("name", ENROLLED)
def test_pages_of_a_person_with_a_second_factor(alice: Persona, name: str) -> None:
    """Too, and no page shows the seed again."""
    secret = enrol(alice.user)
    answer = alice.client.get(reverse(name))
    assert answer.status_code == 200
    assert secret not in answer.content.decode()
    if "download" not in name:
        assert looks_right(answer.content.decode())


@pytest.mark.parametrize("name", OPEN)
def test_pages_for_everybody(name: str) -> None:
    """Too."""
    assert looks_right(Client().get(reverse(name)).content.decode())


def test_setting_up_an_app_leads_back_to_where_one_was(alice: Persona) -> None:
    """Offer, QR code, code, recovery codes, and on."""
    alice.client.get("/account/second-factor/?next=/portal/lists/")
    page = alice.client.get("/account/2fa/totp/activate/").content.decode()
    found = re.search(r">([A-Z2-7]{32})</code>", page)
    assert found
    done = alice.client.post("/account/2fa/totp/activate/", {"code": code_of(found[1])})
    assert done["Location"] == "/account/2fa/recovery-codes/"
    page = alice.client.get(done["Location"]).content.decode()
    assert "/account/second-factor/?next=/portal/lists/" in page
    question = alice.client.get("/account/second-factor/?next=/portal/lists/")["Location"]
    assert question.startswith("/account/2fa/reauthenticate/")


def test_a_fresh_code_signs(alice: Persona) -> None:
    """The question after a code leads on, and the session now holds a fresh factor."""
    secret = enrol(alice.user)
    url = "/account/2fa/reauthenticate/"
    done = alice.client.post(url, {"code": code_of(secret), "next": "/portal/team/"})
    assert done["Location"] == "/portal/team/"
    records = alice.client.session["account_authentication_methods"]
    assert [record["type"] for record in records if record["method"] == "mfa"] == ["totp"]


def test_a_used_code_does_not_work_twice(alice: Persona) -> None:
    """Whoever read it over a shoulder comes too late."""
    secret = enrol(alice.user)
    code = code_of(secret)
    assert alice.client.post("/account/2fa/reauthenticate/", {"code": code}).status_code == 302
    assert alice.client.post("/account/2fa/reauthenticate/", {"code": code}).status_code == 200


def test_signing_out_is_a_post(alice: Persona) -> None:
    """A link that somebody planted signs nobody out."""
    alice.client.get("/account/logout/")
    assert alice.client.get("/portal/team/").status_code == 200
    alice.client.post("/account/logout/")
    assert alice.client.get("/portal/team/").status_code == 302


def test_staff_need_a_second_factor(db: None) -> None:
    """Staff without one are led to set it up, and do not go round in circles."""
    user = make_user("Sam", "sam@staff.example", staff=True, superuser=True)
    browser = sign_in(user)
    answer = browser.get("/staff/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/second-factor/?next=%2Fstaff%2F"
    assert answer.status_code == 200
    enrol(user)
    use_second_factor(browser)
    assert browser.get("/staff/").status_code == 200


def test_customers_at_the_staff_door(alice: Persona) -> None:
    """Back to the portal for who is signed in, the sign-in page for who is not; nobody goes in circles."""
    back = alice.client.get("/staff/", follow=True)
    assert back.redirect_chain[-1][0] == "/portal/"
    assert "The staff area is for our staff." in back.content.decode()
    visitor = Client().get("/staff/", follow=True)
    assert visitor.redirect_chain[-1][0] == "/account/login/?next=%2Fstaff%2F"


def test_staff_land_in_the_staff_area(moderator: Persona) -> None:
    """They have no organization to show."""
    secret = Authenticator.objects.get(user=moderator.user, type="totp").wrap().instance.data["secret"]
    browser = Client()
    log_in(browser, moderator.user.email)
    code = code_of(MFAAdapter().decrypt(secret))
    assert browser.post("/account/2fa/authenticate/", {"code": code})["Location"] == "/staff/"


def test_production_hashes_slowly() -> None:
    """The cheap hash of the tests is not what settings say."""
    from sendserver import settings as module

    assert module.PASSWORD_HASHERS[0].endswith("ScryptPasswordHasher")


def test_the_pages_say_what_the_library_does() -> None:
    """Life and tries of a code as our policy prints them."""
    from allauth.account import app_settings

    assert app_settings.EMAIL_VERIFICATION_BY_CODE_TIMEOUT == policy.CODE_MINUTES * 60
    assert app_settings.EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS == policy.CODE_TRIES
    assert live_settings.ACCOUNT_PREVENT_ENUMERATION is True
