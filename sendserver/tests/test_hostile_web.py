"""The web attacks that concern every page: what is exempt from CSRF, tokens, hosts, redirects, and GETs that act."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import AuditEntry
from compliance.models import Suppression
from sendserver.lib import tokens
from sendserver.testing.everything import build
from sendserver.tests.addresses import objects
from sendserver.tests.test_access_table import all_rows, url_of

# RFC 8058 posts come from mail programs without a page of ours; the pages behind a mail's token know no session.
CSRF_EXEMPT = {"unsubscribe", "unsubscribe_undo", "preferences"}


def _views(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for item in patterns:
        if isinstance(item, URLResolver):
            yield from _views(item.url_patterns)
        else:
            yield item


def test_only_the_mail_links_are_exempt_from_csrf() -> None:
    exempt = {view.name for view in _views(get_resolver().url_patterns) if getattr(view.callback, "csrf_exempt", False)}
    assert exempt == CSRF_EXEMPT


@pytest.mark.django_db
def test_a_foreign_post_is_refused_everywhere_else() -> None:
    world = build()
    client = Client(enforce_csrf_checks=True)
    client.cookies = world.clients["owner"].cookies
    for name in ("team_invite", "campaign_review", "list_new", "org_close", "settings"):
        assert client.post(url_of(name, world, {})).status_code == 403, name


@pytest.mark.django_db
def test_looking_changes_nothing() -> None:
    """Link scanners and prefetching browsers follow every link."""
    world = build()
    things = objects(world)
    before = _figures()
    for persona in ("anonymous", "owner", "administrator"):
        for name in all_rows():
            world.clients[persona].raise_request_exception = False
            world.clients[persona].get(url_of(name, world, things))
            assert _figures() == before, f"{name} as {persona}"


def _figures() -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), COALESCE(sum(hashtext(state)), 0) FROM campaigns_campaign")
        campaigns = cursor.fetchone()
    # That staff opened somebody's papers is written down, and is no change.
    acts = AuditEntry.objects.exclude(action__contains=".opened").count()
    return (acts, Suppression.objects.count(), *map(int, campaigns or ()))


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["unsubscribe", "preferences", "why"])
def test_no_altered_token_opens(name: str, client: Client) -> None:
    token = build().delivery_token
    assert client.get(reverse(name, args=[token])).status_code == 200
    for at in range(len(token)):
        other = token[:at] + ("a" if token[at] != "a" else "b") + token[at + 1 :]
        assert client.get(reverse(name, args=[other])).status_code == 404, at


@pytest.mark.django_db
def test_a_token_of_another_purpose_does_not_unsubscribe(client: Client) -> None:
    world = build()
    number = world.complaint.delivery_id
    assert number is not None
    for purpose in (tokens.Purpose.CAMPAIGN, tokens.Purpose.CASE, tokens.Purpose.INVITATION, tokens.Purpose.CONFIRM):
        assert client.post(reverse("unsubscribe", args=[tokens.seal(purpose, number)])).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["?url=https://evil.example/", "?next=//evil.example", "?u=javascript:alert(1)"])
def test_a_counted_link_leads_nowhere_but_where_it_was_written(client: Client, query: str) -> None:
    world = build()
    token = tokens.seal(tokens.Purpose.CAMPAIGN, world.sent.pk)
    for number in (0, 1, 999):
        answer = client.get(f"/c/{token}/{number}/{query}")
        assert answer.status_code == 404
        assert "Location" not in answer.headers


@pytest.mark.django_db
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "[::1].evil.example"]
)
def test_other_hosts_are_refused(client: Client, host: str) -> None:
    assert client.post("/account/password/reset/", {"email": "x@y.example"}, headers={"host": host}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_signing_in_leads_to_this_site_only(client: Client, target: str) -> None:
    world = build()
    user = world.users["owner"]
    answer = client.post(f"/account/login/?next={target}", {"login": user.email, "password": "correct horse battery"})
    assert "evil" not in answer.headers.get("Location", "")
    assert "javascript" not in answer.headers.get("Location", "")


@pytest.mark.django_db
def test_the_local_world_is_not_there_unless_it_is_switched_on(client: Client) -> None:
    """A production start has no outbox, no names, no reactions."""
    for path in ("/local/", "/local/outbox/", "/local/names/", "/local/people/"):
        assert client.get(path).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/staff/", "/staff/abuse/case/", "/staff/nothing/here/", "/staff/accounts/user/1/"])
def test_the_staff_area_sends_everybody_else_to_the_door(path: str) -> None:
    world = build()
    for persona in ("anonymous", "owner"):
        answer = world.clients[persona].get(path)
        assert answer.status_code == 302, (persona, answer.status_code)
        assert answer.headers["Location"].startswith(("/staff/login/", "/account/login/"))
