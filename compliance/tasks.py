"""Pokes for the worker: each loads, calls one function, and at most asks for another turn."""

from __future__ import annotations

from celery import shared_task

from compliance import counting, list_counts, registers, saved_page, tag_orders
from compliance.imports import abandoned, fixes, undo
from compliance.imports.run import run, waiting
from compliance.imports.scan import scan
from compliance.models import ImportJob, ImportState
from compliance.provenance import marks
from compliance.segments import counts as segments
from sendserver.lib import clock

# Whoever counts for pages has to be loaded: these answer compliance.counting.
ANSWER = (list_counts, fixes, segments)
_COUNTED = (ImportState.MAPPED, ImportState.ANSWERED)


@shared_task(name="compliance.scan_import")
def scan_import(job_id: int) -> None:
    """Count an upload's rows, unless that is done."""
    job = ImportJob.objects.filter(pk=job_id, state__in=_COUNTED).select_related("organization", "contact_list").first()
    if job is not None and not job.scan.get("done"):
        scan(job)


@shared_task(name="compliance.save_page", soft_time_limit=60)
def save_page(job_id: int) -> None:
    """Save a copy of the page where people said yes."""
    job = ImportJob.objects.filter(pk=job_id).select_related("organization").first()
    if job is not None:
        saved_page.take(job)


@shared_task(name="compliance.run_import")
def run_import(job_id: int) -> None:
    """Read on with an upload, or take it back, and come back while rows are left."""
    job = ImportJob.objects.filter(pk=job_id).select_related("organization", "contact_list").first()
    if job is None:
        return
    go_on = undo.go_on if job.state == ImportState.UNDOING else run
    if not go_on(job):
        run_import.delay(job_id)


@shared_task(name="compliance.resume_imports")
def resume_imports() -> int:
    """Poke what waits or went silent, and clear away what nobody finished; return how many were poked."""
    abandoned.clear(clock.now())
    undo.forget_before(clock.now())
    jobs = list(waiting(clock.now()).values_list("pk", "state"))
    for pk, state in jobs:
        (scan_import if state in _COUNTED else run_import).delay(pk)
    for job in saved_page.without_copy(clock.now()):
        save_page.delay(job.pk)
    return len(jobs)


@shared_task(name="compliance.check_registers")
def check_registers() -> int:
    """Compare new contacts with the opt-out registers, so that pages and plans know; return how many."""
    return registers.check_new()


@shared_task(name="compliance.remember_lists")
def remember_lists() -> int:
    """Remember who was uploaded by whom, for judging later uploads; return how many uploads were remembered."""
    return marks.remember_all()


@shared_task(name="compliance.count_people")
def count_people(_organization_id: int = 0) -> int:
    """Count what pages asked for, whoever's; return how many counts were made."""
    return counting.work()


@shared_task(name="compliance.carry_tag_orders")
def carry_tag_orders(_order_id: int = 0) -> int:
    """Carry orders for whole lists on, each for a while; return how many were found."""
    found = tag_orders.waiting()
    for order in found:
        tag_orders.go_on(order, seconds=10)
    return len(found)
