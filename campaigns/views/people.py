"""What campaigns do about one person: erase them, prove what was sent to them."""

from __future__ import annotations

import io
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import PortalRequest, Right, get_object_for, portal_view
from campaigns import erasure
from campaigns.proof import bundle
from campaigns.proof.bundle import Bundle
from compliance.models import Contact


@portal_view(Right.LISTS)
@require_POST
def contact_erase(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Erase a person at their request (GDPR article 17)."""
    erasure.erase(get_object_for(request, Contact, uid), actor=request.user)
    messages.success(request, "Erased. A fingerprint on the do-not-mail list keeps them out.")
    return redirect("lists")


@portal_view(Right.LISTS)
@require_http_methods(["GET", "HEAD", "POST"])
def contact_proof(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show everything on record about a person and what was sent to them; POST gives it as a file (CONSENT-PROOF)."""
    found = bundle.of_contact(get_object_for(request, Contact, uid))
    if request.method != "POST":
        return render(request, "campaigns/proof/contact.html", bundle.context(found))
    bundle.note(found, actor=request.user, reason="Downloaded in the portal")
    return as_file(found)


def as_file(found: Bundle) -> HttpResponse:
    """Return a bundle as a download."""
    out = io.BytesIO()
    bundle.write(found, out)
    response = HttpResponse(out.getvalue(), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="proof-{found.made_at:%Y%m%d-%H%M}.zip"'
    response["Cache-Control"] = "no-store"
    return response
