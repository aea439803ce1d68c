"""What to put into each address that needs something: URL name -> its arguments, made from one of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import invitations, senders
from accounts.models import AuditEntry
from compliance.models import Signup, SignupForm, Suppression
from sendserver.lib import clock, tokens
from sendserver.testing.everything import Everything

Arguments = dict[str, object]
UNKNOWN = UUID(int=0)


def names(patterns: list[URLPattern | URLResolver] | None = None, space: str = "") -> Iterator[str]:
    """Yield every URL name, with its namespace; nameless ones as their pattern."""
    for item in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(item, URLResolver):
            yield from names(item.url_patterns, item.namespace or space)
        else:
            yield f"{space}:{item.name}" if space and item.name else item.name or f"({item.pattern})"


def _campaign(which: str) -> Callable[[Everything], Arguments]:
    return lambda world: {"uid": getattr(world, which).uid}


def _uid(which: str) -> Callable[[Everything], Arguments]:
    return _campaign(which)


def waiting_signup(world: Everything) -> Signup:
    """Return a sign-up of the world's list that waits for its confirmation."""
    found = world.world.contact_list
    form, _ = SignupForm.objects.get_or_create(
        contact_list=found, defaults={"organization": found.organization, "title": found.name, "wording": "Yes."}
    )
    fields = {"asked_at": clock.now(), "organization": found.organization, "worked": True, "address_hash": b"h" * 32}
    return Signup.objects.get_or_create(form=form, address="new@reader.example", defaults=fields)[0]


ARGUMENTS: dict[str, Callable[[Everything], Arguments]] = {
    "anti_spam_version": lambda world: {"version": 1},
    "invite_accept": lambda world: {"token": invitations.token_of(world.invitation)},
    "from_confirm": lambda world: {"token": senders.token_of(world.world.from_address)},
    "org_switch": _uid("organization"),
    "org_home": _uid("organization"),
    "org_page": lambda world: {"uid": world.organization.uid, "path": "team/"},
    "invitation_again": _uid("invitation"),
    "invitation_withdraw": _uid("invitation"),
    "member_change": lambda world: {"uid": world.users["viewer"].uid},
    "member_transfer": lambda world: {"uid": world.users["viewer"].uid},
    "member_remove": lambda world: {"uid": world.users["viewer"].uid},
    **{
        name: _uid("domain")
        for name in ("domain_detail", "domain_records", "domain_check", "domain_mail", "domain_remove", "from_add")
    },
    **{
        name: lambda world: {"uid": world.world.from_address.uid}
        for name in ("from_change", "from_again", "from_remove")
    },
    **{
        name: _uid("mapped")
        for name in (
            "upload_columns",
            "upload_consent",
            "upload_sources",
            "upload_check",
            "upload_seen",
            "upload_cancel",
            "upload_result",
        )
    },
    **{
        name: lambda world: {"uid": world.world.contact_list.uid}
        for name in ("list_detail", "list_close", "contact_add", "signup_form")
    },
    "tag_detail": _uid("tag"),
    "tag_delete": _uid("tag"),
    "field_text": _uid("field"),
    "list_tags": lambda world: {"uid": world.world.contact_list.uid},
    "contact_tags": _uid("contact"),
    "segment_detail": _uid("segment"),
    "segment_delete": _uid("segment"),
    "signup": lambda world: {"uid": waiting_signup(world).form.uid},
    "signup_confirm": lambda world: {"token": tokens.seal(tokens.Purpose.SIGNUP, waiting_signup(world).pk)},
    "contact_detail": _uid("contact"),
    "paper_version": lambda _: {"slug": "terms", "version": "1"},
    "import_evidence": lambda world: {"uid": world.mapped.uid, "pk": 1},
    "import_page_copy": lambda world: {"uid": world.mapped.uid},
    "contact_remove": _uid("contact"),
    "contact_erase": _uid("contact"),
    "contact_proof": _uid("contact"),
    **{
        name: _uid("done")
        for name in (
            "import_detail",
            "import_proof",
            "import_rows",
            "import_rows_csv",
            "import_statement",
            "import_undo",
        )
    },
    "import_row": lambda world: {"uid": world.done.uid, "line": world.done.rows.get().line},
    **{
        f"campaign_{page}": _campaign("draft")
        for page in ("edit", "preview", "checks", "test", "review", "copy", "save", "message", "send", "delete")
    },
    **{f"campaign_{page}": _campaign("sending") for page in ("progress", "pause", "stop", "now", "lanes")},
    "campaign_resume": _campaign("paused"),
    "campaign_report": _campaign("sent"),
    "campaign_people": _campaign("sent"),
    "campaign_person": lambda world: {"uid": world.sent.uid, "contact": world.contact.uid},
    "abuse_status": lambda world: {"reference": world.complaint.reference},
    "abuse_case": lambda world: {"reference": world.case.reference},
    "appeal_file": lambda world: {"uid": world.decision.uid, "pk": 1},
    "standing_appeal": lambda world: {"uid": world.decision.uid},
    **{
        name: lambda world: {"token": world.delivery_token}
        for name in ("unsubscribe", "unsubscribe_undo", "preferences", "why", "own_copy", "own_erase_ask")
    },
    "own_erase": lambda world: {"token": tokens.seal(tokens.Purpose.ERASE, world.complaint.delivery_id or 0)},
    "click": lambda world: {"token": tokens.seal(tokens.Purpose.CAMPAIGN, world.sent.pk), "number": 1},
    "mfa_remove_webauthn": lambda world: {"pk": 1},
    "mfa_edit_webauthn": lambda world: {"pk": 1},
}


STAFF_ARGUMENTS: dict[str, Callable[[Everything], Arguments]] = {
    "admin:view_on_site": lambda world: {"content_type_id": 1, "object_id": 1},
    "admin:app_list": lambda world: {"app_label": "abuse"},
    "admin:accounts_verification_decide": lambda world: {"pk": world.review.pk},
    "admin:accounts_verification_letter": lambda world: {"pk": world.review.pk},
    "admin:campaigns_campaign_answer": lambda world: {"pk": world.draft.pk},
    "admin:campaigns_campaign_message": lambda world: {"pk": world.draft.pk},
    "admin:abuse_case_open": _uid("organization"),
    **{
        f"admin:abuse_case_{act}": lambda world: {"pk": world.case.pk}
        for act in ("claim", "release", "hand", "note", "decide", "letters", "second", "message")
    },
    "admin:compliance_importjob_decide": lambda world: {"pk": world.done.pk},
    "admin:compliance_importjob_page": lambda world: {"pk": world.done.pk},
    "admin:compliance_importjob_evidence": lambda world: {"pk": world.done.pk, "file": 1},
    "admin:abuse_appeal_decide": lambda world: {"pk": 1},
    "admin:abuse_appeal_file": lambda world: {"pk": 1, "file": 1},
    "admin:staff_relay_pause": lambda world: {"key": "relay-1"},
    "admin:staff_relay_drain": lambda world: {"key": "relay-1"},
    "admin:staff_relay_resume": lambda world: {"key": "relay-1"},
    "admin:staff_doubt_settle": lambda world: {"pk": world.complaint.delivery_id or 0},
    "admin:staff_aside_again": lambda world: {"pk": 0},  # nothing is set aside
    "admin:staff_alarm_acknowledge": lambda world: {"pk": 0},  # no alarm is open
    "admin:staff_brake_lift": lambda world: {"pk": 0},  # no brake is set
    "admin:staff_do_not_mail_lift": lambda world: {"pk": _first(Suppression)},
}
# Addresses without a name of their own, tried in test_hostile_web.
UNNAMED = {"(login/)", "(staff/login/)", "(<path:object_id>/)", "(^(?P<url>.*)$)", "((?P<url>.*)$)"}


def _first(model: type[Model]) -> int:
    """Return the key of the oldest row: numbers go on from one test to the next."""
    return int(model._default_manager.order_by("pk").values_list("pk", flat=True)[0])


def objects(world: Everything) -> dict[type[Model], Model]:
    """Return the object behind each model's page in the staff area; what is missing is asked for as number 1."""
    made = [
        world.review,
        world.sent,
        world.case,
        world.complaint,
        world.decision,
        world.organization,
        world.users["owner"],
        AuditEntry.objects.order_by("pk")[0],
    ]
    return {type(thing): thing for thing in [*made, world.done]}
