"""Licences: what one run may do, by what its caller permits, what its project was granted, and where its graph is from.

A graph that the program made may do everything, unless the caller says what; one that was read from data only what is
granted.  A run that goes on, or is repeated, may do what it was granted when it began, as far as the seal holds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workglow.graph.rights.gate import Gate, guarded_tasks, is_from_data
from workglow.storage.records import FINAL_TASK_STATUSES
from workglow.tasks.policy import EVERYTHING, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.graph.graph import TaskGraph
    from workglow.graph.rights.grants import Grants
    from workglow.graph.rights.permission import Permission
    from workglow.graph.stored import StoredDelivery, StoredGraph
    from workglow.storage.protocols import RunRepository
    from workglow.storage.records import RunRecord
    from workglow.tasks import Entitlement
    from workglow.tasks.resolver import ResolverRegistry

__all__ = ["Licence", "Licences"]


class Licence:
    """What one run may do.  `gate` refuses the rest; it is None when there is nothing to refuse.

    `gate_for_data` is that of graphs which come in as inputs while the run goes on.  That the program made the graph
    around them says nothing about them: they may do what was granted in so many words.
    """

    def __init__(
        self, policy: Policy, permission: Permission, grants: Grants | None, resolvers: ResolverRegistry | None
    ) -> None:
        self._policy = policy
        self._grants = grants

        def gate(policy: Policy) -> Gate:
            keep = None if grants is None else grants.add
            return Gate(policy, permission.on_entitlement, keep=keep, resolvers=resolvers)

        self.gate = None if policy.allows_everything else gate(policy)
        in_words = EVERYTHING in (permission.granted or ())
        self.gate_for_data = self.gate
        if EVERYTHING in policy.grant and not in_words:
            self.gate_for_data = gate(replace(policy, grant=tuple(one for one in policy.grant if one != EVERYTHING)))

    def admit(
        self,
        graph: TaskGraph,
        delivered: Mapping[str, Mapping[str, object]],
        *,
        is_final: Callable[[str], bool] | None = None,
    ) -> None:
        """Look at a graph before anything of it runs; TaskEntitlementError names everything that is missing."""
        if self.gate is not None:
            self.gate.admit(graph, delivered, is_final=is_final)

    def admit_stored(
        self, graph: StoredGraph, delivered: StoredDelivery, record: RunRecord, runs: RunRepository
    ) -> None:
        """`admit` for a run that is resumed: the graph is read only if something in it may need an entitlement.

        Which types it has is what the file says.  If that is not true, the gate still stops each task where it begins.
        """

        def is_final(task: str) -> bool:
            row = runs.row(record, task)
            return row is not None and row.status in FINAL_TASK_STATUSES

        if self.gate is not None and any(graph.registry.get(type).guarded for type in record.versions):
            self.gate.admit(graph.whole(), delivered, is_final=is_final)

    def to_store(self, graph: TaskGraph, input: str) -> dict[str, object]:
        """Return what a later process has to know of it, for the options of the run; nothing if no task needs any."""
        return self.to_pass_on(input) if guarded_tasks(graph) else {}

    def to_pass_on(self, input: str) -> dict[str, object]:
        """Return what another process has to know of it as it is now, in the place of the run's options."""
        if self._grants is None:
            return {}
        policy = self._policy if self.gate is None else self.gate.policy
        return {"entitlements": self._grants.for_run(policy, input)}


class Licences:
    """Gives the runs of one project, or those that are kept nowhere, their licences."""

    def __init__(self, grants: Grants | None = None, resolvers: ResolverRegistry | None = None) -> None:
        self._grants = grants
        self._resolvers = resolvers

    def for_graph(self, graph: TaskGraph, permission: Permission) -> Licence:
        """Return the licence of a run that begins."""
        if not guarded_tasks(graph):
            return self._licence(_FREE, permission)
        return self._licence(permission.policy(trusted=not is_from_data(graph), kept=self._of_project()), permission)

    def for_run(self, record: RunRecord, permission: Permission) -> Licence:
        """Return the licence of a run that goes on, or that is repeated."""
        earlier = Policy() if self._grants is None else self._grants.of_run(record)
        return self._licence(permission.policy(trusted=False, kept=self._of_project(), earlier=earlier), permission)

    def _licence(self, policy: Policy, permission: Permission) -> Licence:
        return Licence(policy, permission, self._grants, self._resolvers)

    def _of_project(self) -> tuple[Entitlement, ...]:
        return () if self._grants is None else self._grants.of_project()


_FREE = Policy(grant=(EVERYTHING,))
