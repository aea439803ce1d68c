"""What campaigns do about one person: erase them, prove what was sent to them."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.access import PortalRequest, Right, get_object_for, portal_view
from campaigns import erasure
from compliance.models import Contact


@portal_view(Right.LISTS)
@require_POST
def contact_erase(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Erase a person at their request (GDPR article 17)."""
    erasure.erase(get_object_for(request, Contact, uid), actor=request.user)
    messages.success(request, "Erased. A fingerprint on the do-not-mail list keeps them out.")
    return redirect("lists")
