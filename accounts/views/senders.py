"""From addresses and the confirmation of the mailbox that answers."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import senders
from accounts.access import PortalRequest, Right, get_object_for, portal_view
from accounts.errors import AccountsError
from accounts.forms import FromAddressForm
from accounts.models import FromAddress, SendingDomain


@portal_view(Right.DOMAINS)
@require_http_methods(["GET", "POST"])
def from_add(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Add a From address at a domain."""
    domain = get_object_for(request, SendingDomain, uid, removed_at=None)
    form = FromAddressForm(request.POST or None, domain=domain)
    if request.method == "POST" and form.is_valid():
        try:
            sender = senders.add(domain, actor=request.user, **form.cleaned_data)
        except AccountsError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"Added. Open the link we mailed to {senders.mailbox(sender)}.")
            return redirect("domain_detail", domain.uid)
    return render(request, "accounts/from_address.html", {"form": form, "domain": domain})


@portal_view(Right.DOMAINS)
@require_http_methods(["GET", "POST"])
def from_change(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Change a From address's name or where answers go."""
    sender = get_object_for(request, FromAddress, uid, removed_at=None)
    initial = {name: getattr(sender, name) for name in ("display_name", "local_part", "reply_to")}
    form = FromAddressForm(request.POST or None, domain=sender.domain, initial=initial)
    form.fields["local_part"].disabled = True
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            senders.change(sender, display_name=data["display_name"], reply_to=data["reply_to"], actor=request.user)
        except AccountsError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Saved.")
            return redirect("domain_detail", sender.domain.uid)
    return render(request, "accounts/from_address.html", {"form": form, "domain": sender.domain, "sender": sender})


@portal_view(Right.DOMAINS)
@require_POST
def from_again(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Mail the confirmation link again."""
    sender = get_object_for(request, FromAddress, uid, removed_at=None)
    try:
        senders.ask_to_confirm(sender)
        messages.success(request, f"Sent to {senders.mailbox(sender)}.")
    except AccountsError as error:
        messages.error(request, str(error))
    return redirect("domain_detail", sender.domain.uid)


@portal_view(Right.DOMAINS)
@require_POST
def from_remove(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Take a From address out of use."""
    sender = get_object_for(request, FromAddress, uid, removed_at=None)
    senders.remove(sender, actor=request.user)
    messages.success(request, f"{sender.address} is removed.")
    return redirect("domain_detail", sender.domain.uid)


@require_http_methods(["GET", "POST"])
def from_confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show the mailed link's page; only the button confirms, since mail scanners follow links."""
    sender = senders.from_token(token)
    if sender is None:
        return render(request, "accounts/from_confirm.html", {"sender": None}, status=404)
    if request.method == "POST":
        senders.confirm(sender)
    context = {"sender": sender, "mailbox": senders.mailbox(sender), "done": request.method == "POST"}
    return render(request, "accounts/from_confirm.html", context)
