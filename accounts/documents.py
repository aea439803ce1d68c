"""Documents that are accepted by version: what is missing, accepting, what was accepted (rules DATA-ROLES).

A person accepts the terms for themselves; an owner accepts terms and data-processing agreement for each organization
(GDPR article 28(3): the contract is with the controller). Acceptances only grow; those of older versions stay.
The texts stand in sendserver.pages.papers, which is above; here are their names and versions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts import audit, policy
from accounts.models import Organization, TermsAcceptance, User
from sendserver.lib import clock

Document = TermsAcceptance.Document
SEEN = "documents"  # in the session: organization's uid -> the versions that were found accepted


@dataclass(frozen=True)
class Missing:
    """What has to be accepted: by the person, and by an owner for the organization."""

    person: tuple[str, ...]
    organization: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.person or self.organization)

    @property
    def documents(self) -> tuple[Document, ...]:
        """Return the documents to be read, each once."""
        return tuple(one for one in Document if one in self.person or one in self.organization)


def current() -> dict[str, str]:
    """Return the version in force of each document."""
    return {Document.TERMS: policy.TERMS_VERSION, Document.PROCESSING: policy.DPA_VERSION}


def missing(user: User, organization: Organization | None, *, owner: bool) -> Missing:
    """Return what this person has to accept before working in the organization."""
    person = _missing((Document.TERMS,), user=user)
    of_it = _missing(tuple(Document), organization=organization) if organization and owner else ()
    return Missing(person, of_it)


def _missing(wanted: tuple[Document, ...], **whose: User | Organization) -> tuple[str, ...]:
    versions = current()
    rows = TermsAcceptance.objects.filter(**whose, document__in=wanted, version__in=versions.values())
    accepted = set(rows.values_list("document", "version"))
    return tuple(one for one in wanted if (one.value, versions[one]) not in accepted)


def accept(user: User, organization: Organization | None, documents: tuple[str, ...] = tuple(Document)) -> None:
    """Write down that the person accepted the documents in force, for the organization where one is named."""
    if not documents:
        return
    versions = {document: current()[document] for document in documents}
    at = clock.now()
    with transaction.atomic():
        for document, version in versions.items():
            TermsAcceptance.objects.create(
                user=user, organization=organization, document=document, version=version, accepted_at=at
            )
        audit.record(
            "documents.accepted",
            actor=user,
            organization=organization,
            subject=f"user:{user.uid}",
            detail={str(document): version for document, version in versions.items()},
        )


def accept_missing(user: User, organization: Organization | None, *, owner: bool) -> Missing:
    """Accept what is missing, and return what that was; twice at once leaves two rows that say the same."""
    wanted = missing(user, organization, owner=owner)
    with transaction.atomic():
        accept(user, organization, wanted.organization)
        accept(user, None, tuple(set(wanted.person) - set(wanted.organization)))
    return wanted


# ---------- the door of the portal


def door(request: HttpRequest, user: User, organization: Organization, *, owner: bool) -> HttpResponse | None:
    """Return the way to the page that asks, or None where nothing is missing.

    Asked once a session. Whoever is at work when a new version comes in force is asked at the next page they open;
    what they were saving is saved.
    """
    mark, uid = ",".join(current().values()), str(organization.uid)
    seen = request.session.get(SEEN, {})
    if seen.get(uid) == mark:
        return None
    if not missing(user, organization, owner=owner):
        request.session[SEEN] = {**seen, uid: mark}
        return None
    opens_a_page = request.method in ("GET", "HEAD") and not request.headers.get("HX-Request")
    if uid in seen and not opens_a_page:
        return None
    target = request.get_full_path() if opens_a_page else reverse("portal_home")
    where = f"{reverse('documents')}?{urlencode({'next': target})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": where})
    return redirect(where)
