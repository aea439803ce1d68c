"""The parts of the journey: what each person does, page by page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sendserver.testing.journey import Post, Story, Walker

PASSWORD = "kestrel over the north field"
PEOPLE = 30
LETTER = """Hello {{ first_name | default: "reader" }},

# Three new books

They have come by ship. [See them](https://kestrel.example/new)
"""


def totp(secret: str) -> str:
    """Return the authenticator code of this half minute; RFC 6238 with SHA-1 and six digits."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return f"{number % 1_000_000:06}"


def sign_up(walker: Walker, post: Post, story: Story) -> None:
    """Create an account and type the code from the mail."""
    since = time.time()
    walker.go("/account/signup/")
    walker.see("Sign up")
    walker.fill(name="Ana Kestrel", email=story.email, password1=PASSWORD, organization=f"Kestrel Books {story.tag}")
    walker.choose("who", "asked")
    walker.tick("agree")
    walker.press("Create account")
    walker.see("Code")
    letter = post.find(story.email, "", since)
    found = re.search(r"^\s*([A-Z0-9]{6}|[A-Z0-9]{3,4}-[A-Z0-9]{3,4})\s*$", letter, re.MULTILINE)
    assert found, letter
    walker.fill(code=found[1])
    walker.press("Confirm|Continue|Verify")
    walker.see("Signed up")


def verify(walker: Walker, post: Post, story: Story) -> None:
    """Do the tasks: business, domain with its records, a From address, how addresses are collected."""
    walker.go("/portal/verify/business/")
    walker.see("Your business")
    walker.fill(legal_name="Kestrel Books Ltd", legal_form="Private limited company")
    walker.fill(register_name="Companies House", register_number="00000042")
    walker.choose("country", "GB")
    walker.choose("address_kind", "street")
    walker.fill(street="1 Harbour Street", postal_code="EX1 1AA", city="Exampleton", responsible_person="Ana Kestrel")
    walker.fill(contact_email=f"hello@{story.host}", website=f"https://{story.host}/")
    walker.press("Save")
    walker.go("/portal/verify/practice/")
    walker.see("How you collect addresses")
    walker.choose("sources", "own_form")
    walker.fill(page_url=f"https://{story.host}/letter", wording="Yes, send me the Kestrel letter once a month.")
    walker.fill(topics="New books", monthly_volume="200")
    walker.tick("no_bought_lists")
    walker.press("Save")
    _domain(walker, post, story)
    walker.go("/portal/verify/")
    walker.see("Verification")


def _domain(walker: Walker, post: Post, story: Story) -> None:
    walker.go("/portal/domains/add/")
    walker.see("Add a domain")
    walker.fill(name=story.host)
    walker.press("Add domain")
    domain = walker.page.url
    walker.see("Records to publish")
    walker.go("/local/names/")
    walker.press(f"Publish the records of {story.host}")
    walker.go(domain)
    walker.press("Check now")
    walker.see("Domain checked")
    walker.press("Add an address")
    walker.see("From address")
    since = time.time()
    walker.fill(display_name="Kestrel Books", local_part="letter")
    walker.press("Add|Save")
    letter = post.find(f"letter@{story.host}", "", since)
    link = re.search(r"http://\S+/confirm/from/[a-z0-9]+/", letter)
    assert link, letter
    walker.go(link[0])
    walker.press("Yes")
    walker.see("From address confirmed")


def sign_in(walker: Walker, email: str, password: str, secret: str = "") -> None:
    """Sign in by the page, with a code where one is asked for."""
    walker.go("/account/login/")
    walker.fill(login=email, password=password)
    walker.press("Sign in")
    if secret:
        walker.fill(code=totp(secret))
        walker.press("Sign in|Confirm|Continue")


def approve(walker: Walker, story: Story) -> None:
    """Let a moderator approve the newest verification."""
    mona = story.demo["mona"]
    sign_in(walker, "mona@sendserver.example", mona["password"], mona["totp_secret"])
    walker.go("/staff/accounts/verification/")
    walker.see("Verification queue")
    walker.page.locator("tr", has_text=f"Kestrel Books {story.tag}").locator("a").first.click()
    walker.see("One verification")
    walker.choose("answer", "approve")
    walker.choose("allowance", "500")
    walker.fill(reason="The register entry, the website and the sign-up page agree.")
    walker.press("Approve and send")
    walker.see("Approved")


def enrol(walker: Walker) -> None:
    """Set up an authenticator app, which signing asks for; done once, before the first list."""
    walker.go("/account/2fa/totp/activate/")
    if "reauthenticate" in walker.page.url:
        walker.fill(password=PASSWORD)
        walker.press("Confirm")
    walker.see("Authenticator app")
    walker.secret = re.sub(
        r"\s", "", walker.page.locator("#authenticator_secret, [data-secret], main code").first.inner_text()
    )
    walker.fill(code=fresh_code(walker))
    walker.press("Activate|Turn on|Set up|Confirm")


def people_file(count: int = PEOPLE) -> bytes:
    """Return a small list: good people, one who will complain, and two bad rows."""
    rows = [f"Reader {number},reader{number}@quiet.example,GB,2026-08-{1 + number % 28:02}" for number in range(count)]
    rows += ["Ivo,ivo@quiet.example,GB,2026-09-01", "Broken,broken-at-quiet.example,GB,2026-09-01"]
    return "\r\n".join(["First name,E-mail,Country,Signed up", *rows, ""]).encode()


def send(walker: Walker, story: Story) -> None:
    """Upload a list, sign, write, send, read the report."""
    walker.go("/portal/lists/upload/file/")
    walker.see("Upload: file")
    walker.fill(list_name="Letter")
    walker.page.set_input_files("[name=file]", {"name": "people.csv", "mimeType": "text/csv", "buffer": people_file()})
    walker.count.fields += 1
    walker.press("Upload and go on")  # every column is known by its name, so the next question is consent
    walker.see("Upload: how they signed up")
    _statement(walker, story)
    walker.press("Save and check answers")
    _second_factor(walker)
    walker.see("Upload: check answers")
    if walker.page.locator("main button", has_text="Confirm with your second factor").count():
        walker.press("Confirm with your second factor")
        _second_factor(walker)
    walker.press("Submit")
    _wait(walker, "can be mailed")
    walker.see("Upload: result")
    _campaign(walker, story)


def _campaign(walker: Walker, story: Story) -> None:
    walker.press("Write to this list")
    if walker.page.url.split("?")[0].endswith("/new/"):
        walker.see("New campaign")
        walker.fill(name="First letter")
        walker.press("Start writing")
    walker.fill(subject="New books for November", body=LETTER)
    walker.page.wait_for_timeout(1500)  # it saves by itself
    walker.see("Editor")
    walker.press("Check and send")
    walker.see("Check before you send")
    story.sent_at = time.time()
    walker.press("Approve and send")
    walker.see("Sending")
    _until_report(walker)
    walker.see("Report")


def _until_report(walker: Walker, seconds: float = 60.0) -> None:
    """Reload the progress page until it offers the report, and open that."""
    deadline = time.monotonic() + seconds
    while not walker.page.locator("main a", has_text="See the report").count():
        assert time.monotonic() < deadline, f"{walker.page.url} never offered the report"
        time.sleep(1)
        walker.page.reload()
    walker.press("See the report")


def _statement(walker: Walker, story: Story) -> None:
    walker.choose("source", "website_form")
    walker.fill(earliest="2026-08", latest="2026-09", page_url=f"https://{story.host}/letter")
    walker.fill(wording="Yes, send me the Kestrel letter once a month.")
    walker.choose("country", "GB")
    for kind in ("bought", "rented", "swapped", "third_party", "harvested", "guessed", "employer", "directory"):
        walker.choose(f"prohibited_{kind}", "no")
    walker.choose("minors", "no")
    for name in ("statement_agreed", "statement_not_bought", "statement_proof"):
        walker.tick(name)
    walker.fill(signer_name="Ana Kestrel")


def _second_factor(walker: Walker) -> None:
    """Type the code where a fresh one is asked for; not a screen of the upload."""
    if "2fa" in walker.page.url or "second-factor" in walker.page.url:
        walker.fill(code=fresh_code(walker))
        walker.press("Confirm|Sign in|Continue")


def fresh_code(walker: Walker) -> str:
    """Return a code that was not typed before, waiting for the next half minute where needed: none counts twice."""
    while totp(walker.secret) == walker.last_code:
        time.sleep(0.5)
    walker.last_code = totp(walker.secret)
    return walker.last_code


def _wait(walker: Walker, words: str, seconds: float = 40.0) -> None:
    """Reload until the page says `words`."""
    deadline = time.monotonic() + seconds
    while words not in walker.page.inner_text("main"):
        assert time.monotonic() < deadline, f"{walker.page.url} never said {words!r}"
        time.sleep(0.5)
        walker.page.reload()


def complain(walker: Walker, post: Post, story: Story) -> None:
    """Go from the mail to a report with a reference: open the link in it, choose, send."""
    post.find("ivo@quiet.example", "New books", story.sent_at)
    walker.go(f"/local/outbox/{post.last}/")
    walker.see("The mail")
    with walker.page.context.expect_page() as opened:
        walker.page.frame_locator("iframe").locator("a", has_text="Report abuse").click()
    walker.count.clicks += 1
    walker.page = opened.value
    walker.see("Report")
    walker.choose("kind", "never_signed_up")
    walker.press("Send report")
    walker.see("Reference")
    found = re.search(r"AB-[0-9A-Z]{4}-[0-9A-Z]{4}", walker.page.inner_text("main"))
    assert found, walker.page.inner_text("main")
    story.reference = found[0]


def decide(walker: Walker, story: Story) -> None:
    """Take the case from the queue and warn the sender."""
    walker.go("/staff/abuse/case/")
    walker.see("Case queue")
    walker.count.clicks += 1
    walker.page.locator("main a", has_text=f"Kestrel Books {story.tag}").or_(
        walker.page.locator("tr", has_text=f"Kestrel Books {story.tag}").locator("a")
    ).first.click()
    walker.page.wait_for_load_state()
    walker.see("One case")
    walker.press("Take this case")
    walker.choose("kind", "warn")
    walker.page.locator("main select[name=rule]").select_option(index=1)
    walker.fill(reason="The reader says that he never signed up; the sender could not show the entry.")
    walker.count.fields += 1
    walker.press("Warn|Decide|Ask the sender")
    walker.see("Decided")
