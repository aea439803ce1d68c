"""Statements of where a list comes from: shown, signed with a fresh second factor, kept for ever (rules section 2).

The record itself is append-only and chained and names nobody; name, network and the text as shown stand in a side
row that retention may delete. A salted commitment in the record binds the two.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from accounts import audit, personal
from accounts.ledger import append_chained
from accounts.models import BusinessProfile, Organization, User
from compliance import answers, background, contact_fields, policy, roots, saved_page
from compliance.consent import months_before
from compliance.errors import FieldRefusedError, SignatureRefusedError
from compliance.imports import holds, lifecycle
from compliance.imports.scan import counts_of
from compliance.models import Attestation, AttestationPerson, ContactList, ImportJob, ImportState
from compliance.wording import Filled, Wording, current
from sendserver.lib import chain, clock
from sendserver.lib.addresses import suppression_key_id
from sendserver.lib.clientip import prefix

OTHER_NAME: Final = (
    "The name typed is not the one of your account. Go back to the questions and type your own full name, "
    "or confirm it."
)
CHANGED: Final = "Something changed since you opened this page. Read it again, then submit."


@dataclass(frozen=True)
class Signer:
    """Who signs: the account, its role in words, the second factor with its time, and where from."""

    user: User
    role: str
    factor: str  # totp or webauthn
    factor_at: datetime
    ip: str
    user_agent: str


def legal_name(organization: Organization) -> str:
    """Return the name that a statement is made for: the registered one, where it is known."""
    profile = BusinessProfile.objects.filter(organization=organization).first()
    return profile.legal_name if profile else organization.name


def wording_for(job: ImportJob) -> Wording:
    """Return the version of the statement that is signed now, in the language that was chosen."""
    return current(job.answers.get("details", {}).get("language", "en"))


def statement(job: ImportJob, role: str) -> Filled:
    """Return the statement for an upload as it is shown and signed."""
    return wording_for(job).filled(
        {
            "name": job.answers.get("signer_name", ""),
            "role": role.lower(),
            "legal_name": legal_name(job.organization),
            "list_name": job.contact_list.name,
            "rows": f"{job.row_count:,}",
            "fingerprint": bytes(job.file_sha256).hex()[:16],
            "days": str(policy.PROOF_DEADLINE_BD),
        }
    )


def fingerprint(job: ImportJob, role: str) -> str:
    """Return what stands for all that the check page shows: answers, columns, file and statement; SHA-256 in hex."""
    words = [wording_for(job).version, statement(job, role).text]
    seen = [job.answers, job.declared_country, job.columns, job.encoding, job.delimiter, *words]
    return hashlib.sha256(chain.canonical({"seen": seen})).hexdigest()


def submit(job: ImportJob, signer: Signer, *, shown: str | None = None) -> Attestation:
    """Sign an answered upload and queue it for reading; SignatureRefusedError says what is missing.

    `shown` is the fingerprint of the page that the signer saw; None where no page was. Where the staff has to look
    first, the list is held from here on, so that no row is mailable in between.
    """
    _refuse_unready(job, signer)
    if shown is not None and shown != fingerprint(job, signer.role):
        raise SignatureRefusedError(CHANGED)
    reasons = holds.reasons(holds.facts_of(job, answers.claim_of(job)))
    with transaction.atomic():
        _lock(job, signer.role)
        _enter_columns(job)
        if reasons:
            text = " ".join(reason["text"] for reason in reasons)
            ContactList.objects.filter(pk=job.contact_list_id, held_at=None).update(
                held_at=clock.now(), held_reason=text
            )
        record = _record(job, signer)
        moved = lifecycle.move(
            job, ImportState.QUEUED, actor=signer.user, attestation=record, held_reasons=reasons, heartbeat_at=None
        )
        if not moved:
            raise SignatureRefusedError("This upload was submitted already.")
        audit.record(
            "list.attested",
            actor=signer.user,
            organization=job.organization,
            subject=f"list:{job.contact_list.uid}",
            detail={"attestation": str(record.uid), "import": str(job.uid), "wording": wording_for(job).version},
        )
    return record


def _lock(job: ImportJob, role: str) -> None:
    """Hold the upload and its list until the signature stands, and refuse when the upload changed since it was read."""
    now = ImportJob.objects.select_for_update().get(pk=job.pk)
    ContactList.objects.select_for_update().get(pk=job.contact_list_id)
    if (fingerprint(now, role), now.scan) != (fingerprint(job, role), job.scan):
        raise SignatureRefusedError(CHANGED)


def _enter_columns(job: ImportJob) -> None:
    try:
        contact_fields.enter(job)
    except FieldRefusedError as error:
        raise SignatureRefusedError(str(error)) from error


def _refuse_unready(job: ImportJob, signer: Signer) -> None:
    if signer.factor not in ("totp", "webauthn"):
        raise SignatureRefusedError("Confirm with your second factor first.")
    if job.state != ImportState.ANSWERED:
        raise SignatureRefusedError("This upload is not ready to be submitted.")
    gaps = answers.missing(job)
    if gaps:
        raise SignatureRefusedError(f"{gaps[0]}.")
    if not _name_fits(job, signer.user):
        raise SignatureRefusedError(OTHER_NAME)
    counts = counts_of(job)
    if not counts.done:
        raise SignatureRefusedError("The rows are still being counted. Try again in a moment.")
    stop = holds.refusal(counts)
    if stop:
        raise SignatureRefusedError(stop)


def _name_fits(job: ImportJob, user: User) -> bool:
    """Tell whether the typed name is the signer's own: the account's, or confirmed by this very account."""
    fits = background.same_name(job.answers["signer_name"], user.name)
    return fits or job.answers.get("name_confirmed") == str(user.uid)


def _record(job: ImportJob, signer: Signer) -> Attestation:
    text = statement(job, signer.role).text
    salt = secrets.token_bytes(16)
    person = {
        "signer_name": job.answers["signer_name"][:120],
        "signer_role": signer.role[:120],
        "ip": prefix(signer.ip)[:45],  # the whole address stands in the web server's log, for its days
        "user_agent": signer.user_agent[:300],
        "statement": text,
    }
    signed = {name: value for name, value in job.answers.items() if name != "signer_name"}
    record = append_chained(
        Attestation,
        {
            "organization": job.organization,
            "list_uid": job.contact_list.uid,
            "import_uid": job.uid,
            "wording_version": wording_for(job).version,
            "text_sha256": hashlib.sha256(text.encode()).digest(),
            "answers": {**signed, **_beside(job)},
            "legal_name": legal_name(job.organization)[:160],
            "signer_uid": signer.user.uid,
            "factor": signer.factor,
            "factor_at": signer.factor_at,
            "file_sha256": bytes(job.file_sha256),
            "row_count": job.row_count,
            "signed_at": clock.now(),
            **_rows(job),
            "person_commitment": personal.commitment(salt, person),
        },
    )
    AttestationPerson.objects.create(attestation_uid=record.uid, salt=salt, **person)
    return record


def _beside(job: ImportJob) -> dict[str, Any]:
    """Return what is signed beside the answers."""
    return {"declared_country": job.declared_country, "columns": job.columns, **saved_page.signed(job)}


def _rows(job: ImportJob) -> dict[str, Any]:
    """Return what binds a record to the addresses of its file."""
    root = counts_of(job).rows_root
    if not root:
        return {}
    return {"rows_root": bytes.fromhex(root), "rows_key": suppression_key_id(), "rows_taken": roots.count(job)}


def matches(record: Attestation, side: AttestationPerson) -> bool:
    """Tell whether a side row is the one that was signed."""
    part = personal.part_of(side, AttestationPerson.ledger_side)
    return personal.commitment(bytes(side.salt), part) == bytes(record.person_commitment)


def person_of(record: Attestation) -> AttestationPerson | None:
    """Return who signed, or None when retention has deleted that."""
    return AttestationPerson.objects.filter(attestation_uid=record.uid).first()


def valid_attestation(contact_list: ContactList) -> Attestation | None:
    """Return the list's newest statement while it still covers people added from the same source, else None."""
    return (
        Attestation.objects.for_org(contact_list.organization)
        .filter(
            list_uid=contact_list.uid,
            signed_at__gt=months_before(clock.now(), policy.ATTESTATION_ADDS_MONTHS),
        )
        .order_by("-signed_at", "-pk")
        .first()
    )
