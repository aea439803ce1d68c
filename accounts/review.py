"""What staff see of a review: said beside found, for and against, links, history, letters. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms

from accounts import letters, verification
from accounts.countries import NAMES
from accounts.models import (
    AuditEntry,
    BusinessProfile,
    CollectionPractice,
    Membership,
    SendingDomain,
    User,
    Verification,
)
from accounts.policy import COLLECTION_SOURCES
from sendserver.lib import clock

YOUNG = timedelta(days=30)  # an organization younger than this is looked at twice
WORDS = {
    "organization.founded": "Signed up",
    "documents.accepted": "Agreed to the terms and the data-processing agreement",
    "profile.saved": "Business profile saved",
    "practice.saved": "Practice described",
    "domain.added": "Domain added",
    "domain.verified": "Domain proven",
    "verification.submitted": "Sent for review",
    "verification.questions": "Question asked",
    "verification.approved": "Approved",
    "verification.refused": "Refused",
    "verification.list_agreed": "Length of a list agreed",
    "verification.opened": "Opened by staff",
    "organization.rename_asked": "Wants another name",
    "organization.renamed": "Renamed",
}

MARKS = {
    "organization.founded": "people",
    "documents.accepted": "file",
    "domain.added": "globe",
    "domain.verified": "globe",
    "verification.submitted": "send",
    "verification.questions": "mail",
    "verification.opened": "eye",
}


@dataclass(frozen=True)
class Line:
    """One question: what they said, what we found; `kind` is ok, warn or empty for "not checked"."""

    question: str
    said: str
    found: str
    kind: str


@dataclass(frozen=True)
class Sheet:
    """Everything the page shows."""

    lines: list[Line]
    speaks_for: list[str]
    against: list[str]
    profile: BusinessProfile | None
    practice: CollectionPractice | None
    sources: list[str]
    history: list[dict[str, Any]]
    links: list[tuple[str, str]]
    checked_at: datetime = field(default_factory=clock.now)


def sheet(row: Verification) -> Sheet:
    """Return the page's content for one review. Nothing that was not looked up is called found."""
    profile = verification.profile_of(row.organization)
    practice = verification.practice_of(row.organization)
    lines = [*_name(row), *_business(profile), *_domains(row), *_collecting(practice), _deny(row)]
    names = dict(COLLECTION_SOURCES)
    return Sheet(
        lines=lines,
        speaks_for=[f"{line.question}: {line.found}" for line in lines if line.kind == "ok"],
        against=[f"{line.question}: {line.found}" for line in lines if line.kind == "warn"],
        profile=profile,
        practice=practice,
        sources=[names.get(code, code) for code in practice.sources] if practice else [],
        history=_history(row),
        links=_links(row),
    )


def _name(row: Verification) -> list[Line]:
    wanted = row.organization.wanted_name
    return [Line("New name", wanted, f"Verified as {row.organization.name}", "warn")] if wanted else []


def _business(profile: BusinessProfile | None) -> list[Line]:
    if profile is None:
        return [Line("Company", "", "No business profile", "warn")]
    register = ", ".join(part for part in (profile.register_name, profile.register_number) if part)
    unchecked = "Not checked: no look-up of registers is connected"
    host = profile.website.split("//")[-1].split("/")[0].removeprefix("www.").lower()
    mail_host = profile.contact_email.rpartition("@")[2].lower()
    same = mail_host == host or mail_host.endswith(f".{host}") or host.endswith(f".{mail_host}")
    return [
        Line(
            "Company",
            f"{profile.legal_name}, {profile.legal_form}",
            register or "No register number given",
            "" if register else "warn",
        ),
        Line("Address", f"{profile.postal_line}", unchecked, ""),
        Line("Country", NAMES.get(profile.country, profile.country), "As declared", ""),
        Line("Person", profile.responsible_person, unchecked, ""),
        Line("Phone", profile.contact_phone or "none given", "Call to check", ""),
        Line(
            "Contact",
            profile.contact_email,
            "In the website’s domain" if same else "Not in the website’s domain",
            "ok" if same else "warn",
        ),
        Line("Website", profile.website, "Open it to check", ""),
    ]


def _domains(row: Verification) -> list[Line]:
    domains = SendingDomain.objects.for_org(row.organization).filter(removed_at=None).order_by("pk")
    ready = {domain.pk for domain in verification.ready_domains(row.organization)}
    if not domains:
        return [Line("Domain", "", "No domain", "warn")]
    return [
        Line("Domain", domain.name, f"Resembles {domain.resembles}", "warn")
        if domain.waits_for_staff
        else Line(
            "Domain",
            domain.name,
            "All records found by both resolvers" if domain.pk in ready else "Records are missing",
            "ok" if domain.pk in ready else "warn",
        )
        for domain in domains
    ]


def _collecting(practice: CollectionPractice | None) -> list[Line]:
    if practice is None:
        return [Line("Sign-up", "", "Practice not described", "warn")]
    confirmed = "Confirmed by a link, as they say" if practice.double_opt_in else "Not confirmed by a link"
    return [
        Line("Sign-up", practice.page_url or "no page", confirmed, "ok" if practice.double_opt_in else "warn"),
        Line("Volume", f"{practice.monthly_volume:,} a month", "Not checked", ""),
        Line("Longest list", f"{practice.longest_list or 0:,} people", "Not checked", ""),
        Line("Earlier provider", practice.previous_provider or "none named", "Not checked", ""),
    ]


def _deny(row: Verification) -> Line:
    hits = verification.denied(row.organization)
    found = f"Match on {', '.join(hits)}" if hits else "No match on owner, domain or register number"
    return Line("Deny list", "", found, "warn" if hits else "ok")


def _history(row: Verification) -> list[dict[str, Any]]:
    entries = list(AuditEntry.objects.filter(organization=row.organization, action__in=WORDS).order_by("-pk")[:30])
    people: dict[UUID | None, str] = {
        user.uid: str(user) for user in User.objects.filter(uid__in=[e.actor_uid for e in entries if e.actor_uid])
    }
    return [
        {
            "title": WORDS[entry.action],
            "at": entry.at,
            "text": " ".join(part for part in (people.get(entry.actor_uid, ""), _both(entry), entry.reason) if part),
            "mark": MARKS.get(entry.action, "check"),
        }
        for entry in _without_repeats(entries)
    ]


def _both(entry: AuditEntry) -> str:
    """Return what changed to what, where the row keeps both."""
    if entry.action == "profile.saved":
        pairs = [(str(one["from"]), str(one["to"])) for one in entry.detail.get("identity", {}).values()]
    else:
        pairs = (
            [(str(entry.detail["from"]), str(entry.detail["to"]))]
            if entry.action.startswith("organ") and entry.detail
            else []
        )
    return "; ".join(f"“{before}” to “{after}”" for before, after in pairs)


def _without_repeats(entries: list[AuditEntry]) -> list[AuditEntry]:
    """Keep the newest of openings by one person in a row; the audit log keeps them all."""
    return [
        entry
        for newer, entry in zip([None, *entries], entries, strict=False)
        if newer is None
        or entry.action != "verification.opened"
        or (newer.action, newer.actor_uid) != (entry.action, entry.actor_uid)
    ]


def _links(row: Verification) -> list[tuple[str, str]]:
    """Return where else the team's people are: (person, organization and standing)."""
    team = Membership.objects.for_org(row.organization).values("user")
    others = Membership.objects.filter(user__in=team).exclude(organization=row.organization)
    found = others.select_related("user", "organization").order_by("user__name", "pk")[:20]
    return [
        (
            str(member.user),
            f"{member.get_role_display()} of {member.organization}, {member.organization.get_standing_display()}",
        )
        for member in found
    ]


def letters_for(row: Verification) -> list[tuple[str, letters.Letter]]:
    """Return the letter of each answer with a gap where the words for the customer go."""
    gap = "[what you write goes here]"
    return [
        (words, letters.write(row, answer, reason=gap, terms=letters.Terms(row.requested_allowance)))
        for answer, words in (("approve", "Approve"), ("ask", "Ask"), ("refuse", "Refuse"))
    ]


def preview(row: Verification, form: forms.Form) -> letters.Letter | None:
    """Return the letter as it would go out with what is typed, or None when no answer is chosen."""
    data = form.cleaned_data
    if not data.get("answer"):
        return None
    return letters.write(
        row,
        data["answer"],
        reason=data.get("reason", "") or "[what you write goes here]",
        terms=letters.Terms(
            data.get("allowance") or row.requested_allowance, data.get("conditions", ""), data.get("agreed_list")
        ),
    )
