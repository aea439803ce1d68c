"""The subject says what is inside."""

from __future__ import annotations

import re

from compliance.gate import BLOCK, HOLD, Proposal
from compliance.rules import Finding, fine, rule

FAKE_REPLY = re.compile(r"^\s*(re|fwd?|aw|wg|tr|sv|vs|rif|r)\s*(\[\d+\])?\s*[:：]", re.IGNORECASE)
TRANSACTION = re.compile(
    r"\b(invoice|receipt|your order|order confirm\w*|parcel|delivery failed|password"
    r"|account (is )?(suspended|locked|closed)"
    r"|verify your account|security alert|payment (failed|due)|unpaid|final notice|rechnung|mahnung|paket|kennwort"
    r"|passwort|konto gesperrt|facture|colis|mot de passe|fattura|pacco)\b",
    re.IGNORECASE,
)
URGENT = re.compile(
    r"\b(last chance|today only|ends (today|tonight|soon)|final (hours|day)|only \d+ (left|hours)|hurry|expires?"
    r"|letzte chance|nur heute|dernière chance|ultima occasione)\b",
    re.IGNORECASE,
)
EXPLICIT = re.compile(r"sexually.explicit", re.IGNORECASE)


@rule(
    "SUBJ-TRUTH",
    version=1,
    label="Honest subject",
    source="15 U.S.C. 7704(a)(2) (unconfirmed); RCW 19.190.020(1)(b) [P]; Brown v. Old Navy (Wash. 2025) [S]",
    duty="No reply or alarm that is none; what is said to end has an end.",
    policy_rule="4.2",
    order=20,
)
def judge(proposal: Proposal) -> Finding:
    """Judge the subject's words; 15 U.S.C. 7704(a)(2) (unconfirmed), RCW 19.190.020(1)(b) [P]."""
    subject = proposal.subject.strip()
    if not subject:
        return Finding(BLOCK, "Write a subject.", {})
    if FAKE_REPLY.search(subject):
        return Finding(BLOCK, "The subject begins like an answer to a conversation. Remove “Re:” or “Fwd:”.", {})
    if TRANSACTION.search(subject):
        text = "The subject reads like a bill or an alarm. Say what the message offers, or our staff looks first."
        return Finding(HOLD, text, {"word": TRANSACTION.search(subject)[0]})  # type: ignore[index]
    return _urgent(proposal, subject)


def _urgent(proposal: Proposal, subject: str) -> Finding:
    if not URGENT.search(subject):
        return fine("It says what is inside.")
    if proposal.offer_ends_at is None:
        text = "The subject says that something ends. Enter the day the offer ends, or our staff looks first."
        return Finding(HOLD, text, {})
    if proposal.offer_ends_at < proposal.now.date():
        return Finding(BLOCK, "The offer has ended already. Change the subject or the day.", {})
    return fine("The offer has an end.", ends=proposal.offer_ends_at.isoformat())
