"""How allauth meets our people: letters in our form, our limits and addresses, secrets sealed."""

from __future__ import annotations

import logging
import secrets
from typing import Any, ClassVar, Final, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import notices, policy
from accounts.models import User
from sendserver.lib import crypto, ratelimit
from sendserver.lib.clientip import client_ip

log = logging.getLogger(__name__)
# What went wrong, and what to do about it; the same words whether an account exists or not.
ERRORS: Final = {
    "account_inactive": "This account is switched off. Write to us if you think that is a mistake.",
    "cannot_remove_primary_email": "This is the address you sign in with. Name another one first.",
    "duplicate_email": "This address is yours already.",
    "email_password_mismatch": "Address and password do not fit together. Try again, or set a new password.",
    "email_taken": "Choose another address.",
    "enter_current_password": "Enter your current password.",
    "incorrect_code": "This is not the code. Look at it again, or ask for a new one.",
    "incorrect_password": "This is not your password. Try again.",
    "invalid_or_expired_key": "This link does not work any more. Ask for a new one.",
    "invalid_login": "Address and password do not fit together. Try again, or set a new password.",
    "invalid_password_reset": "This does not work any more. Ask for a new code.",
    "max_email_addresses": "An account has at most %d addresses.",
    "rate_limited": "A moment, please: too many tries. Wait a minute, then try again.",
    "same_as_current": "Enter something other than what you have now.",
    "too_many_login_attempts": "Too many tries with this address. Wait 15 minutes, then try again.",
    "unknown_email": "Address and password do not fit together. Try again, or set a new password.",
    "unverified_primary_email": "Confirm your address first.",
}
# What anybody can have sent to any mailbox: codes, and the answers that stand in for them.
_ASKED_FOR = frozenset(
    f"account/email/{name}"
    for name in (
        *("email_confirmation", "email_confirmation_signup", "account_already_exists", "unknown_account"),
        *("password_reset_code", "password_reset_key", "login_code"),
    )
)
# Greetings that tell nobody anything new.
_QUIET = frozenset({"account/messages/logged_in.txt", "account/messages/logged_out.txt"})


def _has_room(email: str) -> bool:
    limit, seconds = policy.CODES_PER_ADDRESS
    return ratelimit.allow("codes-to", email.lower(), limit=limit, seconds=seconds)


class AccountAdapter(DefaultAccountAdapter):
    """Our names, addresses and limits for allauth."""

    error_messages: ClassVar = {**DefaultAccountAdapter.error_messages, **ERRORS}

    def render_mail(
        self, template_prefix: str, email: str | list[str], context: dict[str, Any], headers: Any = None
    ) -> EmailMessage:
        """Return a letter in the form of all our letters; links in it use BASE_URL, never the request's Host."""
        words = {**context, "code_minutes": policy.CODE_MINUTES, "base_url": settings.BASE_URL}
        subject = render_to_string(f"{template_prefix}_subject.txt", {**words, "platform": settings.PLATFORM})
        text = notices.render_text(f"{template_prefix}_message.txt", words)
        return notices.compose(subject, text, email if isinstance(email, str) else email[0])

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one of allauth's letters; beyond a mailbox's limit nothing goes, and the page looks the same."""
        if template_prefix in _ASKED_FOR and not _has_room(email):
            log.warning("a mailbox has had its codes of the day")
            return
        self.render_mail(template_prefix, email, {"email": email, **context}).send()

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Show what happened, but no greetings."""
        if message_template not in _QUIET:
            super().add_message(request, level, message_template, *args, **kwargs)

    def generate_email_verification_code(self) -> str:
        """Return six digits: three tries and fifteen minutes make guessing hopeless."""
        return f"{secrets.randbelow(10**6):06d}"

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the visitor's address behind our proxies, as every other limit counts it."""
        return client_ip(request)

    def is_safe_url(self, url: str | None) -> bool:
        """Tell whether `next` stays on this site; what is no address at all does not."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Lead staff who are in no organization to the staff area, everybody else to the portal."""
        user = cast(User, request.user)
        if user.is_staff and not user.memberships.exists():
            return reverse("admin:index")
        return cast(str, super().get_login_redirect_url(request))

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """Go to the task list after sign-up."""
        return reverse("verify")


class MFAAdapter(DefaultMFAAdapter):
    """Second factors; secrets are sealed at rest."""

    error_messages: ClassVar = {
        **DefaultMFAAdapter.error_messages,
        "add_email_blocked": "Remove the second factor first, then add the address.",
        "cannot_delete_authenticator": "Staff keep at least one second factor. Add another one first.",
        "cannot_generate_recovery_codes": "Set up an app or a passkey first.",
        "incorrect_code": "This is not the code. It changes every 30 seconds; look at it again.",
        "unverified_email": "Confirm your address first.",
    }

    def encrypt(self, text: str) -> str:
        """Return the secret sealed with FIELD_KEYS."""
        return crypto.seal_text(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; raises UnreadableSecretError."""
        return crypto.open_text(encrypted_text)

    def _get_site_name(self) -> str:
        return settings.PLATFORM.name

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Keep the last factor of staff: without one the staff area is shut to them."""
        if not cast(User, authenticator.user).is_staff:
            return True
        kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
        others = Authenticator.objects.filter(user=authenticator.user, type__in=kinds).exclude(pk=authenticator.pk)
        return bool(others.exists())

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        """Return a first name for a new passkey."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {count + 1}"
