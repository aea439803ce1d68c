"""Walk the whole story in a browser beside a running portal: `python -m sendserver.testing.journey [folder]`.

A person signs up, proves a domain, is approved by staff, uploads a list, signs, sends and reads the report. Somebody
who got the mail goes from it to a report with a reference, and staff decide the case. Screens, fields and clicks are
counted, and a picture of each step is saved. Start `make run` first; VAR_DIR says which portal.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from sendserver.local.mailstore import KEYS, Reader, path_of
from sendserver.testing.browser import HEIGHT, LOOKS, SETTLE, WIDTHS, chromium_path
from sendserver.testing.journey_parts import totp

PATIENCE = 15_000  # milliseconds for one page or field
MAIL_PATIENCE = 40.0  # seconds until a mail has come
LIMITS = {"customer, after approval": 8, "public, from mail to reference": 2, "staff, one case": 6}


@dataclass
class Count:
    """What one part of the story cost."""

    screens: list[str] = field(default_factory=list)
    fields: int = 0
    clicks: int = 0


class Walker:
    """One person in a browser."""

    def __init__(self, browser: Browser, base: str, folder: Path, name: str) -> None:
        self.base, self.folder, self.name = base, folder, name
        context = browser.new_context(
            viewport={"width": WIDTHS["desktop"], "height": HEIGHT},
            base_url=base,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.count = Count()
        self.shot = 0
        self.secret = self.last_code = ""  # of the authenticator app

    @contextmanager
    def part(self) -> Iterator[Count]:
        """Count what is done inside."""
        before, self.count = self.count, Count()
        yield self.count
        self.count = before

    def see(self, title: str) -> None:
        """Note a screen that was reached and save its picture at both widths, light and dark."""
        self.count.screens.append(title)
        self.shot += 1
        self.page.wait_for_load_state()
        stem = f"{self.name}-{self.shot:02}-{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}"
        for width, scheme in LOOKS:
            self.page.set_viewport_size({"width": WIDTHS[width], "height": HEIGHT})
            self.page.emulate_media(color_scheme=scheme)
            self.page.evaluate(SETTLE)
            self.page.screenshot(path=self.folder / f"{stem}-{width}-{scheme}.png", full_page=True)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": WIDTHS["desktop"], "height": HEIGHT})
        print(f"  {self.name}: {title}  ({self.page.url.removeprefix(self.base)})", flush=True)

    def fill(self, **values: str) -> None:
        """Fill fields by their names."""
        for name, value in values.items():
            self.count.fields += 1
            self.page.locator(f"main [name={name}]:visible").first.fill(value)

    def choose(self, name: str, value: str) -> None:
        """Choose a radio button, a box or an option."""
        self.count.fields += 1
        place = self.page.locator(f"main [name={name}]").first
        if place.evaluate("e => e.tagName") == "SELECT":
            place.select_option(value)
        else:
            self.page.locator(f'main [name={name}][value="{value}"]').check()

    def tick(self, name: str) -> None:
        """Tick every box of a name."""
        for box in self.page.locator(f"main input[type=checkbox][name={name}]").all():
            self.count.fields += 1
            box.check()

    def press(self, words: str) -> None:
        """Press the button or link with these words."""
        self.count.clicks += 1
        pattern = re.compile(words, re.IGNORECASE)
        self.page.locator("main").locator("button:visible, a:visible", has_text=pattern).first.click()
        self.page.wait_for_load_state()

    def go(self, path: str) -> None:
        """Open an address, as from a bookmark or a mail."""
        self.page.goto(self.base + path if path.startswith("/") else path)


class Post:
    """The mail that the local relays took."""

    def __init__(self, var: Path) -> None:
        self.var = var

    def find(self, rcpt: str, subject: str, since: float) -> str:
        """Return the text of the newest mail to somebody, waiting for it; its octets with soft line breaks undone."""
        deadline = time.monotonic() + MAIL_PATIENCE
        while time.monotonic() < deadline:
            lines = [line for key in KEYS for line in Reader(self.var, key).fresh()]
            for line in sorted(lines, key=lambda line: line.at, reverse=True):
                if line.taken and line.rcpt_to == rcpt and subject in line.subject and line.moment.timestamp() >= since:
                    text = path_of(self.var, line.id).read_bytes().decode("utf-8", "replace")
                    self.last = line.id
                    return text.replace("=\r\n", "").replace("=3D", "=")
            time.sleep(0.3)
        raise SystemExit(f"no mail to {rcpt} about {subject!r}")


@dataclass
class Story:
    """Everything the walk needs to know."""

    base: str
    var: Path
    folder: Path
    demo: dict[str, dict[str, str]]
    tag: str = field(default_factory=lambda: secrets.token_hex(3))
    sent_at: float = 0.0  # seconds since 1970
    reference: str = ""  # of the report

    @property
    def host(self) -> str:
        """Return the new customer's own domain."""
        return f"kestrel{self.tag}.example"

    @property
    def email(self) -> str:
        """Return the new customer's address."""
        return f"ana@{self.host}"


def main(folder: str = "journey") -> int:
    """Walk the story and print the counts; 1 when one is over its limit."""
    var = Path(os.environ.get("VAR_DIR") or Path(__file__).resolve().parents[2] / "var")
    environ = json.loads((var / "run" / "environment.json").read_text(encoding="utf-8"))
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    demo = json.loads((var / "secrets" / "demo.json").read_text(encoding="ascii"))
    story = Story(environ["BASE_URL"], var, place, demo)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        counts = walk(browser, story)
        browser.close()
    return verdict(counts)


def walk(browser: Browser, story: Story) -> dict[str, Count]:
    """Walk every part and return what each cost."""
    from sendserver.testing import journey_parts as parts

    customer = Walker(browser, story.base, story.folder, "customer")
    staff = Walker(browser, story.base, story.folder, "staff")
    post, counts = Post(story.var), {}
    with customer.part() as counts["customer, sign-up"]:
        parts.sign_up(customer, post, story)
    with customer.part() as counts["customer, verification"]:
        parts.verify(customer, post, story)
    with staff.part() as counts["staff, one verification"]:
        parts.approve(staff, story)
    parts.enrol(customer)
    with customer.part() as counts["customer, after approval"]:
        parts.send(customer, story)
    public = Walker(browser, story.base, story.folder, "public")
    with public.part() as counts["public, from mail to reference"]:
        parts.complain(public, post, story)
    with staff.part() as counts["staff, one case"]:
        parts.decide(staff, story)
    return counts


def verdict(counts: dict[str, Count]) -> int:
    """Print the counts and tell whether each keeps its limit."""
    over = []
    for name, count in counts.items():
        limit = LIMITS.get(name)
        found = {"customer, after approval": len(count.screens), "staff, one case": count.clicks + count.fields}.get(
            name, count.clicks
        )
        print(
            f"{name}: {len(count.screens)} screens, {count.fields} fields, {count.clicks} clicks"
            + (f" (limit {limit})" if limit else "")
        )
        if limit and found > limit:
            over.append(name)
    print("Over the limit: " + ", ".join(over) if over else "Every limit is kept.")
    return 1 if over else 0


__all__ = ["Count", "Post", "Story", "Walker", "main", "totp", "verdict", "walk"]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
