"""Campaigns in the staff area: those that a rule held, the oldest first, with release and return.

State is never a field to edit; nothing is added or deleted here.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from campaigns import approve, held, sealed
from campaigns.content import snapshot as snapshots
from campaigns.content.compile import compile_message
from campaigns.models import Campaign, CampaignState, Snapshot
from campaigns.proposals import draft_urls, example_values, propose
from compliance import tasks
from compliance.views import poke
from sendserver.lib.cells import waiting_first
from sendserver.lib.readonly import ReadOnlyAdmin
from sendserver.lib.states import TransitionRefusedError


class AnswerForm(forms.Form):
    """What staff decides about a held campaign."""

    answer = forms.ChoiceField(
        label="Answer",
        choices=[
            ("release", "Let it go | It is sent as it was approved"),
            ("return", "Give it back | It becomes a draft again; the customer reads why"),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label="Reason", help_text="The customer reads it.", max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
    )


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyAdmin):
    """The queue of held campaigns; campaigns of every other state can be looked up."""

    list_display = ("name", "organization", "state", "scheduled_at", "approved_by")
    list_filter = (waiting_first(CampaignState, CampaignState.HELD, hidden=(CampaignState.DRAFT,)),)
    search_fields = ("name", "subject", "organization__name", "uid")
    list_select_related = ("organization", "approved_by")
    ordering = ("-state", "pk")
    show_facets = admin.ShowFacets.ALLOW
    list_title = "Held campaigns"
    list_intro = "Stopped by a check until somebody has read them."
    search_help_text = "Name, subject, organization"
    change_form_template = "admin/campaigns/campaign/change_form.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let every member of staff look."""
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Let every member of staff find the queue."""
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        """Leave drafts out: they are the customer's own business."""
        return super().get_queryset(request).exclude(state=CampaignState.DRAFT)

    def get_urls(self) -> list[URLPattern]:
        """Add the answer and the fenced-in preview."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:pk>/answer/", wrap(require_POST(self.answer)), name="campaigns_campaign_answer"),
            path("<int:pk>/message/", wrap(require_safe(self.message)), name="campaigns_campaign_message"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the message as it was frozen beside the rules that held it; opening it is written down."""
        row = self.get_object(request, object_id)
        if row is None:
            return super().change_view(request, object_id, form_url, extra_context)
        self._note_opening(request, row)
        return super().change_view(request, object_id, form_url, {**self._page(request, row), **(extra_context or {})})

    def _note_opening(self, request: HttpRequest, row: Campaign) -> None:
        audit.record(
            "campaign.opened_by_staff",
            actor=request.user,  # type: ignore[arg-type]
            organization=row.organization,
            subject=f"campaign:{row.uid}",
        )

    def _page(self, request: HttpRequest, row: Campaign, form: AnswerForm | None = None) -> dict[str, Any]:
        content = row.snapshot.content if row.snapshot else {}
        if row.state == CampaignState.HELD and propose(row, for_page=True).audience.waits:
            poke(tasks.count_people, row.organization_id)  # while staff reads: the answer asks for the figures
        return {
            "campaign": row,
            "content": content,
            "hold_reasons": approve.hold_reasons(row),
            "form": form or AnswerForm(),
            "may_decide": request.user.has_perm("campaigns.change_campaign") and row.state == CampaignState.HELD,
            "links": row.links.order_by("number"),
            "is_held": row.state == CampaignState.HELD,
        }

    def answer(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Release or return a held campaign and go back to the queue."""
        if not request.user.has_perm("campaigns.change_campaign"):
            raise PermissionDenied
        row = get_object_or_404(Campaign.objects.select_related("organization"), pk=pk)
        form = AnswerForm(request.POST)
        if form.is_valid() and self._answered(request, row, form):
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_changelist"))
        context = {
            **self.admin_site.each_context(request),
            **self._page(request, row, form),
            "opts": self.opts,
            "original": row,
            "title": str(row),
        }
        return TemplateResponse(request, self.change_form_template, context, status=422)

    def _answered(self, request: HttpRequest, row: Campaign, form: AnswerForm) -> bool:
        release = form.cleaned_data["answer"] == "release"
        try:
            held.answer(row, release=release, actor=request.user, reason=form.cleaned_data["reason"])  # type: ignore[arg-type]
        except approve.OrderRefusedError as error:
            form.add_error(None, error.text)
            return False
        except TransitionRefusedError:
            messages.info(request, "Somebody answered it before you.")
            return True
        messages.success(
            request, f"{row.name}: {'sent on its way' if release else 'given back'}. The letter is queued."
        )
        return True

    def message(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the frozen message with made-up values, sealed: the sender must not learn that staff read it."""
        row = get_object_or_404(Campaign, pk=pk)
        if row.snapshot is None:
            raise Http404
        return sealed.respond(_frozen_html(row, row.snapshot))


def _frozen_html(row: Campaign, snapshot: Snapshot) -> str:
    """Return the frozen message, or a sentence where what is stored is not what was frozen: staff must learn that."""
    try:
        message = compile_message(snapshots.load(snapshot))
    except ValueError:
        return "<p>What is stored does not fit the hash it was frozen with. It cannot be sent. Tell the operator.</p>"
    return message.html(dict.fromkeys(message.fields, "Example") | example_values(row) | draft_urls())
