"""The web attacks that concern every page; and where each row of the table of web attacks is tried.

Paths are from the root; `people`, `mail`, `scripts` are test_hostile_people, _mail and _scripts beside this file, a bare
name is a test below. "Weaker" says what the row asks for and the product has not.

| Row | Tests |
| --- | --- |
| Stored XSS in a preview | scripts::test_a_preview_runs_nothing_and_fetches_nothing, scripts::test_markdown_and_merged_values_stay_text, campaigns/tests/test_sealed.py::test_nothing_is_left_that_asks, campaigns/tests/test_sealed.py::test_the_preview_loads_nothing_unless_asked, campaigns/tests/test_held.py::test_no_picture_tells_a_customer_that_staff_read_the_message. No proxy: pictures from the web after a press of the sender's own people only |
| Stored XSS in the staff area | scripts::test_what_strangers_and_customers_write_is_text_in_the_staff_area, scripts::test_staff_read_a_reported_message_behind_the_same_wall, scripts::test_the_page_of_a_report_shows_text |
| Open redirect by clicks | test_a_counted_link_leads_nowhere_but_where_it_was_written, test_a_link_of_a_stopped_sender_leads_to_a_page_of_ours, test_signing_in_leads_to_this_site_only |
| Token forgery | test_no_altered_and_no_foreign_token_opens, test_every_page_with_a_token_is_tried_below, test_no_address_stands_in_a_link, sendserver/lib/tests/test_tokens.py::test_every_altered_character_fails, sendserver/lib/tests/test_tokens.py::test_every_token_costs_one_comparison_of_equal_length, sendserver/lib/tests/test_tokens.py::test_no_secret_is_compared_by_equality. By the work done, not by the clock |
| IDOR | sendserver/tests/test_access_table.py::test_codes, sendserver/tests/test_access_table.py::test_every_address_has_a_row_and_every_row_an_address, campaigns/tests/test_pages.py::test_lists_and_addresses_of_others_cannot_be_chosen, compliance/tests/test_upload_pages.py::test_another_tenants_list_cannot_be_chosen. No API, no websockets |
| Mass assignment | people::test_fields_of_the_tables_change_nothing_in_any_form, people::test_no_form_takes_the_fields_of_a_table_unasked, accounts/tests/test_signup.py::test_mass_assignment_changes_nothing, abuse/tests/test_public_pages.py::test_form_sets_no_state_fields |
| SSRF | mail::test_nothing_of_ours_fetches_an_address, mail::test_a_hostile_zone_costs_eight_questions, campaigns/tests/test_content.py::test_nothing_is_fetched_while_styles_are_inlined. Nothing fetches: no webhooks, no link check, no import by URL |
| Session fixation, MFA bypass | people::test_a_password_alone_opens_no_address, people::test_a_planted_session_is_left_behind_at_sign_in, accounts/tests/test_signing_in.py::test_with_a_second_factor_the_password_opens_nothing, accounts/tests/test_signing_in.py::test_a_recovery_code_works_once. Nobody resets another's factor |
| Reset poisoning by Host | test_other_hosts_are_refused, test_no_header_reaches_the_letter_of_a_reset, accounts/tests/test_signup.py::test_links_in_letters_do_not_follow_the_host_header |
| Staff area exposed | people::test_the_staff_area_is_not_there_for_other_networks, test_the_staff_area_sends_everybody_else_to_the_door, accounts/tests/test_signing_in.py::test_staff_need_a_second_factor. Weaker: the same cookie as the portal |
| CSRF | test_only_the_mail_links_are_exempt_from_csrf, test_a_foreign_post_is_refused_everywhere_else, test_cookies_do_not_travel_with_foreign_posts |
| One-click unsubscribe | test_a_hundred_looks_unsubscribe_nobody_and_two_posts_do_once, test_looking_changes_nothing, campaigns/tests/test_returning_pages.py::test_one_click_answers_200_whatever_is_posted, campaigns/tests/test_returning_pages.py::test_fifty_posts_at_once_make_one_row |
| Bots inflate clicks | test_a_scanner_makes_no_human_click_and_no_consent, campaigns/tests/test_trial_page.py::test_scanners_are_told_from_people. Weaker: a scanner that names itself a browser counts, since nothing about visitors is kept |
| Abuse-form flooding | mail::test_many_reports_without_proof_are_one_case_and_stop_nobody (60), mail::test_ten_thousand_reports_hide_nothing_and_stop_nobody (a hundred of them by form), mail::test_one_network_is_cut_off, abuse/tests/test_intake.py::test_burst_from_one_network_counts_as_one, abuse/tests/test_intake.py::test_ten_web_reports_without_tokens_are_no_strike |
| Bombing third parties | people::test_many_tenants_write_to_one_stranger_no_more_than_one, people::test_codes_to_one_stranger_end_whoever_asks_for_them, people::test_an_address_is_not_added_without_end, people::test_nobody_is_told_of_reports_without_end, people::test_a_test_message_goes_to_nobody_else, campaigns/tests/test_returning_pages.py::test_lost_links_are_limited (100 tenants) |
| List-bombing of sign-up forms | No such forms. Accounts: accounts/tests/test_signup.py::test_one_mailbox_is_not_bombed |
| DKIM replay | campaigns/tests/test_lane.py::test_both_signatures_hold_and_break_with_an_added_header |
| Log injection | mail::test_a_visitor_writes_one_line_into_the_log, mail::test_the_words_of_an_exception_forge_no_line, mail::test_a_log_holds_no_token_and_no_address, sendserver/lib/tests/test_small.py::test_no_input_can_forge_a_log_line |
| MIME bombs | mail::test_a_bomb_is_read_in_bounds_kept_and_changes_nothing, campaigns/tests/test_reading.py::test_nesting_and_size_are_bounded, campaigns/tests/test_reading.py::test_the_reader_survives_anything, campaigns/tests/test_inbound.py::test_a_mail_beyond_the_limit_is_refused. Weaker: no child process with its own limit |
| Forged bounces and reports | mail::test_a_bounce_is_believed_for_a_month, campaigns/tests/test_inbound.py::test_the_door_takes_only_addresses_we_made, campaigns/tests/test_inbound.py::test_a_bounce_from_a_real_sender_is_kept_and_believed_by_nobody, campaigns/tests/test_inbound.py::test_feedback_without_a_token_of_ours_changes_nothing |
| Auto-reply loops | mail::test_no_mail_is_answered, abuse/tests/test_public_pages.py::test_acknowledged_only_where_the_message_went |
| Secrets at rest | mail::test_a_dump_of_the_database_holds_no_secret, mail::test_a_new_key_seals_and_the_old_one_still_opens, mail::test_no_page_shows_a_key, sendserver/pages/tests/test_resealing.py::test_everything_opens_with_the_new_key_alone, accounts/tests/test_domains.py::test_no_private_key_in_the_repository |
"""  # noqa: E501 (a row of a table is one line)

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import Settings as SettingsWrapper

from abuse import references
from accounts import invitations, senders
from accounts.models import AuditEntry, Organization
from campaigns import brakes
from campaigns.inbound.addresses import Links
from campaigns.models import Brake, ClickCount, Event, Link
from compliance import policy
from compliance.models import ListMembership, Suppression
from sendserver.lib import tokens
from sendserver.testing.everything import Everything, build
from sendserver.tests.addresses import objects, waiting_signup
from sendserver.tests.test_access_table import all_rows, url_of

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("letters")
# RFC 8058 posts come from mail programs without a page of ours; the pages behind a mail's token know no session.
# Links in mail, and the sign-up form, which customers put on their own sites; none looks at a session.
CSRF_EXEMPT = {"unsubscribe", "unsubscribe_undo", "preferences", "own_copy", "own_erase_ask", "own_erase", "signup"}


def test_the_table_above_names_tests_that_are_there() -> None:
    assert __doc__ is not None
    short = {name: f"sendserver/tests/test_hostile_{name}.py" for name in ("people", "mail", "scripts")}
    named = re.findall(r"(?:([\w/.]+)::)?(test_\w+)\b(?!\.py)", __doc__.partition("| --- | --- |")[2])
    gone = [
        (place, test)
        for place, test in named
        if f"def {test}(" not in (ROOT / short.get(place, place or "sendserver/tests/test_hostile_web.py")).read_text()
    ]
    assert gone == []
    assert len(named) > 60


@pytest.fixture
def letters(settings: SettingsWrapper) -> None:
    """Keep our own mail in memory."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


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
    """Signed in, in the portal and in the staff area: 403 for the missing mark, 405 where no POST is taken at all."""
    world = build()
    things, answers = objects(world), []
    for name in set(all_rows()) - CSRF_EXEMPT:
        client = Client(enforce_csrf_checks=True)
        client.cookies = world.clients["administrator" if name.startswith("admin:") else "owner"].cookies
        code = client.post(url_of(name, world, things)).status_code
        assert code in (403, 405), (name, code)
        answers.append(code)
    assert answers.count(403) > 100


def test_cookies_do_not_travel_with_foreign_posts(settings: SettingsWrapper) -> None:
    assert (settings.SESSION_COOKIE_SAMESITE, settings.CSRF_COOKIE_SAMESITE) == ("Lax", "Lax")
    assert (settings.SESSION_COOKIE_HTTPONLY, settings.CSRF_COOKIE_HTTPONLY) == (True, True)


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


PURPOSES = sorted(value for name, value in vars(tokens.Purpose).items() if name.isupper())
# Every page with a token in its address: its purpose, the address, what only the right token shows, and how to ask.
TOKEN_PAGES: dict[str, tuple[str, str, str, str]] = {
    "unsubscribe": (tokens.Purpose.DELIVERY, "/u/{}/", "Larkfield", "get"),
    "one-click": (tokens.Purpose.DELIVERY, "/u/{}/", "You are unsubscribed", "post"),
    "undo": (tokens.Purpose.DELIVERY, "/u/{}/undo/", "Larkfield", "post"),
    "preferences": (tokens.Purpose.DELIVERY, "/p/{}/", "Larkfield", "get"),
    "why": (tokens.Purpose.DELIVERY, "/why/{}/", "Larkfield", "get"),
    "copy": (tokens.Purpose.DELIVERY, "/p/{}/copy/", "Look into your mailbox", "post"),
    "ask to erase": (tokens.Purpose.DELIVERY, "/p/{}/erase/", "Look into your mailbox", "post"),
    "erase": (tokens.Purpose.ERASE, "/erase/{}/", "Erase what is stored", "get"),
    "report": (tokens.Purpose.DELIVERY, "/abuse/?t={}", "We sent this message", "get"),
    "status": (tokens.Purpose.CASE, "/abuse/t/REFERENCE/?k={}", "A person is looking at it", "get"),
    "click": (tokens.Purpose.CAMPAIGN, "/c/{}/1/", "", "get"),
    "invitation": (tokens.Purpose.INVITATION, "/invite/{}/", "Larkfield", "get"),
    "sign-up": (tokens.Purpose.SIGNUP, "/sign-up/confirm/{}/", "One more step", "get"),
    "confirmation": (tokens.Purpose.CONFIRM, "/confirm/from/{}/", "Do you read this mailbox?", "get"),
}

EACH_CHARACTER = {"one-click", "status", "click", "invitation", "confirmation"}  # one page a purpose; elsewhere some


def test_every_page_with_a_token_is_tried_below() -> None:
    tried = {address.split("{}")[0] for _, address, _, _ in TOKEN_PAGES.values()}
    routes = {
        str(view.pattern).partition("<")[0]
        for view in _views(get_resolver().url_patterns)
        if "token>" in str(view.pattern)
    }
    assert {f"/{route}" for route in routes} <= tried


@pytest.mark.django_db
@pytest.mark.parametrize("page", TOKEN_PAGES)
def test_no_altered_and_no_foreign_token_opens(
    page: str, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each character altered, cut, lengthened, sealed for another purpose: one answer, the one for the unknown."""
    monkeypatch.setattr(policy, "LOOKUPS_PER_NETWORK", 1000)
    world = build()
    purpose, address, words, method = TOKEN_PAGES[page]
    Link.objects.create(campaign=world.sent, number=1, url="https://larkfield.example/a")
    address = address.replace("REFERENCE", world.complaint.reference)
    good = _token(world, purpose)
    number = tokens.open_token(purpose, good)
    assert number is not None
    before = _figures()
    unknown = _told(method, address.format("k1" + "a" * 26), "k1" + "a" * 26)
    places = range(0, len(good), 1 if page in EACH_CHARACTER else 6)
    bad = [good[:at] + ("a" if good[at] != "a" else "b") + good[at + 1 :] for at in places]
    bad += [good[:-1], good + "a", *(tokens.seal(other, number) for other in PURPOSES if other != purpose)]
    for token in bad:
        assert _told(method, address.format(token), token) == unknown, token
    assert _figures() == before
    opened = getattr(Client(), method)(address.format(good))
    assert words in opened.content.decode()
    assert _told(method, address.format(good), good) != unknown


def _token(world: Everything, purpose: str) -> str:
    found = {
        tokens.Purpose.DELIVERY: world.delivery_token,
        tokens.Purpose.ERASE: tokens.seal(tokens.Purpose.ERASE, world.complaint.delivery_id or 0),
        tokens.Purpose.CASE: references.key_of(world.complaint),
        tokens.Purpose.CAMPAIGN: tokens.seal(tokens.Purpose.CAMPAIGN, world.sent.pk),
        tokens.Purpose.INVITATION: invitations.token_of(world.invitation),
        tokens.Purpose.CONFIRM: senders.token_of(world.world.from_address),
        tokens.Purpose.SIGNUP: tokens.seal(tokens.Purpose.SIGNUP, waiting_signup(world).pk),
    }
    return found[purpose]


def _told(method: str, url: str, token: str) -> tuple[int, str, str]:
    """Return code, Location and page, without what differs by nature: the token itself and the form's mark."""
    answer = getattr(Client(), method)(url)
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())
    return answer.status_code, answer.headers.get("Location", ""), page.replace(token, "")


def test_no_address_stands_in_a_link() -> None:
    links = Links.of(7)
    for url in (links.unsubscribe_url, links.why_url, links.preferences_url, links.report_url):
        assert "@" not in unquote(url)
        assert len(links.token) == 28  # 130 bits behind the key's name
    routes = [str(view.pattern) for view in _views(get_resolver().url_patterns)]
    assert not any(re.search(r"<[^>]*(mail|address)>", route) for route in routes)


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "?url=https://evil.example/", "?next=//evil.example", "?u=javascript:alert(1)"])
def test_a_counted_link_leads_nowhere_but_where_it_was_written(client: Client, query: str) -> None:
    world = build()
    link = Link.objects.create(campaign=world.sent, number=1, url="https://larkfield.example/a")
    token = tokens.seal(tokens.Purpose.CAMPAIGN, world.sent.pk)
    assert client.get(f"/c/{token}/1/{query}").headers["Location"] == link.url
    altered = [token[:at] + ("a" if token[at] != "a" else "b") + token[at + 1 :] for at in range(len(token))]
    for other, number in [(token, 0), (token, 2), (token, 99999), *((one, 1) for one in altered)]:
        answer = client.get(f"/c/{other}/{number}/{query}")
        assert answer.status_code == 404
        assert "Location" not in answer.headers


@pytest.mark.django_db
@pytest.mark.parametrize("stop", ["suspended", "blocked", "campaign"])
def test_a_link_of_a_stopped_sender_leads_to_a_page_of_ours(client: Client, stop: str) -> None:
    world = build()
    link = Link.objects.create(campaign=world.sent, number=1, url="https://larkfield.example/a?b=<i>")
    if stop == "campaign":
        brakes.set_brake(Brake.Kind.STAFF, "Suspended", campaign=world.sent)
    else:
        Organization.objects.filter(pk=world.organization.pk).update(standing=stop)
    answer = client.get(f"/c/{tokens.seal(tokens.Purpose.CAMPAIGN, world.sent.pk)}/1/")
    assert (answer.status_code, "Location" in answer.headers) == (200, False)
    page = answer.content.decode()
    assert escape(link.url) in page
    assert f'href="{escape(link.url)}' not in page
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not ClickCount.objects.exists()


@pytest.mark.django_db
def test_a_scanner_makes_no_human_click_and_no_consent(client: Client) -> None:
    """It follows every link of the mail, some of them with HEAD, and says what it is or nothing at all."""
    world = build()
    for number in range(1, 6):
        Link.objects.create(campaign=world.sent, number=number, url=f"https://larkfield.example/{number}")
    token = tokens.seal(tokens.Purpose.CAMPAIGN, world.sent.pk)
    consents = list(ListMembership.objects.values_list("pk", "consent_at", "confirmed_at", "basis"))
    firefox = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    for number in range(1, 6):
        for agent in ("Barracuda Sentinel (EE)", "Mozilla/5.0 (compatible; GoogleImageProxy)", "Proofpoint/1.0", ""):
            client.get(f"/c/{token}/{number}/", headers={"user-agent": agent})
        client.head(f"/c/{token}/{number}/", headers={"user-agent": firefox})
        client.get(
            f"/c/{token}/{number}/", headers={"user-agent": firefox, "sec-purpose": "prefetch;anonymous-client-ip"}
        )
    for path in ("u", "p", "why"):
        client.get(f"/{path}/{world.delivery_token}/", headers={"user-agent": firefox})
    rows = ClickCount.objects.values_list("clicks", "automated")
    assert (sum(row[0] for row in rows), sum(row[1] for row in rows)) == (0, 30)
    assert list(ListMembership.objects.values_list("pk", "consent_at", "confirmed_at", "basis")) == consents
    client.get(f"/c/{token}/1/", headers={"user-agent": firefox})
    assert ClickCount.objects.filter(clicks=1).count() == 1


@pytest.mark.django_db
def test_a_hundred_looks_unsubscribe_nobody_and_two_posts_do_once(client: Client) -> None:
    world = build()
    url, before = reverse("unsubscribe", args=[world.delivery_token]), _figures()
    for _ in range(50):
        assert (client.get(url).status_code, client.head(url).status_code) == (200, 200)
    assert _figures() == before
    for _ in range(2):  # also of somebody who has complained already
        answer = client.post(url, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        assert (answer.status_code, len(answer.cookies), "Location" in answer.headers) == (200, 0, False)
    assert Event.objects.filter(source="one_click").count() == 1
    assert Suppression.objects.filter(source="one_click").count() <= 1


HOSTS = (
    *(
        "evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "[::1].evil.example",
        "localhost:80@evil.example",
    ),
    *(
        "evil.example:443",
        "localhost/evil.example",
        "localhost\tevil.example",
        "localhost#evil.example",
        "http://evil.example",
    ),
    *(
        "localhost, evil.example",
        "evil.example localhost",
        "localhost%00.evil.example",
        "localhost:evil",
        "\u2044evil.example",
    ),
)


@pytest.mark.django_db
@pytest.mark.parametrize("host", HOSTS)
def test_other_hosts_are_refused(client: Client, host: str) -> None:
    assert client.post("/account/password/reset/", {"email": "x@y.example"}, headers={"host": host}).status_code == 400


@pytest.mark.django_db
def test_no_header_reaches_the_letter_of_a_reset(client: Client, settings: SettingsWrapper) -> None:
    """Even where every host is let in: known and unknown addresses alike."""
    settings.ALLOWED_HOSTS = ["*"]
    world = build()
    mail.outbox.clear()
    headers = ("host", "x-forwarded-host", "x-host", "forwarded", "x-original-url", "x-forwarded-server")
    known = [user.email for user in world.users.values()]
    for header, email in zip(headers, known, strict=True):
        for address in (email, f"{header}@else.example"):
            value = "host=evil.example" if header == "forwarded" else "evil.example"
            answer = client.post("/account/password/reset/", {"email": address}, headers={header: value})
            assert "evil" not in answer.headers["Location"]
    assert len(mail.outbox) == 2 * len(headers)
    assert not any("evil" in letter.message().as_string() for letter in mail.outbox)


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
