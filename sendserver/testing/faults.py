"""The named faults that `make mutants` plants: what a careless change could do, and the tests that have to notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """One fault: in `file` the first `old` becomes `new`; then one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def fits(self, tree: Path) -> bool:
        """Tell whether the text to change is still there."""
        path = tree / self.file
        return path.exists() and self.old in path.read_text(encoding="utf-8")


FAULTS: tuple[Fault, ...] = (
    Fault(
        "tenant-sees-anothers-rows",
        "accounts/tenancy.py",
        "return self.filter(organization=organization)",
        "return self.all()",
        ("accounts/tests/test_access.py",),
    ),
    Fault(
        "every-member-may-everything",
        "accounts/access.py",
        "right in RIGHTS.get(membership.role, frozenset())",
        "True",
        ("accounts/tests/test_access.py",),
    ),
    Fault(
        "old-second-factor-signs",
        "accounts/access.py",
        ' and record["at"] >= oldest',
        "",
        ("accounts/tests/test_access.py",),
    ),
    Fault(
        "suspended-may-send",
        "accounts/standing.py",
        "closed_at=None, standing__in=MAY_SEND",
        "closed_at=None",
        ("accounts/tests/test_standing.py",),
    ),
    Fault(
        "any-move-is-allowed",
        "sendserver/lib/states.py",
        "if target not in table.get(source, frozenset()):",
        "if False:",
        (
            "accounts/tests/test_standing.py",
            "campaigns/tests/test_lifecycle.py",
        ),
    ),
    Fault(
        "chain-without-its-predecessor",
        "sendserver/lib/chain.py",
        "canonical(record) + previous",
        "canonical(record)",
        ("sendserver/lib/tests/test_chain.py",),
    ),
    Fault(
        "token-of-any-purpose",
        "sendserver/lib/tokens.py",
        "if hmac.compare_digest(plain[:8], _tag(purpose)) else None",
        "if True else None",
        ("sendserver/lib/tests/test_tokens.py",),
    ),
    Fault(
        "somebody-elses-message",
        "campaigns/sending/writer.py",
        "zip(some[1:], messages[1:], strict=True)",
        "zip(some[1:], messages[:-1], strict=True)",
        ("campaigns/tests/test_written_along.py",),
    ),
    Fault(
        "a-column-out-of-step",
        "campaigns/content/segments.py",
        "found = [next(rest) if pieces is None else pieces for pieces in found]",
        "found = [made[0] if pieces is None else pieces for pieces in found]",
        ("campaigns/tests/test_press.py",),
    ),
    Fault(
        "lifted-suppression-still-holds",
        "compliance/suppression.py",
        "AND live.lifted_at IS NULL",
        "",
        ("sendserver/tests/test_walls.py::test_a_lifted_entry_holds_nobody_back",),
    ),
    Fault(
        "platform-stop-ignored",
        "compliance/suppression.py",
        "(live.organization_id = {organization} OR live.organization_id IS NULL)",
        "live.organization_id = {organization}",
        ("compliance/tests/test_suppression.py",),
    ),
    Fault(
        "undo-after-a-complaint",
        "compliance/suppression.py",
        "if any(row.reason in (Suppression.Reason.COMPLAINT, Suppression.Reason.OBJECTION) for row in rows):",
        "if False:",
        ("compliance/tests/test_suppression.py",),
    ),
    Fault(
        "undo-for-ever",
        "compliance/suppression.py",
        "        and row.created_at > clock.now() - UNDO_WINDOW\n",
        "",
        ("compliance/tests/test_suppression.py",),
    ),
    Fault(
        "unattested-list-is-mailed",
        "compliance/consent.py",
        "  WHEN {m}.attestation_id IS NULL AND {m}.signup_id IS NULL THEN 'no_attestation'\n",
        "",
        ("compliance/tests/test_consent.py",),
    ),
    Fault(
        "held-list-is-mailed",
        "compliance/consent.py",
        "  WHEN {contact_list}.held_at IS NOT NULL OR {contact_list}.closed_at IS NOT NULL THEN 'list_held'\n",
        "",
        ("compliance/tests/test_consent.py",),
    ),
    Fault(
        "germany-without-confirmation",
        "compliance/consent.py",
        "AND ({m}.confirmed_at IS NULL OR",
        "AND (false OR",
        ("compliance/tests/test_consent.py",),
    ),
    Fault(
        "suspension-does-not-stop",
        "campaigns/sending/turns.py",
        "o.standing IN ('good', 'warned') AND ",
        "",
        ("sendserver/tests/test_walls.py::test_a_suspension_is_heard_inside_a_chunk",),
    ),
    Fault(
        "brake-does-not-hold",
        "campaigns/sending/turns.py",
        '\n  AND NOT {live_brake_sql("c.id", "o.id")}"',
        '"""',
        ("campaigns/tests/test_lane.py::test_a_brake_holds_and_its_lifting_lets_go",),
    ),
    Fault(
        "suppression-forgotten-at-the-fetch",
        "campaigns/sending/questions.py",
        "THEN 'suppressed'\n",
        "THEN ''\n",
        ("campaigns/tests/test_lane.py::test_an_unsubscribe_spares_somebody_still_queued",),
    ),
    Fault(
        "recheck-forgets-everybody",
        "campaigns/sending/claim.py",
        "return {pk: reason for pk, reason in cursor.fetchall() if reason}",
        "return {}",
        ("campaigns/tests/test_lane.py::test_an_unsubscribe_spares_somebody_still_queued",),
    ),
    Fault(
        "two-lanes-take-one-chunk",
        "campaigns/sending/claim.py",
        "LIMIT 1 FOR UPDATE OF ch SKIP LOCKED",
        "LIMIT 1",
        ("campaigns/tests/test_death.py::test_two_takers_share_no_chunk",),
    ),
    Fault(
        "allowance-has-no-end",
        "campaigns/sending/claim.py",
        "min(room, size, 1 if share.alone",
        "min(size, 1 if share.alone",
        ("campaigns/tests/test_lane.py::test_the_allowance_ends_the_day_and_counts_once",),
    ),
    Fault(
        "signature-does-not-oversign",
        "campaigns/sending/dkim.py",
        "range(present.count(name.lower()) + 1)",
        "range(present.count(name.lower()))",
        ("campaigns/tests/test_lane.py::test_both_signatures_hold_and_break_with_an_added_header",),
    ),
    Fault(
        "bounce-from-anybody-believed",
        "campaigns/inbound/process.py",
        "    if mail.mail_from:\n",
        "    if False:\n",
        ("campaigns/tests/test_inbound.py::test_a_bounce_from_a_real_sender_is_kept_and_believed_by_nobody",),
    ),
    Fault(
        "soft-bounce-is-hard",
        "campaigns/events.py",
        "if data.kind == EventKind.BOUNCED and data.bounce_class in HARD:",
        "if data.kind == EventKind.BOUNCED:",
        ("campaigns/tests/test_inbound.py::test_other_bounces_suppress_nobody",),
    ),
    Fault(
        "complaint-suppresses-nobody",
        "campaigns/events.py",
        "        return Reason.COMPLAINT\n",
        "        return None\n",
        ("campaigns/tests/test_inbound.py::test_feedback_with_our_token_counts",),
    ),
    Fault(
        "one-event-counts-twice",
        "campaigns/events.py",
        "ON CONFLICT (dedupe) DO NOTHING RETURNING id",
        "RETURNING id",
        ("campaigns/tests/test_inbound.py::test_a_hard_bounce_suppresses_once_however_often_it_is_told",),
    ),
    Fault(
        "one-person-blocks",
        "abuse/moderation.py",
        "elif waiting.actor_id == request.actor.pk:",
        "elif False:",
        ("abuse/tests/test_moderation.py::test_one_person_cannot_do_both_parts_of_a_block",),
    ),
    Fault(
        "member-decides-own-case",
        "abuse/moderation.py",
        "if organization.memberships.filter(user=actor).exists():",
        "if False:",
        ("abuse/tests/test_moderation.py::test_only_staff_who_may_and_are_no_members",),
    ),
    Fault(
        "wilson-without-its-margin",
        "abuse/reputation.py",
        "(centre - spread)",
        "centre",
        ("abuse/tests/test_reputation.py::test_wilson_lower",),
    ),
    Fault(
        "smuggled-message",
        "sendserver/local/smtpd.py",
        "if is_damaged(message):",
        "if False:",
        ("sendserver/local/tests/test_relay.py",),
    ),
    Fault(
        "outbox-runs-scripts",
        "sendserver/local/views.py",
        "sandbox allow-popups",
        "sandbox allow-scripts allow-popups",
        ("sendserver/local/tests/test_outbox.py::test_the_frame_is_sealed",),
    ),
    Fault(
        "doubt-is-sent-again",
        "campaigns/sending/attempt.py",
        "        journal.started(item.delivery_id, item.attempt)\n",
        "        pass\n",
        ("campaigns/tests/test_death.py::test_kill_nine_leaves_at_most_one_doubt_a_connection",),
    ),
    Fault(
        "last-owner-leaves",
        "accounts/organizations.py",
        "if not others.exclude(pk=member.pk).exists():",
        "if False:",
        ("accounts/tests/test_team.py::test_the_last_owner_stays",),
    ),
    Fault(
        "unsubscribe-by-looking",
        "campaigns/views/unsubscribe.py",
        'if request.method != "POST":',
        "if False:",
        ("campaigns/tests/test_returning_pages.py",),
    ),
    Fault(
        "untested-relay-sends",
        "campaigns/sending/relays.py",
        "row.probe_ok is not True",
        "row.probe_ok is False",
        ("campaigns/tests/test_relay_care.py",),
    ),
    Fault(
        "log-writes-for-a-lane-that-sends",
        "campaigns/sending/relay_log.py",
        "  AND ch.state <> 'leased' AND",
        "  AND",
        ("campaigns/tests/test_relay_log.py",),
    ),
    Fault(
        "gap-in-a-log-proves-absence",
        "campaigns/sending/relay_log.py",
        "mark.covered_from, mark.trouble = None,",
        "mark.trouble =",
        ("campaigns/tests/test_relay_log.py",),
    ),
    Fault(
        "line-within-a-line-is-taken",
        "campaigns/sending/postfix_log.py",
        "_LINE.fullmatch(line)",
        "_LINE.search(line)",
        ("campaigns/tests/test_postfix_log.py",),
    ),
)
