"""Look an address up in the do-not-mail list, and lift an entry with a reason. The list holds hashes only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse

from abuse.moderation import may_moderate
from accounts import audit
from accounts.models import User
from compliance.errors import ComplianceError
from compliance.models import Suppression
from compliance.suppression import lift
from sendserver.lib.addresses import BadAddress, masked, parse, suppression_hashes
from sendserver.lib.words import typed


class LookupForm(forms.Form):
    """An address to look up."""

    address = forms.CharField(label="E-mail address", max_length=254, help_text="Looked up as a hash; not kept.")


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the form; a POST looks an address up, so that none stands in a log of requests. Audited, masked."""
    form = LookupForm(request.POST or None)
    rows: list[Suppression] | None = None
    if request.method == "POST" and form.is_valid():
        found = parse(form.cleaned_data["address"])
        if isinstance(found, BadAddress):
            form.add_error("address", "Enter an e-mail address like name@example.com")
        else:
            rows = _find(found.key)
            subject = f"address:{masked(found.original)}"
            audit.record("do_not_mail.looked_up", actor=_actor(request), subject=subject, detail={"found": len(rows)})
    extra = {"title": "Do-not-mail", "form": form, "rows": rows, "may_act": may_moderate(_actor(request))}
    return TemplateResponse(request, "admin/staff_do_not_mail.html", {**context, **extra})


def _find(key: Any) -> list[Suppression]:
    rows = Suppression.objects.filter(address_hash__in=suppression_hashes(key)).select_related("organization")
    return list(rows.order_by("-pk")[:200])


def lift_entry(request: HttpRequest, pk: int) -> HttpResponse:
    """Lift an entry, with a reason: the person asked us to."""
    row = get_object_or_404(Suppression, pk=pk)
    try:
        lift(row, reason=typed(request.POST.get("reason", "")), actor=_actor(request))
        messages.success(request, "The entry is lifted.")
    except ComplianceError as error:
        messages.error(request, str(error))
    return redirect("admin:staff_do_not_mail")


def _actor(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]
