"""The public name of an organization: free before verification, afterwards staff read it first.

The name stands in every message ("you signed up with ..."), so a verified sender takes no other name unread: nobody is
checked as one company and mails as another. Both names are written down, at the wish and at the answer.
"""

from __future__ import annotations

from django.db import transaction

from accounts import audit
from accounts.models import Organization, Standing, User


def set_name(organization: Organization, name: str, *, actor: User) -> bool:
    """Take a new name, or keep it as a wish where the organization was verified; return whether it waits for staff.

    The name that stands takes a waiting wish back. The caller hands a wish to staff (verification.look_again).
    """
    if organization.standing == Standing.UNVERIFIED:
        _rename(organization, name, actor, "")
        return False
    wish = "" if name == organization.name else name
    if wish == organization.wanted_name:
        return bool(wish)
    before = organization.wanted_name or organization.name
    _write(organization, wanted_name=wish)
    _log("organization.rename_asked" if wish else "organization.rename_withdrawn", organization, actor, before, name)
    return bool(wish)


def settle(organization: Organization, *, accepted: bool, actor: User, reason: str) -> None:
    """Give the wanted name, or drop the wish; does nothing where none waits."""
    wanted = organization.wanted_name
    if not wanted:
        return
    if accepted:
        _rename(organization, wanted, actor, reason)
    else:
        _write(organization, wanted_name="")
        _log("organization.rename_refused", organization, actor, organization.name, wanted, reason=reason)


def _rename(organization: Organization, name: str, actor: User, reason: str) -> None:
    before = organization.name
    if name == before:
        return
    with transaction.atomic():
        _write(organization, name=name, wanted_name="")
        _log("organization.renamed", organization, actor, before, name, reason=reason)


def _write(organization: Organization, **fields: str) -> None:
    Organization.objects.filter(pk=organization.pk).update(**fields)
    for name, value in fields.items():
        setattr(organization, name, value)


def _log(  # noqa: PLR0913 (one row)
    action: str, organization: Organization, actor: User, before: str, after: str, *, reason: str = ""
) -> None:
    subject, detail = f"organization:{organization.uid}", {"from": before, "to": after}
    audit.record(action, actor=actor, organization=organization, subject=subject, reason=reason, detail=detail)
