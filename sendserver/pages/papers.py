"""Terms, data-processing agreement and the retention table: texts as data, numbers from the policy modules.

The versions that people accept stand in `accounts.policy`; a changed text must raise its version there, and the text
as it was moves to OLD, where its acceptances lead to. A test holds each published text to its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from accounts import policy as accounts_policy
from compliance import policy

SINCE: Final = date(2026, 11, 22)
PRIVACY_VERSION: Final = "1"


@dataclass(frozen=True)
class Part:
    """A chapter: paragraphs, then points."""

    slug: str
    title: str
    texts: tuple[str, ...]
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paper:
    """A document that customers accept by version."""

    slug: str
    title: str
    lead: str
    version: str
    since: date
    parts: tuple[Part, ...]


TERMS: Final = Paper(
    "terms",
    "Terms",
    "What we owe you and what you owe us, as a customer who sends through us.",
    accounts_policy.TERMS_VERSION,
    SINCE,
    (
        Part(
            "service",
            "The service",
            (
                "We carry your e-mail to people who asked you for it. It leaves from our two mail servers, "
                "and no other "
                "way exists. We show you what our servers answered; whether somebody reads a message is not ours to "
                "promise.",
            ),
        ),
        Part(
            "you",
            "What you promise",
            ("You are who you say you are, and you may sign for the organization you registered.",),
            (
                "You mail only people who gave you explicit permission, and can show how and when",
                "You use no purchased, rented, third-party or harvested list",
                "You keep to our Anti-Spam Policy, which is part of these terms",
                "You keep your password and second factor to yourself, and every member of your team has "
                "an own account",
                "You tell us when your name, address or responsible person changes",
            ),
        ),
        Part(
            "verification",
            "Verification and allowance",
            (
                "Nothing goes out before our staff have verified you. Afterwards you have a daily allowance. It grows "
                "and shrinks with the figures that the Anti-Spam Policy publishes.",
            ),
        ),
        Part(
            "measures",
            "When a rule is broken",
            (
                "We decide at our own discretion, always with written reasons, whether the policy was broken. We can "
                "warn, suspend or block you. Each measure names the facts, the rule, its length and who decided.",
                f"You can appeal for {policy.APPEAL_OPEN_MONTHS} months. Somebody else decides, within "
                f"{policy.APPEAL_DECIDE_D} days. The courts stay open to you.",
                f"We end the contract with {policy.TERMINATION_NOTICE_D} days' notice. For fraud, a bought "
                f"or harvested "
                "list, a false statement, mail to people who said no, or a second account after a block we need not "
                "wait.",
            ),
        ),
        Part(
            "data",
            "Data",
            (
                "For the people on your lists you decide and we act on your instructions; the "
                "data-processing agreement "
                "says how. You can take your data with you at any time, and close your organization yourself.",
            ),
        ),
        Part(
            "end",
            "Ending it",
            (
                "You can leave at any time. Statements you signed, decisions and the do-not-mail list stay "
                "as long as the "
                "Privacy Policy says, because other people rely on them.",
            ),
        ),
        Part(
            "changes",
            "Changes",
            (
                "A new version gets a new number and a date. We write to you before it applies and ask you "
                "to accept it.",
            ),
        ),
    ),
)

PROCESSING: Final = Paper(
    "dpa",
    "Data-processing agreement",
    "How we handle the personal data of the people on your lists (GDPR article 28).",
    accounts_policy.DPA_VERSION,
    SINCE,
    (
        Part(
            "subject",
            "Subject, length and kind of data",
            (
                "We store your lists, check them, send your messages, and record what comes back, for as "
                "long as you are "
                "our customer.",
            ),
            (
                "People: those on the lists you upload or collect through us",
                "Data: e-mail address, name, country, further columns you choose, consent record, messages "
                "sent, answers "
                "of mail servers, unsubscribes and complaints",
                "Not allowed: data of special categories (GDPR article 9)",
            ),
        ),
        Part(
            "instructions",
            "Your instructions",
            (
                "We act on what you order in the portal and in this agreement. We tell you when an order "
                "would break data "
                "protection law. For complaints, our do-not-mail list and the safety of the service we "
                "decide ourselves.",
            ),
        ),
        Part(
            "secrecy",
            "Secrecy and safety",
            ("People who work with the data are bound to secrecy. We protect it by these measures:",),
            (
                "Each organization sees its own rows only; a test holds that for every page",
                "Passwords are stored as slow hashes, second factors and keys are sealed",
                "Every act of staff and members is written to a log that cannot be changed afterwards",
                "Connections are encrypted, and the two mail servers are ours",
            ),
        ),
        Part(
            "others",
            "Others who help us",
            ("None. Should that change, we tell you 30 days before and you may object.",),
        ),
        Part(
            "help",
            "Helping you with rights and duties",
            (
                "Each message carries links to unsubscribe, to see why it came, and to complain. You can "
                "find, correct, "
                "export and remove a person in the portal. After a breach we tell you without delay, at "
                "the latest within "
                "48 hours of knowing it.",
            ),
        ),
        Part(
            "audit",
            "Checks",
            (
                "We answer your questions about these measures, and let you or an auditor check them after "
                "agreeing a date.",
            ),
        ),
        Part(
            "end",
            "At the end",
            (
                "We delete or hand back your data, except what law or the rights of others oblige us to "
                "keep. The Privacy "
                "Policy lists what and for how long.",
            ),
        ),
    ),
)


# Papers as they were in earlier versions, oldest first; nothing leaves this table.
OLD: Final[tuple[Paper, ...]] = ()


def published() -> dict[tuple[str, str], Paper]:
    """Return every paper that could ever be accepted, by slug and version."""
    return {(paper.slug, paper.version): paper for paper in (*OLD, TERMS, PROCESSING)}


def kept() -> list[tuple[str, str, str]]:
    """Return what is kept, why and for how long; the lengths are those that retention applies."""
    return [
        (
            "Consent records, signed statements",
            "To prove that you agreed",
            f"{policy.RET_EVIDENCE_Y} years after last use",
        ),
        ("Which message went to whom", "Reports, bounces, complaints", f"{policy.RET_SENDLOG_MONTHS} months"),
        ("Mail that came back to us", "To read bounces and complaints", f"{policy.RET_RAW_D} days"),
        ("Server logs", "To find faults and abuse", f"{policy.RET_SMTP_D} days"),
        ("Complaints and decisions", "To answer appeals", f"{policy.RET_CASE_Y} years after closing"),
        ("Your “never again”", "So that nobody mails you again", "For good, as a keyed fingerprint only"),
    ]
