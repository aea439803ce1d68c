"""The start page, the relays page and the do-not-mail look-up."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from abuse import cases
from abuse.models import Complaint
from abuse.tests import make
from accounts.models import AuditEntry, Organization
from campaigns import brakes
from campaigns.models import Brake, Outcome, RelayState, Retry, SetAside, Tally
from campaigns.sending import relay_log, relays
from compliance.models import Suppression
from compliance.suppression import is_suppressed, suppress
from sendserver.lib.addresses import AddressKey
from sendserver.testing.personas import Persona, _staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def ruth(db: None) -> Persona:
    return make.staff("Ruth")


@pytest.fixture
def looker(db: None) -> Persona:
    return _staff("Nell", superuser=False)


def test_start_page_empty(ruth: Persona) -> None:
    page = ruth.client.get(reverse("admin:index")).content.decode()
    for text in ("What waits", "Nothing waits", "relay-1, out1.sendserver.example", "Everything open"):
        assert text in page
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)


def test_start_page_lists_the_oldest_promise_first(ruth: Persona, larkfield: Organization) -> None:
    slow = make.case_of(larkfield)
    fast = make.report(make.delivery(make.campaign(larkfield)), Complaint.Kind.PHISHING).case
    assert fast is not None
    cases.claim(slow, ruth.user)
    cache.delete("staff:counts")
    page = ruth.client.get(reverse("admin:index")).content.decode()
    assert page.index(fast.reference) < page.index(slow.reference)
    assert reverse("admin:abuse_case_change", args=[fast.pk]) in page
    mine = ruth.client.get(reverse("admin:index"), {"with": "me"}).content.decode()
    assert slow.reference in mine
    assert f"Case {fast.reference}" not in mine
    found = ruth.client.get(reverse("admin:index"), {"q": fast.reference.lower()}).content.decode()
    assert f"Case {slow.reference}" not in found
    for query in ({"kind": "appeals"}, {"promise": "missed"}, {"standing": "blocked"}):
        assert "Nothing matches" in ruth.client.get(reverse("admin:index"), query).content.decode()


def test_relays_pause_and_resume_with_a_reason(ruth: Persona) -> None:
    pause, resume = (
        reverse("admin:staff_relay_pause", args=["relay-1"]),
        reverse("admin:staff_relay_resume", args=["relay-1"]),
    )
    ruth.client.post(pause, {"reason": " "})
    assert not RelayState.objects.filter(paused_at__isnull=False).exists()
    ruth.client.post(pause, {"reason": "Provider asked us to wait"})
    state = RelayState.objects.get(key="relay-1")
    assert (state.paused_by, state.paused_reason) == (ruth.user, "Provider asked us to wait")
    assert "Resume relay-1" in ruth.client.get(reverse("admin:staff_relays")).content.decode()
    ruth.client.post(pause, {"reason": "again"})
    ruth.client.post(resume, {"reason": "They are content"})
    assert RelayState.objects.get(key="relay-1").paused_at is None
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["relay.paused", "relay.resumed"]
    assert ruth.client.post(reverse("admin:staff_relay_pause", args=["relay-3"]), {"reason": "x"}).status_code == 404


def test_a_relay_is_drained_with_a_reason(ruth: Persona) -> None:
    drain = reverse("admin:staff_relay_drain", args=["relay-1"])
    ruth.client.post(drain, {"reason": " "})
    assert not RelayState.objects.filter(paused_at__isnull=False).exists()
    ruth.client.post(reverse("admin:staff_relay_pause", args=["relay-1"]), {"reason": "Their wish"})
    ruth.client.post(drain, {"reason": "For long"})
    state = RelayState.objects.get(key="relay-1")
    assert (state.drains, state.paused_by, state.paused_reason) == (True, ruth.user, "For long")
    page = ruth.client.get(reverse("admin:staff_relays")).content.decode()
    assert "Draining" in page
    assert "Drain relay-1" not in page
    ruth.client.post(reverse("admin:staff_relay_resume", args=["relay-1"]), {"reason": "Done"})
    state.refresh_from_db()
    assert (state.drains, state.paused_at) == (False, None)
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["relay.paused", "relay.drained", "relay.resumed"]


def test_the_panel_tells_of_self_test_and_log(ruth: Persona, settings, tmp_path) -> None:
    settings.RELAY_SELF_TEST = "loop.sendserver.example"
    log = tmp_path / "mail.log"
    settings.RELAYS = {**settings.RELAYS, "relay-1": replace(settings.RELAYS["relay-1"], log_file=str(log))}
    page = ruth.client.get(reverse("admin:staff_relays_now")).content.decode()
    assert "none came home yet" in page
    relays.report_probe("relay-1", fault="Subject was changed")
    relay_log.read_logs()
    page = ruth.client.get(reverse("admin:staff_relays_now")).content.decode()
    assert "Subject was changed" in page
    assert "No campaigns: self-test failed" in page
    assert "cannot be read" in page


def test_a_restored_database_waits_until_the_logs_are_read(ruth: Persona, settings, tmp_path) -> None:
    log = tmp_path / "mail.log"
    settings.RELAYS = {**settings.RELAYS, "relay-1": replace(settings.RELAYS["relay-1"], log_file=str(log))}
    brake = brakes.set_brake(Brake.Kind.EPOCH, "restored")
    lift = reverse("admin:staff_brake_lift", args=[brake.pk])
    answer = ruth.client.post(lift, {"reason": "looked"}, follow=True).content.decode()
    assert "not read up to now" in answer
    log.write_text("Nov 23 10:00:00 out1 postfix/qmgr[1]: A1B2C3D4: removed\n")
    relay_log.read_logs()
    ruth.client.post(lift, {"reason": "looked"})
    brake.refresh_from_db()
    assert brake.lifted_at is not None


def test_panel_alone(ruth: Persona) -> None:
    page = ruth.client.get(reverse("admin:staff_relays_now")).content.decode()
    assert "relay-2" in page
    assert "<html" not in page


def test_brakes_and_doubts(ruth: Persona, larkfield: Organization) -> None:
    campaign = make.campaign(larkfield, state="sending")
    to = make.delivery(campaign, "ada@inbox.example")
    brake = brakes.set_brake(Brake.Kind.COMPLAINTS, "4 people", campaign=campaign)
    Outcome.objects.create(
        delivery_id=to.pk, campaign_id=campaign.pk, state="in_doubt", relay="relay-1", at=timezone.now()
    )
    Tally.objects.create(campaign=campaign, relay="relay-1", state="in_doubt", count=1)
    page = ruth.client.get(reverse("admin:staff_relays")).content.decode()
    assert "a…@inbox.example" in page
    assert "ada@inbox.example" not in page
    assert "4 people" in page
    ruth.client.post(reverse("admin:staff_brake_lift", args=[brake.pk]), {"reason": ""})
    assert brakes.holding(campaign).exists()
    ruth.client.post(reverse("admin:staff_brake_lift", args=[brake.pk]), {"reason": "looked at it"})
    assert not brakes.holding(campaign).exists()
    ruth.client.post(reverse("admin:staff_doubt_settle", args=[to.pk]), {"reason": "", "resend": "yes"})
    assert not Retry.objects.exists()
    ruth.client.post(reverse("admin:staff_doubt_settle", args=[to.pk]), {"reason": "not in the log", "resend": "yes"})
    assert Retry.objects.get().delivery == to


def test_what_was_set_aside_is_ordered_back(ruth: Persona, larkfield: Organization) -> None:
    campaign = make.campaign(larkfield, state="sending")
    to = make.delivery(campaign, "ada@inbox.example")
    row = SetAside.objects.create(
        delivery=to, campaign=campaign, organization=larkfield, relay="relay-1", deaths=3, set_at=timezone.now()
    )
    page = ruth.client.get(reverse("admin:staff_relays")).content.decode()
    assert "a…@inbox.example" in page
    assert "relay-1, 3 deaths" in page
    ruth.client.post(reverse("admin:staff_aside_again", args=[row.pk]), {"reason": " "})
    assert not Retry.objects.exists()
    for _ in range(2):
        ruth.client.post(reverse("admin:staff_aside_again", args=[row.pk]), {"reason": "mended"})
    assert Retry.objects.get().delivery == to
    assert "a…@inbox.example" not in ruth.client.get(reverse("admin:staff_relays")).content.decode()


def test_customers_pause_is_not_lifted(ruth: Persona, larkfield: Organization) -> None:
    campaign = make.campaign(larkfield, state="paused")
    brake = brakes.set_brake(Brake.Kind.CUSTOMER, "Paused", campaign=campaign)
    ruth.client.post(reverse("admin:staff_brake_lift", args=[brake.pk]), {"reason": "x"})
    assert brakes.holding(campaign).exists()


def test_do_not_mail(ruth: Persona, larkfield: Organization) -> None:
    key = AddressKey("ada@inbox.example")
    row = suppress(key, organization=larkfield, reason=Suppression.Reason.STAFF, source="staff")
    url = reverse("admin:staff_do_not_mail")
    assert ruth.client.get(url).status_code == 200
    assert "By our staff" in ruth.client.post(url, {"address": "Ada@Inbox.example"}).content.decode()
    assert "Nobody here" in ruth.client.post(url, {"address": "bob@inbox.example"}).content.decode()
    assert "Error:" in ruth.client.post(url, {"address": "nonsense"}).content.decode()
    assert "ada@" not in " ".join(AuditEntry.objects.values_list("subject", flat=True))
    ruth.client.post(reverse("admin:staff_do_not_mail_lift", args=[row.pk]), {"reason": ""})
    assert is_suppressed(larkfield, key)
    ruth.client.post(reverse("admin:staff_do_not_mail_lift", args=[row.pk]), {"reason": "They wrote to us"})
    assert not is_suppressed(larkfield, key)


def test_acts_are_posts_of_staff_who_may(
    looker: Persona, alice: Persona, client: Client, administrator: Persona
) -> None:
    urls = [
        reverse("admin:staff_relay_pause", args=["relay-1"]),
        reverse("admin:staff_relay_resume", args=["relay-1"]),
        reverse("admin:staff_doubt_settle", args=[1]),
        reverse("admin:staff_brake_lift", args=[1]),
        reverse("admin:staff_aside_again", args=[1]),
        reverse("admin:staff_do_not_mail_lift", args=[1]),
    ]
    for url in urls:
        assert administrator.client.get(url).status_code == 405
        assert looker.client.post(url, {"reason": "x"}).status_code == 403
        for outsider in (client, alice.client):
            assert outsider.post(url, {"reason": "x"}).status_code == 302
    assert not RelayState.objects.filter(paused_at__isnull=False).exists()
