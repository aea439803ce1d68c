"""Help for tests of the person's own pages: somebody without an account who holds the token of a mail."""

from __future__ import annotations

from typing import Any

from django.test import Client

from campaigns.inbound.addresses import Links
from campaigns.models import Delivery
from compliance import lists
from compliance.models import Contact, ContactList

FORM = "application/x-www-form-urlencoded"


def reader() -> Client:
    """Return somebody without account and cookie."""
    return Client(enforce_csrf_checks=True)


def path_of(delivery: Delivery, door: str, end: str = "") -> str:
    return f"/{door}/{Links.of(delivery.pk).token}/{end}"


def text_of(answer: Any) -> str:
    return answer.content.decode()


def states_of(contact_list: ContactList) -> dict[str, int]:
    return lists.reason_counts([contact_list])[contact_list.pk]


def contact_of(delivery: Delivery) -> Contact:
    return Contact.objects.get(pk=delivery.contact_id)


def choose(delivery: Delivery, act: str, **more: object) -> str:
    answer = reader().post(path_of(delivery, "p"), {"act": act, **more})
    assert answer.status_code == 200
    return text_of(answer)
