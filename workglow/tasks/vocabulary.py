"""Which entitlements there are, so that a slip of the pen in a grant does not pass for one of somebody's own.

The policy.  A name is known when workglow ships it, when any task class of this process declares it, or when it is a
part of a known name that has no other parts (`network:http`).  A name that nobody knows is somebody's own, and allowed,
unless it is nearly a known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from workglow.errors import UnknownEntitlementError
from workglow.tasks.entitlements import ANYTHING, Entitlement, covers
from workglow.tasks.task import Task

__all__ = ["SHIPPED", "check_known"]

SHIPPED = ("network", "files:read", "files:write", "code:javascript", "graph:json", "credential", "model:download")
"""What the tasks and resolvers of workglow ask for."""

_NEAR = 0.8


def check_known(rules: Iterable[Entitlement]) -> None:
    """Raise UnknownEntitlementError for a name that is nearly a known one; it names those that come near."""
    unknown = [rule.id for rule in rules if not _is_known(rule.id, SHIPPED)]
    if not unknown:
        return
    known = {*SHIPPED, *(id.partition(":")[0] for id in SHIPPED), *_declared(Task)}
    for id in unknown:
        near = [] if _is_known(id, known) else difflib.get_close_matches(id, sorted(known), 3, _NEAR)
        if near:
            raise UnknownEntitlementError(
                f"No task asks for {id!r}; did you mean {' or '.join(map(repr, near))}?  An entitlement of your own "
                "that looks so much like another one is known once a task that declares it is defined."
            )


def _is_known(id: str, known: Iterable[str]) -> bool:
    names = tuple(known)
    if id == ANYTHING or any(covers(id, name) for name in names):
        return True
    above = [name for name in names if covers(name, id)]
    return any(not any(name != other and covers(name, other) for other in names) for name in above)


def _declared(kind: type[Task]) -> Iterator[str]:
    for declared in kind.entitlements:
        yield declared.id if isinstance(declared, Entitlement) else Entitlement.parse(declared).id
    for inner in kind.__subclasses__():
        yield from _declared(inner)
