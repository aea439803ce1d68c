"""Every address that answers with HTML, in a real browser: axe, content policy, nothing sideways; all four looks."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from sendserver.testing.browser import SCHEMES, WIDTHS, Look, open_look, sign_in
from sendserver.testing.everything import PERSONAS, build
from sendserver.tests.addresses import objects
from sendserver.tests.test_access_table import all_rows, url_of

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
# What is no page: files, machine copies, parts that a page loads, and leaving.
NO_PAGE = {
    "admin:abuse_case_message",
    "admin:staff_relays_now",
    "campaign_checks",
    "campaign_preview",
    "domain_records",
    "import_statement",
    "portal_now",
    "segment_count",
    "upload_seen",
    "account_logout",
    "admin:jsi18n",
    "admin:logout",
    "healthz",
    "healthz_sending",
    "import_rows_csv",
    "mfa_add_webauthn",  # asks the browser for a passkey at once
    "ledger_lines",
    "postmaster_json",
    "robots",
    "security_txt",
}
# Stock pages of Django's own that only point elsewhere; their markup is not ours.
NOT_OURS = {"admin:password_change", "admin:password_change_done", "admin:app_list"}


def pages_of(persona: str) -> list[str]:
    """Return the names that answer 200 to this person."""
    place = PERSONAS.index(persona)
    return [name for name, (get, _) in all_rows().items() if get[place] == "200" and name not in NO_PAGE | NOT_OURS]


def faults(look: Look, where: str) -> list[str]:
    """Return what is wrong with the open page in each width and scheme."""
    found = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            look.show(width, scheme)
            look.picture(where.replace(":", "-"))
            found += [f"{where} {width} {scheme}: {finding}" for finding in look.findings()]
        if look.overflow():
            found.append(f"{where} {width}: {look.overflow()} pixels too wide")
    return found


def names_of(persona: str) -> list[str]:
    """Return the pages that are this person's to look at, each page with one person."""
    # Staff see the public pages and the portal's door as everybody does; theirs are the pages of the staff area.
    names = [
        name for name in pages_of(persona) if not name.startswith("admin:") or persona in ("moderator", "administrator")
    ]
    if persona in ("moderator", "administrator"):
        names = [name for name in names if name.startswith("admin:")]
    if persona == "administrator":
        names = [name for name in names if name not in pages_of("moderator")]
    if persona == "owner":
        names = [name for name in names if name not in pages_of("anonymous")]
    return names


@pytest.mark.parametrize("persona", ["anonymous", "owner", "moderator", "administrator"])
def test_every_page(persona: str, chromium: Browser, live_server: Any) -> None:
    world = build()
    things = objects(world)
    found = []
    with open_look(chromium, "desktop", "light") as look:
        if persona != "anonymous":
            sign_in(look, live_server.url, world.clients[persona])
        for name in names_of(persona):
            look.complaints.clear()
            status = look.go(live_server.url + url_of(name, world, things))
            if status != 200:
                found.append(f"{name}: answers {status}")
                continue
            found += faults(look, name)
            found += [f"{name}: the console says {said}" for said in look.complaints]
    assert not found, "\n" + "\n".join(found)


# A window of 1280 by 900 at 200 % (WCAG 2.2, 1.4.4 and 1.4.10): half of it in CSS pixels, each four dots.
ZOOMED = {"width": 640, "height": 450}
# Text that is cut without a way to reach the rest, and bars that stay while the page scrolls under them.
CUT = """() => [...document.querySelectorAll('main *, header *, footer *, aside *')].filter(one => {
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  if (!one.textContent.trim() || !box.width || box.height < 2 || box.width < 2) return false;
  if (one.closest('.visually-hidden, svg, select, iframe')) return false;
  const hidden = ['hidden', 'clip'].includes(style.overflowX) && style.textOverflow !== 'ellipsis';
  return hidden && one.scrollWidth > one.clientWidth + 1;
}).map(one => one.outerHTML.slice(0, 120))"""
STAYING = """() => [...document.querySelectorAll('body *')].filter(one => {
  const position = getComputedStyle(one).position, box = one.getBoundingClientRect();
  return ['fixed', 'sticky'].includes(position) && box.height > 0 && box.width > innerWidth / 2
    && box.top < innerHeight && box.bottom > 0 && !one.closest('.visually-hidden');
}).filter(one => one.getBoundingClientRect().height > innerHeight / 3).map(one => one.outerHTML.slice(0, 120))"""


def zoom_faults(look: Look, where: str) -> list[str]:
    """Return what does not fit the open page at twice the size."""
    look.width = "zoomed"
    look.picture(where.replace(":", "-"))
    found = [f"{where}: cut: {html}" for html in look.page.evaluate(CUT)]
    found += [f"{where}: covers a third of the window: {html}" for html in look.page.evaluate(STAYING)]
    return [*found, f"{where}: {look.overflow()} pixels too wide"] if look.overflow() else found


@pytest.mark.parametrize("persona", ["anonymous", "owner", "moderator", "administrator"])
def test_every_page_at_twice_the_size(persona: str, chromium: Browser, live_server: Any) -> None:
    world = build()
    things = objects(world)
    found = []
    with open_look(chromium, "desktop", "light") as look:
        look.page.set_viewport_size(ZOOMED)  # type: ignore[arg-type]
        if persona != "anonymous":
            sign_in(look, live_server.url, world.clients[persona])
        for name in names_of(persona):
            if look.go(live_server.url + url_of(name, world, things)) != 200:
                found.append(f"{name}: does not answer")
                continue
            found += zoom_faults(look, name)
    assert not found, "\n" + "\n".join(found)


def test_the_table_knows_the_pages_that_are_looked_at() -> None:
    assert set(all_rows()) >= NO_PAGE | NOT_OURS
    assert reverse("home") == "/"
