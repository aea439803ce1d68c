"""Statements: what is shown is what is signed, nobody changes it, deleting the person leaves the chain sound."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from accounts.ledger import first_broken
from accounts.models import AuditEntry
from compliance import attestations, wording
from compliance.attestations import Signer
from compliance.errors import SignatureRefusedError
from compliance.models import Attestation, AttestationPerson, ImportJob, ImportState
from compliance.tests.helpers import ANSWERS, csv_of, mapped, people, signed
from sendserver.lib import clock

# Anybody who edits a published wording breaks this line, and every fingerprint that customers hold.
FINGERPRINTS = {"ATT-EN-1.0": "bf0d3c921a747b5c12db437b46782b8d29d259bcf3691cd835066d6a55e30983"}


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def ready(larkfield, alice):
    """Return an upload that only lacks its signature."""
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    ImportJob.objects.filter(pk=job.pk).update(answers=ANSWERS, state=ImportState.ANSWERED)
    job.refresh_from_db()
    return job


def signer(user, factor="totp"):
    return Signer(user, "Owner", factor, clock.now(), "192.0.2.7", "Test browser")


def test_a_published_wording_never_changes():
    assert {wording.CURRENT.version: wording.CURRENT.sha256} == FINGERPRINTS
    assert len(wording.CURRENT.clauses) == 7


def test_what_is_shown_is_what_is_signed(ready, alice):
    shown = attestations.statement(ready, "Owner").text
    record = attestations.submit(ready, signer(alice.user))
    assert bytes(record.text_sha256) == hashlib.sha256(shown.encode()).digest()
    person = attestations.person_of(record)
    assert person.statement == shown
    assert "I am Alice Larkfield, owner of Larkfield Garden Co., and I may make this statement for it." in shown
    assert f"3 addresses, fingerprint {bytes(ready.file_sha256).hex()[:16]}" in shown
    assert attestations.matches(record, person)


def test_record_names_nobody(ready, alice):
    record = attestations.submit(ready, signer(alice.user))
    text = repr({field.name: getattr(record, field.name) for field in record._meta.concrete_fields})
    assert "Alice Larkfield" not in text
    assert "192.0.2.7" not in text
    assert record.answers["source"] == "website_form"
    assert record.file_sha256 == ready.file_sha256


def test_a_changed_side_row_no_longer_matches(ready, alice):
    record = attestations.submit(ready, signer(alice.user))
    person = attestations.person_of(record)
    person.signer_name = "Somebody Else"
    assert not attestations.matches(record, person)


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_application_keeps_its_hands_off_the_person(ready, alice, change):
    """Only retention deletes it, as the tables' owner (sendserver/tests/test_ledger_tampering.py)."""
    attestations.submit(ready, signer(alice.user))
    rows = AttestationPerson.objects.all()
    with pytest.raises(DatabaseError), transaction.atomic():
        rows.delete() if change == "delete" else rows.update(signer_name="Somebody Else")
    assert first_broken(Attestation) is None


def test_the_database_refuses_changes(ready, alice):
    record = attestations.submit(ready, signer(alice.user))
    for change in (
        lambda: Attestation.objects.filter(pk=record.pk).update(row_count=9),
        lambda: Attestation.objects.filter(pk=record.pk).delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    assert Attestation.objects.get().row_count == 3


def test_chain_over_several(larkfield, alice):
    for start in (0, 10, 20):
        signed(larkfield, alice.user, csv_of(people(2, start=start)))
    first, second, third = Attestation.objects.order_by("pk")
    assert bytes(second.previous_hash) == bytes(first.record_hash)
    assert bytes(third.previous_hash) == bytes(second.record_hash)
    assert first_broken(Attestation) is None


@pytest.mark.parametrize("factor", ["", "password", "recovery_codes"])
def test_no_signature_without_a_real_second_factor(ready, alice, factor):
    with pytest.raises(SignatureRefusedError):
        attestations.submit(ready, signer(alice.user, factor))
    assert not Attestation.objects.exists()


@pytest.mark.parametrize(
    "gap",
    [
        {"source": "forbidden"},
        {"source": ""},
        {"prohibited": {**ANSWERS["prohibited"], "rented": "yes"}},
        {"prohibited": {**ANSWERS["prohibited"], "rented": ""}},
        {"statements": ["agreed", "proof"]},
        {"wording": ""},
        {"signer_name": ""},
        {"earliest": ""},
    ],
)
def test_no_signature_with_a_gap(ready, alice, gap):
    ready.answers = {**ANSWERS, **gap}
    with pytest.raises(SignatureRefusedError):
        attestations.submit(ready, signer(alice.user))
    assert not Attestation.objects.exists()


@pytest.mark.parametrize("state", sorted(set(ImportState.values) - {"answered"}))
def test_no_signature_in_another_state(ready, alice, state):
    ready.state = state
    with pytest.raises(SignatureRefusedError):
        attestations.submit(ready, signer(alice.user))


def test_no_signature_before_the_rows_are_counted(ready, alice):
    ready.scan = {}
    with pytest.raises(SignatureRefusedError):
        attestations.submit(ready, signer(alice.user))


def test_no_signature_for_a_file_of_wrong_addresses(larkfield, alice):
    rows = [*people(89), *((f"wrong{n}", "2026-10-01", "GB") for n in range(20))]
    with pytest.raises(SignatureRefusedError, match="20 of 109 addresses are wrong"):
        signed(larkfield, alice.user, csv_of(rows))


def test_two_presses_sign_once(ready, alice):
    late = ImportJob.objects.get()
    attestations.submit(ready, signer(alice.user))
    with pytest.raises(SignatureRefusedError), transaction.atomic():
        attestations.submit(late, signer(alice.user))
    assert Attestation.objects.count() == 1
    assert AuditEntry.objects.filter(action="list.attested").count() == 1


def test_a_statement_covers_additions_for_a_year(ready, alice):
    record = attestations.submit(ready, signer(alice.user))
    assert attestations.valid_attestation(ready.contact_list) == record
    later = clock.now() + timedelta(days=366)
    real, attestations.clock.now = attestations.clock.now, lambda: later
    try:
        assert attestations.valid_attestation(ready.contact_list) is None
    finally:
        attestations.clock.now = real
