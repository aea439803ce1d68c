"""Decisions of staff: what each kind does to a standing, and the one function that takes them.

A decision moves standing, stops or frees campaigns, closes the case, writes the statement and queues both letters in
one transaction: they stand or fall together. Lanes read standing in SQL, so a suspension acts on mail already queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from abuse import cases, measures, notices, references
from abuse.errors import DecisionRefusedError
from abuse.models import Appeal, Case, CaseEntry, CaseState, Decision, DecisionKind
from accounts import audit, standing
from accounts.errors import StandingMovedError
from accounts.ledger import append_chained
from accounts.models import Organization, Standing, User
from compliance import policy, policy_text
from sendserver.lib import clock
from sendserver.lib.states import TransitionRefusedError

D = DecisionKind
ANY: Final = dict.fromkeys(Standing.values, "")  # decided, standing stays
DECIDE: Final = "abuse.change_case"  # the right of both staff groups

# Decision -> standing before -> standing after; "" means it stays. What is missing is refused.
EFFECTS: Final[Mapping[str, Mapping[str, str]]] = {
    D.NO_ACTION: ANY,
    D.ASK: {Standing.UNVERIFIED: "", Standing.GOOD: "", Standing.WARNED: "", Standing.SUSPENDED: ""},
    D.WARN: {Standing.GOOD: Standing.WARNED, Standing.SUSPENDED: Standing.WARNED},
    D.SUSPEND_CAMPAIGN: {Standing.GOOD: "", Standing.WARNED: ""},
    D.SUSPEND: {Standing.GOOD: Standing.SUSPENDED, Standing.WARNED: Standing.SUSPENDED},
    D.BLOCK: {
        Standing.GOOD: Standing.BLOCKED,
        Standing.WARNED: Standing.BLOCKED,
        Standing.SUSPENDED: Standing.BLOCKED,
    },
    D.RESTORE: {
        Standing.WARNED: Standing.GOOD,
        Standing.SUSPENDED: Standing.GOOD,
        Standing.BLOCKED: Standing.GOOD,
    },
}
# Until a second person confirms: a block is a suspension, a lifted block stays a block (architecture, Decisions).
MEANWHILE: Final[Mapping[str, Mapping[str, str]]] = {
    D.BLOCK: {Standing.GOOD: Standing.SUSPENDED, Standing.WARNED: Standing.SUSPENDED, Standing.SUSPENDED: ""},
    D.RESTORE: {Standing.BLOCKED: ""},
}
STRIKES: Final = frozenset({D.WARN, D.SUSPEND, D.BLOCK})
OPEN_AFTER: Final[Mapping[str, str]] = {D.ASK: CaseState.ASKED}  # every other kind closes the case


@dataclass(frozen=True)
class DecisionRequest:
    """What a member of staff decides. `rule` is a number of the Anti-Spam Policy such as "2.3"."""

    case: Case
    kind: str
    actor: User
    rule: str
    reason: str
    customer_must: str = ""
    reporter_words: str = ""
    confirms: Decision | None = None
    restore_to: str = Standing.GOOD  # an appeal restores what was before
    evidence: Mapping[str, Any] = field(default_factory=dict)


def may_moderate(user: User) -> bool:
    """Tell whether a person may decide cases."""
    return user.is_active and user.is_staff and user.has_perm(DECIDE)


def needs_second(kind: str, source: str) -> bool:
    """Tell whether a decision waits for a second person; REQUIRE_SECOND_PERSON=off makes one enough."""
    return settings.REQUIRE_SECOND_PERSON and source in MEANWHILE.get(kind, {})


def target_of(kind: str, source: str, *, confirmed: bool) -> str:
    """Return the standing a decision leads to ("" for no move); raises DecisionRefusedError when it does not fit."""
    table = EFFECTS if confirmed or not needs_second(kind, source) else MEANWHILE
    effect = table.get(kind, {})
    if source not in effect:
        raise DecisionRefusedError(f"“{D(kind).label}” does not fit an organization that is {Standing(source).label}.")
    return effect[source]


def pending(case: Case) -> Decision | None:
    """Return the decision of this case that waits for a second person."""
    if case.state != CaseState.CONFIRM:
        return None
    return case.decisions.filter(kind__in=(D.BLOCK, D.RESTORE), confirms=None).order_by("-pk").first()


def apply_decision(request: DecisionRequest) -> Decision:
    """Take a decision and return it: standing, campaigns, case, statement and letters in one transaction.

    Raises DecisionRefusedError, CaseTakenError, TransitionRefusedError or StandingMovedError; nothing has changed then.
    """
    try:
        with transaction.atomic():
            return _apply(_reread(request))
    except IntegrityError as error:
        if "case_open_once" not in str(error):
            raise
        raise DecisionRefusedError("Another case about the same is open. Decide there.") from error


def refuse_second(case: Case, actor: User, reason: str) -> None:
    """Let the second person say no: the case opens again, and the standing stays as it is until someone decides."""
    waiting = pending(case)
    if waiting is None:
        raise DecisionRefusedError("Nothing waits for a second person here.")
    _check_person(actor, case.organization)
    if waiting.actor_id == actor.pk:
        raise DecisionRefusedError("A second person answers this. You decided it.")
    if not reason.strip():
        raise DecisionRefusedError("Say why you do not agree.")
    with transaction.atomic():
        cases.move(case, CaseState.OPEN, actor=actor, reason=reason)
        cases.add_entry(case, CaseEntry.Kind.NOTE, f"Not confirmed: {reason.strip()}", actor=actor)


def _reread(request: DecisionRequest) -> DecisionRequest:
    """Return the request over rows locked for this transaction, so that two decisions cannot cross."""
    Organization.objects.select_for_update().get(pk=request.case.organization_id)
    case = Case.objects.select_for_update(of=("self",)).select_related("organization").get(pk=request.case.pk)
    return DecisionRequest(**{**vars(request), "case": case})


def _apply(request: DecisionRequest) -> Decision:
    _check(request)
    case, organization = request.case, request.case.organization
    source = organization.standing
    confirmed = request.confirms is not None
    target = target_of(request.kind, source, confirmed=confirmed)
    waits = needs_second(request.kind, source) and not confirmed
    if target and request.kind == D.RESTORE:
        target = request.restore_to
    decision = _write(request, target or source, waits=waits)
    if target and target != source:
        _move_standing(request, target, decision)
    measures.apply(request.kind, case, request.actor, decision, waits=waits)
    _move_case(request, decision, waits=waits)
    _entry(request, waits=waits)
    notices.send_letters(decision, waits=waits)
    _audit(request, decision, source, target, waits=waits)
    return decision


def _check(request: DecisionRequest) -> None:
    _check_person(request.actor, request.case.organization)
    if request.case.state == CaseState.DECIDED and request.kind != D.RESTORE:
        raise DecisionRefusedError("Someone decided this case first. Look at the decision.")
    if not request.reason.strip():
        raise DecisionRefusedError("Say what you saw: the statement of reasons needs it.")
    try:
        policy_text.rule(request.rule)
    except KeyError as error:
        raise DecisionRefusedError("Choose a rule of the Anti-Spam Policy.") from error
    waiting = pending(request.case)
    if request.confirms is None:
        if waiting is not None:
            raise DecisionRefusedError("A decision waits here for a second person.")
        cases.require_hold(request.case, request.actor)
    elif waiting is None or waiting.pk != request.confirms.pk or waiting.kind != request.kind:
        raise DecisionRefusedError("There is nothing here to confirm.")
    elif waiting.actor_id == request.actor.pk:
        raise DecisionRefusedError("A second person confirms this. You decided it.")
    elif Appeal.objects.filter(decision=waiting, decided_by=request.actor).exists():
        raise DecisionRefusedError("You answered the appeal against this. Someone else confirms it.")


def _check_person(actor: User, organization: Organization) -> None:
    if not may_moderate(actor):
        raise DecisionRefusedError("You may not decide cases.")
    if organization.memberships.filter(user=actor).exists():
        raise DecisionRefusedError("You are a member of this organization. Someone else decides.")


def _write(request: DecisionRequest, standing_after: str, *, waits: bool) -> Decision:
    at = clock.now()
    reference = references.new("DN")
    draft = notices.Draft(
        reference=reference,
        organization=request.case.organization,
        case=request.case,
        kind=request.kind,
        rule=request.rule,
        reason=request.reason.strip(),
        must=request.customer_must.strip(),
        reporter_words=request.reporter_words.strip(),
        actor=request.actor,
        standing_after=standing_after,
        at=at,
        waits=waits,
    )
    return append_chained(
        Decision,
        {
            "reference": reference,
            "case_id": request.case.pk,
            "organization_id": request.case.organization_id,
            "kind": request.kind,
            "actor_id": request.actor.pk,
            "confirms_id": request.confirms.pk if request.confirms else None,
            "rule": request.rule,
            "reason": draft.reason,
            "customer_must": draft.must,
            "evidence": dict(request.evidence),
            "statement": notices.statement(draft),
            "reporter_letter": notices.reporter_letter(draft).text,
            "at": at,
        },
    )


def _move_standing(request: DecisionRequest, target: str, decision: Decision) -> None:
    try:
        standing.move(
            request.case.organization,
            target,
            actor=request.actor,
            reason=request.reason.strip(),
            decision_ref=decision.reference,
        )
    except (StandingMovedError, TransitionRefusedError) as error:
        raise DecisionRefusedError("The standing changed meanwhile. Look at the case again.") from error


def _move_case(request: DecisionRequest, decision: Decision, *, waits: bool) -> None:
    case, now = request.case, decision.at
    fields: dict[str, Any]
    if waits:
        target, fields = CaseState.CONFIRM, {"promised_until": cases.promised_from(now, urgent=False)}
    elif request.kind in OPEN_AFTER:
        until = clock.business_days_after(now, policy.TENANT_ANSWER_BD)
        target, fields = CaseState.ASKED, {"answer_until": until}
    else:
        target, fields = CaseState.DECIDED, {"decided_at": now}
    fields |= {"claimed_by": None, "claimed_at": None} if target != CaseState.ASKED else {}
    if case.state == target:
        Case.objects.filter(pk=case.pk).update(**fields)
        return
    cases.move(case, target, actor=request.actor, reason=f"{D(request.kind).label} {decision.reference}", **fields)


def _entry(request: DecisionRequest, *, waits: bool) -> None:
    if request.kind == D.ASK:
        question = request.customer_must.strip() or request.reason.strip()
        kind, text, told = CaseEntry.Kind.QUESTION, question, True
    else:
        text = f"{D(request.kind).label}, rule {request.rule}."
        kind, text, told = CaseEntry.Kind.DECISION, text + (" Waits for a second person." if waits else ""), not waits
    cases.add_entry(request.case, kind, text, actor=request.actor, visible_to_customer=True, visible_to_reporter=told)


def _audit(request: DecisionRequest, decision: Decision, source: str, target: str, *, waits: bool) -> None:
    audit.record(
        "decision.taken",
        actor=request.actor,
        organization=request.case.organization,
        subject=f"decision:{decision.reference}",
        reason=request.reason.strip(),
        detail={
            "kind": str(request.kind),
            "case": request.case.reference,
            "from": str(source),
            "to": str(target or source),
            "waits": waits,
            "second_person": bool(settings.REQUIRE_SECOND_PERSON),
            "confirms": request.confirms.reference if request.confirms else "",
        },
    )
