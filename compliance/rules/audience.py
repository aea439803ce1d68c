"""Only people whom a permission covers are mailed."""

from __future__ import annotations

from compliance.gate import BLOCK, AudienceFacts, Proposal
from compliance.rules import Finding, fine, rule


@rule(
    "CONSENT-BASIS",
    version=2,
    label="A permission for every person",
    source="Directive 2002/58/EC art 13(1) [S]; CASL s.6 [S]; Spam Act 2003 (AU) s.16 [S]; OURS for the United States",
    duty="Each person is mailed on a permission that counts in their country, and nobody who said no.",
    policy_rule="2.3",
    fix="lists",
    order=51,
)
def judge(proposal: Proposal) -> Finding:
    """Ask that somebody is left to mail; who is left out is decided per person at planning and at sending."""
    audience = proposal.audience
    figures: dict[str, object] = {"total": audience.total, "mailable": audience.mailable}
    if audience.counted_at:
        figures["counted_at"] = audience.counted_at.isoformat(timespec="seconds")
    segment = proposal.segment
    if segment is not None and segment.fault:
        return Finding(BLOCK, segment.fault, figures)
    if segment is not None and audience.is_counted and not audience.total:
        return Finding(BLOCK, f"Nobody on the chosen lists is in the segment “{segment.name}”.", figures)
    if not audience.is_counted:
        return uncounted(audience)
    if not audience.total:
        return Finding(BLOCK, "There is nobody on the chosen lists. Upload people or choose another list.", figures)
    if not audience.mailable:
        why = audience.left_out[0][1] if audience.left_out else "no permission"
        return Finding(BLOCK, f"Nobody on these lists may be mailed. Most often: {why}.", figures)
    left = audience.total - audience.mailable
    return fine(f"{left:,} are left out, each with a reason." if left else "Nobody had to be left out.", **figures)


def uncounted(audience: AudienceFacts) -> Finding:
    """Return what is said while a long list is being counted: nothing leaves on figures that nobody has."""
    if audience.failed:
        return Finding(BLOCK, "These lists are too long to be counted. Send to fewer lists, or ask us.", {})
    return Finding(BLOCK, "We are still counting who may get it; your lists are long.", {"counting": True})
