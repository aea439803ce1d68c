"""Every address, tried by every kind of person, against codes written by hand; an address without a row fails."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from sendserver.testing.everything import PERSONAS, Everything, build
from sendserver.testing.personas import sign_in
from sendserver.tests import access_table
from sendserver.tests.addresses import ARGUMENTS, STAFF_ARGUMENTS, UNNAMED, names, objects

METHODS = ("GET", "POST")
import_module(settings.ROOT_URLCONF)  # registers what has pages
MODELS = {model._meta.label_lower.replace(".", "_"): model for model in admin.site._registry}
Row = tuple[str, list[str], list[str]]


def rows(table: str, width: int) -> Iterator[Row]:
    """Yield name, codes of GET, codes of POST."""
    for line in table.strip().splitlines():
        name, *codes = line.split()
        assert len(codes) == 2 * width, line
        yield name, codes[:width], codes[width:]


def staff_rows() -> Iterator[Row]:
    """Yield the rows of the staff area with the five who are no staff filled in."""
    others = ["302"] * (len(PERSONAS) - 2)
    for name, get, post in rows(access_table.STAFF_TABLE, 2):
        yield f"admin:{name}", others + get, others + post
    for name, get, post in rows(access_table.STAFF_MODELS, 10):
        for number, page in enumerate(("changelist", "add", "history", "delete", "change")):
            pair = slice(2 * number, 2 * number + 2)
            yield f"admin:{name}_{page}", others + get[pair], others + post[pair]


def all_rows() -> dict[str, tuple[list[str], list[str]]]:
    """Return the whole table by name."""
    return {name: (get, post) for name, get, post in [*rows(access_table.TABLE, len(PERSONAS)), *staff_rows()]}


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    found = set(names())
    unlisted, gone = sorted(found - set(all_rows()) - UNNAMED), sorted(set(all_rows()) - found)
    assert not unlisted, f"no row for {' '.join(unlisted)}"
    assert not gone, f"no address for {' '.join(gone)}"


def url_of(name: str, world: Everything, things: dict[type[Model], Model]) -> str:
    """Return the address of a name for our objects."""
    model = MODELS.get(name.removeprefix("admin:").rpartition("_")[0])
    if model is not None and name.endswith(("_history", "_delete", "_change")):
        thing = things.get(model)
        return reverse(name, args=[thing.pk if thing else 1])
    arguments = {**ARGUMENTS, **STAFF_ARGUMENTS}.get(name, lambda _: {})
    return reverse(name, kwargs=arguments(world))


def ask(client: Client, method: str, url: str) -> str:
    """Return the code of a request whose effects are taken back."""
    client.raise_request_exception = False
    with transaction.atomic():
        code = getattr(client, method.lower())(url).status_code
        transaction.set_rollback(True)
    return str(code)


@pytest.mark.slow
@pytest.mark.django_db
def test_codes() -> None:
    world = build()
    things = objects(world)
    wrong = []
    for name, expected in all_rows().items():
        url = url_of(name, world, things)
        for method, codes in zip(METHODS, expected, strict=True):
            for persona, code in zip(PERSONAS, codes, strict=True):
                found = ask(world.clients[persona], method, url)
                if found != code:
                    wrong.append(f"{name} {method} as {persona}: {found}, the table says {code}")
                if persona != "anonymous" and "_auth_user_id" not in world.clients[persona].session:
                    world.clients[persona] = sign_in(world.users[persona])  # it signed out
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.django_db
def test_a_mail_to_nobody_is_sent_by_asking_as_a_stranger() -> None:
    """A stranger learns nothing: the page of an object that is not there looks like one that is not his."""
    world = build()
    missing = world.clients["stranger"].get(reverse("campaign_report", args=["00000000-0000-0000-0000-000000000000"]))
    hidden = world.clients["stranger"].get(reverse("campaign_report", args=[world.sent.uid]))
    assert (missing.status_code, hidden.status_code) == (404, 404)
    assert str(world.sent.uid) not in hidden.content.decode().replace(
        reverse("campaign_report", args=[world.sent.uid]), ""
    )
