"""Uploads for tests: a file on disk, a job in the wanted state, a signature."""

from __future__ import annotations

from accounts.models import Organization, User
from compliance import attestations
from compliance.attestations import Signer
from compliance.background import same_name
from compliance.imports import columns, files, reading, receive, run, scan
from compliance.models import ImportJob, ImportState
from sendserver.lib import clock

ANSWERS = {
    "source": "website_form",
    "earliest": "2026-01",
    "latest": "2026-11",
    "page_url": "https://larkfield.example/news",
    "wording": "Yes, send me planting tips.",
    "last_mailed": "",
    "prohibited": dict.fromkeys(
        ["bought", "rented", "swapped", "third_party", "harvested", "guessed", "employer", "directory"], "no"
    ),
    "statements": ["agreed", "not_bought", "proof"],
    "background": {"minors": "no"},
    "signer_name": "Alice Larkfield",
}
COLUMNS = {"targets": {"0": "email", "1": "consent_at", "2": "country"}, "date_order": "dmy", "has_header": True}


def csv_of(rows, header="email,signed up,country"):
    """Return CSV bytes of rows (address, date, country)."""
    return "\n".join([header, *(",".join(row) for row in rows), ""]).encode()


def people(count, *, start=0, host="reader.example", date="2026-10-01", country="GB"):
    """Return `count` good rows."""
    return [(f"person{number}@{host}", date, country) for number in range(start, start + count)]


def upload(organization: Organization, user: User, data: bytes, *, name="people.csv", contact_list=None):
    """Return a job for a file that was just received."""
    return receive.start(organization, user, [data], file_name=name, contact_list=contact_list, list_name="Readers")


def mapped(organization, user, data, *, plan=None, **more):
    """Return a counted job."""
    job = upload(organization, user, data, **more)
    ImportJob.objects.filter(pk=job.pk).update(columns=plan or COLUMNS, state=ImportState.MAPPED)
    job.refresh_from_db()
    scan.scan(job)
    return job


def signed(organization, user, data, *, answers=None, declared="", **more):
    """Return a queued job with its statement."""
    job = mapped(organization, user, data, **more)
    own = ANSWERS["signer_name"] if same_name(str(ANSWERS["signer_name"]), user.name) else user.name
    kept = {**ANSWERS, "signer_name": own, **(answers or {})}
    ImportJob.objects.filter(pk=job.pk).update(answers=kept, declared_country=declared, state=ImportState.ANSWERED)
    job.refresh_from_db()
    signer = Signer(user, "Owner", "totp", clock.now(), "192.0.2.7", "Test")
    attestations.submit(job, signer)
    job.refresh_from_db()
    return job


def finished(organization, user, data, **more):
    """Return a job that was read to its end."""
    job = signed(organization, user, data, **more)
    assert run.run(job)
    job.refresh_from_db()
    return job


__all__ = ["columns", "files", "reading"]
