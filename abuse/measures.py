"""What a decision does to campaigns beside the standing: brakes set and lifted, drafts sent back."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from abuse import cases
from abuse.errors import DecisionRefusedError
from abuse.models import Case, CaseEntry, Decision, DecisionKind
from accounts import denylist
from accounts.models import BusinessProfile, DenyEntry, Organization, User
from accounts.people import owners
from campaigns import approve, brakes
from campaigns.models import Brake, Campaign, CampaignState

# Brakes that staff lift by restoring; faults of relays and restored databases are not theirs.
OURS = (Brake.Kind.STAFF, Brake.Kind.COMPLAINTS, Brake.Kind.BOUNCES)


def apply(kind: str, case: Case, actor: User, decision: Decision, *, waits: bool) -> None:
    """Do to campaigns what the decision asks for; `waits` is a block or restoration not confirmed yet."""
    if kind == DecisionKind.SUSPEND_CAMPAIGN:
        _stop_campaign(case, actor, decision)
    elif kind == DecisionKind.WARN:
        _hold_scheduled(case, actor)
        # The person's answer takes the place of the automatic stop; a stopped campaign stays stopped.
        _lift(_of_organization(case), actor, f"Warned by {decision.reference}")
    elif kind == DecisionKind.RESTORE and not waits:
        lift_all(case.organization, actor, f"Restored by {decision.reference}")
        denylist.lift(case.organization)
    elif kind == DecisionKind.NO_ACTION:
        rows = Brake.objects.filter(campaign_id=case.campaign_id) if case.campaign_id else _of_organization(case)
        _lift(rows, actor, f"No action, {decision.reference}")
    elif kind == DecisionKind.BLOCK and not waits:
        _keep_out(case.organization, decision)


def _of_organization(case: Case) -> QuerySet[Brake]:
    return Brake.objects.filter(organization=case.organization, campaign=None)


def _stop_campaign(case: Case, actor: User, decision: Decision) -> None:
    campaign = Campaign.objects.for_org(case.organization).filter(pk=case.campaign_id or 0).first()
    if campaign is None:
        raise DecisionRefusedError("This case names no campaign to suspend.")
    reason = f"Suspended by decision {decision.reference}"
    brakes.set_brake(Brake.Kind.STAFF, reason, campaign=campaign, actor=actor)


def _hold_scheduled(case: Case, actor: User) -> None:
    """Send scheduled campaigns back to draft: a warned sender's mail is read by staff before it goes."""
    for campaign in Campaign.objects.for_org(case.organization).filter(state=CampaignState.SCHEDULED):
        approve.take_back(campaign, actor=actor)
        words = f"“{campaign.name}” went back to draft. Send it again, and our staff read it first."
        cases.add_entry(case, CaseEntry.Kind.NOTE, words, visible_to_customer=True)


def lift_all(organization: Organization, actor: User, reason: str) -> None:
    """Lift the brakes on an organization and its campaigns that decisions and rates have set."""
    _lift(Brake.objects.filter(Q(organization=organization) | Q(campaign__organization=organization)), actor, reason)


def _keep_out(organization: Organization, decision: Decision) -> None:
    """Remember owners, proven domains and register number of a blocked customer, as keyed hashes.

    A domain that was only claimed is left out: else a customer to be blocked could take anybody's domain along.
    """
    reason = f"Blocked by {decision.reference}"
    kept = [(DenyEntry.Kind.ADDRESS, owner.email) for owner in owners(organization)]
    proven = organization.domains.filter(verified_at__isnull=False)
    kept += [(DenyEntry.Kind.DOMAIN, name) for name in proven.values_list("name", flat=True).distinct()]
    profile = BusinessProfile.objects.filter(organization=organization).first()
    if profile and profile.register_number:
        kept.append((DenyEntry.Kind.REGISTER, profile.register_number))
    for kind, value in kept:
        denylist.deny(kind, value, reason=reason, organization=organization)


def free_campaign(decision: Decision, actor: User) -> None:
    """Lift what a decision set on the campaign of its case."""
    if decision.case is not None and decision.case.campaign_id:
        rows = Brake.objects.filter(campaign_id=decision.case.campaign_id)
        _lift(rows, actor, f"Reversed: {decision.reference}")


def _lift(rows: QuerySet[Brake], actor: User, reason: str) -> None:
    for brake in rows.filter(lifted_at=None, kind__in=OURS):
        brakes.lift(brake, actor=actor, reason=reason)
