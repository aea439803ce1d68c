"""Numbers of accounts.policy in templates of views that are not ours."""

from __future__ import annotations

from django import template

from accounts import policy

register = template.Library()


@register.simple_tag(name="policy")
def policy_number(name: str) -> object:
    """Return a constant of accounts.policy; AttributeError for an unknown name."""
    return getattr(policy, name)
