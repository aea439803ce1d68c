"""The one registry of rules that judge a message; one file a law or provider rule, each citing its clause.

A rule is a function from Proposal to `Finding`s joined into one Check. Its docstring names the source with its mark
("[P]" read in the original, "[S]" in a secondary source, "(unconfirmed)" from knowledge alone); the public rules page
prints the registry from here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from compliance.gate import BLOCK, PASS, Check, Proposal


@dataclass(frozen=True)
class Finding:
    """What a rule found: a decision, words for the customer, and figures that prove it (no floats, no addresses)."""

    decision: str
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)


Judge = Callable[[Proposal], Finding]
_rules: dict[str, Rule] = {}


@dataclass(frozen=True)
class Rule:
    """A registered rule with what the pages print about it."""

    id: str
    version: int
    label: str  # short, as the panel prints it
    source: str  # clause and mark
    duty: str  # one sentence: what is asked
    policy_rule: str  # number in the anti-spam policy
    fix_url_name: str
    order: int
    judge: Judge

    @property
    def unconfirmed(self) -> bool:
        """Tell whether the source was not read in the original or a trusted summary."""
        return "unconfirmed" in self.source

    def check(self, proposal: Proposal) -> Check:
        """Return this rule's answer; a rule that breaks blocks, and says so."""
        try:
            found = self.judge(proposal)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            words = "This check could not be made, so the message may not leave. Our staff sees it too."
            found = Finding(BLOCK, words, {"error": type(error).__name__})
        return Check(
            rule_id=self.id,
            version=self.version,
            label=self.label,
            decision=found.decision,
            text=found.text,
            evidence=found.evidence,
            fix_url_name=self.fix_url_name,
            policy_rule=self.policy_rule,
        )


def rule(  # noqa: PLR0913
    id: str,
    *,
    version: int,
    label: str,
    source: str,
    duty: str,
    order: int,
    policy_rule: str = "",
    fix: str = "campaign_edit",
) -> Callable[[Judge], Judge]:
    """Register a rule; `order` is its place in the evaluation: identity, class, content, unsubscribe, lists."""

    def register(judge: Judge) -> Judge:
        if id in _rules:
            raise TypeError(f"rule {id} is registered twice")
        _rules[id] = Rule(id, version, label, source, duty, policy_rule, fix, order, judge)
        return judge

    return register


@lru_cache(maxsize=1)
def registry() -> tuple[Rule, ...]:
    """Return all rules in their order of evaluation."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(sorted(_rules.values(), key=lambda one: (one.order, one.id)))


def fine(text: str, **evidence: Any) -> Finding:
    """Return a passed finding."""
    return Finding(PASS, text, evidence)


def version() -> str:
    """Return one text that changes when any rule's version changes; part of what an approval is bound to."""
    return ",".join(f"{one.id}:{one.version}" for one in registry())
