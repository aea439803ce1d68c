"""Write the proof of one message, or of everything sent to one person, as a zip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.proof import bundle, gather
from campaigns.proof.bundle import Bundle


class Command(BaseCommand):
    """`manage.py prove --message ID | --contact ADDRESS --org SLUG --out FILE.zip`; exit code 1 when nothing is found.

    A message is a Message-ID, a link's token, or the number of its delivery; an organization its uid, or its name as
    in an address ("larkfield-garden-co").
    """

    help = "Write the proof of why somebody was mailed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a message, or a person and the organization, and the file to write."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--message")
        what.add_argument("--contact")
        parser.add_argument("--org", default="")
        parser.add_argument("--out", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Gather, write, note it in the audit log, and say what does not fit."""
        found = (
            _of_message(options["message"]) if options["message"] else _of_contact(options["contact"], options["org"])
        )
        with options["out"].open("wb") as out:
            bundle.write(found, out)
        bundle.note(found, actor=None, reason="manage.py prove")
        self.stdout.write(f"{options['out']}: {len(found.messages)} messages, {len(found.proven)} records")
        for one in found.proven:
            if one.fault:
                self.stdout.write(f"{one.name}: {one.fault}")
        if not found.is_sound:
            raise CommandError("Written, but not every record fits: manage.py verify_ledger says more.", returncode=1)


def _of_message(text: str) -> Bundle:
    delivery = gather.find_delivery(text)
    if delivery is None:
        raise CommandError(f"No message {text}.")
    return bundle.of_delivery(delivery)


def _of_contact(address: str, slug: str) -> Bundle:
    organization = gather.find_organization(slug)
    if organization is None:
        raise CommandError(f"--org {slug or '(empty)'} names no organization, or several: give its uid.")
    contact = gather.find_contact(organization, address)
    if contact is None:
        raise CommandError(f"{organization.name} has nobody with this address.")
    return bundle.of_contact(contact)
