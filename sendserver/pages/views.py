"""Public pages that belong to nobody; every figure comes from a policy module or from a count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_safe

from campaigns import alarms
from compliance import policy, policy_text
from compliance.rules import registry
from sendserver.lib import clock, ratelimit
from sendserver.lib.clientip import client_ip, prefix
from sendserver.pages import figures, papers, servers
from sendserver.pages.forms import HelpForm

HELP_AN_HOUR: Final = 10  # questions from one network; a person reads each
SECURITY_TXT_DAYS: Final = 180  # RFC 9116 section 2.5.5: less than a year


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what we promise, with the figures behind it."""
    return render(request, "pages/home.html", {"figures": figures.public()})


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Say who runs this; Directive 2000/31/EC article 5."""
    return render(request, "pages/about.html")


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """Say what is kept, why and how long; GDPR article 13."""
    paper = {"version": papers.PRIVACY_VERSION, "since": papers.SINCE}
    return render(request, "pages/privacy.html", {"paper": paper, "kept": papers.kept()})


@require_safe
def terms(request: HttpRequest) -> HttpResponse:
    """Show the terms."""
    return render(request, "pages/paper.html", {"paper": papers.TERMS})


@require_safe
def dpa(request: HttpRequest) -> HttpResponse:
    """Show the data-processing agreement; GDPR article 28."""
    return render(request, "pages/paper.html", {"paper": papers.PROCESSING})


@require_safe
def paper_version(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    """Show a document as it was accepted, in force or not; 404 for a version that never was."""
    paper = papers.published().get((slug, version))
    if paper is None:
        raise Http404
    current = next(one for one in (papers.TERMS, papers.PROCESSING) if one.slug == slug)
    return render(request, "pages/paper.html", {"paper": paper, "is_old": paper.version != current.version})


@require_safe
def anti_spam(request: HttpRequest, version: int = policy_text.VERSION) -> HttpResponse:
    """Show the Anti-Spam Policy, all rules with their anchors; 404 for a version that never was."""
    if version != policy_text.VERSION:
        raise Http404
    context = {
        "sections": policy_text.sections(),
        "introduction": policy_text.INTRODUCTION.format(platform=settings.PLATFORM.name),
        "version": version,
        "since": policy_text.IN_FORCE_SINCE,
        "current": version == policy_text.VERSION,
        "servers": servers.servers(),
        "limits": limits(),
    }
    return render(request, "pages/anti_spam.html", context)


def limits() -> list[tuple[str, str, str, str]]:
    """Return the rows of rule 6.3 per 1,000 messages: what, warned, campaign paused, suspended."""
    return [
        (
            "Complaints",
            _limit(policy.L_WARN, policy.C_WARN),
            _limit(policy.L_PAUSE, policy.C_BREAKER),
            _limit(policy.L_SUSPEND, policy.C_SUSPEND),
        ),
        (
            "Mailboxes that do not exist",
            _limit(policy.HB_WARN),
            _limit(policy.HB_PAUSE),
            _limit(policy.HB_SUSPEND),
        ),
    ]


def _limit(share: float, least: int = 0) -> str:
    shown = f"{1000 * share:g}"
    return f"{shown}, from {least} people" if least else shown


@require_safe
def postmaster(request: HttpRequest) -> HttpResponse:
    """Tell providers how to recognise, slow down and refuse our mail."""
    both = servers.servers()
    found = figures.public()
    names = (both[0].name, both[1].name)
    context = {
        "servers": both,
        "policy": policy,
        "now": clock.now(),
        "least_days": figures.LEAST_DAYS,
        "chart": figures.weekly_chart(found, names) if found and found.enough else "",
    }
    return render(request, "pages/postmaster.html", context)


@require_safe
@cache_control(max_age=60, public=True)
def postmaster_json(request: HttpRequest) -> JsonResponse:
    """Return the postmaster page for programs."""
    numbers = {"retry_max_hours": policy.RETRY_MAX_H, "message_max_kb": policy.MSG_MAX_KB}
    return JsonResponse(servers.as_json(numbers), json_dumps_params={"indent": 2})


@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """Print the registry of checks and every number, straight from the code that applies them."""
    return render(request, "pages/rules.html", {"checks": registry(), "numbers": policy.NUMBERS})


@require_http_methods(["GET", "HEAD", "POST"])
def help_page(request: HttpRequest) -> HttpResponse:
    """Take a question to a person."""
    form = HelpForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "pages/help.html", {"form": form}, status=200 if not form.errors else 422)
    if not ratelimit.allow("help", prefix(client_ip(request)), limit=HELP_AN_HOUR, seconds=3600):
        form.add_error(None, f"Too many questions came from your network. Write to {settings.PLATFORM.help_email}.")
        return render(request, "pages/help.html", {"form": form}, status=429)
    request.session["help_reference"] = form.send()
    return redirect("help_sent")


@require_safe
def help_sent(request: HttpRequest) -> HttpResponse:
    """Show the reference of the question just sent."""
    reference = request.session.get("help_reference")
    if not reference:
        return redirect("help")
    return render(request, "pages/help_sent.html", {"reference": reference})


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Say what works and what does not."""
    parts = servers.status(clock.now())
    context = {"parts": parts, "all_ok": all(part.ok is not False for part in parts), "now": clock.now()}
    return render(request, "pages/status.html", context)


@require_safe
def stats(request: HttpRequest) -> HttpResponse:
    """Publish the last thirty days."""
    found = figures.public()
    names = tuple(relay.name for relay in settings.RELAYS.values())
    chart = figures.weekly_chart(found, names) if found and found.enough else ""  # type: ignore[arg-type]
    return render(request, "pages/stats.html", {"figures": found, "chart": chart})


@require_safe
@cache_control(max_age=86_400, public=True)
def security_txt(request: HttpRequest) -> HttpResponse:
    """Say where to report a weakness; RFC 9116."""
    expires = datetime.combine(clock.now().date() + timedelta(days=SECURITY_TXT_DAYS), datetime.min.time(), tzinfo=UTC)
    lines = [
        f"Contact: mailto:security@{settings.PLATFORM.domain}",
        f"Contact: {settings.BASE_URL}{reverse('help')}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {settings.BASE_URL}{reverse('security_txt')}",
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


@require_safe
@cache_control(max_age=86_400, public=True)
def robots(request: HttpRequest) -> HttpResponse:
    """Keep crawlers away from the portal and from links that belong to one person; RFC 9309."""
    closed = ("/portal/", "/staff/", "/account/", "/u/", "/p/", "/why/", "/c/", "/abuse/t/", "/local/")
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in closed)]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


@require_GET
@cache_control(no_store=True)
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer a load balancer: 200 when the database answers, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("database\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


@require_GET
@cache_control(no_store=True)
def healthz_sending(request: HttpRequest) -> HttpResponse:
    """Answer a monitor: 200 without an open alarm, else 503 and one line each, key and since when.

    The database away is an alarm too, the one that cannot be written down. Causes stand on the staff page only.
    """
    try:
        open_now = [f"{alarm.key} since {alarm.since:%Y-%m-%dT%H:%MZ}" for alarm in alarms.live()]
    except DatabaseError:
        open_now = ["database"]
    text = "\n".join(open_now) or "ok"
    return HttpResponse(f"{text}\n", status=503 if open_now else 200, content_type="text/plain")
