"""What every template can use: the operator, and for signed-in people the portal's navigation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from accounts import access, allowance, verification
from accounts.models import Membership, Organization, Standing
from campaigns.models import Campaign
from compliance.models import ContactList, Suppression
from sendserver.lib import words

KEPT_SECONDS: Final = 10
MOST_SUPPRESSIONS: Final = 10_000  # above, the menu shows no number rather than counting on


@dataclass(frozen=True)
class NavItem:
    """One line of the portal's menu; `section` is the first part of the path below /portal/."""

    section: str
    url_name: str
    icon: str
    label: str
    heading: str = ""
    count: int | None = None


NAV: Final = (
    NavItem("", "portal_home", "home", "Overview"),
    NavItem("campaigns", "campaigns", "send", "Campaigns"),
    NavItem("lists", "lists", "list", "Lists"),
    NavItem("do-not-mail", "do_not_mail", "no", "Do-not-mail list"),
    NavItem("standing", "standing", "shield", "Standing"),
    NavItem("verify", "verify", "verified", "Verification", heading="Account"),
    NavItem("domains", "domains", "globe", "Sending domains"),
    NavItem("team", "team", "people", "Team"),
    NavItem("settings", "settings", "settings", "Settings"),
)
# Paths that belong to another line of the menu.
ALIASES: Final = {"imports": "lists", "contacts": "lists", "cases": "standing", "audit": "settings", "data": "settings"}
ACCOUNT: Final = "/account/"  # e-mail, password, second factor and sessions are reached from the settings


def platform(request: HttpRequest) -> dict[str, Any]:
    """Return who runs this platform."""
    return {"platform": settings.PLATFORM}


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the portal's navigation as `shell`; empty outside the portal, so public pages cost no query."""
    user = getattr(request, "user", None)
    organization = getattr(request, "org", None) if user is not None and user.is_authenticated else None
    if not organization or not request.path.startswith(("/portal/", ACCOUNT)):
        return {"shell": {"nav": NAV, "section": section(request.path)}}
    return {
        "shell": {
            "nav": _nav(organization),
            "section": section(request.path),
            "orgs": _organizations(request, organization),
            "standing_line": standing_line(organization),
            "rights": access.RIGHTS.get(request.membership.role, frozenset()),  # type: ignore[attr-defined]
        }
    }


def section(path: str) -> str:
    """Return the menu line that a path belongs to."""
    if path.startswith(ACCOUNT):
        return "settings"
    first = path.removeprefix("/portal/").split("/", 1)[0]
    return ALIASES.get(first, first)


def standing_line(organization: Organization) -> str:
    """Return the line under the organization's name: its standing and allowance."""
    word = words.STANDINGS[organization.standing][0]
    if organization.standing == Standing.UNVERIFIED:
        return f"{word}, {steps_done(organization)} of {len(verification.Step)} done"
    today = allowance.today(organization)
    return f"{word}, {today:,} a day" if today else word


def steps_done(organization: Organization) -> int:
    """Return how many of the five verification tasks are done; the last is the staff's review."""
    if organization.standing != Standing.UNVERIFIED:
        return len(verification.Step)
    return len(verification.Step) - 1 - len(verification.missing(organization))


def _nav(organization: Organization) -> list[NavItem]:
    counts = nav_counts(organization)
    return [NavItem(*_plain(item), count=counts.get(item.section)) for item in NAV]


def _plain(item: NavItem) -> tuple[str, str, str, str, str]:
    return item.section, item.url_name, item.icon, item.label, item.heading


def nav_counts(organization: Organization) -> dict[str, int | None]:
    """Return the counts beside the menu, at most ten seconds old."""
    key = f"nav:{organization.pk}"
    found: dict[str, int | None] | None = cache.get(key)
    if found is None:
        found = _count(organization)
        cache.set(key, found, KEPT_SECONDS)
    return found


def _count(organization: Organization) -> dict[str, int | None]:
    kept_out = Suppression.objects.filter(organization=organization, lifted_at=None)
    number = kept_out[: MOST_SUPPRESSIONS + 1].count()
    return {
        "campaigns": Campaign.objects.for_org(organization).count(),
        "lists": ContactList.objects.for_org(organization).filter(closed_at=None).count(),
        "do-not-mail": number if number <= MOST_SUPPRESSIONS else None,
    }


def _organizations(request: HttpRequest, current: Organization) -> list[dict[str, Any]]:
    mine = Membership.objects.filter(user_id=request.user.pk, organization__closed_at=None)  # type: ignore[misc]
    return [
        {
            "name": row.organization.name,
            "key": row.organization.uid,
            "role": row.get_role_display().lower(),
            "standing": words.STANDINGS[row.organization.standing][0],
            "current": row.organization_id == current.pk,
        }
        for row in mine.select_related("organization").order_by("organization__name")
    ]
