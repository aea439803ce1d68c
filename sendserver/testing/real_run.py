"""What `real_input` does once Django stands: one organization with a large list, its campaigns, and three books."""

from __future__ import annotations

import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from abuse import cases, moderation
from abuse.models import DecisionKind
from accounts import verification
from accounts.models import User, Verification, VerificationState
from accounts.verification import Answer, Ruling
from campaigns import planning
from campaigns.approve import Order, approve, decide_held
from campaigns.inbound.addresses import Links
from campaigns.models import Campaign, Canary, Delivery, Outcome, Tally, Usage
from campaigns.sending import sweep
from compliance.imports import staff
from compliance.lists import mailable_count
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock
from sendserver.lib.tokens import Purpose, open_token
from sendserver.local import demo, demo_sending
from sendserver.local import demo_people as cast
from sendserver.local.mailstore import KEYS, Reader
from sendserver.testing.messy import messy_file

ROWS = 10_000
ALLOWANCE = 50_000
NAME = "Crowd Seeds"
PATIENCE = 180.0  # seconds for one campaign
GRACE = 2.0  # seconds after a stop's commit until nothing new may arrive (architecture rule 5)
ON_THE_WIRE = 1.0  # seconds for what was on the wire then


class Run:
    """One run: an organization with a large list, and its campaigns."""

    def __init__(self) -> None:
        self.readers = [Reader(settings.VAR_DIR, key) for key in KEYS]
        self.owner_actor = cast.Actor("crowd", "Cora Crowd", "cora@crowdseeds.example", "")
        self.staff = demo.person(cast.IDA)
        self.second = demo.person(cast.MONA)
        self.faults: list[str] = []

    def all(self) -> int:
        """Do it in order."""
        self.sender()
        self.upload()
        self.whole_campaign()
        self.unsubscribed_and_suspended()
        print("\nAll figures agree." if not self.faults else "\nWrong:\n  " + "\n  ".join(self.faults))
        return 1 if self.faults else 0

    def check(self, what: str, found: object, wanted: object) -> None:
        """Note a difference."""
        print(f"  {what}: {found}" + ("" if found == wanted else f", wanted {wanted}"))
        if found != wanted:
            self.faults.append(f"{what}: {found}, wanted {wanted}")

    # --- Who sends to whom

    def sender(self) -> None:
        """Found and verify an organization with an allowance of 50,000 a day."""
        self.owner = _person(self.owner_actor)
        self.organization = demo.found(NAME, self.owner_actor)
        verification.begin(self.organization)
        demo.fill_in(self.organization, self.owner_actor, "Private limited company", "00000009", "Crowdbury")
        domain = demo.prove(self.organization, "mail.crowdseeds.example", self.owner_actor)
        self.from_address = demo.write_from(domain, NAME, self.owner_actor)
        review = Verification.objects.filter(organization=self.organization, state=VerificationState.SUBMITTED).first()
        if review:
            verification.decide(review, Ruling(Answer.APPROVE, "Known for years.", ALLOWANCE), actor=self.staff)
        self.organization.refresh_from_db()
        used = Usage.objects.filter(organization=self.organization, day=clock.now().date()).first()
        if used is not None and used.count + 2 * ROWS > ALLOWANCE:
            raise SystemExit("Earlier runs have used up today's allowance. Begin the story anew: make reset")

    def upload(self) -> None:
        """Upload the file, sign, let the worker read it, let staff approve the held list."""
        self.file = messy_file(ROWS, host=f"x{int(time.time()):x}.example")
        begun = time.monotonic()
        self.list = demo_sending.upload(
            self.organization, self.owner, self.file.data, file_name="crowd.csv", list_name="Crowd"
        )
        job = ImportJob.objects.get(contact_list=self.list)
        print(f"Read {job.row_count:,} rows in {time.monotonic() - begun:.1f} s, state {job.state}")
        self.check("rows", job.row_count, ROWS)
        self.check("people taken", job.added_count, len(self.file.good))
        self.check("rows listed as not taken", job.rejected_count, self.file.broken)
        self.check("duplicates", job.duplicate_count, self.file.duplicates)
        if job.state == ImportState.HELD:
            staff.decide_held(job, approve=True, actor=self.staff, reason="Sign-up records were shown.")
        self.list.refresh_from_db()

    # --- One campaign over both relays

    def whole_campaign(self) -> None:
        """Send to everybody and compare the three books."""
        campaign = self._send("Everybody")
        self._first_people(campaign)
        self._until(lambda: self._state(campaign) == "sent", "the campaign to end")
        seconds = (campaign.finished_at - campaign.started_at).total_seconds() if campaign.finished_at else 0
        taken = self._taken(campaign)
        tallies = self._tallies(campaign)
        print(f"Sent in {seconds:.1f} s: {dict(tallies)}")
        self.check("planned = sum of outcomes", sum(tallies.values()), campaign.planned_count)
        self.check("planned = people of the file", campaign.planned_count, len(self.file.good))
        self.check("accepted in the database = taken by the relays", tallies["accepted"], len(taken))
        self.check("nobody got it twice", len(taken) - len(set(taken)), 0)
        self.check("per relay, database", self._by_relay(campaign), Counter(line.relay for line in self.lines))
        self.check("both relays worked", sorted(self._by_relay(campaign)), ["relay-1", "relay-2"])
        self.check("the page says it", f"{tallies['accepted']:,}" in self._page("campaign_report", campaign), True)

    def _first_people(self, campaign: Campaign) -> None:
        """See that a sample of the new list goes first and nobody else; then let the hours of waiting pass at once."""
        first = Canary.objects.get(campaign=campaign)
        self._until(lambda: self._state_of(campaign, first) == Canary.State.WAITING, "the first people")
        print(f"The first {first.size} people went ahead, {first.waits:,} wait")
        self.check("only the first people were mailed", len(self._taken(campaign)), first.size)
        while self._state_of(campaign, first) not in (Canary.State.CLEAN, Canary.State.FAILED):
            Canary.objects.filter(pk=first.pk, state=Canary.State.WAITING).update(until=clock.now())
            time.sleep(0.2)

    def _state_of(self, campaign: Campaign, first: Canary) -> str:
        self._state(campaign)
        first.refresh_from_db()
        return str(first.state)

    def _tallies(self, campaign: Campaign) -> Counter[str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT state, count(*) FROM delivery_state WHERE campaign_id = %s GROUP BY 1", [campaign.pk]
            )
            return Counter(dict(cursor.fetchall()))

    def _by_relay(self, campaign: Campaign) -> Counter[str]:
        rows = Tally.objects.filter(campaign=campaign, state="accepted", count__gt=0).values_list("relay", "count")
        return Counter(dict(rows))

    def _taken(self, campaign: Campaign) -> list[str]:
        """Return the recipients in the relays' logs whose mail belongs to this campaign, told by its return path."""
        first, last = (
            Delivery.objects.filter(campaign=campaign).order_by(order).values_list("pk", flat=True)[0]
            for order in ("pk", "-pk")
        )
        for reader in self.readers:
            reader.fresh()
        self.lines = [
            line
            for reader in self.readers
            for line in reader.lines
            if line.taken
            and line.mail_from.startswith("b.")
            and first <= (open_token(Purpose.DELIVERY, line.mail_from.split("@")[0][2:]) or 0) <= last
        ]
        return [line.rcpt_to for line in self.lines]

    # --- A stop and a goodbye in mid-send

    def unsubscribed_and_suspended(self) -> None:
        """Unsubscribe the last one of the queue, then suspend the organization, both while it is sent."""
        campaign = self._send("Stopped")
        self._until(lambda: Outcome.objects.filter(campaign_id=campaign.pk).count() > 200, "the first 200")
        last = Delivery.objects.filter(campaign=campaign, seq=campaign.mailable_count).get()
        self._unsubscribe(last)
        self._until(lambda: Outcome.objects.filter(campaign_id=campaign.pk).count() > 1000, "the first 1,000")
        stopped_at = self._decide(DecisionKind.SUSPEND)
        time.sleep(GRACE + ON_THE_WIRE + 5)
        taken = self._taken(campaign)
        latest = max(line.moment.timestamp() for line in self.lines)
        print(
            f"Suspended after {len(taken):,} of {campaign.mailable_count:,} were taken; "
            f"the last came {latest - stopped_at:+.2f} s after the decision"
        )
        self.check("stopped before the end", len(taken) < campaign.mailable_count, True)
        self.check(
            f"nothing later than {GRACE} s and what was on the wire", latest - stopped_at <= GRACE + ON_THE_WIRE, True
        )
        self._decide(DecisionKind.RESTORE)
        self._until(lambda: self._state(campaign) == "sent", "the rest after the suspension ended")
        taken, tallies = self._taken(campaign), self._tallies(campaign)
        print(f"Then: {dict(tallies)}")
        self.check("planned = sum of outcomes", sum(tallies.values()), campaign.planned_count)
        self.check("accepted = taken by the relays", tallies["accepted"], len(taken))
        self.check("nobody got it twice", len(taken) - len(set(taken)), 0)
        self.check("who unsubscribed in mid-send was spared", last.address not in taken, True)

    def _unsubscribe(self, delivery: Delivery) -> None:
        request = urllib.request.Request(Links.of(delivery.pk).unsubscribe_url, b"List-Unsubscribe=One-Click")
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.check("one-click unsubscribe", answer.status, 200)

    def _decide(self, kind: str) -> float:
        """Let staff decide and return when that was committed, in seconds since 1970."""
        with transaction.atomic():
            case = cases.open_case(self.organization, None)
        cases.claim(case, self.second)
        moderation.apply_decision(
            moderation.DecisionRequest(
                case=case, kind=kind, actor=self.second, rule="2.3", reason="A test of stopping."
            )
        )
        return time.time()

    # --- Small

    def _send(self, name: str) -> Campaign:
        draft = demo_sending.campaign(
            self.list, self.owner, f"{name} {int(time.time())}", "The new seed list", demo_sending.TULIPS
        )
        ordered = approve(
            draft, Order(uuid.uuid4(), draft.version, None, "UTC", len(self._mailable())), actor=self.owner
        )
        if not ordered.accepted:
            raise SystemExit(f"{name} may not be sent: {ordered.answer}")
        if ordered.campaign.state == "held":
            decide_held(ordered.campaign, release=True, actor=self.staff, reason="Looked at.")
        planning.plan(Campaign.objects.get(pk=draft.pk))
        return Campaign.objects.get(pk=draft.pk)

    def _mailable(self) -> range:
        return range(mailable_count(self.list))

    def _state(self, campaign: Campaign) -> str:
        sweep.sweep()
        campaign.refresh_from_db()
        return str(campaign.state)

    def _page(self, name: str, campaign: Campaign) -> str:
        client = Client(headers={"host": settings.BASE_URL.partition("://")[2]})
        client.force_login(self.owner, backend="django.contrib.auth.backends.ModelBackend")
        return client.get(reverse(name, args=[campaign.uid])).content.decode()

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE:.0f} s for {what}")
            time.sleep(0.2)


def _person(actor: cast.Actor) -> User:
    """Return the owner, made once."""
    user = User.objects.filter(email=actor.email).first()
    if user is None:
        user = User.objects.create_user(actor.email, None, name=actor.name)
        EmailAddress.objects.create(user=user, email=actor.email, verified=True, primary=True)
    return user
