"""Make the first administrator, or lift an existing person."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit
from accounts.models import User
from sendserver.lib.addresses import BadAddress, parse


class Command(BaseCommand):
    """`manage.py first_admin ada@example.com`; refuses once there is one, since staff are made in the staff area."""

    help = "Make the first administrator. The staff area opens after a second factor was set up."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address, the name and, for scripts, the password from standard input."""
        parser.add_argument("email")
        parser.add_argument("--name", default="")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the person with a confirmed address."""
        address = parse(options["email"])
        if isinstance(address, BadAddress):
            raise CommandError("Give an e-mail address like name@example.com")
        if User.objects.filter(is_superuser=True, is_active=True).exists():
            raise CommandError("There is an administrator already. Make more people staff at /staff/accounts/user/.")
        with transaction.atomic():
            person = self._person(str(address.key), options)
            EmailAddress.objects.update_or_create(
                user=person, email=person.email, defaults={"verified": True, "primary": True}
            )
            audit.record(
                "staff.first_admin", actor=None, subject=f"user:{person.uid}", reason="made on the command line"
            )
        self.stdout.write(f"{person.email} is administrator. Sign in, set up a second factor, then open /staff/.")

    def _person(self, email: str, options: dict[str, Any]) -> User:
        known = User.objects.filter(email__iexact=email).first()
        if known is not None:
            known.is_staff = known.is_superuser = True
            known.save(update_fields=["is_staff", "is_superuser"])
            return known
        person = User(email=email, name=options["name"])
        password = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else getpass.getpass()
        try:
            validate_password(password, person)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        return User.objects.create_superuser(email, password, name=options["name"])
