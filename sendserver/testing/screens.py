"""Walk a running local portal as every kind of user: a picture and the findings of each page.

    python -m sendserver.testing.screens http://localhost:8000 var pictures [desktop-light phone-dark ...]

Follows links from the first page of each person, takes each kind of page twice at most (one page may be empty, the
next full), and prints what is wrong: axe, script or policy errors, sideways scrolling, answers of 500. Changes nothing:
it presses no button but "Sign in".
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import django
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as BrowserError

from sendserver.testing.browser import LOOKS, Look, chromium_path, open_look

STARTS = {
    "anonymous": (
        "/",
        "/abuse/find/",
        "/u/",
        "/account/login/",
        "/account/signup/",
        "/local/outbox/",
        "/nowhere/",
    ),
    "nina": ("/portal/", "/portal/new/", "/portal/audit/", "/portal/settings/", "/account/2fa/", "/account/sessions/"),
    "tom": ("/portal/", "/portal/campaigns/"),
    "mara": ("/portal/", "/portal/verify/"),
    "mona": ("/staff/",),
    "ida": ("/staff/",),
}
EACH_KIND = 2
MOST_PAGES = 150  # of one person
NOT_PAGES = re.compile(r"logout|/static/|^/c/|\.(json|txt|csv|zip|eml|png|svg)$|download|/jsi18n/|/p/never")


@dataclass
class Walk:
    """One person's way through the portal."""

    person: str
    base: str
    look: Look
    seen: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    pages: int = 0

    def run(self, starts: tuple[str, ...]) -> None:
        """Visit everything that can be reached from `starts`."""
        waiting = deque(starts)
        while waiting and self.pages < MOST_PAGES:
            path = waiting.popleft()
            kind = _kind(path)
            if path in self.known or self.seen[kind] >= EACH_KIND or NOT_PAGES.search(path):
                continue
            self.known.add(path)
            self.seen[kind] += 1
            waiting.extend(self.visit(path, kind))

    def visit(self, path: str, kind: str) -> list[str]:
        """Look at one page; return the addresses it links to."""
        self.look.complaints.clear()
        page = self.look.page
        try:
            status = self.look.go(self.base + path)
        except BrowserError as error:
            if "Download is starting" not in str(error):
                self.wrong.append(f"{path}: {error}")
            return []
        self.pages += 1
        if "text/html" not in page.evaluate("document.contentType"):
            return []
        self.look.picture(f"{self.person}/{kind}{'-2' if self.seen[kind] > 1 else ''}")
        self.wrong += [f"{path}: {what}" for what in self._findings(status, path)]
        links = page.eval_on_selector_all("a[href]", "all => all.map(one => one.href)")
        if "as=text" in path:
            links += re.findall(re.escape(self.base) + r"/(?:u|p|why|abuse)/[^\s\"'<>&]+", page.content())
        return [found for link in links if (found := self._own(link))]

    def _findings(self, status: int, path: str) -> list[str]:
        found = [f"answered {status}"] if status >= 500 or (status == 404 and path != "/nowhere/") else []
        found += self.look.findings()
        if self.look.overflow():
            found.append(f"{self.look.overflow()} px too wide")
        dead = self.look.page.eval_on_selector_all('a[href="#"]', "all => all.map(one => one.textContent.trim())")
        found += [f"leads nowhere: {', '.join(sorted(set(dead)))}"] if dead else []
        found += [said for said in self.look.complaints if "404 (Not Found)" not in said]
        return found

    def _own(self, link: str) -> str:
        whole = urlsplit(urljoin(self.base, urldefrag(link)[0]))
        same = f"{whole.scheme}://{whole.netloc}" == self.base
        return whole.path + (f"?{whole.query}" if whole.query else "") if same else ""


def _kind(path: str) -> str:
    """Return the name that pages of one kind share; staff lists differ by model."""
    try:
        found = resolve(urlsplit(path).path)
    except Resolver404:
        return "unknown"
    view = re.findall(r"[?&]as=(\w+)", path)  # a mail's views; the links to people's own pages stand in its text
    return "-".join([(found.view_name or "unnamed").replace(":", "-"), *view[-1:]])


def sign_in(look: Look, base: str, person: str, var: Path) -> None:
    """Sign in through the page, as a person would."""
    from sendserver.local import demo_people, demo_secrets

    actor = next(one for one in (*demo_people.CUSTOMERS, *demo_people.STAFF) if one.key == person)
    own = demo_secrets.credentials(var, [person])[person]
    look.go(f"{base}/account/login/")
    look.page.fill("#id_login", actor.email)
    look.page.fill("#id_password", own.password)
    look.page.get_by_role("button", name="Sign in", exact=True).click()
    if actor.has_app:
        look.page.fill('input[name="code"]', own.code())
        look.page.locator('main form:has(input[name="code"]) button').first.click()
    look.page.wait_for_url(lambda url: "/account/" not in url)


def walk_all(browser: Browser, base: str, var: Path, looks: list[tuple[str, str]]) -> list[str]:
    """Walk as everybody in every look; return what is wrong, one line each."""
    wrong = []
    for width, scheme in looks:
        for person, starts in STARTS.items():
            with open_look(browser, width, scheme) as look:
                if person != "anonymous":
                    sign_in(look, base, person, var)
                walk = Walk(person, base, look)
                walk.run(starts)
            print(f"{person} {width} {scheme}: {walk.pages} pages, {len(walk.wrong)} findings", flush=True)
            wrong += [f"{person} {width} {scheme} {line}" for line in walk.wrong]
    return wrong


def main(arguments: list[str]) -> int:
    """Walk and print; 1 when something is wrong."""
    base, var, pictures = arguments[0].rstrip("/"), Path(arguments[1]), arguments[2]
    os.environ["SCREENS_DIR"] = pictures
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendserver.settings")
    os.environ.setdefault("LOCAL_WORLD", "on")
    django.setup()
    wanted = arguments[3:] or ["-".join(look) for look in LOOKS]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        wrong = walk_all(browser, base, var, [look for look in LOOKS if "-".join(look) in wanted])
        browser.close()
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
