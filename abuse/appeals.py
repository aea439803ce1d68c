"""Appeals: the customer asks another person to look at a decision; a reversal restores what was before.

One appeal for each decision, open APPEAL_OPEN_MONTHS, free, and never decided by whoever decided or confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.http import HttpResponse

from abuse import cases, measures, moderation, notices
from abuse.errors import AppealRefusedError
from abuse.models import Appeal, AppealFile, Case, CaseState, Decision, DecisionKind
from accounts import audit
from accounts.models import Organization, Standing, StandingChange, User
from accounts.notices import send_notice
from accounts.people import members_to_notify
from compliance import policy, sealed_files
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError, require

S = Appeal.State
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    S.OPEN: frozenset({S.UPHELD, S.REVERSED}),
    S.UPHELD: frozenset(),
    S.REVERSED: frozenset(),
}
ROOM: Final = "appeals"
Handed = tuple[str, bytes]  # name and bytes of a file, looked at by the form
STOPPED: Final = (Standing.SUSPENDED, Standing.BLOCKED)


def can_appeal(decision: Decision) -> bool:
    """Tell whether a decision can still be appealed."""
    if decision.kind not in notices.APPEALABLE or decision.confirms_id is not None:
        return False
    return clock.now() <= notices.appeal_until(decision) and not Appeal.objects.filter(decision=decision).exists()


def promised_until(organization: Organization) -> datetime:
    """Return when an appeal made now is answered at the latest; sooner for those who cannot send meanwhile."""
    now = clock.now()
    if organization.standing in STOPPED:
        return clock.business_days_after(now, policy.APPEAL_SUSPENDED_BD)
    return now + timedelta(days=policy.APPEAL_DECIDE_D)


def make(decision: Decision, *, user: User, ground: str, text: str, files: Sequence[Handed] = ()) -> Appeal:
    """Keep an appeal with its files and return it; raises AppealRefusedError when it is late, doubled or empty."""
    if not text.strip():
        raise AppealRefusedError("Say what we got wrong, or what we did not know.")
    if not can_appeal(decision):
        raise AppealRefusedError("This decision cannot be appealed any more. You can go to court.")
    try:
        with transaction.atomic():
            appeal = Appeal.objects.create(
                decision=decision,
                organization=decision.organization,
                ground=ground,
                text=text.strip()[:8000],
                made_by=user,
                made_at=clock.now(),
                promised_until=promised_until(decision.organization),
            )
            _keep_files(appeal, files)
            _tell(appeal, "We have your appeal", _received_words(appeal), only=user)
            _audit("appeal.made", appeal, user, "")
            return appeal
    except IntegrityError as error:
        raise AppealRefusedError("You have appealed this decision already.") from error


def _keep_files(appeal: Appeal, files: Sequence[Handed]) -> None:
    if len(files) > policy.EVIDENCE_FILES:
        raise AppealRefusedError(f"Up to {policy.EVIDENCE_FILES} files can be added.")
    for name, data in files:
        fields = {"name": sealed_files.name_of(name), "kind": sealed_files.kind_of(data), "size": len(data)}
        digest = sealed_files.keep(ROOM, data)
        AppealFile.objects.get_or_create(appeal=appeal, sha256=digest, defaults=fields)


def download(row: AppealFile) -> HttpResponse:
    """Return a file of an appeal as a download that no browser opens by itself."""
    data = sealed_files.read(ROOM, bytes(row.sha256))
    return sealed_files.as_download(data, f"appeal-{row.pk}.{row.kind}")


def may_decide(appeal: Appeal, user: User) -> bool:
    """Tell whether a person may decide an appeal: staff, not of the organization, and nobody who decided before."""
    if not moderation.may_moderate(user):
        return False
    if appeal.organization.memberships.filter(user=user).exists():
        return False
    decided = Decision.objects.filter(pk=appeal.decision_id) | Decision.objects.filter(confirms_id=appeal.decision_id)
    return not decided.filter(actor=user).exists()


def decide(appeal: Appeal, *, actor: User, reverse: bool, reason: str) -> Appeal:
    """Uphold or reverse; raises AppealRefusedError for the wrong person, no reason, or when somebody was first.

    A reversal restores the standing from before, frees the campaign and takes the strike away. Lifting a block still
    waits for a second person.
    """
    if not may_decide(appeal, actor):
        raise AppealRefusedError("Someone who did not decide before reads this appeal.")
    if not reason.strip():
        raise AppealRefusedError("Say why.")
    target = S.REVERSED if reverse else S.UPHELD
    with transaction.atomic():
        _move(appeal, target, actor, reason.strip())
        if reverse:
            _reverse(appeal, actor, reason.strip())
        subject = "Your appeal: decision reversed" if reverse else "Your appeal: decision stands"
        _tell(appeal, subject, _decided_words(appeal))
        _audit("appeal.decided", appeal, actor, reason.strip())
    return appeal


def _move(appeal: Appeal, target: str, actor: User, reason: str) -> None:
    try:
        require(TRANSITIONS, appeal.state, target)
    except TransitionRefusedError as error:
        raise AppealRefusedError("This appeal is decided.") from error
    fields = {"state": target, "decided_by": actor, "decided_at": clock.now(), "reason": reason[:8000]}
    if not Appeal.objects.filter(pk=appeal.pk, state=S.OPEN).update(**fields):
        raise AppealRefusedError("Someone decided this appeal first.")
    for name, value in fields.items():
        setattr(appeal, name, value)


def _reverse(appeal: Appeal, actor: User, reason: str) -> None:
    decision = appeal.decision
    if decision.kind == DecisionKind.SUSPEND_CAMPAIGN:
        measures.free_campaign(decision, actor)
        return
    organization = Organization.objects.get(pk=appeal.organization_id)
    changes = StandingChange.objects.filter(decision_ref__in=_references(decision)).order_by("pk")
    first, last = changes.first(), changes.last()
    # A later decision may have moved the standing on; that one has its own appeal.
    if first is None or last is None or organization.standing != last.target or decision.case is None:
        return
    before = Standing.GOOD if organization.standing == Standing.BLOCKED else first.source
    if before != organization.standing:
        _restore(decision, actor, reason, before)


def _restore(decision: Decision, actor: User, reason: str, before: str) -> None:
    case = Case.objects.filter(pk=decision.case_id or 0).first()
    if case is None:
        return
    if case.state == CaseState.CONFIRM:  # a block that waits for a second person: this is its answer
        cases.move(case, CaseState.OPEN, actor=actor, reason=f"Appeal against {decision.reference}")
    moderation.apply_decision(
        moderation.DecisionRequest(
            case=case,
            kind=DecisionKind.RESTORE,
            actor=actor,
            rule=decision.rule,
            reason=f"Appeal against {decision.reference}: {reason}",
            restore_to=before,
        )
    )


def _references(decision: Decision) -> list[str]:
    confirming = Decision.objects.filter(confirms=decision).values_list("reference", flat=True)
    return [decision.reference, *confirming]


def _tell(appeal: Appeal, subject: str, text: str, only: User | None = None) -> None:
    people = [only] if only else members_to_notify(appeal.organization, urgent=True)
    send_notice(people, subject=subject, template=notices.TEMPLATE, context={"text": text})


def _received_words(appeal: Appeal) -> str:
    return (
        f"We have your appeal against {appeal.decision.reference}. Someone who did not decide reads it, at the latest "
        f"on {appeal.promised_until:%d %B %Y}. The decision stays until then; appealing never makes it worse.\n\n"
        f"What you wrote:\n\n{appeal.text}{_files_words(appeal)}"
    )


def _files_words(appeal: Appeal) -> str:
    names = list(appeal.files.order_by("pk").values_list("name", flat=True))
    return f"\n\nFiles with it: {', '.join(names)}" if names else ""


def _decided_words(appeal: Appeal) -> str:
    result = (
        "The decision is reversed and its strike is gone." if appeal.state == S.REVERSED else "The decision stands."
    )
    return f"Your appeal against {appeal.decision.reference} is decided. {result}\n\nWhy: {appeal.reason}"


def _audit(action: str, appeal: Appeal, actor: User, reason: str) -> None:
    audit.record(
        action,
        actor=actor,
        organization=appeal.organization,
        subject=f"appeal:{appeal.uid}",
        reason=reason,
        detail={"decision": appeal.decision.reference, "state": str(appeal.state)},
    )
