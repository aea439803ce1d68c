"""The root over a file's addresses: the same for the same addresses, provable for each, and signed."""

from __future__ import annotations

import hashlib
import random

import pytest

from accounts.models import Organization
from compliance import roots
from compliance.imports import scan as scanning
from compliance.models import AddressBlock, Attestation, ImportJob, ListMembership
from compliance.tests.helpers import csv_of, mapped, people, signed
from sendserver.lib.addresses import AddressKey, suppression_hash
from sendserver.testing.personas import Persona

pytestmark = pytest.mark.django_db


def hash_of(number: int) -> bytes:
    return suppression_hash(AddressKey(f"person{number}@reader.example"))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "BLOCK", 2)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_every_address_is_provable_and_no_other(
    small_blocks: None, larkfield: Organization, alice: Persona, count: int
) -> None:
    record = signed(larkfield, alice.user, csv_of(people(count))).attestation
    assert record is not None
    assert record.rows_taken == count
    for number in range(count):
        found = roots.inclusion(record, [hash_of(number)])
        assert found is not None
        assert found.holds
        assert hash_of(number) in found.block
    assert roots.inclusion(record, [hash_of(count)]) is None


def test_order_case_and_repeats_do_not_matter(small_blocks: None, larkfield: Organization, alice: Persona) -> None:
    rows = people(9)
    first = mapped(larkfield, alice.user, csv_of(rows))
    shuffled = [(address.upper(), day, country) for address, day, country in [*rows, *rows[:4]]]
    random.Random(7).shuffle(shuffled)
    assert mapped(larkfield, alice.user, csv_of(shuffled)).scan["rows_root"] == first.scan["rows_root"]
    assert mapped(larkfield, alice.user, csv_of(people(10))).scan["rows_root"] != first.scan["rows_root"]


@pytest.mark.parametrize("parts", [1, 2, 256])
def test_blocks_go_on_over_the_parts_of_a_long_file(
    larkfield: Organization, alice: Persona, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    monkeypatch.setattr(roots, "BLOCK", 5)
    monkeypatch.setattr(scanning, "PARTS", parts)
    job = mapped(larkfield, alice.user, csv_of(people(43)))
    kept = [bytes(block.hashes) for block in AddressBlock.objects.filter(import_uid=job.uid).order_by("number")]
    whole = b"".join(sorted(hash_of(number) for number in range(43)))
    assert kept == [whole[at : at + 160] for at in range(0, len(whole), 160)]
    assert job.scan["rows_root"] == roots.root_of([hashlib.sha256(block).hexdigest() for block in kept])


def test_a_scan_that_was_overtaken_leaves_the_blocks_alone(
    small_blocks: None, larkfield: Organization, alice: Persona
) -> None:
    """Columns chosen anew while an older worker still reads: what that one finds is kept nowhere."""
    job = mapped(larkfield, alice.user, csv_of(people(7)))
    before = list(AddressBlock.objects.order_by("number").values_list("hashes"))
    stale = ImportJob.objects.get(pk=job.pk)
    stale.delimiter = "|"
    assert scanning.scan(stale) is None
    assert list(AddressBlock.objects.order_by("number").values_list("hashes")) == before
    assert ImportJob.objects.get(pk=job.pk).scan == job.scan


def test_a_shorter_counting_leaves_no_block_of_a_longer_one(
    small_blocks: None, larkfield: Organization, alice: Persona
) -> None:
    job = mapped(larkfield, alice.user, csv_of(people(7)))
    AddressBlock.objects.create(import_uid=job.uid, number=4, hashes=hash_of(1))
    assert scanning.scan(job) is not None
    assert roots.count(job) == 7


def test_a_changed_block_leads_elsewhere(small_blocks: None, larkfield: Organization, alice: Persona) -> None:
    """Blocks are kept beside the record; only the root is signed, so an altered block is found by the way up."""
    record = signed(larkfield, alice.user, csv_of(people(7))).attestation
    assert record is not None
    block = AddressBlock.objects.order_by("number")[1]
    AddressBlock.objects.filter(pk=block.pk).update(hashes=hash_of(99) + bytes(block.hashes)[32:])
    found = roots.inclusion(record, [hash_of(99)])
    assert found is not None
    assert not found.holds


def test_counting_anew_replaces_the_blocks(larkfield: Organization, alice: Persona) -> None:
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    scanning.scan(job)
    assert AddressBlock.objects.filter(import_uid=job.uid).count() == 1
    assert roots.count(job) == 3


def test_a_file_without_good_rows_has_no_root(larkfield: Organization, alice: Persona) -> None:
    job = mapped(larkfield, alice.user, csv_of([("nobody", "2026-10-01", "GB")]))
    assert job.scan["rows_root"] == ""
    assert not AddressBlock.objects.exists()


def test_an_older_record_keeps_its_hash(larkfield: Organization, alice: Persona) -> None:
    """A column that came later is left out of the hash where it is empty, and only there."""
    from accounts.ledger import record_of

    record = signed(larkfield, alice.user, csv_of(people(2))).attestation
    assert record is not None
    assert {"rows_root", "rows_key", "rows_taken"} <= set(record_of(record))
    old = Attestation(**{f.attname: getattr(record, f.attname) for f in record._meta.concrete_fields})
    old.rows_root = old.rows_key = old.rows_taken = None
    assert set(record_of(record)) - set(record_of(old)) == {"rows_root", "rows_key", "rows_taken"}
    assert ListMembership.objects.count() == 0  # (nothing is read before the worker comes)
