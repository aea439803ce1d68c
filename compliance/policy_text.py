"""The Anti-Spam Policy as data: numbered rules with the ids that notices, checks and decisions cite.

Numbers never change their meaning; a new version adds numbers and raises `VERSION`. `{NAME}` in a text is a constant
of `compliance.policy` or `accounts.policy`, filled in by `rule()` and `sections()`, so a limit stands in one place.
What the page adds to a rule (server table, figures) is named by `extra` and drawn by the template.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any, Final

VERSION: Final = 1
IN_FORCE_SINCE: Final = date(2026, 11, 22)


@dataclass(frozen=True)
class Rule:
    """One numbered rule. `refused` are things that do not count or are not carried, `terms` are `(word, meaning)`."""

    number: str
    title: str
    text: str
    refused: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    extra: str = ""

    @property
    def anchor(self) -> str:
        """Return the id of the rule on the page: "r2-3" for rule 2.3."""
        return "r" + self.number.replace(".", "-")


@dataclass(frozen=True)
class Section:
    """A chapter of the policy; `slug` is its anchor."""

    number: int
    slug: str
    title: str
    rules: tuple[Rule, ...]
    lead: str = ""


_SPAM = Section(
    1,
    "spam",
    "What spam is",
    (
        Rule(
            "1.1",
            "Mail without explicit permission",
            "Spam is any information, solicitation or promotion sent to an e-mail address whose owner has not given "
            "the sender explicit permission. It is also called junk mail. Unsolicited commercial e-mail is spam, most "
            "of all when it is sent in bulk.",
        ),
        Rule(
            "1.2",
            "What counts as explicit permission",
            "The person gave the address to this sender, was told who would write and about what, and said yes by an "
            "act of their own. The sender can name the date, the place and the words that were shown.",
        ),
        Rule(
            "1.3",
            "What does not count",
            "None of these is a yes:",
            refused=(
                "A box that was ticked beforehand, or silence",
                "An address printed on a website, a card or a register",
                "A purchase alone, without a separate yes",
                "“Our partners may write to you”",
                "Permission given to someone else",
            ),
        ),
    ),
)

_LISTS = Section(
    2,
    "lists",
    "Lists",
    (
        Rule(
            "2.1",
            "Prohibited lists",
            "Four kinds of list may not be used, in whole or in part. Mail to them is spam. A customer found sending "
            "it is blocked.",
            terms=(
                ("Purchased", "Bought once, from anyone, at any price, including as part of a company."),
                ("Rented", "Used for a fee or a favour while someone else keeps it."),
                ("Third-party", "Collected by another sender, a partner, an event or a shared sign-up."),
                ("Harvested", "Scraped from pages, guessed, generated or added to from other data."),
            ),
        ),
        Rule(
            "2.2",
            "A signed statement for each list",
            "Before an upload counts, the customer states where the addresses come from and signs it by name. We keep "
            "the statement, its wording and a fingerprint of the file. Nobody can change it afterwards.",
        ),
        Rule(
            "2.3",
            "No mail after a no",
            "People who unsubscribed or complained, and mailboxes that do not exist, stay out. Uploading them again, "
            "under another spelling or on another list, does not bring them back.",
        ),
        Rule(
            "2.4",
            "Proof within {PROOF_DEADLINE_BD} working days",
            "When we ask, the customer shows how and when a named person agreed. Until then the list is paused; "
            "without proof it is closed.",
        ),
        Rule(
            "2.5",
            "Permission fades",
            "We skip people whose permission is older than {IDLE_SKIP_MONTHS} months and who got no mail from the "
            "sender since. Where the person lives in Germany or Austria, or we do not know where, we ask for a sign-up "
            "confirmed by a link.",
        ),
    ),
)

_LAW = Section(
    3,
    "law",
    "The law",
    (
        Rule(
            "3.1",
            "CAN-SPAM Act of 2003 (United States)",
            "True sender and subject, a postal address, a working way out, and nobody mailed after taking it.",
        ),
        Rule(
            "3.2",
            "Laws in force in the user’s country, like CASL",
            "Canada’s Anti-Spam Law asks for permission that the sender can prove, and for full contact details. Other "
            "countries have laws of their own.",
            extra="countries",
        ),
        Rule(
            "3.3",
            "Directive 2000/31/EC (Directive on electronic commerce)",
            "Of the European Parliament and of the Council, 8 June 2000, on legal aspects of information society "
            "services, in particular electronic commerce, in the Internal Market. Commercial mail is recognisable as "
            "such, says on whose behalf it comes, and respects opt-out registers.",
        ),
        Rule(
            "3.4",
            "Directive 2002/58/EC (Directive on privacy and electronic communications)",
            "Of the European Parliament and of the Council, 12 July 2002, concerning the processing of personal data "
            "and the protection of privacy in the electronic communications sector. Consent before marketing mail, a "
            "valid address for saying stop, and no hidden tracking of the reader’s device.",
        ),
    ),
    lead="We carry lawful e-mail marketing only. Each campaign is checked against the law of the sender’s country and "
    "of each person’s country. Where they differ, the stricter one counts.",
)

_MESSAGE = Section(
    4,
    "message",
    "Every message",
    (
        Rule(
            "4.1",
            "True sender",
            "The From address belongs to a domain the customer has proven to own, and names the customer.",
        ),
        Rule(
            "4.2",
            "Honest subject",
            "It says what is inside. No “Re:” without a conversation, no false alarm.",
        ),
        Rule(
            "4.3",
            "Unsubscribe in one step",
            "In the text and in the mail header. It acts within {UNSUB_COMMIT_S} seconds, needs no login, and never "
            "expires.",
        ),
        Rule(
            "4.4",
            "Postal address and contact",
            "Each message shows where the sender can be reached, by post and by reply.",
        ),
        Rule(
            "4.5",
            "Content we do not carry",
            "Whatever the permission, these stay out:",
            refused=(
                "Phishing, malware, forms that ask for passwords",
                "Counterfeits, prescription drugs, weapons, fake documents",
                "Get-rich schemes, pyramid selling, unlicensed finance",
                "Adult services",
                "The sale of address lists",
            ),
        ),
        Rule(
            "4.6",
            "No hidden tracking",
            "Opens are not measured unless that person agreed to it. Clicks are counted per link, not per person.",
        ),
    ),
)

_SERVERS = Section(
    5,
    "servers",
    "Two mail servers",
    (
        Rule(
            "5.1",
            "All mail leaves from two servers",
            "There is no third route. If both are busy, mail waits.",
            extra="servers",
        ),
        Rule(
            "5.2",
            "For providers, reputation, blocklist and anti-spam services",
            "Questions about our sending infrastructure reach a person by e-mail.",
            extra="contact",
        ),
        Rule(
            "5.3",
            "We slow down when told",
            "A temporary refusal makes us wait before we try again. An address that does not exist is not tried again "
            "by that sender.",
        ),
    ),
)

_BEFORE = Section(
    6,
    "before",
    "Before anyone sends",
    (
        Rule(
            "6.1",
            "Every customer is verified",
            "Nobody mails a list before a member of our staff has read who they are, how they collect addresses, and "
            "has seen that they own the domain they send from.",
        ),
        Rule(
            "6.2",
            "Allowance",
            "A new customer starts with {FIRST_ALLOWANCE:,} messages a day. It grows while the figures below stay "
            "good.",
        ),
        Rule(
            "6.3",
            "Figures at which we act",
            "Counted over 7 days and for each campaign, with room for chance in small numbers.",
            extra="figures",
        ),
    ),
)

_COMPLAINTS = Section(
    7,
    "complaints",
    "Complaints and what we do",
    (
        Rule(
            "7.1",
            "Anyone may complain",
            "If you suspect a sender of abusing our service, use the abuse form. You need no account, and the sender "
            "is not told who you are.",
            extra="abuse",
        ),
        Rule(
            "7.2",
            "First we stop it",
            "Mail from that sender to you ends at once. You can also choose never to get mail from us again.",
        ),
        Rule(
            "7.3",
            "Then we look",
            "A person looks within {CASE_FIRST_LOOK_BD} working day and decides within {CASE_DECIDE_D} days. Fraud "
            "and threats are looked at within {URGENT_H} hours. You can follow it under your reference.",
        ),
        Rule(
            "7.4",
            "Warn, suspend or block",
            "What fits the harm, from the first step that stops it:",
            terms=(
                ("Warned", "Staff read each campaign first, half the allowance. Ends after two clean campaigns."),
                ("Suspended", "Nothing is sent. Data stays readable. Ends when the cause is gone and shown."),
                (
                    "Blocked",
                    "The contract ends. Owner, domains and lists may not come back for {DENYLIST_MONTHS} months. A "
                    "second person confirms it.",
                ),
            ),
        ),
        Rule(
            "7.5",
            "Reasons and appeal",
            "Each measure comes with a statement: what we saw, which rule, for how long, and who decided. The customer "
            "can appeal for {APPEAL_OPEN_MONTHS} months. Someone else decides, within {APPEAL_DECIDE_D} days, or "
            "{APPEAL_SUSPENDED_BD} working days while suspended.",
        ),
    ),
    lead="We take several steps to keep abuse to a minimum. Every customer is verified before sending (rule 6.1), and "
    "whoever suspects a sender can tell us.",
)

SECTIONS: Final = (_SPAM, _LISTS, _LAW, _MESSAGE, _SERVERS, _BEFORE, _COMPLAINTS)
INTRODUCTION: Final = (
    "Use of {platform} is subject to this policy, and everyone who sends agrees to it. Whether it was broken, at any "
    "time, is decided by {platform} in its sole discretion, and always with written reasons. We can then warn, suspend "
    "or block the sender in the use of our services."
)


@cache
def _numbers() -> dict[str, Any]:
    """Return the constants that texts may name."""
    from accounts import policy as accounts_policy
    from compliance import policy

    both = {**vars(accounts_policy), **vars(policy)}
    return {name: value for name, value in both.items() if name.isupper()}


def fill(text: str) -> str:
    """Return a text with its numbers; KeyError when it names a constant that does not exist."""
    return text.format_map(_numbers()) if "{" in text else text


def _filled(one: Rule) -> Rule:
    terms = tuple((word, fill(meaning)) for word, meaning in one.terms)
    return replace(one, title=fill(one.title), text=fill(one.text), terms=terms)


def sections() -> tuple[Section, ...]:
    """Return the whole policy with its numbers filled in."""
    return tuple(replace(part, rules=tuple(_filled(one) for one in part.rules)) for part in SECTIONS)


def rule(number: str) -> Rule:
    """Return one rule with its numbers filled in; KeyError for a number that does not exist."""
    for part in SECTIONS:
        for one in part.rules:
            if one.number == number:
                return _filled(one)
    raise KeyError(number)


def rule_choices() -> list[tuple[str, str]]:
    """Return `(number, "2.3 No mail after a no")` of every rule, for decisions that must cite one."""
    return [(one.number, f"{one.number} {one.title}") for part in sections() for one in part.rules]
