"""The proof of a message, for staff who answer a complaint or an authority."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from campaigns.proof import bundle, gather
from campaigns.views.people import as_file


class ProofForm(forms.Form):
    """Which message, and why somebody wants to know."""

    message = forms.CharField(
        label="Message", max_length=300, help_text="Its Message-ID, or a link from it: unsubscribe, why, report."
    )
    reason = forms.CharField(label="What is it needed for?", max_length=300, help_text="Kept in the audit log.")


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the form; give the file of the message that was named, written down with the reason."""
    form = ProofForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        delivery = gather.find_delivery(form.cleaned_data["message"])
        if delivery is not None:
            found = bundle.of_delivery(delivery)
            bundle.note(found, actor=request.user, reason=form.cleaned_data["reason"])  # type: ignore[arg-type]
            return as_file(found)
        form.add_error("message", "We know no such message")
    return TemplateResponse(request, "admin/staff_proof.html", {**context, "title": "Proof", "form": form})
