"""What the caller of a run allows it, and whom to ask about the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

from workglow.tasks import Entitlement
from workglow.tasks.policy import EVERYTHING, Policy
from workglow.tasks.vocabulary import check_known

__all__ = ["Answer", "EntitlementRequest", "OnEntitlement", "Permission", "RunRights"]

Rules = tuple[Entitlement, ...]


@dataclass(frozen=True, slots=True)
class EntitlementRequest:
    """What a task needs and nobody granted: the entitlement, the task's path and type, and the rule that denies it."""

    entitlement: Entitlement
    task: str
    type: str
    rule: Entitlement | None = None


Answer = Literal["once", "always", "no"]
"""Yes for this run; yes for every run of this project, on this machine; no."""

OnEntitlement = Callable[[EntitlementRequest], Answer]


class RunRights(TypedDict, total=False):
    """What a run may do, beside the options of a run.

    entitlements: what is granted, such as 'network' or 'files:read=docs'.  Without it a graph that the program made may
    do everything, and one that was read from data only what the project was granted.
    deny: what is never allowed, whatever is granted.
    on_entitlement: is asked about whatever is neither granted nor denied.
    """

    entitlements: Iterable[str | Entitlement] | None
    deny: Iterable[str | Entitlement]
    on_entitlement: OnEntitlement | None


@dataclass(frozen=True, slots=True)
class Permission:
    """The rights of one call, with paths taken from the folder in which it was made."""

    granted: Rules | None = None
    deny: Rules = ()
    on_entitlement: OnEntitlement | None = None

    @classmethod
    def of(
        cls,
        entitlements: Iterable[str | Entitlement] | None = None,
        deny: Iterable[str | Entitlement] = (),
        on_entitlement: OnEntitlement | None = None,
    ) -> Permission:
        """Make a permission; TaskConfigurationError for what is no entitlement, or looks like a slip of one."""
        policy = Policy.of(entitlements or (), deny)
        check_known((*policy.grant, *policy.deny))
        return cls(None if entitlements is None else policy.grant, policy.deny, on_entitlement)

    @classmethod
    def taken_from(cls, options: Any) -> Permission:
        """Make a permission of the rights among the keywords of a call, and take them out."""
        found = {name: options.pop(name) for name in RunRights.__annotations__ if name in options}
        return cls.of(**cast("RunRights", found)) if found else _PLAIN

    def policy(self, *, trusted: bool, kept: Rules = (), earlier: Policy | None = None) -> Policy:
        """Return the policy of a run.

        `trusted`: the program made the graph.  `kept` is what the project was granted, `earlier` what held in the run
        that is resumed or repeated.
        """
        everything = trusted and self.granted is None
        own = (EVERYTHING,) if everything else (self.granted or ())
        before = earlier or Policy()
        ask = (EVERYTHING,) if self.on_entitlement is not None else ()
        return Policy((*before.deny, *self.deny), tuple(dict.fromkeys((*before.grant, *own, *kept))), ask)


_PLAIN = Permission()
