"""What the consent step asks and what its answers mean; they are kept with the upload and signed into its statement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, Final

from compliance import background, countries, policy
from compliance.errors import ImportRefusedError
from compliance.imports.columns import plan_of
from compliance.imports.rows import CUSTOMERS, Claim
from compliance.models import ImportJob
from compliance.models.lists import ConsentBasis
from compliance.questions import PROHIBITED, SOFT, STATEMENTS


@dataclass(frozen=True)
class Source:
    """One way in which people came onto a list; `basis` is what it is worth, `short` names it in a record."""

    label: str
    hint: str
    short: str
    basis: str


FORBIDDEN: Final = "forbidden"
SOURCES: Final[dict[str, Source]] = {
    "website_form": Source(
        "A sign-up form on our website",
        "They ticked a box or entered an address to get your e-mails",
        "A sign-up form on the website",
        ConsentBasis.EXPRESS_SOI,
    ),
    "checkout": Source(
        "A box at our checkout",
        "Empty until they ticked it. A purchase alone is not a yes",
        "A box at the checkout, empty until ticked",
        ConsentBasis.EXPRESS_SOI,
    ),
    "paper": Source(
        "A form on paper or at an event",
        "You have the sheets or the export",
        "A form on paper or at an own event",
        ConsentBasis.EXPRESS_WRITTEN,
    ),
    "spoken": Source(
        "They told us, in person or on the phone",
        "You noted who, when and for what",
        "A spoken yes, noted with its date",
        ConsentBasis.EXPRESS_ORAL,
    ),
    "previous_tool": Source(
        "Another e-mail tool we used before",
        "You are moving a list with its sign-up dates",
        "Moved from another e-mail tool, with its sign-up dates",
        ConsentBasis.EXPRESS_SOI,
    ),
    "customers": Source(
        "Customers, without a yes of their own",
        "They bought from us and did not object. We record it; we send only where people said yes",
        "Customers without a yes of their own",
        CUSTOMERS,
    ),
}


def claim_of(job: ImportJob) -> Claim:
    """Return what the sender says of the whole file."""
    main = replace(_claim(job, job.answers), counting=covers_counting(job.answers))
    return replace(main, more={one["value"].casefold(): _claim(job, one) for one in more_of(job.answers)})


def covers_counting(answers: dict[str, Any]) -> bool:
    """Tell whether the statement says that counting opens and clicks was asked for apart, and in which words."""
    details = answers.get("details", {})
    return details.get("tracking_asked") == "yes" and bool(details.get("tracking_wording"))


def _claim(job: ImportJob, block: dict[str, Any]) -> Claim:
    source = SOURCES.get(block.get("source", ""))
    return Claim(
        basis=source.basis if source else "",
        earliest=_day(f"{block['earliest']}-01") if block.get("earliest") else None,
        country=job.declared_country,
        source=source_line(block),
        last_contact_at=_day(job.answers.get("last_mailed", "")),
    )


def more_of(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the further sources of a file, each with the word of the source column that marks its rows."""
    return list(answers.get("more", []))


def add_source(answers: dict[str, Any], block: dict[str, Any]) -> None:
    """Add a further source; ImportRefusedError when its word is taken or there are too many."""
    kept = more_of(answers)
    if block["value"].casefold() in {one["value"].casefold() for one in kept}:
        raise ImportRefusedError(f"Rows marked “{block['value']}” belong to a source already.")
    if len(kept) >= policy.SOURCES_MAX:
        raise ImportRefusedError(f"Up to {policy.SOURCES_MAX} further sources can be told apart.")
    answers["more"] = [*kept, {name: str(value) for name, value in block.items()}]


def short_source(answers: dict[str, Any]) -> str:
    """Return the source by its short name."""
    source = SOURCES.get(answers.get("source", ""))
    return source.short if source else "Not said"


def source_line(answers: dict[str, Any]) -> str:
    """Return where people said yes, as it stands beside each of them."""
    source = SOURCES.get(answers.get("source", ""))
    parts = [source.short if source else "", answers.get("page_url", "")]
    return ", ".join(part for part in parts if part)


def _day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(0), UTC)
    except ValueError:
        return None


def span(answers: dict[str, Any]) -> str:
    """Return the range of sign-up dates in words: "May 2024 to September 2026"."""
    days = [_day(f"{answers.get(name, '')}-01") for name in ("earliest", "latest")]
    texts = [f"{day:%B %Y}" for day in days if day]
    return texts[0] if len(set(texts)) == 1 else " to ".join(texts) or "Not said"


def prohibited_yes(answers: dict[str, Any]) -> list[str]:
    """Return the kinds of sources that were not answered with a plain no; a blank counts as yes."""
    given = answers.get("prohibited", {})
    return [code for code in PROHIBITED if given.get(code) != "no"]


def soft_gaps(answers: dict[str, Any]) -> list[str]:
    """Return which of the four conditions for customers are not met, for other sources none."""
    given = answers.get("soft", {})
    return [code for code in SOFT if given.get(code) != "yes"] if answers.get("source") == "customers" else []


def missing(job: ImportJob) -> list[str]:
    """Return what still stands between a job and its signature, in words; empty when all is answered."""
    kept = job.answers
    found = []
    if kept.get("source") not in SOURCES:
        found.append("Say where the addresses come from")
    if prohibited_yes(kept):
        found.append("Answer all eight questions about sources")
    if more_of(kept) and plan_of(job).index("source") is None:
        found.append("Choose the column with the source, or remove the further sources")
    if plan_of(job).index("tracking_at") is not None and not covers_counting(kept):
        found.append("Give the words that asked about counting opens and clicks, or leave that column out")
    if soft_gaps(kept):
        found.append("Customers without a yes: all four conditions must be true")
    if set(kept.get("statements", [])) != set(STATEMENTS):
        found.append("Agree to the three statements")
    wanted = {"earliest": "the earliest sign-up", "latest": "the latest sign-up", "wording": "the words they saw"}
    found += [f"Give {words}" for name, words in wanted.items() if not kept.get(name)]
    found += background.gaps(kept)
    if not kept.get("signer_name"):
        found.append("Type your full name to sign")
    return found


def country_words(job: ImportJob, places: dict[str, int]) -> str:
    """Return who lives where, in words, largest first; `places` counts rows by their own country."""
    known = sorted(((count, code) for code, count in places.items() if code), reverse=True)
    parts = [f"{count:,} {countries.name(code)}" for count, code in known[:6]]
    if len(known) > 6:
        parts.append(f"{sum(count for count, _ in known[6:]):,} in {len(known) - 6} more countries")
    text = f"{', '.join(parts)}, from the column in your file" if parts else ""
    unknown = places.get("", 0)
    if unknown:
        said = f"you say {countries.name(job.declared_country)}" if job.declared_country else "the strictest law counts"
        text += f"{'. ' if text else ''}{unknown:,} without a country: {said}"
    return text or "No rows"
