"""Chromium for tests: one browser a process, pages at both widths and schemes, findings of axe, pictures.

Pictures are saved below SCREENS_DIR when that variable is set; else nothing is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = {"desktop": 1280, "phone": 390}
SCHEMES = ("light", "dark")
HEIGHT = 900
LOOKS = [(width, scheme) for width in WIDTHS for scheme in SCHEMES]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
# What axe is asked for: WCAG 2.2 up to AA, and its best practices.
AXE_OPTIONS: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
FINDINGS = """async options => (await axe.run(options)).violations.map(one =>
  `${one.id}: ${one.help}: ` + one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join("; "))"""
# A frame for the page's own listeners, then every fade at its end: a busy machine may draw none for seconds.
SETTLE = """async () => {
  await new Promise(requestAnimationFrame);
  for (let fades = []; (fades = document.getAnimations().filter(one => one instanceof CSSTransition)).length;)
    fades.forEach(one => one.finish());
}"""


@dataclass
class Look:
    """A page in one width and scheme, with what went wrong in it."""

    page: Page
    width: str
    scheme: str
    complaints: list[str]

    def go(self, url: str) -> int:
        """Open a page and return its status."""
        response = self.page.goto(url)
        assert response is not None
        return response.status

    def leave(self) -> None:
        """Close the page's content: one that asks for news by itself would load anew over the next address."""
        self.page.goto("about:blank")

    def show(self, width: str, scheme: str) -> None:
        """Show the open page in that width and scheme, with its colours as they stay."""
        self.width, self.scheme = width, scheme
        self.page.set_viewport_size({"width": WIDTHS[width], "height": HEIGHT})
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        self.page.evaluate(SETTLE)

    def picture(self, name: str) -> None:
        """Save the whole page as a picture when pictures are wanted."""
        target = os.environ.get("SCREENS_DIR")
        if not target:
            return
        ending = "" if self.scheme == "light" else f"-{self.scheme}"
        place = Path(target) / f"{name}-{self.width}{ending}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=place, full_page=True)

    def findings(self) -> list[str]:
        """Return what axe finds, one line each: rule, help, and the first places."""
        # Axe weighs half a megabyte, and so does its full report: one goes to a page once, the other not at all.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        found: list[str] = self.page.evaluate(FINDINGS, AXE_OPTIONS)
        return found

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window; 0 is wanted."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))


def chromium_path() -> str:
    """Return the machine's own browser; the launcher names the install command when there is none."""
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), "")
    assert found, "No Chromium: apt-get install chromium, or leave browser tests out with BROWSER=no"
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a running browser; it ends with its module, since its event loop would stand in the way of lanes."""
    # Playwright's loop runs in this thread; Django would refuse the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_look(browser: Browser, width: str, scheme: str) -> Iterator[Look]:
    """Open a page of that width and scheme in a fresh context, and close it at the end."""
    size = {"width": WIDTHS[width], "height": HEIGHT}
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield Look(page, width, scheme, complaints)
    context.close()


@pytest.fixture
def look(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Look]:
    """Return a page; ask for a width and scheme by indirect parametrisation with `LOOKS`."""
    width, scheme = getattr(request, "param", ("desktop", "light"))
    with open_look(chromium, width, scheme) as opened:
        yield opened


def sign_in(look: Look, base: str, client: Client) -> None:
    """Carry a test client's session over to the browser."""
    look.page.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": base}])
