"""The report: one sentence, the way from sent to clicked, reactions, links, bounces, receivers."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.access import PortalRequest, Right, get_object_for, has_right, portal_view
from campaigns import breakdown, narrowing, stats
from campaigns.models import Campaign, CampaignState
from compliance import policy
from compliance.tasks import count_people
from compliance.views import poke
from sendserver.lib import charts, words

LABELS = {
    "hard_recipient": "No such mailbox, taken off",
    "hard_domain": "No such domain, taken off",
    "full": "Mailbox full, kept",
    "transient": "Receiver away, kept",
    "soft": "Could not be delivered, kept",
    "block_reputation": "Refused as spam",
    "block_auth": "Signature not accepted",
    "policy_recipient": "Receiver does not take this mail",
    "unknown": "Reason not understood",
    "": "Reason not given",
}
KEPT = ("full", "transient", "soft")  # the address stays on its lists
OVER = (CampaignState.SENDING, CampaignState.PAUSED, CampaignState.SENT, CampaignState.STOPPED)


@require_safe
@portal_view(Right.VIEW)
def report(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Show what became of a campaign; `?as=csv` gives the figures as a file."""
    campaign = get_object_for(request, Campaign, uid)
    if campaign.state not in OVER:
        return redirect("campaign_progress", uid)
    figures = _figures(campaign)
    if request.GET.get("as") == "csv":
        return _file(campaign, figures)
    may_write = has_right(request.membership, Right.WRITE)
    context = {"campaign": campaign, "took": _seconds(campaign), "may_write": may_write, **figures}
    return render(request, "campaigns/report.html", context)


def _seconds(campaign: Campaign) -> float | None:
    if campaign.started_at is None or campaign.finished_at is None:
        return None
    return (campaign.finished_at - campaign.started_at).total_seconds()


def _figures(campaign: Campaign) -> dict[str, Any]:
    done, back = stats.progress(campaign), stats.reactions(campaign)
    sent = done.accepted + done.rejected + done.in_doubt
    reached = max(0, done.accepted - back.bounced)
    kind, headline, sentence = stats.verdict(campaign, reached, sent, back)
    details = breakdown.known(campaign)
    if details.waits:
        poke(count_people, campaign.organization_id)
    labels, clicks = stats.reaction_hours(campaign)
    links, bounces = stats.links(campaign), stats.bounce_reasons(campaign)
    return {
        "p": done,
        "back": back,
        "taken": details.taken,
        "sent": sent,
        "reached": reached,
        "verdict": {"kind": kind, "headline": headline, "sentence": sentence},
        "funnel": _funnel(sent, done.accepted, reached, back.clicks),
        "reactions": charts.lines("Clicks in the first 48 hours", labels, [charts.Series("Clicked", clicks, "c2")])
        if back.clicks
        else "",
        "links": links,
        "link_chart": charts.bars(
            [charts.Bar(_short(url), count, fill="c2") for url, count in links[:10]],
            "Clicks by link: " + ", ".join(f"{_short(url)} {count}" for url, count in links[:10]),
        ),
        "bounces": [(LABELS.get(name, name), count) for name, count in bounces],
        "bounce_chart": charts.bars(
            [charts.Bar(LABELS.get(name, name), count, fill="c6" if name in KEPT else "c4") for name, count in bounces],
            "Bounces by reason: " + ", ".join(f"{LABELS.get(name, name)} {count}" for name, count in bounces),
        ),
        "left_out": details.left_out,
        "receivers": details.receivers,
        "details": details,
        "complaint_limit": f"{100 * policy.L_WARN:.2f}%",
        "lists": ", ".join(one.name for one in campaign.lists.all()),
        "segment": narrowing.chosen(campaign),
    }


def _funnel(sent: int, accepted: int, reached: int, clicks: int) -> str:
    """Return the bars from sent to clicked; clicks are acts, not people, and the bar says so."""
    rows = [
        charts.Bar("Sent", sent, fill="c6"),
        charts.Bar("Accepted by our servers", accepted, f"{accepted:,}   {words.percent(accepted, sent)}", "c1"),
        charts.Bar("Not bounced", reached, f"{reached:,}   {words.percent(reached, sent)}", "c3"),
        charts.Bar("Clicks", clicks, f"{clicks:,}", "c2"),
    ]
    label = f"From sent to clicked: {sent:,} sent, {accepted:,} accepted, {reached:,} not bounced, {clicks:,} clicks."
    return charts.bars(rows, label)


def _short(url: str) -> str:
    """Return an address without scheme, cut to what a bar's name holds."""
    bare = url.split("://", 1)[-1].rstrip("/")
    return bare if len(bare) <= 40 else f"{bare[:37]}..."


def _file(campaign: Campaign, figures: dict[str, Any]) -> HttpResponse:
    """Return the figures as CSV; addresses of links that a spreadsheet would run are quoted by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["figure", "name", "count"])
    counts = {"sent": figures["sent"], "accepted": figures["p"].accepted, "not_bounced": figures["reached"]}
    counts |= {"bounced": figures["back"].bounced, "unsubscribed": figures["back"].unsubscribed}
    counts |= {"complained": figures["back"].complained, "clicks": figures["back"].clicks}
    writer.writerows([["total", name, count] for name, count in counts.items()])
    writer.writerows([["link", url if url.startswith("http") else f"'{url}", count] for url, count in figures["links"]])
    writer.writerows([["bounce", label, count] for label, count in figures["bounces"]])
    for one in figures["left_out"]:
        writer.writerow(["left_out_at_planning", one.words, one.planned])
        writer.writerow(["left_out_at_sending", one.words, one.sending])
    writer.writerows([["receiver", one.name, one.sent] for one in figures["receivers"]])
    response = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="report-{campaign.uid}.csv"'
    return response
