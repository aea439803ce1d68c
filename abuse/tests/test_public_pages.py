"""The public pages: report, check, thanks, status, look-up; nothing leaks, nothing changes on GET."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from abuse import references
from abuse.models import Complaint
from abuse.tests import make
from accounts.models import Organization
from campaigns.models import Event
from compliance import policy
from compliance.models import Suppression

pytestmark = pytest.mark.django_db
FORM = {"kind": "unwanted", "share": "no", "text": "", "raw": "", "email": ""}


def post(client: Client, **fields: object) -> object:
    return client.post(reverse("abuse"), {**FORM, **fields})


def test_from_the_link_in_the_mail_to_the_reference(client: Client, larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    page = client.get(reverse("abuse"), {"t": make.token(to)})
    assert "We sent this message" in page.content.decode()
    assert "ada@inbox.example" not in page.content.decode()
    assert not Event.objects.exists()  # looking changes nothing
    done = client.post(reverse("abuse"), {**FORM, "token": make.token(to)}, follow=True)
    complaint = Complaint.objects.get()
    assert (complaint.source, complaint.grade) == ("link", "A")
    assert complaint.reference in done.content.decode()
    assert complaint.stopped_at is not None


def test_pasted_source(client: Client, larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    response = post(client, raw=make.source_of(to), kind="cannot_stop")
    assert response.status_code == 302
    complaint = Complaint.objects.get()
    assert (complaint.delivery_id, complaint.source, complaint.kind) == (to.pk, "form", "cannot_stop")


def test_uploaded_file(client: Client, larkfield: Organization) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    to = make.delivery(make.campaign(larkfield))
    post(client, eml=SimpleUploadedFile("message.eml", make.source_of(to).encode()))
    assert Complaint.objects.get().delivery_id == to.pk
    too_big = SimpleUploadedFile("big.eml", b"x" * (policy.REPORT_MAX_KB * 1024 + 1))
    assert post(client, eml=too_big).status_code == 422


@pytest.mark.parametrize("fields", [{}, {"kind": "nonsense", "text": "x"}, {"text": "x", "email": "no"}])
def test_bad_input(client: Client, fields: dict[str, str]) -> None:
    response = post(client, **fields)
    assert response.status_code == 422
    assert "<title>Error:" in response.content.decode()
    assert not Complaint.objects.exists()


def test_too_many_from_one_network(client: Client) -> None:
    for _ in range(policy.REPORTS_PER_NETWORK):
        assert post(client, text="spam").status_code == 302
    response = post(client, text="spam")
    assert response.status_code == 429
    assert Complaint.objects.count() == policy.REPORTS_PER_NETWORK


def test_form_sets_no_state_fields(client: Client, larkfield: Organization, hollin: Organization) -> None:
    to = make.delivery(make.campaign(larkfield))
    post(client, token=make.token(to), grade="X", organization=hollin.pk, case=99, stopped_at="", reference="AB-1")
    complaint = Complaint.objects.get()
    assert (complaint.grade, complaint.organization) == ("A", larkfield)
    assert complaint.reference != "AB-1"


def test_acknowledged_only_where_the_message_went(client: Client, larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    post(client, token=make.token(to), email="victim@elsewhere.example")
    assert mail.outbox == []
    post(client, token=make.token(to), email="Ada@inbox.example")
    assert [message.to for message in mail.outbox] == [["Ada@inbox.example"]]
    assert mail.outbox[0].extra_headers["Auto-Submitted"] == "auto-generated"


def test_inspect_tells_and_stores_nothing(client: Client, larkfield: Organization) -> None:
    to = make.delivery(make.campaign(larkfield), "ada@inbox.example")
    page = client.post(reverse("abuse_inspect"), {"raw": make.source_of(to)}, headers={"HX-Request": "true"})
    text = page.content.decode()
    assert "We sent this message" in text
    assert "<html" not in text
    assert "ada@inbox.example" not in text
    other = client.post(reverse("abuse_inspect"), {"raw": "From: x@y.example\n\n"}, headers={"HX-Request": "true"})
    assert "no sign that we sent this" in other.content.decode()
    whole = client.post(reverse("abuse_inspect"), {**FORM, "raw": make.source_of(to)})
    assert "<html" in whole.content.decode()
    assert (Complaint.objects.count(), Event.objects.count(), Suppression.objects.count()) == (0, 0, 0)
    assert client.get(reverse("abuse_inspect")).status_code == 405


def status_url(complaint: Complaint, key: str = "") -> str:
    return f"{reverse('abuse_status', args=[complaint.reference])}?k={key or references.key_of(complaint)}"


def test_status_page(client: Client, larkfield: Organization) -> None:
    complaint = make.report(make.delivery(make.campaign(larkfield)), text="my words")
    page = client.get(status_url(complaint))
    text = page.content.decode()
    assert page.status_code == 200
    assert "A person is looking at it" in text
    assert "Sender blocked for your address" in text


def test_wrong_key_and_unknown_reference_look_the_same(client: Client, larkfield: Organization) -> None:
    mine = make.report(make.delivery(make.campaign(larkfield)))
    other = make.report(make.delivery(make.campaign(larkfield)))
    unknown = Complaint(pk=mine.pk, reference="AB-2222-2222")
    answers = [
        client.get(status_url(mine, "k1" + "a" * 26)),
        client.get(status_url(mine, references.key_of(other))),
        client.get(status_url(unknown)),
        client.get(reverse("abuse_status", args=[mine.reference])),
    ]
    pages = {re.sub(r'(value="AB-[^"]*")|(name="csrf[^>]*>)', "", answer.content.decode()) for answer in answers}
    assert [answer.status_code for answer in answers] == [404] * 4
    assert len(pages) == 1
    found = [
        client.post(reverse("abuse_find"), {"reference": mine.reference, "key": "k1" + "a" * 26}),
        client.post(reverse("abuse_find"), {"reference": "AB-2222-2222", "key": references.key_of(mine)}),
    ]
    texts = {re.sub(r'value="[^"]*"', "", answer.content.decode()) for answer in found}
    assert [answer.status_code for answer in found] == [404, 404]
    assert len(texts) == 1


def test_looking_up_is_limited(client: Client, larkfield: Organization) -> None:
    complaint = make.report(make.delivery(make.campaign(larkfield)))
    for _ in range(policy.LOOKUPS_PER_NETWORK):
        client.get(status_url(complaint, "k1" + "b" * 26))
    assert client.get(status_url(complaint)).status_code == 404


def test_find_leads_to_the_report(client: Client, larkfield: Organization) -> None:
    complaint = make.report(make.delivery(make.campaign(larkfield)))
    typed = {"reference": complaint.reference.replace("-", "").lower(), "key": references.key_of(complaint)}
    page = client.post(reverse("abuse_find"), typed, follow=True)
    assert complaint.reference in page.content.decode()


def test_notes_and_withdrawal(client: Client, larkfield: Organization) -> None:
    complaint = make.report(make.delivery(make.campaign(larkfield)))
    client.post(status_url(complaint), {"text": "Another one came today"})
    assert "Another one came today" in client.get(status_url(complaint)).content.decode()
    assert client.post(status_url(complaint), {"text": ""}).status_code == 422
    client.post(status_url(complaint), {"withdraw": "yes"})
    complaint.refresh_from_db()
    assert complaint.withdrawn_at is not None
    assert "Withdrawn" in client.get(status_url(complaint)).content.decode()
    assert Suppression.objects.filter(lifted_at=None).exists()  # the stop stays


def test_one_reporter_does_not_read_another(client: Client, larkfield: Organization) -> None:
    sent = make.campaign(larkfield)
    first, second = make.report(make.delivery(sent)), make.report(make.delivery(sent))
    client.post(status_url(second), {"text": "my private note"})
    assert "my private note" not in client.get(status_url(first)).content.decode()


def test_thanks_without_key_shows_nothing(client: Client, larkfield: Organization) -> None:
    complaint = make.report(make.delivery(make.campaign(larkfield)))
    assert client.get(reverse("abuse_thanks"), {"r": complaint.reference}).status_code == 302


def test_pages_hold_the_content_policy(client: Client, larkfield: Organization) -> None:
    complaint = make.report(make.delivery(make.campaign(larkfield)))
    for url in (reverse("abuse"), reverse("abuse_find"), status_url(complaint)):
        page = client.get(url).content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)


def test_reports_work_for_stopped_and_closed_senders(client: Client, larkfield: Organization) -> None:
    from django.utils import timezone

    to = make.delivery(make.campaign(larkfield))
    Organization.objects.update(standing="blocked", closed_at=timezone.now())
    assert post(client, token=make.token(to)).status_code == 302
    assert Complaint.objects.get().stopped_at is not None
