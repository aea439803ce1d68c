"""Sending domains: add, look again, mail the records to whoever manages the DNS, remove."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import domains as logic
from accounts import limits, notices, policy, senders, verification, watching
from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from accounts.errors import AccountsError
from accounts.forms import DomainForm, MailRecordsForm
from accounts.models import DomainRecord, SendingDomain
from sendserver.lib import ratelimit


@portal_view(Right.VIEW)
@require_GET
def domains(request: PortalRequest) -> HttpResponse:
    """List the organization's domains."""
    wrong = Count("records", filter=Q(records__ok=False))
    rows = SendingDomain.objects.for_org(request.org).filter(removed_at=None).annotate(wrong=wrong).order_by("name")
    lines = [{"row": row, "ready": logic.is_ready_to_send(row)} for row in rows]
    return render(request, "accounts/domains.html", {"domains": lines, **_rights(request)})


def _rights(request: PortalRequest) -> dict[str, bool]:
    return {"may_change": has_right(request.membership, Right.DOMAINS)}


@portal_view(Right.DOMAINS)
@require_http_methods(["GET", "POST"])
def domain_add(request: PortalRequest) -> HttpResponse:
    """Add a domain and look at once."""
    form = DomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            domain = logic.add(request.org, form.cleaned_data["name"], actor=request.user)
        except AccountsError as error:
            form.add_error("name", str(error))
        else:
            if domain.waits_for_staff:
                verification.look_again(request.org, {"domain"}, actor=request.user)
            return redirect("domain_detail", domain.uid)
    return render(request, "accounts/domain_add.html", {"form": form})


def _domain(request: PortalRequest, uid: UUID) -> SendingDomain:
    return get_object_for(request, SendingDomain, uid, removed_at=None)


def records_of(domain: SendingDomain) -> list[DomainRecord]:
    """Return the rows, wrong ones first, in the order of Kind."""
    order = list(DomainRecord.Kind.values)
    rows = list(domain.records.all())
    for row in rows:
        row.label = row.host.removesuffix(f".{domain.name}")  # type: ignore[attr-defined]
        row.found_text = ", ".join(row.found)  # type: ignore[attr-defined]
    return sorted(rows, key=lambda row: (row.ok, order.index(row.kind)))


def _context(request: PortalRequest, domain: SendingDomain) -> dict[str, Any]:
    rows = records_of(domain)
    addresses = list(domain.from_addresses.filter(removed_at=None).order_by("local_part"))
    for sender in addresses:
        sender.is_confirmed = senders.is_confirmed(sender)  # type: ignore[attr-defined]
        sender.mailbox = senders.mailbox(sender)  # type: ignore[attr-defined]
    return {
        "domain": domain,
        "records": rows,
        "wrong": sum(not row.ok for row in rows),
        "ready": logic.is_ready_to_send(domain),
        "senders": addresses,
        "keys": domain.keys.order_by("selector"),
        "resolvers": len(settings.DNS_SERVERS),
        "check_minutes": policy.DOMAIN_CHECK_MINUTES,
        "recheck_hours": policy.DOMAIN_RECHECK_HOURS,
        "keep_hours": policy.DOMAIN_AUTH_MAX_AGE_H,
        "mail_domain": settings.PLATFORM.mail_domain,
        **_rights(request),
    }


@portal_view(Right.VIEW)
@require_GET
def domain_detail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show wanted and found for each record, From addresses and keys."""
    context = _context(request, _domain(request, uid))
    return render(request, "accounts/domain.html", {**context, "mail_form": MailRecordsForm()})


@portal_view(Right.VIEW)
@require_GET
def domain_records(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Return the records panel alone, for the page that refreshes it."""
    return render(request, "accounts/_records.html", _context(request, _domain(request, uid)))


@portal_view(Right.DOMAINS)
@require_POST
def domain_check(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Look at the DNS now, at most once in 20 seconds."""
    domain = _domain(request, uid)
    seconds = policy.DOMAIN_CHECK_MIN_SECONDS
    if ratelimit.allow("domain-check", str(domain.uid), limit=1, seconds=seconds):
        watching.watch(domain)
    else:
        messages.info(request, f"We looked a moment ago. Press again in {seconds} seconds.")
    if request.POST.get("back") == "verify":
        return redirect("verify")
    return redirect("domain_detail", domain.uid)


@portal_view(Right.DOMAINS)
@require_POST
def domain_mail(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Mail the records to the person who manages the DNS; nothing of the sender's own words goes along."""
    domain = _domain(request, uid)
    form = MailRecordsForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Enter an e-mail address like name@example.com")
        return redirect("domain_detail", domain.uid)
    try:
        limits.count_letter(request.org, form.cleaned_data["email"])
    except AccountsError as error:
        messages.error(request, str(error))
    else:
        _mail_records(request, domain, form.cleaned_data["email"])
        messages.success(request, f"Sent to {form.cleaned_data['email']}.")
    return redirect("domain_detail", domain.uid)


def _mail_records(request: PortalRequest, domain: SendingDomain, email: str) -> None:
    records = [record for kind, record in logic.wanted_records(domain) if kind != DomainRecord.Kind.MX]
    context = {"organization": request.org, "domain": domain.name, "records": records}
    subject = f"DNS records for {domain.name}"
    notices.send_notice([email], subject=subject, template="emails/domain_records.txt", context=context)


@portal_view(Right.DOMAINS)
@require_POST
def domain_remove(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Take the domain out of use."""
    domain = _domain(request, uid)
    logic.remove(domain, actor=request.user)
    messages.success(request, f"{domain.name} is removed. Unsubscribe links keep working.")
    return redirect("domains")
