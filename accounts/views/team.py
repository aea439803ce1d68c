"""The team: people, roles, invitations."""

from __future__ import annotations

from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import invitations, organizations, policy
from accounts.access import RIGHTS, PortalRequest, Right, get_object_for, has_right, portal_view
from accounts.errors import AccountsError
from accounts.forms import InviteForm, RoleForm
from accounts.middleware import SESSION_KEY
from accounts.models import Invitation, Membership, Role

# What the table of roles says, each line with the right behind it.
ROLE_LINES = (
    ("See campaigns, lists, figures", Right.VIEW),
    ("Write campaigns, send tests to oneself", Right.WRITE),
    ("Upload lists, sign where they come from", Right.LISTS),
    ("Approve and send", Right.SEND),
    ("Domains and From addresses", Right.DOMAINS),
    ("Team, roles", Right.TEAM),
    ("Business profile, close the organization", Right.OWN),
)
FACTOR_WORDS = {Authenticator.Type.TOTP: "App", Authenticator.Type.WEBAUTHN: "Key"}


@portal_view(Right.VIEW, before_terms=True)
@require_GET
def team(request: PortalRequest) -> HttpResponse:
    """Show people, open invitations and what each role may do."""
    return _page(request, InviteForm())


def _page(request: PortalRequest, form: InviteForm, status: int = 200) -> HttpResponse:
    members = list(Membership.objects.for_org(request.org).select_related("user").order_by("created_at", "pk"))
    factors = _factors([member.user_id for member in members])
    for member in members:
        member.factor = factors.get(member.user_id, "")  # type: ignore[attr-defined]
    context = {
        "members": members,
        "owner_count": sum(member.role == Role.OWNER for member in members),
        "invitations": list(invitations.open_ones(request.org)),
        "roles": [(words, [right in RIGHTS[role] for role in Role.values]) for words, right in ROLE_LINES],
        "form": form,
        "may_change": has_right(request.membership, Right.TEAM),
        "invitation_days": policy.INVITATION_DAYS,
    }
    return render(request, "accounts/team.html", context, status=status)


def _factors(users: list[int]) -> dict[int, str]:
    """Return the word for each person's second factor; who has none is missing."""
    rows = Authenticator.objects.filter(user__in=users, type__in=FACTOR_WORDS).order_by("pk")
    return {row.user_id: FACTOR_WORDS[Authenticator.Type(row.type)] for row in rows}


@portal_view(Right.TEAM)
@require_POST
def team_invite(request: PortalRequest) -> HttpResponse:
    """Invite somebody."""
    form = InviteForm(request.POST)
    if form.is_valid():
        try:
            invitations.invite(request.org, actor=request.user, **form.cleaned_data)
        except AccountsError as error:
            form.add_error("email", str(error))
        else:
            messages.success(request, f"Invitation sent to {form.cleaned_data['email']}.")
            return redirect("team")
    return _page(request, form, status=200)


@portal_view(Right.TEAM)
@require_POST
def invitation_again(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Send an open invitation once more, with a new end."""
    invitation = get_object_for(request, Invitation, uid, accepted_at=None, revoked_at=None)
    try:
        invitations.invite(request.org, email=invitation.email, role=invitation.role, actor=request.user)
        messages.success(request, f"Invitation sent to {invitation.email}.")
    except AccountsError as error:
        messages.error(request, str(error))
    return redirect("team")


@portal_view(Right.TEAM)
@require_POST
def invitation_withdraw(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Withdraw an open invitation."""
    invitation = get_object_for(request, Invitation, uid)
    invitations.withdraw(invitation, actor=request.user)
    messages.success(request, f"The invitation of {invitation.email} is withdrawn.")
    return redirect("team")


def _member(request: PortalRequest, uid: UUID) -> Membership:
    rows = Membership.objects.for_org(request.org).select_related("user", "organization")
    return get_object_or_404(rows, user__uid=uid)


@portal_view(Right.TEAM)
@require_http_methods(["GET", "POST"])
def member_change(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Change a member's role."""
    member = _member(request, uid)
    form = RoleForm(request.POST or None, initial={"role": member.role})
    if request.method == "POST" and form.is_valid():
        try:
            organizations.change_role(member, form.cleaned_data["role"], actor=request.user)
        except AccountsError as error:
            form.add_error("role", str(error))
        else:
            messages.success(request, f"{member.user} is {member.get_role_display().lower()} now.")
            return redirect("team")
    return render(request, "accounts/member.html", {"member": member, "form": form})


@portal_view(Right.OWN)
@require_POST
def member_transfer(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Hand the organization over to a member; the giver stays as manager."""
    member = _member(request, uid)
    try:
        organizations.transfer(request.org, giver=request.membership, taker=member)
        messages.success(request, f"{member.user} owns {request.org.name} now. You are a manager.")
    except AccountsError as error:
        messages.error(request, str(error))
    return redirect("team")


@portal_view(Right.TEAM)
@require_POST
def member_remove(request: PortalRequest, uid: UUID) -> HttpResponse:
    """Remove a member from the team."""
    return _end(request, _member(request, uid))


@portal_view(Right.VIEW, before_terms=True)
@require_POST
def team_leave(request: PortalRequest) -> HttpResponse:
    """Leave the team oneself."""
    return _end(request, _member(request, request.user.uid))


def _end(request: PortalRequest, member: Membership) -> HttpResponse:
    who = "You" if member.user_id == request.user.pk else str(member.user)
    try:
        organizations.remove(member, actor=request.user)
    except AccountsError as error:
        messages.error(request, str(error))
        return redirect("team")
    messages.success(request, f"{who} left {request.org.name}.")
    if who == "You":
        request.session.pop(SESSION_KEY, None)
        return redirect("portal_home")
    return redirect("team")


@require_http_methods(["GET", "POST"])
def invite_accept(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation; POST by the invited person accepts it. A dead link says so without saying why."""
    invitation = invitations.from_token(token)
    if invitation is None:
        return render(request, "accounts/invite_gone.html", status=404)
    user = request.user if request.user.is_authenticated else None
    context = {"invitation": invitation, "fits": user is not None and invitations.is_for(invitation, user)}
    if user is None:
        request.session["invitation"] = token  # sign-up then asks for no organization of its own
        return render(request, "accounts/invite.html", context)
    if request.method == "POST" and context["fits"]:
        try:
            member = invitations.accept(invitation, user)
        except AccountsError:
            return render(request, "accounts/invite_gone.html", status=404)
        request.session[SESSION_KEY] = str(member.organization.uid)
        request.session.pop("invitation", None)
        messages.success(request, f"You are in {member.organization.name} now, as {member.get_role_display().lower()}.")
        return redirect("portal_home")
    return render(request, "accounts/invite.html", context, status=403 if request.method == "POST" else 200)
