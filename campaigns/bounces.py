# ruff: noqa: E501 (patterns are easier to compare unbroken)
"""What a refusal means: reply codes and words to one of a few classes. Pure; used for replies and for bounce mails.

Order of trust (RFC 3463, rules section 4): the enhanced code of the final recipient, unless the words contradict it;
the words; the basic code. When in doubt the answer is not "hard": a wrongly suppressed person is the worst mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TEXT_LIMIT: Final = 4000  # characters of a diagnostic that are read


class BounceClass(StrEnum):
    """Classes of rules section 4."""

    HARD_RECIPIENT = "hard_recipient"
    HARD_DOMAIN = "hard_domain"
    FULL = "full"
    TRANSIENT = "transient"
    SOFT = "soft"
    BLOCK_REPUTATION = "block_reputation"
    BLOCK_AUTH = "block_auth"
    POLICY_RECIPIENT = "policy_recipient"
    UNKNOWN = "unknown"


HARD: Final = frozenset({BounceClass.HARD_RECIPIENT, BounceClass.HARD_DOMAIN})
BLOCKS: Final = frozenset({BounceClass.BLOCK_REPUTATION, BounceClass.BLOCK_AUTH})


@dataclass(frozen=True)
class Diagnosis:
    """A class with the rule that gave it; stored with the raw text so that rules can be run again."""

    bounce_class: BounceClass
    rule: str


# Enhanced codes that mean one thing wherever they are met (RFC 3463, 7293, 7372, 7505 and large providers' pages).
_BY_CODE: Final[dict[str, BounceClass]] = {
    **dict.fromkeys(
        ("5.1.1", "5.1.3", "5.1.6", "5.2.1", "5.1.10", "5.7.13", "5.7.17", "5.7.18"), BounceClass.HARD_RECIPIENT
    ),
    **dict.fromkeys(("5.4.4", "5.1.2"), BounceClass.HARD_DOMAIN),
    **dict.fromkeys(("4.2.2", "5.2.2"), BounceClass.FULL),
    **dict.fromkeys(("5.2.3", "5.3.4", "4.4.7", "5.4.7", "5.4.6", "5.3.0", "5.3.5", "5.4.1"), BounceClass.SOFT),
    **dict.fromkeys(("5.7.25", "5.7.26", "5.7.27", "5.7.29", "5.7.515"), BounceClass.BLOCK_AUTH),
    **dict.fromkeys(("5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24"), BounceClass.BLOCK_AUTH),
    **dict.fromkeys(("5.7.28", "4.7.28", "5.7.0", "5.7.6", "5.7.7", "5.7.8", "5.7.9"), BounceClass.BLOCK_REPUTATION),
    **dict.fromkeys(("5.7.2", "5.2.4", "5.1.8", "5.1.7", "5.1.351"), BounceClass.POLICY_RECIPIENT),
}

# Words, in the order in which they win: whatever spares the person comes before "hard".
_WORDS: Final[tuple[tuple[str, BounceClass, str], ...]] = (
    (
        "auth",
        BounceClass.BLOCK_AUTH,
        r"unauthenticated|does not (?:meet|pass) (?:the )?authentication|authentication (?:check|requirement)s?\b.{0,40}(?:fail|not met)"
        r"|\b(?:spf|dkim|dmarc)\b.{0,60}(?:fail|reject|not pass|policy|invalid)|(?:fail|reject).{0,40}\b(?:spf|dkim|dmarc)\b"
        r"|sender policy framework|reverse dns|\bptr\b|client host rejected|sender id\b",
    ),
    (
        "full",
        BounceClass.FULL,
        r"over ?quota|quota (?:exceeded|full|violation|limit)|exceed\w* .{0,40}(?:quota|storage|mailbox size)|mail ?box .{0,30}(?:is )?full"
        r"|(?:mailbox|account|inbox|user|recipient)\w*.{0,20}(?:is |are )?(?:over|full\b|exceed)|insufficient (?:system )?storage|disk quota|not enough (?:storage|space)"
        r"|out of (?:storage|disk)|no space left|storage (?:allocation|limit)|(?:boite|buz[oó]n).{0,20}(?:pleine|llen)",
    ),
    (
        "size",
        BounceClass.SOFT,
        r"(?:message|mail|size).{0,40}(?:too (?:big|large|long)|exceed\w* .{0,30}(?:size|limit|maximum))|max\w* message size|message size exceeds|too large",
    ),
    (
        "members",
        BounceClass.POLICY_RECIPIENT,
        r"only (?:members|subscribers)|not (?:a |an )?(?:member|subscriber)|not authori[sz]ed to (?:send|post)|restricted to|moderat"
        r"|sender (?:address )?(?:rejected|denied|not allowed|verify)|not (?:allowed|permitted) to (?:send|post)|challenge|whitelist|recipient preferences",
    ),
    ("greylist", BounceClass.TRANSIENT, r"gr[ea]y-?list"),
    (
        "busy",
        BounceClass.TRANSIENT,
        r"try (?:again )?(?:later|shortly|in )|(?:at a|message) rate\b|name server reply|too many (?:connections|messages|recipients|concurrent)|resources? (?:temporarily )?unavailable|throttl|rate.?limit",
    ),
    (
        "block",
        BounceClass.BLOCK_REPUTATION,
        r"spam|black-?list|block-?list|\brbl\b|dnsbl|black hole|spamhaus|barracuda|spamcop|sorbs|senderscore|proofpoint|cloudmark|trend micro|reputation"
        r"|\bS31[45]0\b|TSS0\d|unsolicited|unusual rate|\bblocked\b|\bbanned\b|virus|malware|phish|suspicious|abus(?:e|ive)|\bcontent\b.{0,30}(?:reject|filter|polic|denied|block|not (?:accept|allow))"
        r"|(?:polic(?:y|ies)).{0,40}(?:reason|violat|reject|restrict)|(?:reject|violat|block|refus|denied).{0,40}polic(?:y|ies)"
        r"|message (?:was |has been )?(?:rejected|refused|blocked|filtered|discarded)|access denied|not accepted|bulk mail|relay(?:ing)? (?:is )?(?:denied|not|access)|unable to relay|bad header|dnswl|poor|listed (?:at|in|by|on)",
    ),
    (
        "domain",
        BounceClass.HARD_DOMAIN,
        r"(?:host|domain)(?: or domain name| name)?(?: is)? (?:unknown|not found|does not exist|doesn'?t exist)|nxdomain|non-?existent domain|no such (?:host|domain)"
        r"|unrout(?:e)?able mail domain|name or service not known|domain .{0,60}(?:does not exist|not found)|unknown (?:host|domain)|(?:null|no) mx\b",
    ),
    (
        "unknown user",
        BounceClass.HARD_RECIPIENT,
        r"(?:user|recipient|mailbox|address|account|addressee|local part|alias)\w* (?:\S+ )?(?:is )?(?:unknown|not found|invalid|unavailable: no|no longer (?:valid|exists?|available|active)|not exist|not known|not recogni[sz]ed|not listed|expired)"
        r"|(?:unknown|invalid|no such|non-?existent|unregistered|undeliverable|bad destination|unrout(?:e)?able) (?:or (?:illegal|invalid) )?(?:\w+ )?(?:user|recipient|mailbox|address|account|local part|addressee|alias|name|destination|person)"
        r"|(?:does|do|did) ?(?:not|n['o]?t) (?:seem to )?(?:exist|have (?:a|an|any) (?:\S+ )?(?:account|mailbox|user)|accept mail for)|doesn'?t exist|no (?:such|mailbox|account|user|recipient)s? (?:here|by|found|with|for|named|in)|no mailbox|not our customer|unknown in (?:virtual|local|relay)"
        r"|isn'?t in (?:our|my|the)|no longer (?:at|with|here|works|on)|(?:account|mailbox|user|address) (?:\S+ )?(?:is |has been |was )?(?:disabled|deactivated|inactive|closed|terminated|deleted|discontinued|suspended)|not a (?:valid|known) (?:user|mailbox|recipient|address)|user_?unknown|couldn'?t find any (?:account|mailbox)|(?:has|have) (?:moved|left)",
    ),
    (
        "temporary",
        BounceClass.TRANSIENT,
        r"temporar|timed? ?out|connection (?:refused|reset|lost|dropped)|unreachable|deferred|server (?:busy|error)|service (?:not available|unavailable)|local (?:error|configuration)|dns",
    ),
)
_GREY: Final = "words: greylist"
_COMPILED: Final = tuple((rule, kind, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for rule, kind, pattern in _WORDS)
_ENHANCED: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_BASIC: Final = re.compile(r"(?<![\d.])([245]\d\d)(?![\d.])[ -]")


def find_enhanced(text: str) -> str:
    """Return the first RFC 3463 code in `text`, empty when there is none."""
    match = _ENHANCED.search(text[:TEXT_LIMIT])
    return match[1] if match else ""


def find_code(text: str) -> int | None:
    """Return the first RFC 5321 reply code in `text`."""
    match = _BASIC.search(text[:TEXT_LIMIT])
    return int(match[1]) if match else None


def diagnose(code: int | None, enhanced: str, text: str) -> Diagnosis:
    """Return what a refusal means; `code` is the basic reply code, `enhanced` the final recipient's, both optional."""
    text = text[:TEXT_LIMIT]
    by_code = _BY_CODE.get(enhanced)
    words = _by_words(text)
    if _is_temporary(code, enhanced):
        return _temporary(by_code, enhanced, words)
    if by_code is not None and (words is None or not _contradicts(by_code, words.bounce_class)):
        return Diagnosis(by_code, enhanced)
    if words is not None and (words.bounce_class not in HARD or _may_condemn(code, enhanced)):
        return words
    return _by_basic(code, enhanced)


def _by_words(text: str) -> Diagnosis | None:
    for rule, kind, pattern in _COMPILED:
        if pattern.search(text):
            return Diagnosis(kind, f"words: {rule}")
    return None


def _is_temporary(code: int | None, enhanced: str) -> bool:
    return enhanced.startswith("4.") or (not enhanced and code is not None and 400 <= code < 500)


def _temporary(by_code: BounceClass | None, enhanced: str, words: Diagnosis | None) -> Diagnosis:
    """A 4xx never says that an address is dead, whatever its words."""
    if by_code is not None:
        return Diagnosis(by_code, enhanced)
    if words is not None and words.bounce_class in (
        BounceClass.FULL,
        BounceClass.BLOCK_REPUTATION,
        BounceClass.BLOCK_AUTH,
    ):
        return words
    waits = words is not None and words.rule == _GREY  # 4.7.1 is what greylisting says; it is asked of everybody
    kind = BounceClass.BLOCK_REPUTATION if enhanced.startswith("4.7.") and not waits else BounceClass.TRANSIENT
    return Diagnosis(kind, enhanced or "4xx")


def _contradicts(by_code: BounceClass, words: BounceClass) -> bool:
    """Tell whether the words take back what the code says: many hosts answer 5.1.1 to whatever they dislike."""
    sparing = {*BLOCKS, BounceClass.FULL, BounceClass.POLICY_RECIPIENT, BounceClass.TRANSIENT, BounceClass.SOFT}
    return by_code in HARD and words in sparing


def _may_condemn(code: int | None, enhanced: str) -> bool:
    """Tell whether words may make it hard: only behind a code that speaks of the address (rules section 4)."""
    return code in (550, 551, 553) or enhanced.startswith(("5.1.", "5.4."))


_SLOWER: Final = re.compile(
    r"unusual rate|rate.?limit|throttl|reputation|TSS0\d|\bS31[45]0\b|unsolicited|too many (?:messages|mails) from",
    re.IGNORECASE,
)
_GREYLIST: Final = re.compile(r"gr[ea]y-?list", re.IGNORECASE)


def asks_to_slow_down(code: int, enhanced: str, text: str) -> bool:
    """Tell whether a provider wants less mail from us for now: a 4xx that says so by code or words, not greylisting.

    A bare 4.7.0 or 4.7.1 may be anything, also our own relay's; it is a matter of the one message.
    """
    if not 400 <= code < 500 or _GREYLIST.search(text):
        return False
    return enhanced == "4.7.28" or _SLOWER.search(text[:TEXT_LIMIT]) is not None


def spare(diagnosis: Diagnosis) -> Diagnosis:
    """Return the class for a refusal behind the message: a server that took RCPT knows the address.

    Filters like to say "user unknown" then; only an enhanced code is believed.
    """
    if diagnosis.bounce_class in HARD and diagnosis.rule.startswith("words"):
        return Diagnosis(BounceClass.POLICY_RECIPIENT, f"{diagnosis.rule}, behind DATA")
    return diagnosis


def _by_basic(code: int | None, enhanced: str) -> Diagnosis:
    if enhanced.startswith("5.7."):
        return Diagnosis(BounceClass.BLOCK_REPUTATION, enhanced)
    if code == 552 or enhanced.startswith("5.2."):
        return Diagnosis(BounceClass.FULL if code == 552 else BounceClass.SOFT, enhanced or "552")
    if code == 554 and not enhanced:
        return Diagnosis(BounceClass.BLOCK_REPUTATION, "554")
    if code is not None or enhanced:
        return Diagnosis(BounceClass.SOFT, enhanced or str(code))
    return Diagnosis(BounceClass.UNKNOWN, "nothing to go by")
