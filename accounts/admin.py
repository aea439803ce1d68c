"""Accounts in the staff area: the verification queue and the people of staff.

Standing, decisions and audit rows are never fields to edit; adding and deleting are switched off. A review is decided
by its own form, posted to a view that calls `verification.decide`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from accounts import audit, review, verification
from accounts.errors import AccountsError
from accounts.forms.review import ReviewForm
from accounts.models import Standing, User, Verification, VerificationState
from sendserver.lib import clock
from sendserver.lib.cells import promise, waiting_first
from sendserver.lib.readonly import ReadOnlyAdmin
from sendserver.lib.states import TransitionRefusedError
from sendserver.lib.tags import standing_tag, tag
from sendserver.lib.words import duration


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """The queue of new customers, the oldest promise first, and the page to decide one."""

    list_display = ("what", "of", "promise", "joined", "decided_by")
    list_filter = (
        waiting_first(VerificationState, VerificationState.SUBMITTED, hidden=(VerificationState.COLLECTING,)),
    )
    list_intro = "The oldest promise first."
    search_fields = ("organization__name", "organization__profile__legal_name")
    search_help_text = "Organization, legal name"
    list_select_related = ("organization", "decided_by")
    ordering = ("promised_until", "pk")
    show_facets = admin.ShowFacets.ALWAYS
    change_form_template = "admin/accounts/verification/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Verification]:
        """Leave out what was never handed in."""
        return super().get_queryset(request).exclude(state=VerificationState.COLLECTING)

    @admin.display(description="what")
    def what(self, row: Verification) -> SafeString:
        """Say what is asked for, with the reference."""
        is_new = row.organization.standing == Standing.UNVERIFIED
        title = "New customer" if is_new else f"{row.requested_allowance:,} a day"
        return format_html("{}<br><span class='muted small fw-4'>Verification {}</span>", title, row.reference)

    @admin.display(description="organization", ordering="organization__name")
    def of(self, row: Verification) -> SafeString:
        """Name the organization with its standing."""
        return format_html("<span>{}<br>{}</span>", row.organization.name, standing_tag(row.organization.standing))

    @admin.display(description="promise ends", ordering="promised_until")
    def promise(self, row: Verification) -> SafeString:
        """Draw the time left, or the state of what does not wait for staff."""
        if row.state == VerificationState.SUBMITTED and row.promised_until:
            return promise(row.promised_until)
        return tag(row.get_state_display())

    @admin.display(description="joined", ordering="organization__created_at")
    def joined(self, row: Verification) -> str:
        """Say how long the organization has been here."""
        return f"{duration((clock.now() - row.organization.created_at).total_seconds())} ago"

    def get_urls(self) -> list[URLPattern]:
        """Add the two posts of the decide panel."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:pk>/decide/", wrap(require_POST(self.decide)), name="accounts_verification_decide"),
            path("<int:pk>/letter/", wrap(require_POST(self.letter)), name="accounts_verification_letter"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what was said beside what was found, and the decide panel; opening it is written down."""
        row = self.get_object(request, object_id)
        if row is not None and request.method == "GET":
            audit.record(
                "verification.opened", actor=_actor(request), organization=row.organization, subject=_subject(row)
            )
        extra = {**self._page(request, row), **(extra_context or {})} if row is not None else extra_context
        return super().change_view(request, object_id, form_url, extra)

    def _page(self, request: HttpRequest, row: Verification, form: ReviewForm | None = None) -> dict[str, Any]:
        form = form or ReviewForm(initial=ReviewForm.suggestion(row))
        return {
            "sheet": review.sheet(row),
            "form": form,
            "letters": review.letters_for(row),
            "may_decide": self._may(request),
            **_neighbours(row),
        }

    def _may(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_verification")

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Decide a review and go to the next one that waits."""
        row = self._row(request, pk)
        form = ReviewForm(request.POST)
        if form.is_valid():
            try:
                verification.decide(row, form.ruling(), actor=_actor(request))
            except TransitionRefusedError:
                form.add_error(None, "This was decided already. What you typed was not sent.")
            except AccountsError as error:
                form.add_error(None, str(error))
            else:
                messages.success(
                    request, f"{row.organization}: {row.get_state_display().lower()}. The letter is on its way."
                )
                return HttpResponseRedirect(_next_url())
        return self._again(request, row, form)

    def letter(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the letter as it would go out with what is typed now; nothing is sent."""
        row = self._row(request, pk)
        form = ReviewForm(request.POST)
        form.is_valid()
        return self._again(request, row, form, preview=review.preview(row, form))

    def _again(self, request: HttpRequest, row: Verification, form: ReviewForm, preview: Any = None) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **self._page(request, row, form),
            "opts": self.opts,
            "original": row,
            "title": str(row.organization),
            "preview": preview,
        }
        return TemplateResponse(request, self.change_form_template, context)

    def _row(self, request: HttpRequest, pk: int) -> Verification:
        if not self._may(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request).select_related("organization"), pk=pk)


def _neighbours(row: Verification) -> dict[str, Any]:
    """Return place, previous and next among the reviews that wait, for the line above the page."""
    waiting = Verification.objects.filter(state=VerificationState.SUBMITTED).order_by("promised_until", "pk")
    queue = list(waiting.values_list("pk", flat=True)[:500])
    if row.pk not in queue:
        return {"queue_length": len(queue), "next_pk": queue[0] if queue else None}
    place = queue.index(row.pk)
    return {
        "queue_place": place + 1,
        "queue_length": len(queue),
        "previous_pk": queue[place - 1] if place else None,
        "next_pk": queue[place + 1] if place + 1 < len(queue) else None,
    }


def _next_url() -> str:
    """Return the next review that waits, else the queue."""
    waiting = Verification.objects.filter(state=VerificationState.SUBMITTED).order_by("promised_until", "pk").first()
    if waiting is None:
        return reverse("admin:accounts_verification_changelist")
    return reverse("admin:accounts_verification_change", args=[waiting.pk])


def _actor(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def _subject(row: Verification) -> str:
    return f"verification:{row.uid}"


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """Staff rights of people; nothing else of theirs is changed here."""

    list_display = ("email", "name", "is_staff", "is_active", "last_login", "created_at")
    list_filter = ("is_staff", "is_active", "groups")
    search_fields = ("email", "name", "uid")
    ordering = ("email",)
    fields = ("email", "name", "is_active", "is_staff", "groups", "last_login", "created_at")
    readonly_fields = ("email", "name", "last_login", "created_at")
    filter_horizontal: ClassVar = ("groups",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """People come by sign-up only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Evidence names people; they are switched off, not deleted."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, and write down who gave or took staff rights."""
        super().save_model(request, obj, form, change)
        detail = {"changed": list(form.changed_data), "staff": obj.is_staff, "active": obj.is_active}
        audit.record("staff.rights", actor=_actor(request), subject=f"user:{obj.uid}", detail=detail)


# allauth's own pages could add a confirmed address or end another's second factor by a generic form.
for _model in (EmailAddress, Authenticator, UserSession):
    admin.site.unregister(_model)
admin.site.unregister(Group)


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin):
    """The two groups of staff, to be read."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The groups are fixed by the code."""
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The groups are fixed by the code."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The groups are fixed by the code."""
        return False
