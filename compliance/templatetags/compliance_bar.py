"""The bar that shows what became of the rows of an upload."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from sendserver.lib import words
from sendserver.lib.tags import meter_parts

register = template.Library()


@register.simple_tag
def fate_bar(added: int, updated: int, left_out: int, bad: int) -> SafeString:
    """Draw four parts of a whole: added, updated, left out, with a problem; the label says them in words."""
    total = added + updated + left_out + bad
    label = (
        f"{words.count(total, 'rows')}: {added:,} added, {updated:,} updated, {left_out:,} left out, "
        f"{bad:,} with a problem"
    )
    return meter_parts([(added, "c1"), (updated, "c3"), (left_out, "c6"), (bad, "c4")], label)
