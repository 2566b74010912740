"""The policy of a run: what it may do, what it may not, and what a person is asked.

Deny goes before grant, grant before ask, and what no rule speaks of is denied.  A grant has to take in all that is
required.  A deny is enough when it takes in any part of it: a broad requirement, a parent's id, a folder above, or one
of several resources; otherwise it could be passed by by asking for more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from workglow.errors import TaskConfigurationError
from workglow.tasks.entitlements import ANYTHING, Entitlement, covers, related
from workglow.tasks.resources import is_granted, is_touched, rule_patterns

__all__ = ["EVERYTHING", "Policy", "Verdict", "as_rules"]

Rules = tuple[Entitlement, ...]

EVERYTHING = Entitlement(ANYTHING)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says to one requirement, and the rule that decided; None when none did."""

    entitlement: Entitlement
    verdict: Literal["granted", "denied", "ask"]
    rule: Entitlement | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules whose patterns are ready; `Policy.of` makes them from what a person wrote."""

    deny: Rules = ()
    grant: Rules = ()
    ask: Rules = ()

    @classmethod
    def of(
        cls,
        grant: Iterable[str | Entitlement] = (),
        deny: Iterable[str | Entitlement] = (),
        ask: Iterable[str | Entitlement] = (),
    ) -> Policy:
        """Make a policy; paths are taken from the current folder.  TaskConfigurationError for what is none."""
        return cls(as_rules(deny, every_name=True), as_rules(grant), as_rules(ask))

    @property
    def allows_everything(self) -> bool:
        """Whether no requirement can be refused, so that none has to be looked at."""
        return not self.deny and EVERYTHING in self.grant

    def granting(self, more: Rules) -> Policy:
        """Return the policy with more grants."""
        return replace(self, grant=(*self.grant, *more)) if more else self

    def evaluate(self, required: Iterable[Entitlement]) -> list[Verdict]:
        """Return a verdict for each requirement; a task does without an optional one, so it has none."""
        return [self.judge(one) for one in required if not one.optional]

    def judge(self, required: Entitlement) -> Verdict:
        """Return the verdict for one requirement."""
        for rule in self.deny:
            if related(rule.id, required.id) and _touches(rule, required):
                return Verdict(required, "denied", rule)
        rules = [_first(self.grant, required.id, resource) for resource in required.resources or (None,)]
        if all(rules):
            return Verdict(required, "granted", rules[0])
        asking = [
            _first(self.ask, required.id, resource)
            for resource, rule in zip(required.resources or (None,), rules, strict=True)
            if rule is None
        ]
        return Verdict(required, "ask", asking[0]) if all(asking) else Verdict(required, "denied")

    def is_possible(self, required: Entitlement) -> bool:
        """Whether some resource of this kind may be allowed, so that the answer has to wait for the inputs."""
        if any(covers(rule.id, required.id) and not rule.resources for rule in self.deny):
            return False
        return any(covers(rule.id, required.id) for rule in (*self.grant, *self.ask))


def as_rules(written: Iterable[str | Entitlement], *, every_name: bool = False) -> Rules:
    """Return rules with absolute paths; `every_name` keeps the names of symbolic links beside what they lead to."""
    texts = [written] if isinstance(written, str | Entitlement) else written
    if not isinstance(texts, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TaskConfigurationError(
            f"Entitlements are a list, such as ['files:read', 'network'], not {written!r:.80}."
        )
    return tuple(_ready(one if isinstance(one, Entitlement) else Entitlement.parse(one), every_name) for one in texts)


def _ready(rule: Entitlement, every_name: bool) -> Entitlement:
    patterns = [rule_patterns(rule.id, text)[: None if every_name else 1] for text in rule.resources]
    return replace(rule, resources=tuple(pattern for found in patterns for pattern in found))


def _touches(rule: Entitlement, required: Entitlement) -> bool:
    if not rule.resources or not required.resources:
        return True
    return any(is_touched(rule.id, pattern, one) for one in required.resources for pattern in rule.resources)


def _first(rules: Rules, id: str, resource: str | None) -> Entitlement | None:
    """Return the first rule that takes in all of a resource, None for every resource."""
    for rule in rules:
        if covers(rule.id, id):
            if not rule.resources:
                return rule
            if resource is not None and any(is_granted(id, pattern, resource) for pattern in rule.resources):
                return rule
    return None
