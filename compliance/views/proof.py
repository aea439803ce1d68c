"""The sample of proof that a doubtful upload waits for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.access import PortalRequest, Right, get_object_for, portal_view
from compliance.errors import ImportRefusedError
from compliance.imports.holds import only_asks
from compliance.models import ImportJob, ListMembership
from compliance.provenance import proof


@portal_view(Right.LISTS)
@require_http_methods(["GET", "HEAD", "POST"])
def import_proof(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show the people who are asked for, and keep what is said of them."""
    job = get_object_for(request, ImportJob, uid)
    if not proof.is_wanted(job):
        return redirect("import_detail", job.uid)
    if request.method == "POST":
        return _keep(request, job)
    rows = proof.sample(job)
    dates = dict(
        ListMembership.objects.filter(import_job=job, contact__in=[row.contact_id for row in rows]).values_list(
            "contact_id", "consent_at"
        )
    )
    context: dict[str, Any] = {
        "job": job,
        "rows": [(row, dates.get(row.contact_id or 0)) for row in rows],
        "opens": only_asks(job.held_reasons),
        "shortest": proof.SHORTEST,
        "longest": proof.LONGEST,
    }
    return render(request, "compliance/proof.html", context)


def _keep(request: PortalRequest, job: ImportJob) -> HttpResponse:
    given = {row.place: request.POST.get(f"answer-{row.place}", "") for row in proof.sample(job)}
    try:
        left = proof.answer(job, given, actor=request.user)
    except ImportRefusedError as error:
        messages.error(request, str(error))
        return redirect("import_detail", job.uid)
    if left:
        people = "1 person is" if left == 1 else f"{left} people are"
        messages.info(request, f"Kept. {people} still without an answer of at least {proof.SHORTEST} characters.")
        return redirect("import_proof", job.uid)
    messages.success(request, "Thank you, the sample is complete.")
    return redirect("import_detail", job.uid)
