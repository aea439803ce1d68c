"""The pages of accounts in a real browser: axe, the content policy, both widths, both schemes, and a passkey."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.urls import reverse
from pytest_django import Settings as SettingsWrapper

from accounts import domain_keys, domains, invitations, policy, senders, verification
from accounts.models import Organization, Role, Standing, Verification
from accounts.tests.test_verification import add_practice, add_profile
from sendserver.lib import clock
from sendserver.testing.browser import LOOKS, Look, sign_in
from sendserver.testing.personas import Persona, join, make_organization

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def key_pair() -> tuple[str, str]:
    """Return one real key: making more is slow and shows nothing."""
    return domain_keys.generate()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, settings: SettingsWrapper, key_pair: tuple[str, str]) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    monkeypatch.setattr(domain_keys, "generate", lambda: key_pair)


def check(look: Look, name: str, url: str, status: int = 200) -> None:
    """Open a page, take its picture, and expect nothing wrong."""
    assert look.go(url) == status, url
    look.picture(name)
    assert look.findings() == [], url
    assert look.overflow() == 0, url
    assert look.complaints == [], url


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_doors(look: Look, live_server: Any) -> None:
    """Sign-up, sign-in, password lost, and sign-up with everything wrong."""
    for name in ("account_signup", "account_login", "account_reset_password"):
        check(look, name.replace("_", "-"), live_server.url + reverse(name))
    look.go(f"{live_server.url}/account/signup/")
    look.page.fill("#id_name", "Dana")
    look.page.get_by_role("button", name="Create account").click()
    look.page.wait_for_selector("[data-errors]")
    look.picture("account-signup-wrong")
    assert look.findings() == []
    assert look.page.title().startswith("Error: ")
    assert look.page.evaluate("document.activeElement.hasAttribute('data-errors')")


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_code_page(look: Look, live_server: Any) -> None:
    """After a real sign-up."""
    look.go(f"{live_server.url}/account/signup/")
    for field, value in (
        ("name", "Dana"),
        ("email", "dana@a-rather-long-name.larkfield.example"),
        ("organization", "L"),
    ):
        look.page.fill(f"#id_{field}", value)
    look.page.fill("#id_password1", "potting shed at ten")
    look.page.check("#id_who_0")
    look.page.check("#id_agree")
    look.page.get_by_role("button", name="Create account").click()
    look.page.wait_for_url("**/confirm-email/")
    look.picture("signup-code")
    assert look.findings() == []
    assert look.overflow() == 0


def furnish(alice: Persona, larkfield: Organization) -> dict[str, str]:
    """Fill an organization with one of everything; return the pages to look at."""
    Organization.objects.filter(pk=larkfield.pk).update(standing=Standing.UNVERIFIED, daily_allowance=0)
    add_profile(larkfield)
    join(larkfield, "Ida Okafor-Featherstonehaugh", Role.MANAGER)
    domain = domains.add(larkfield, "newsletter.and-a-very-long-label-indeed.larkfield.example", actor=alice.user)
    sender = senders.add(domain, display_name="Larkfield", local_part="news", reply_to="", actor=alice.user)
    invited = invitations.invite(larkfield, email="may@larkfield.example", role=Role.VIEWER, actor=alice.user)
    row = domain.records.get(kind="dkim1")
    row.found, row.code, row.checked_at = ["s1.shopmail.example"], "DKIM-MISMATCH", clock.now()
    row.message = "The key is not ours (found s1.shopmail.example). Remove the old record."
    row.save()
    domain.records.filter(kind="ownership").update(ok=True, found=["portal-verify=x"])
    TOTP.activate(alice.user, generate_totp_secret())
    RecoveryCodes.activate(alice.user)
    member = larkfield.memberships.get(role=Role.MANAGER).user
    return {
        "verify": reverse("verify"),
        "verify-business": reverse("verify_business"),
        "verify-practice": reverse("verify_practice"),
        "domains": reverse("domains"),
        "domain": reverse("domain_detail", args=[domain.uid]),
        "domain-add": reverse("domain_add"),
        "from": reverse("from_change", args=[sender.uid]),
        "team": reverse("team"),
        "member": reverse("member_change", args=[member.uid]),
        "settings": reverse("settings"),
        "close": reverse("org_close"),
        "new": reverse("org_new"),
        "audit": reverse("audit"),
        "email": reverse("account_email"),
        "password": reverse("account_change_password"),
        "factors": reverse("mfa_index"),
        "codes": reverse("mfa_view_recovery_codes"),
        "passkeys": reverse("mfa_list_webauthn"),
        "reauthenticate": reverse("mfa_reauthenticate"),
        "sessions": reverse("usersessions_list"),
        "invite": reverse("invite_accept", args=[invitations.token_of(invited)]),
        "confirm": reverse("from_confirm", args=[senders.token_of(sender)]),
    }


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_portal_pages(look: Look, live_server: Any, alice: Persona, larkfield: Organization) -> None:
    """Every page of a member, with long names and a record that differs."""
    pages = furnish(alice, larkfield)
    sign_in(look, live_server.url, alice.client)
    for name, path in pages.items():
        check(look, f"portal-{name}", live_server.url + path)


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_the_review_page(look: Look, live_server: Any, moderator: Persona) -> None:
    """Waiting and decided."""
    organization = make_organization("Hollin Hill Pottery", standing=Standing.UNVERIFIED, allowance=0)
    add_profile(organization)
    add_practice(organization)
    now = clock.now()
    row = Verification.objects.create(
        organization=organization, state="submitted", submitted_at=now, promised_until=now
    )
    url = live_server.url + reverse("admin:accounts_verification_change", args=[row.pk])
    sign_in(look, live_server.url, moderator.client)
    check(look, "staff-verifications", f"{live_server.url}/staff/accounts/verification/")
    check(look, "staff-verification", url)
    verification.decide(row, verification.Ruling(verification.Answer.REFUSE, "No imprint."), actor=moderator.user)
    check(look, "staff-verification-decided", url)


def test_a_passkey(look: Look, live_server: Any, alice: Persona, settings: SettingsWrapper) -> None:
    """Set up, then used to sign in, with a virtual key in a real browser under the strict policy."""
    base = live_server.url.replace("127.0.0.1", "localhost")
    settings.CSRF_TRUSTED_ORIGINS = [base]
    session = look.page.context.new_cdp_session(look.page)
    session.send("WebAuthn.enable")
    key = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    session.send("WebAuthn.addVirtualAuthenticator", {"options": key})
    sign_in(look, base, alice.client)
    look.go(f"{base}/account/2fa/webauthn/add/")
    look.page.get_by_label("Passwordless").check()
    look.page.get_by_role("button", name="Add passkey").click()
    look.page.wait_for_url("**/recovery-codes/")
    assert Authenticator.objects.filter(user=alice.user, type="webauthn").count() == 1
    look.page.context.clear_cookies()
    look.go(f"{base}/account/login/")
    look.page.get_by_role("button", name="Sign in with a passkey").click()
    look.page.wait_for_url("**/portal/**")
    assert look.complaints == []


@pytest.mark.parametrize("look", LOOKS, indirect=True, ids="-".join)
def test_a_new_version_and_a_name_that_waits(
    look: Look, live_server: Any, alice: Persona, larkfield: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents asked for again and accepted, a wish for another name, a domain that resembles one."""
    monkeypatch.setattr(policy, "TERMS_VERSION", "2")
    sign_in(look, live_server.url, alice.client)
    check(look, "documents-missing", f"{live_server.url}/portal/")
    assert "/portal/documents/" in look.page.url
    look.page.get_by_label("I have read").check()
    look.page.get_by_role("button", name="Accept and go on").click()
    look.page.wait_for_url("**/portal/")
    Organization.objects.filter(pk=larkfield.pk).update(wanted_name="Larkfield Two")
    domain = domains.add(larkfield, "paypa1.example", actor=alice.user)
    check(look, "documents", f"{live_server.url}/portal/documents/")
    check(look, "settings-name-waits", f"{live_server.url}/portal/settings/")
    check(look, "domain-resembles", live_server.url + reverse("domain_detail", args=[domain.uid]))
