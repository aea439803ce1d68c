"""Scripts where text belongs, in a real browser: previews, what strangers report, names in the staff area.

The corpus tries to open a dialog and to fetch from a spying server on a real socket. Pages that show text are opened
with the content policy switched off in the browser, so that escaping alone has to hold; previews show markup, so there
the policy itself has to hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page

from abuse.feedback import take_mails
from abuse.models import Case, Complaint
from accounts.models import Organization, SendingDomain
from campaigns.models import Campaign, Event, InboundMail, Snapshot
from campaigns.tests.world import make_draft, make_world
from sendserver.lib import clock
from sendserver.testing.everything import Everything, build
from sendserver.testing.personas import Persona
from sendserver.tests.addresses import objects
from sendserver.tests.test_access_table import all_rows, url_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CORPUS = Path(__file__).parent / "corpus" / "scripts.txt"
NAME = '"><img src=x onerror=alert(1)>'
PARTS = 6
SETTLES = 150  # milliseconds for handlers, animations and refreshes to act
# Elements and attributes of the corpus; none of our pages has one.
PLANTED = (
    "script:not([src]):not([type='application/json']), [onerror], [onload], [onfocus], [ontoggle], [onbegin], "
    "[onclick], [onstart], [onmouseover], [onloadstart], [onanimationstart], iframe[srcdoc], object, embed, base, "
    "meta[http-equiv='refresh' i], a[href^='javascript' i], a[href^='data:' i]"
)


@pytest.fixture
def spy() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def corpus(spy: tuple[str, list[str]]) -> list[str]:
    """Return the corpus, its requests going to the spy."""
    return CORPUS.read_text(encoding="utf-8").replace("SPY", spy[0]).splitlines()


def bundles(corpus: list[str]) -> list[str]:
    """Return the corpus in parts of a few lines: an element left open swallows what follows it."""
    return ["\n".join(corpus[first::PARTS]) for first in range(PARTS)]


@contextmanager
def watched(browser: Browser, base: str, persona: Client, *, policy: bool) -> Iterator[tuple[Page, list[str]]]:
    """Open a page of a signed-in person; yields it and the dialogs that opened."""
    context = browser.new_context(bypass_csp=not policy)
    context.add_cookies([{"name": "sessionid", "value": persona.cookies["sessionid"].value, "url": base}])
    page, dialogs = context.new_page(), []

    def heard(dialog: Any) -> None:
        dialogs.append(page.url)
        dialog.dismiss()

    page.on("dialog", heard)
    yield page, dialogs
    context.close()


def planted(page: Page) -> int:
    """Return how many elements of the corpus stand in the page or a frame of it."""
    page.wait_for_timeout(SETTLES)
    return sum(frame.locator(PLANTED).count() for frame in page.frames)


@pytest.fixture
def draft(larkfield: Organization, alice: Persona) -> Campaign:
    return make_draft(make_world(larkfield), alice.user)


def test_a_preview_runs_nothing_and_fetches_nothing(
    chromium: Browser, live_server: Any, draft: Campaign, alice: Persona, corpus: list[str], spy: tuple[str, list[str]]
) -> None:
    """Whatever HTML a customer writes: on its own and in the editor's frame."""
    base = live_server.url
    preview, edit = (base + reverse(f"campaign_{name}", args=[draft.uid]) for name in ("preview", "edit"))
    with watched(chromium, base, alice.client, policy=True) as (page, dialogs):
        seen = 0
        for body in bundles(_without_tags(corpus)):
            Campaign.objects.filter(pk=draft.pk).update(body_format="html", body=body)
            page.goto(preview)
            seen += page.locator(PLANTED).count()
            page.wait_for_timeout(SETTLES)
        page.goto(edit)
        page.wait_for_timeout(SETTLES)
        assert page.locator("#preview").get_attribute("sandbox") == ""
        assert (dialogs, spy[1]) == ([], [])
        assert seen > 10  # else the policy had nothing to stop


def test_staff_read_a_reported_message_behind_the_same_wall(
    chromium: Browser, live_server: Any, corpus: list[str], spy: tuple[str, list[str]]
) -> None:
    world = build()
    _send_hostile(world.sent, corpus)
    case = Case.objects.get(campaign_id=world.sent.pk)
    with watched(chromium, live_server.url, world.clients["moderator"], policy=True) as (page, dialogs):
        url = live_server.url + reverse("admin:abuse_case_message", args=[case.pk])
        page.goto(url)
        assert page.locator("script").count() > 5
        page.goto(live_server.url + reverse("admin:abuse_case_change", args=[case.pk]))
        page.wait_for_timeout(SETTLES)
        assert (dialogs, spy[1]) == ([], [])


def _send_hostile(sent: Campaign, corpus: list[str]) -> None:
    content = {"subject": NAME, "html": "\n".join(corpus), "text": "\n".join(corpus)}
    row = Snapshot.objects.create(
        campaign_uid=sent.uid, version=9, sha256=b"x" * 32, content=content, created_at=clock.now()
    )
    Campaign.objects.filter(pk=sent.pk).update(snapshot=row)


def test_markdown_and_merged_values_stay_text(
    chromium: Browser, live_server: Any, draft: Campaign, alice: Persona, corpus: list[str], spy: tuple[str, list[str]]
) -> None:
    """Without any policy in the browser: the body's HTML is shown as typed, a value is only a word."""
    values = {f"word{number}": line for number, line in enumerate(corpus)}
    body = "Hello\n\n" + "\n\n".join([f"{{{{ {name} }}}}" for name in values] + _without_tags(corpus))
    Campaign.objects.filter(pk=draft.pk).update(body=body, body_format="markdown", subject=NAME, preheader=NAME)
    person = draft.organization.contacts.order_by("pk")[0]
    draft.organization.contacts.update(fields=values, first_name=NAME)
    preview = live_server.url + reverse("campaign_preview", args=[draft.uid])
    with watched(chromium, live_server.url, alice.client, policy=False) as (page, dialogs):
        page.goto(f"{preview}?contact={person.uid}")
        assert planted(page) == 0
        assert page.inner_text("body").count("alert(1)") > len(corpus)  # as values and as typed
        page.goto(live_server.url + reverse("campaign_edit", args=[draft.uid]))
        assert planted(page) == 0
        assert (dialogs, spy[1]) == ([], [])


def _without_tags(corpus: list[str]) -> list[str]:
    """Leave out what looks like a merge tag: a body with an unknown one is not shown at all."""
    return [line for line in corpus if "{{" not in line]


def test_what_strangers_and_customers_write_is_text_in_the_staff_area(
    chromium: Browser, live_server: Any, corpus: list[str], spy: tuple[str, list[str]]
) -> None:
    """Reports by form, file and mail, ARF parts, bounce texts, names of tenants: no page of the staff area obeys."""
    world = build()
    _write_everywhere(world, corpus)
    things = objects(world)
    names = [
        name
        for name, (get, _) in all_rows().items()
        if get[-1] == "200" and name.startswith("admin:") and name.endswith(("index", "list", "_change", "_mail"))
    ]
    urls = [url_of(name, world, things) for name in names]
    urls += [f"/staff/abuse/complaint/{pk}/change/" for pk in Complaint.objects.values_list("pk", flat=True)]
    urls += [f"/staff/abuse/case/{pk}/change/" for pk in Case.objects.values_list("pk", flat=True)]
    found, words = [], ""
    with watched(chromium, live_server.url, world.clients["administrator"], policy=False) as (page, dialogs):
        for url in urls:
            answer = page.goto(live_server.url + url)
            assert answer is not None
            if answer.status != 200 or page.locator(PLANTED).count():
                found.append(f"{url}: {answer.status}")
            words += page.inner_text("body")
        page.wait_for_timeout(SETTLES)
        assert (found, dialogs, spy[1]) == ([], [], [])
    assert words.count("alert(1)") > len(corpus)  # shown, as text
    assert len(urls) > 25


def _write_everywhere(world: Everything, corpus: list[str]) -> None:
    text = "\n".join(corpus)
    raw = (
        f"From: {NAME} <a@b.example>\r\nSubject: {NAME}\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        f"--x\r\nContent-Type: text/html\r\n\r\n{text}\r\n--x\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: {NAME}\r\nUser-Agent: {NAME}\r\n\r\n--x--\r\n"
    )
    sign = world.delivery_token
    form = {"kind": "other", "share": "yes", "never_platform": "on"}
    for number, more in enumerate(
        ({"text": text, "token": sign}, {"raw": raw, "token": sign}, {"raw": f"List-Unsubscribe: /u/{sign}/\r\n{raw}"})
    ):
        answer = Client(REMOTE_ADDR=f"10.1.{number}.1").post(reverse("abuse"), {**form, **more})
        assert answer.status_code == 302
    mail = {"mail_from": "x@y.example", "peer": NAME[:45], "sha256": b"x", "processed_at": clock.now()}
    InboundMail.objects.create(received_at=clock.now(), rcpt_to="abuse@x.example", raw=raw.encode(), **mail)
    assert take_mails() == 1
    Event.objects.create(
        kind="bounced", at=clock.now(), organization=world.organization, campaign_id=world.sent.pk, source="dsn",
        delivery_id=world.complaint.delivery_id, dedupe="x", bounce_class="soft", detail={"text": text, "rule": NAME},
    )  # fmt: skip
    Organization.objects.update(name=NAME)
    for domain in SendingDomain.objects.all():
        SendingDomain.objects.filter(pk=domain.pk).update(name=f"{NAME}{domain.pk}")
    Campaign.objects.update(name=NAME, subject=NAME)
    type(world.users["owner"]).objects.update(name=NAME)
    type(world.contact).objects.update(first_name=NAME)
    _send_hostile(world.sent, corpus)


def test_the_page_of_a_report_shows_text(
    chromium: Browser, live_server: Any, corpus: list[str], spy: tuple[str, list[str]]
) -> None:
    """Also to whoever wrote it, and on the form that shows it again because something was missing."""
    world = build()
    with watched(chromium, live_server.url, world.clients["owner"], policy=False) as (page, dialogs):
        page.goto(live_server.url + reverse("abuse"))
        page.fill("[name=text]", "\n".join(corpus))
        page.fill("[name=raw]", "\n".join(corpus), force=True)
        page.evaluate("document.querySelector('[name=raw]').form.noValidate = true")
        page.evaluate("document.querySelector('[name=email]').value = 'no address'")
        page.evaluate("document.querySelector('[name=raw]').form.submit()")
        page.wait_for_load_state()
        assert "alert(1)" in page.input_value("[name=text]")
        assert planted(page) == 0
        assert (dialogs, spy[1]) == ([], [])
