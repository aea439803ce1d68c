"""What people are told about a decision: the statement of reasons, the customer's letter and the reporter's letter.

All three are made from one `Draft`, so staff preview exactly what goes. The statement holds every field of Regulation
(EU) 2022/2065 article 17(3); a test keeps it complete. Nothing here names the reporter.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.urls import reverse

from abuse import figures, references
from abuse.models import Case, Complaint, ComplaintSource, Decision, DecisionKind
from accounts.models import Organization, Standing, User
from accounts.notices import send_notice
from accounts.people import members_to_notify
from campaigns.models import Campaign
from compliance import policy, policy_text
from sendserver.lib import words
from sendserver.lib.ratelimit import allow

D = DecisionKind
TEMPLATE: Final = "emails/abuse_letter.txt"
DAY: Final = 86_400  # seconds
APPEALABLE: Final = frozenset({D.WARN, D.SUSPEND_CAMPAIGN, D.SUSPEND, D.BLOCK})
PAST: Final = {
    D.NO_ACTION: "closed a case without action about",
    D.ASK: "asked a question to",
    D.WARN: "warned",
    D.SUSPEND_CAMPAIGN: "suspended a campaign of",
    D.SUSPEND: "suspended",
    D.BLOCK: "blocked",
    D.RESTORE: "restored",
}
SUBJECTS: Final = {
    D.NO_ACTION: "Closed without action",
    D.ASK: "A question about a complaint",
    D.WARN: "Warned",
    D.SUSPEND_CAMPAIGN: "Campaign suspended",
    D.SUSPEND: "Sending suspended",
    D.BLOCK: "Blocked",
    D.RESTORE: "Restored",
}
MEASURES: Final = {
    D.NO_ACTION: "None.",
    D.ASK: "A question. Sending goes on.",
    D.WARN: "Warning. Staff read each campaign before it goes, and the allowance is halved.",
    D.SUSPEND_CAMPAIGN: "This campaign is stopped. Other campaigns may go on.",
    D.SUSPEND: "Sending is stopped. Drafts, lists and figures stay readable.",
    D.BLOCK: "The contract ends and sending is stopped. Your data can be taken out, without suppressed people.",
    D.RESTORE: "Earlier measures end. Sending is possible again.",
}
DURATIONS: Final = {
    D.NO_ACTION: "None.",
    D.ASK: f"Answer within {policy.TENANT_ANSWER_BD} working days.",
    D.WARN: f"Until {policy.CLEAN_CAMPAIGNS} clean campaigns. Counts as a strike for {policy.STRIKE_D} days.",
    D.SUSPEND_CAMPAIGN: "Until staff lift it.",
    D.SUSPEND: f"Until the cause is gone and shown. Counts as a strike for {policy.STRIKE_D} days.",
    D.BLOCK: f"No return for {policy.DENYLIST_MONTHS} months, then a review.",
    D.RESTORE: "From now on.",
}
PENDING_BLOCK: Final = "Sending is stopped now. A block follows when a second person confirms it."
PENDING_RESTORE: Final = "None yet. The block is lifted when a second person confirms it."
REPORTER_WORDS: Final = {
    D.NO_ACTION: "We compared your report with the sender's records and took no action against the sender.",
    D.ASK: "We have asked the sender to explain. Your address was not shared.",
    D.WARN: "We found the cause and warned the sender. Our staff now read each of its campaigns before it goes.",
    D.SUSPEND_CAMPAIGN: "We stopped the campaign that your message belonged to.",
    D.SUSPEND: "We stopped this sender from sending through us.",
    D.BLOCK: "We ended our contract with this sender. It can no longer send through us.",
    D.RESTORE: "The sender has put right what was wrong and may send again. It still cannot write to you.",
}


@dataclass(frozen=True)
class Draft:
    """A decision about to be taken; what the letters and the statement are made from."""

    reference: str
    organization: Organization
    case: Case | None
    kind: str
    rule: str
    reason: str
    must: str
    reporter_words: str
    actor: User
    standing_after: str
    at: datetime
    waits: bool = False


@dataclass(frozen=True)
class Letter:
    """Subject and words of one letter."""

    subject: str
    text: str


def statement(draft: Draft) -> dict[str, str]:
    """Return the statement of reasons; every value is text, since chained records hold no fractions."""
    rule = policy_text.rule(draft.rule)
    return {
        "measure": _measure(draft),
        "scope": _scope(draft),
        "territory": "Worldwide.",
        "duration": DURATIONS[D(draft.kind)],
        "facts": draft.reason,
        "figures": _figures(draft.organization),
        "source": _source(draft.case),
        "automated_detection": "No automatic detection: found and read by people.",
        "automated_decision": "No automatic decision: decided by a person.",
        "rule": rule.number,
        "clause": f"{rule.number} {rule.title}",
        "why": rule.text,
        "law": "Anti-Spam Policy, agreed with the terms; laws named in its chapter 3.",
        "must": draft.must,
        "redress_appeal": _appeal_words(draft),
        "redress_outside": "An out-of-court body for such disputes, where one is competent for you.",
        "redress_court": "You can go to court at any time.",
        "decided_by": f"{draft.actor.get_full_name()}, complaints",
        "decided_at": f"{draft.at:%Y-%m-%d %H:%M} UTC",
        "standing": str(Standing(draft.standing_after).label),
    }


def customer_letter(draft: Draft) -> Letter:
    """Return the letter to the organization: what happened, why, what to do, how to appeal."""
    said = statement(draft)
    subject = f"{SUBJECTS[D(draft.kind)]}: {draft.organization.name}, rule {draft.rule}"
    lines = [
        f"On {draft.at.day} {draft.at:%B %Y at %H:%M} UTC we {PAST[D(draft.kind)]} {draft.organization.name}.",
        f"What we saw: {said['facts']}",
        f"Counted: {said['figures']}",
        f"Rule: {said['clause']}. {settings.BASE_URL}{reverse('anti_spam')}#r{draft.rule.replace('.', '-')}",
        f"Measure: {said['measure']} {said['scope']}",
        f"Until: {said['duration']}",
        f"How found: {said['source']} {said['automated_detection']} {said['automated_decision']}",
        f"What you do: {draft.must}" if draft.must else "",
        _answer_line(draft),
        f"Not content? {said['redress_appeal']} {said['redress_outside']} {said['redress_court']}"
        if draft.kind in APPEALABLE
        else "",
        f"Reference {draft.reference}, case {_case_reference(draft)}. Decided by {said['decided_by']}.",
    ]
    return Letter(subject, "\n\n".join(line for line in lines if line))


def reporter_letter(draft: Draft) -> Letter:
    """Return the words to the people who reported; the same for all of a case, so it names none of them."""
    words_ = REPORTER_WORDS[D(draft.kind)]
    if draft.waits:
        words_ = "We have taken a decision that a second person now reads. Until then this sender sends nothing."
    lines = [
        words_,
        draft.reporter_words,
        "Mail from this sender to you stays stopped."
        if draft.kind not in (D.NO_ACTION, D.ASK)
        else "Whatever stopped for you stays stopped.",
        f"Rule {draft.rule} of our Anti-Spam Policy. If you think we are wrong, add a note to your report, and a "
        "person who did not decide reads it.",
    ]
    return Letter(f"Report {_case_reference(draft)}: decided", "\n\n".join(line for line in lines if line))


def send_letters(decision: Decision, *, waits: bool) -> None:
    """Queue the letters of a decision, inside its transaction: our mail is rows, so none is lost or goes early."""
    draft = draft_of(decision, waits=waits)
    if _tells_customer(decision):
        letter = customer_letter(draft)
        people = members_to_notify(decision.organization, urgent=True)
        send_notice(people, subject=letter.subject, template=TEMPLATE, context={"text": letter.text})
    if decision.kind != D.ASK and not waits and decision.case is not None:
        _tell_reporters(decision.case.complaints.filter(withdrawn_at=None), decision.reporter_letter)


def draft_of(decision: Decision, *, waits: bool = False) -> Draft:
    """Return the draft a stored decision came from."""
    return Draft(
        reference=decision.reference,
        organization=decision.organization,
        case=decision.case,
        kind=decision.kind,
        rule=decision.rule,
        reason=decision.reason,
        must=decision.customer_must,
        reporter_words="",
        actor=decision.actor,
        standing_after=decision.organization.standing,
        at=decision.at,
        waits=waits,
    )


def acknowledge(complaint: Complaint, delivery_address: str) -> bool:
    """Send reference and link to the reporter, only where the message itself went: nobody is bombed through us."""
    if not delivery_address or complaint.reporter_email.lower() != delivery_address.lower():
        return False
    text = (
        f"We have your report {complaint.reference}. A person reads it.\n\n"
        f"Follow it or add something here: {status_url(complaint)}"
    )
    return _mail(complaint.reporter_email, f"Report {complaint.reference}: received", text)


def send_paused(case: Case, what: str, reason: str) -> None:
    """Tell the customer and the person on duty that figures have paused something; no standing has moved."""
    page = f"{settings.BASE_URL}{reverse('abuse_case', args=[case.reference])}"
    text = (
        f"We paused “{what}”. {reason}\n\nThis happened by itself, at a limit of our Anti-Spam Policy, rule 6.3. "
        f"A person looks at it by {case.promised_until:%Y-%m-%d %H:%M} UTC. Your standing has not changed.\n\n"
        f"Tell us what happened: {page}"
    )
    people = [*members_to_notify(case.organization, urgent=True), settings.ONCALL_EMAIL]
    send_notice(people, subject=f"Paused: {what}", template=TEMPLATE, context={"text": text})


def status_url(complaint: Complaint) -> str:
    """Return the private address of a report's status page."""
    path = reverse("abuse_status", args=[complaint.reference])
    return f"{settings.BASE_URL}{path}?k={references.key_of(complaint)}"


def appeal_until(decision: Decision) -> datetime:
    """Return until when a decision can be appealed (APPEAL_OPEN_MONTHS, calendar months)."""
    return _months_after(decision.at)


def _months_after(moment: datetime) -> datetime:
    years, month = divmod(moment.month - 1 + policy.APPEAL_OPEN_MONTHS, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _tell_reporters(complaints: Iterable[Complaint], text: str) -> None:
    for complaint in complaints:
        if complaint.reporter_email and complaint.source != ComplaintSource.FEEDBACK:
            full = f"{text}\n\nYour report {complaint.reference}: {status_url(complaint)}"
            _mail(complaint.reporter_email, f"Report {complaint.reference}: decided", full)


def _mail(address: str, subject: str, text: str) -> bool:
    if not allow("abuse-letter", address.lower(), limit=policy.LETTERS_PER_ADDRESS, seconds=DAY):
        return False
    return bool(send_notice([address], subject=subject, template=TEMPLATE, context={"text": text}))


def _tells_customer(decision: Decision) -> bool:
    """A case that ended without action is told only to a customer who was asked about it."""
    if decision.kind != D.NO_ACTION:
        return True
    return decision.case is not None and decision.case.decisions.filter(kind=D.ASK).exists()


def _measure(draft: Draft) -> str:
    if draft.waits:
        return PENDING_BLOCK if draft.kind == D.BLOCK else PENDING_RESTORE
    return MEASURES[D(draft.kind)]


def _case_reference(draft: Draft) -> str:
    return draft.case.reference if draft.case else draft.reference


def _scope(draft: Draft) -> str:
    campaign_id = draft.case.campaign_id if draft.case else None
    campaign = Campaign.objects.filter(pk=campaign_id).first() if campaign_id else None
    named = f"“{campaign.subject or campaign.name}”" if campaign else ""
    if draft.kind in (D.SUSPEND_CAMPAIGN, D.ASK, D.NO_ACTION):
        return f"Campaign {named}." if named else "This case."
    return "All campaigns and lists of the organization."


def _figures(organization: Organization) -> str:
    counts = figures.of_organization(organization)
    return (
        f"Last {policy.JUDGED_D} days: {words.rate(counts.complaints, counts.base)} complained among "
        f"{words.count(counts.base, 'messages')} accepted and not bounced; "
        f"{words.count(counts.hard_bounces, 'dead addresses', 'dead address')}."
    )


def _source(case: Case | None) -> str:
    count = case.complaints.filter(withdrawn_at=None).count() if case else 0
    if not count:
        return "On our own initiative."
    return f"{words.count(count, 'complaints')} by the people who got the mail or by their mailbox providers."


def _appeal_words(draft: Draft) -> str:
    if draft.kind not in APPEALABLE:
        return "Nothing to appeal."
    until = _months_after(draft.at)
    page = f"{settings.BASE_URL}{reverse('standing')}#appeal"
    return f"Appeal until {until.day} {until:%B %Y}, free of charge: {page} Someone else decides it."


def _answer_line(draft: Draft) -> str:
    if draft.kind != D.ASK:
        return ""
    page = f"{settings.BASE_URL}{reverse('abuse_case', args=[_case_reference(draft)])}"
    return f"Answer within {policy.TENANT_ANSWER_BD} working days: {page}"
