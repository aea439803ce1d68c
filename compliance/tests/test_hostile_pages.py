"""Hostile tries at uploads and people: odd input, changes behind a signer's back, who decides for whom."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.models import Membership, Role
from compliance import attestations
from compliance.errors import ImportRefusedError, SignatureRefusedError
from compliance.imports import receive, scan
from compliance.imports.columns import Plan
from compliance.imports.staff import decide_held
from compliance.models import Attestation, ContactList, ImportJob, ImportState, ListMembership
from compliance.tests.helpers import COLUMNS, csv_of, finished, mapped, people
from compliance.tests.test_attestations import signer
from compliance.tests.test_upload_pages import CONSENT, shown, start, use_factor


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def answered(larkfield, alice):
    """Return an upload that waits for its signature."""
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    alice.client.post(reverse("upload_consent", args=[job.uid]), CONSENT)
    return job


def test_a_nul_in_an_answer_is_no_error(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(2)))
    typed = {**CONSENT, "prohibited_bought": "\x00", "wording": "\x00"}
    assert alice.client.post(reverse("upload_consent", args=[job.uid]), typed).status_code == 200
    job.refresh_from_db()
    assert job.state == ImportState.MAPPED


@pytest.mark.parametrize("name", ["Readers\nBcc: x@y.example", "Readers\u202ehcraes"])
def test_the_name_of_a_list_is_one_plain_line(larkfield, alice, name):
    alice.client.post(reverse("list_new"), {"name": name, "topics": "", "frequency": ""})
    start(alice, csv_of(people(2)), list_name=name)
    assert not ContactList.objects.exists()


def test_a_sign_up_before_e_mail_is_refused(larkfield, alice):
    """The year 1 has no time in New York, so every page with the person on it would be an error."""
    found = ContactList.objects.create(organization=larkfield, name="Readers")
    typed = {"address": "a@reader.example", "basis": "express_doi", "consent_on": "0001-01-01", "source": "Paper"}
    assert alice.client.post(reverse("contact_add", args=[found.uid]), typed).status_code == 200
    assert not ListMembership.objects.exists()


@pytest.mark.parametrize("approve", [True, False])
def test_staff_do_not_decide_for_their_own_organization(larkfield, alice, moderator, approve):
    old = csv_of(people(3, date="2025-06-01"))
    job = finished(larkfield, alice.user, old, answers={"earliest": "2025-01"})
    Membership.objects.create(organization=larkfield, user=moderator.user, role=Role.MANAGER)
    with pytest.raises(ImportRefusedError, match="team"):
        decide_held(job, approve=approve, actor=moderator.user, reason="Known to me.")
    job.refresh_from_db()
    assert job.state == ImportState.HELD


def test_counts_of_other_columns_are_thrown_away(larkfield, alice):
    """Else a file counted by its good column could be signed for its bad one."""
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    slow = ImportJob.objects.get(pk=job.pk)
    other = {**COLUMNS, "targets": {"2": "email"}}
    receive.choose(job, Plan({2: "email"}, job.header, "dmy", True), actor=alice.user)
    scan.scan(slow)
    job.refresh_from_db()
    assert (job.columns["targets"], job.scan) == (other["targets"], {})


def test_a_statement_is_signed_as_it_was_shown(answered, alice, bob):
    """A colleague changes the answers while the page is open: the button signs nothing."""
    use_factor(alice)
    seen = shown(alice, answered)
    other = {**CONSENT, "wording": "Anything goes.", "name_is_mine": "on"}
    bob.client.post(reverse("upload_consent", args=[answered.uid]), other)
    url = reverse("upload_check", args=[answered.uid])
    assert alice.client.post(url, {"shown": seen}).url == url
    assert not Attestation.objects.exists()
    assert "Anything goes." in alice.client.get(url).content.decode()
    assert alice.client.post(url, {"shown": shown(alice, answered)}).url == reverse(
        "upload_result", args=[answered.uid]
    )
    assert Attestation.objects.get().answers["wording"] == "Anything goes."


def test_a_stale_upload_is_not_signed(answered, alice):
    """Answers that change between reading and signing do not slip under the signature."""
    answered.refresh_from_db()
    ImportJob.objects.filter(pk=answered.pk).update(delimiter=";")
    with pytest.raises(SignatureRefusedError):
        attestations.submit(answered, signer(alice.user))
    assert not Attestation.objects.exists()
