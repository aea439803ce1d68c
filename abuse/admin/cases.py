"""The case queue and the page of one case: evidence, timeline, decide panel. Each act is one POST to one function."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from abuse import cases, evidence, handing, moderation, notices
from abuse.admin.base import DeskAdmin, actor_of, key_in
from abuse.admin.filters import HolderFilter, OpenFilter, PromiseFilter
from abuse.admin.forms import DecideForm, ReasonForm
from abuse.errors import AbuseError
from abuse.models import Case, CaseState, Decision, DecisionKind
from accounts.models import Organization, User
from campaigns import sealed
from campaigns.models import Campaign
from sendserver.lib import clock
from sendserver.lib.cells import promise
from sendserver.lib.states import TransitionRefusedError
from sendserver.lib.tags import standing_tag, tag
from sendserver.lib.words import typed


def promise_tag(case: Case) -> SafeString:
    """Draw the time left of a promise."""
    if case.state == CaseState.DECIDED:
        return tag("decided", "ok", "check")
    return promise(case.promised_until)


@admin.register(Case)
class CaseAdmin(DeskAdmin):
    """Complaints gathered in cases, the oldest promise first."""

    list_display = ("what", "of", "promise", "signals", "held_by")
    list_filter = (OpenFilter, PromiseFilter, HolderFilter, "urgent", "organization__standing")
    search_fields = ("reference", "organization__name", "organization__domains__name", "complaints__reference")
    search_help_text = "Reference, organization, domain"
    ordering = ("promised_until",)
    list_select_related = ("organization", "claimed_by")
    list_intro = "The oldest promise first."
    actions = ("take_over", "give_back")

    # ---------- the queue

    def get_queryset(self, request: HttpRequest) -> QuerySet[Case]:
        """Return cases with their reports."""
        return super().get_queryset(request).prefetch_related("complaints")

    @admin.display(description="what")
    def what(self, case: Case) -> SafeString:
        """Name the case by its reports."""
        rows = list(case.complaints.all())
        name = rows[0].get_kind_display() if rows else "Opened by staff"
        more = f", {len(rows)} reports" if len(rows) > 1 else ""
        return format_html("{}{}<br><span class='muted small fw-4'>Case {}</span>", name, more, case.reference)

    @admin.display(description="organization")
    def of(self, case: Case) -> SafeString:
        """Name the organization with its standing."""
        return format_html("<span>{}<br>{}</span>", case.organization.name, standing_tag(case.organization.standing))

    @admin.display(description="promise ends", ordering="promised_until")
    def promise(self, case: Case) -> SafeString:
        """Draw the time left."""
        return promise_tag(case)

    @admin.display(description="signals")
    def signals(self, case: Case) -> str:
        """Say what stands out."""
        proven = sum(row.grade in cases.PROVEN for row in case.complaints.all())
        parts = ["urgent" if case.urgent else "", f"{proven} proven" if proven else "nothing proven"]
        return ", ".join(part for part in [*parts, case.get_state_display()] if part)

    @admin.display(description="with")
    def held_by(self, case: Case) -> str:
        """Say who holds it."""
        holder = cases.holder(case)
        return holder.get_full_name() if holder else "free"

    @admin.action(description="Take over")
    def take_over(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        """Take the ticked cases."""
        self._each(request, queryset, cases.claim)

    @admin.action(description="Give back")
    def give_back(self, request: HttpRequest, queryset: QuerySet[Case]) -> None:
        """Give the ticked cases back."""
        self._each(request, queryset, cases.release)

    def _each(self, request: HttpRequest, queryset: QuerySet[Case], do: Any) -> None:
        actor = actor_of(request)
        if not moderation.may_moderate(actor):
            messages.error(request, "Your group may look, not decide.")
            return
        for case in queryset:
            try:
                do(case, actor)
            except AbuseError as error:
                messages.error(request, f"{case.reference}: {error}")

    # ---------- one case

    def get_urls(self) -> list[URLPattern]:
        """Add what can be done with a case."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/claim/", self.act(self.claim_view), name="abuse_case_claim"),
            path("<int:pk>/release/", self.act(self.release_view), name="abuse_case_release"),
            path("<int:pk>/hand/", self.act(self.hand_view), name="abuse_case_hand"),
            path("<int:pk>/note/", self.act(self.note_view), name="abuse_case_note"),
            path("<int:pk>/decide/", self.act(self.decide_view), name="abuse_case_decide"),
            path("<int:pk>/letters/", self.act(self.letters_view), name="abuse_case_letters"),
            path("<int:pk>/second/", self.act(self.second_view), name="abuse_case_second"),
            path("<int:pk>/message/", view(self.message_view), name="abuse_case_message"),
            path("open/<uuid:uid>/", self.act(self.open_view), name="abuse_case_open"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one case with its evidence."""
        self.require_look(request)
        return self._page(request, self._case(key_in(object_id)))

    def _case(self, pk: int) -> Case:
        rows = Case.objects.select_related("organization", "claimed_by")
        return get_object_or_404(rows, pk=pk)

    def _page(
        self,
        request: HttpRequest,
        case: Case,
        form: DecideForm | None = None,
        *,
        status: int = 200,
        letters: Any = None,
    ) -> HttpResponse:
        found = evidence.gather(case)
        waiting = moderation.pending(case)
        actor = actor_of(request)
        holder = cases.holder(case)
        context = {
            **self.admin_site.each_context(request),
            **_neighbours(case),
            "opts": self.opts,
            "original": case,
            "case": case,
            "title": found.title,
            "found": found,
            "form": form or DecideForm(case=case, initial=_initial(found)),
            "letters": letters,
            "suggested": DecisionKind(found.suggestion.kind).label if found.suggestion else "",
            "holder": holder,
            "is_mine": bool(holder and holder.pk == actor.pk),
            "colleagues": handing.colleagues(case, actor) if holder and holder.pk == actor.pk else [],
            "is_locked": bool(holder and holder.pk != actor.pk),
            "may_decide": moderation.may_moderate(actor),
            "waiting": waiting,
            "waits_for_other": bool(waiting and waiting.actor_id == actor.pk),
            "promise": promise_tag(case),
            "decisions": case.decisions.select_related("actor").order_by("-pk"),
            "note_form": ReasonForm(auto_id="note_%s"),
            "second_form": ReasonForm(auto_id="second_%s"),
        }
        return TemplateResponse(request, "admin/abuse/case/change_form.html", context, status=status)

    def claim_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take the case."""
        return self._do(request, pk, lambda case: cases.claim(case, actor_of(request)))

    def release_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give the case back."""
        return self._do(request, pk, lambda case: cases.release(case, actor_of(request)))

    def hand_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Hand the case to a named colleague."""
        chosen, note = request.POST.get("colleague", ""), typed(request.POST.get("note", ""))[:2000]
        known = chosen.isascii() and chosen.isdigit() and len(chosen) < 19
        colleague = User.objects.filter(pk=int(chosen)).first() if known else None
        return self._do(request, pk, lambda case: handing.hand_to(case, actor_of(request), colleague, note))

    def note_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Keep a note."""
        return self._do(
            request, pk, lambda case: cases.note(case, actor_of(request), typed(request.POST.get("reason", "")))
        )

    def second_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Confirm or refuse as the second person."""
        return self._do(request, pk, lambda case: _second(case, request))

    def open_view(self, request: HttpRequest, uid: Any) -> HttpResponse:
        """Open a case of our own about an organization."""
        organization = get_object_or_404(Organization, uid=uid)
        case = cases.open_case(organization, None)
        return redirect("admin:abuse_case_change", case.pk)

    def _do(self, request: HttpRequest, pk: int, act: Any) -> HttpResponse:
        case = self._case(pk)
        try:
            act(case)
        except (AbuseError, TransitionRefusedError) as error:
            messages.error(request, str(error))
        return redirect("admin:abuse_case_change", pk)

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Decide, and go to the next case."""
        case = self._case(pk)
        form = DecideForm(request.POST, case=case)
        if not form.is_valid():
            return self._page(request, case, form, status=422)
        if "preview" in request.POST:
            return self._page(request, case, form, letters=_letters(case, form, actor_of(request)))
        try:
            decision = moderation.apply_decision(_request(case, form, actor_of(request)))
        except (AbuseError, TransitionRefusedError) as error:
            form.add_error(None, str(error))
            return self._page(request, self._case(pk), form, status=409)
        messages.success(
            request, f"{case.reference}: {decision.get_kind_display().lower()}. Both letters are on their way."
        )
        return redirect(_next_url(case))

    def letters_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show both letters as they would go out now; sends nothing."""
        case = self._case(pk)
        form = DecideForm(request.POST, case=case)
        letters = _letters(case, form, actor_of(request)) if form.is_valid() else None
        return TemplateResponse(request, "admin/abuse/case/letters.html", {"letters": letters})

    def message_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the message as sent, sealed off, or its source as text."""
        self.require_look(request)
        case = self._case(pk)
        campaign = Campaign.objects.select_related("snapshot").filter(pk=case.campaign_id or 0).first()
        if campaign is None or campaign.snapshot is None:
            raise Http404
        content = campaign.snapshot.content
        if request.GET.get("as") == "text":
            return sealed.plain(str(content.get("text", "")))
        return sealed.respond(str(content.get("html", "")))


def _initial(found: evidence.Evidence) -> dict[str, Any]:
    return {
        "kind": found.suggestion.kind if found.suggestion else "",
        "rule": "2.3" if any(row["left_at"] for row in found.consents) else "1.1",
        "reason": " ".join(found.short[:-1]) or found.short[0],
    }


def _request(case: Case, form: DecideForm, actor: Any) -> moderation.DecisionRequest:
    data = form.cleaned_data
    return moderation.DecisionRequest(
        case=case,
        kind=data["kind"],
        actor=actor,
        rule=data["rule"],
        reason=data["reason"],
        customer_must=data["must"],
        reporter_words=data["reporter"],
        evidence={"reports": [str(uid) for uid in case.complaints.values_list("uid", flat=True)[:200]]},
    )


def _letters(case: Case, form: DecideForm, actor: Any) -> dict[str, Any]:
    """Return both letters as they would go out."""
    data = form.cleaned_data
    standing = case.organization.standing
    draft = notices.Draft(
        reference="DN-....-....",
        organization=case.organization,
        case=case,
        kind=data["kind"],
        rule=data["rule"],
        reason=data["reason"],
        must=data["must"],
        reporter_words=data["reporter"],
        actor=actor,
        standing_after=moderation.target_of(data["kind"], standing, confirmed=False) or standing,
        at=clock.now(),
        waits=moderation.needs_second(data["kind"], standing),
    )
    return {"customer": notices.customer_letter(draft), "reporter": notices.reporter_letter(draft)}


def _second(case: Case, request: HttpRequest) -> None:
    waiting: Decision | None = moderation.pending(case)
    actor = actor_of(request)
    if "refuse" in request.POST or waiting is None:
        moderation.refuse_second(case, actor, typed(request.POST.get("reason", "")))
        return
    moderation.apply_decision(
        moderation.DecisionRequest(
            case=case,
            kind=waiting.kind,
            actor=actor,
            rule=waiting.rule,
            reason=waiting.reason,
            customer_must=waiting.customer_must,
            confirms=waiting,
        )
    )


def _neighbours(case: Case) -> dict[str, Any]:
    """Return place, previous and next in the queue."""
    queue = list(
        Case.objects.exclude(state=CaseState.DECIDED)
        .order_by("promised_until", "pk")
        .values_list("pk", flat=True)[:500]
    )
    if case.pk not in queue:
        return {"queue_length": len(queue), "next_pk": queue[0] if queue else None}
    place = queue.index(case.pk)
    return {
        "queue_place": place + 1,
        "queue_length": len(queue),
        "previous_pk": queue[place - 1] if place else None,
        "next_pk": queue[place + 1] if place + 1 < len(queue) else None,
    }


def _next_url(case: Case) -> str:
    """Return the next open case by promise, else the queue."""
    rows = Case.objects.filter(state__in=(CaseState.OPEN, CaseState.ANSWERED)).exclude(pk=case.pk)
    following = rows.order_by("promised_until", "pk").first()
    return (
        reverse("admin:abuse_case_change", args=[following.pk]) if following else reverse("admin:abuse_case_changelist")
    )
