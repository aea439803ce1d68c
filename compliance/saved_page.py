"""A copy of the page where people said yes, taken on the day of the statement and kept with its fingerprint.

The page is the customer's, the copy is ours: it shows what stood there when the list came, not when people signed up.
Taken in the worker, one try an address; off with LIST_LOOKUPS. Where it cannot be had, the record says why, and a
screenshot among the evidence does the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse

from compliance import evidence, policy
from compliance.models import ImportJob, ImportState, SavedPage
from sendserver.lib import clock
from sendserver.lib.fetching import Fetched, FetchError, Limits, fetch
from sendserver.lib.ratelimit import allow

TYPES: Final = ("text/html", "application/xhtml+xml", "text/plain", "application/pdf")
HOUR: Final = 3600
S = ImportState
_ANSWERED: Final = (S.ANSWERED, S.QUEUED, S.READING, S.HELD, S.DONE)


def is_on() -> bool:
    """Tell whether pages are looked at here."""
    return bool(settings.LIST_LOOKUPS)


def wanted(job: ImportJob) -> bool:
    """Tell whether the page that the answers name has no copy yet."""
    url = job.answers.get("page_url", "")
    return bool(url) and is_on() and not SavedPage.objects.filter(import_uid=job.uid, url=url).exists()


def without_copy(now: datetime) -> list[ImportJob]:
    """Return uploads of the last day whose copy nobody took: the worker was away when it was asked."""
    if not is_on():
        return []
    fresh = ImportJob.objects.filter(created_at__gt=now - timedelta(days=1), state__in=_ANSWERED)
    return [job for job in fresh.order_by("pk") if wanted(job)]


def take(job: ImportJob, *, limits: Limits | None = None) -> SavedPage | None:
    """Fetch the page and keep it, or why it could not be had; None when that was done or is not wanted."""
    if not wanted(job):
        return None
    url = str(job.answers["page_url"])
    row = SavedPage(organization=job.organization, import_uid=job.uid, url=url, at=clock.now())
    may = allow("saved-pages", str(job.organization.uid), limit=policy.SAVED_PAGES, seconds=HOUR)
    row.problem = "" if may else "Many pages were looked at just now."
    try:
        if may:
            _fill(row, fetch(url, limits or Limits(agent=f"Sendserver (+{settings.BASE_URL}/about/)")))
    except FetchError as error:
        row.problem = str(error)[:200]
    SavedPage.objects.bulk_create([row], ignore_conflicts=True)  # two workers at once: the first stands
    return of(job)


def _fill(row: SavedPage, got: Fetched) -> None:
    if got.status != 200:
        raise FetchError(f"The page answered with {got.status}.")
    if not got.body:
        raise FetchError("The page is empty.")
    if got.media_type not in TYPES:
        raise FetchError("What stands there is neither a page, nor text, nor a PDF.")
    row.sha256 = evidence.keep(got.body)
    row.media_type, row.size, row.final_url = got.media_type, len(got.body), got.url[:400]


def of(job: ImportJob) -> SavedPage | None:
    """Return the copy of the page that the answers name now, or None."""
    return SavedPage.objects.filter(import_uid=job.uid, url=job.answers.get("page_url", "")).first()


def words(row: SavedPage | None) -> str:
    """Return what became of the copy, for pages: "" where none is wanted."""
    if row is None:
        return ""
    if row.problem:
        return f"We could not save a copy: {row.problem} A screenshot among the evidence does the same."
    return f"A copy was saved, {max(1, row.size // 1024):,} KB."


def signed(job: ImportJob) -> dict[str, Any]:
    """Return what a statement says of the copy; empty where there is none at the moment of signing."""
    row = of(job)
    if row is None or row.sha256 is None:
        return {}
    copy = {"sha256": bytes(row.sha256).hex(), "size": row.size, "type": row.media_type, "at": row.at.isoformat()}
    return {"page_copy": copy}


def as_download(row: SavedPage) -> HttpResponse:
    """Return the copy as a download that no browser opens by itself: its script would run as ours."""
    response = HttpResponse(evidence.bytes_of(bytes(row.sha256 or b"")), content_type="application/octet-stream")
    kind = {"application/pdf": "pdf", "text/plain": "txt"}.get(row.media_type, "html")
    response["Content-Disposition"] = f'attachment; filename="page-{row.at:%Y-%m-%d}.{kind}.saved"'
    response["Cache-Control"] = "no-store"
    return response
