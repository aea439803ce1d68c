"""What the database knows of an upload's people: counts behind a wall, the same as counted in memory."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from accounts.models import Membership, Role, Standing, Verification
from accounts.resolving import Answer, Status
from compliance import policy, suppression
from compliance.imports.holds import facts_of, reasons
from compliance.imports.rows import Claim
from compliance.imports.scan import counts_of
from compliance.models import ImportJob, ImportState, Suppression, Trap
from compliance.provenance import domains, marks
from compliance.provenance.traits import Overlap
from compliance.tests.helpers import csv_of, finished, mapped, people
from sendserver.lib import clock
from sendserver.lib.addresses import AddressKey, suppression_hash, suppression_key_id
from sendserver.testing.personas import join, make_organization


@pytest.fixture(autouse=True)
def _uploads(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def other(db):
    """Return a maker of customers that uploaded some people."""

    def upload(name, count, *, start=0):
        owner = join(make_organization(name), name.split()[0], Role.OWNER)
        organization = owner.user.memberships.get().organization
        finished(organization, owner.user, csv_of(people(count, start=start)))
        marks.remember_all()
        return organization

    return upload


def keys(count):
    return [f"person{number}@reader.example" for number in range(count)]


def test_overlap_counts_customers_and_nobody_is_named(other, larkfield):
    for name, count in (("Ada Ltd", 300), ("Bea Ltd", 300), ("Cleo Ltd", 200)):
        other(name, count)
    found = marks.overlap(larkfield, keys(1000))
    assert found == Overlap(asked=1000, known=300, widely=200, holders=(300, 300, 200))


def test_own_people_and_those_of_a_sister_do_not_count(other, larkfield, alice):
    sister = other("Ada Ltd", 400)
    assert marks.overlap(larkfield, keys(600)).known == 400
    Membership.objects.create(organization=sister, user=alice.user, role=Role.OWNER)
    finished(larkfield, alice.user, csv_of(people(500)))
    marks.remember_all()
    assert marks.overlap(larkfield, keys(600)).known == 0


def test_blocked_customers_and_trouble_elsewhere(other, larkfield):
    bad = other("Ada Ltd", 100)
    type(bad).objects.filter(pk=bad.pk).update(standing=Standing.BLOCKED)
    for number, reason in enumerate(["complaint", "hard_bounce", "hard_bounce", "unsubscribe"]):
        suppression.suppress(AddressKey(keys(9)[number]), organization=bad, reason=reason, source="dsn")
    suppression.suppress(AddressKey(keys(9)[8]), organization=larkfield, reason="complaint", source="arf")
    found = marks.overlap(larkfield, keys(500))
    assert (found.blocked, found.complained, found.bounced) == (100, 1, 2)


def test_few_addresses_are_not_compared(larkfield):
    assert marks.overlap(larkfield, keys(499)) == Overlap()
    places, hashes = [1] * 600, [bytes(32)] * 600
    with pytest.raises(DatabaseError, match="fewer than 500"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM provenance_overlap(%s::int[], %s::bytea[], '{}')", [places, hashes])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM compliance_listmark",
        "INSERT INTO compliance_listmark (mark, organization_id) VALUES (1, 1)",
        "DELETE FROM compliance_listmark",
        "SELECT provenance_forget('2030-01-01')",
    ],
)
def test_the_application_cannot_touch_the_marks(statement):
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_people_are_remembered_in_pieces_and_once(larkfield, alice):
    job = finished(larkfield, alice.user, csv_of(people(25)))
    turns = 1
    while not marks.remember(job, piece=10):
        turns += 1
    assert turns == 4  # three pieces, and one that finds nothing
    job.refresh_from_db()
    assert job.marked_at is not None
    assert marks.remember_all() == 0


def test_hashes_of_an_older_key_are_found(other, larkfield, settings):
    other("Ada Ltd", 500)
    settings.SUPPRESSION_KEYS = {"k2": b"n" * 32, **settings.SUPPRESSION_KEYS}
    found = marks.overlap(larkfield, keys(500))
    assert (found.asked, found.known) == (500, 500)


def test_a_shared_list_is_held_with_evidence_for_staff_only(other, larkfield, alice, moderator):
    for name in ("Ada Ltd", "Bea Ltd", "Cleo Ltd"):
        other(name, 400)
    job = finished(larkfield, alice.user, csv_of(people(1000)))
    assert job.state == ImportState.HELD
    reason = job.held_reasons[0]
    assert (reason["rule"], reason["level"]) == ("SRC-PATTERN", "hold")
    page = alice.client.get(f"/portal/imports/{job.uid}/").content.decode()
    assert reason["text"] in page
    assert reason["helps"] in page
    assert reason["evidence"] not in page
    assert "three or more" not in page
    staff = moderator.client.get(f"/staff/compliance/importjob/{job.pk}/change/").content.decode()
    assert "400 at three or more" in staff


def test_a_trap_holds_a_list_of_any_size(larkfield, alice):
    key = AddressKey("person2@reader.example")
    Trap.objects.create(
        address_hash=suppression_hash(key), key_id=suppression_key_id(), note="page of 2024", created_at=clock.now()
    )
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    assert [reason["rule"] for reason in reasons(facts_of(job, Claim()))] == ["SRC-TRAP"]


def test_traps_are_registered_by_hash(db):
    call_command("trap", "Lure@page.example", note="imprint of an old page")
    call_command("trap", "lure@page.example", note="again")
    (trap,) = Trap.objects.all()
    assert bytes(trap.address_hash) == suppression_hash(AddressKey("lure@page.example"))
    with pytest.raises(CommandError):
        call_command("trap", "no address", note="x")


def test_a_length_that_staff_agreed_to_holds_nothing(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(5100)))

    def held():
        return "SRC-SIZE-JUMP" in [reason["rule"] for reason in reasons(facts_of(job, Claim()))]

    assert held()
    Verification.objects.create(organization=larkfield, state="approved", agreed_list=5100)
    assert not held()
    Verification.objects.create(organization=larkfield, state="submitted")  # a new review waits: what was agreed stands
    assert not held()
    Verification.objects.filter(state="submitted").update(state="approved")
    assert held()


def test_small_uploads_of_some_days_count_as_one(larkfield, alice):
    for start in (0, 2600):
        job = mapped(larkfield, alice.user, csv_of(people(2600, start=start)))
        assert facts_of(job, Claim()).pooled == start
        ImportJob.objects.filter(pk=job.pk).update(state=ImportState.DONE, finished_at=clock.now())
    job = mapped(larkfield, alice.user, csv_of(people(10, start=9000)))
    assert "SRC-SIZE-JUMP" in [reason["rule"] for reason in reasons(facts_of(job, Claim()))]
    ImportJob.objects.update(decided_at=clock.now())  # looked at by staff: the large one explains the next
    assert reasons(facts_of(job, Claim())) == []


def test_noise_is_of_the_file_and_bounded():
    found = [marks.noise_of(bytes([number]) * 32) for number in range(200)]
    assert found == [marks.noise_of(bytes([number]) * 32) for number in range(200)]
    assert max(found) <= policy.OVERLAP_NOISE
    assert min(found) >= -policy.OVERLAP_NOISE
    assert len(set(found)) == 200


ANSWERS = {
    ("mail.example", "MX"): Answer(Status.FOUND, ("10 mx.mail.example",)),
    ("null.example", "MX"): Answer(Status.FOUND, ("0 ",)),
    ("plain.example", "A"): Answer(Status.FOUND, ("192.0.2.1",)),
    ("away.example", "MX"): Answer(Status.SILENT),
    ("half.example", "A"): Answer(Status.SILENT),
}


def ask(name, kind):
    return ANSWERS.get((name, kind), Answer(Status.MISSING))


@pytest.mark.parametrize(
    ("domain", "dead"),
    [
        ("mail.example", False),
        ("null.example", True),
        ("plain.example", False),
        ("gone.example", True),
        ("away.example", None),
        ("half.example", None),
    ],
)
def test_only_a_plain_no_makes_a_domain_dead(domain, dead):
    assert domains.is_dead(domain, ask) is dead


def test_domains_are_asked_once_and_only_where_that_is_on(settings):
    asked = []

    def counting(_server):
        def one(name, kind):
            asked.append((name, kind))
            return ask(name, kind)

        return one

    assert domains.dead_among(["gone.example"], asking=counting) == {}
    settings.LIST_LOOKUPS = True
    found = domains.dead_among(["gone.example", "away.example", "gone.example", "mail.example"], asking=counting)
    assert found == {"gone.example": True, "mail.example": False}
    assert asked.count(("gone.example", "MX")) == 1


def test_an_upload_from_before_has_no_traits(larkfield, alice):
    job = mapped(larkfield, alice.user, csv_of(people(3)))
    kept = {name: value for name, value in job.scan.items() if name != "provenance"}
    ImportJob.objects.filter(pk=job.pk).update(scan=kept)
    job.refresh_from_db()
    assert counts_of(job).provenance == {}
    assert reasons(facts_of(job, Claim())) == []
    assert Suppression.objects.count() == 0
