"""The gate: no task of a run begins that needs what was not granted.

Policy.  The whole graph is looked at before anything runs: no run is to stop half way for what could have been known.
What depends on inputs that are not there yet is looked at then only for whether it can be allowed at all.  Just before
each task begins it is looked at again, with its inputs.  Tasks that need nothing are never looked at, and a run that
may do everything has no gate.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from workglow.errors import TaskConfigurationError, TaskEntitlementError, WorkglowError
from workglow.graph.rights.permission import EntitlementRequest
from workglow.tasks import Entitlement
from workglow.tasks.entitlements import merged
from workglow.tasks.policy import Policy, as_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workglow.graph.environment import Environment
    from workglow.graph.graph import TaskGraph
    from workglow.graph.rights.permission import OnEntitlement
    from workglow.graph.schedule import TaskRun
    from workglow.tasks import Task
    from workglow.tasks.resolver import ResolverRegistry

    Keep = Callable[[Iterable[Entitlement]], None]

__all__ = ["Gate", "Requirement", "gate_of", "guarded_tasks", "is_from_data", "requirements"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a graph needs to be allowed to do, and the paths of the tasks that need it."""

    entitlement: Entitlement
    tasks: tuple[str, ...]


def requirements(graph: TaskGraph) -> list[Requirement]:
    """Return what the tasks of a graph, and of the graphs inside it, need; once for each id."""
    found: dict[str, Requirement] = {}
    for path, task in guarded_tasks(graph):
        for needed in task.required_entitlements():
            known = found.get(needed.id)
            if known is None:
                found[needed.id] = Requirement(needed, (path,))
            else:
                found[needed.id] = Requirement(merged(known.entitlement, needed), (*known.tasks, path))
    return list(found.values())


def guarded_tasks(graph: TaskGraph) -> list[tuple[str, Task]]:
    """Return the tasks that may need an entitlement, with their paths, those inside compound tasks too."""
    return graph.derive("guarded tasks", lambda graph: list(_guarded(graph, "")))


def _guarded(graph: TaskGraph, prefix: str) -> Iterator[tuple[str, Task]]:
    for task_id, task in graph.tasks.items():
        if task.guarded:
            yield prefix + task_id, task
        inner = getattr(task, "subgraph", None)
        if inner is not None:
            yield from _guarded(inner, f"{prefix}{task_id}/")


def is_from_data(graph: TaskGraph) -> bool:
    """Whether any task of the graph, or of a graph inside it, was read from data."""
    return graph.derive("from data", _has_data)


def _has_data(graph: TaskGraph) -> bool:
    return any(
        task.from_data or (hasattr(task, "subgraph") and is_from_data(cast("Any", task).subgraph))
        for task in graph.tasks.values()
    )


def gate_of(run: TaskRun, environment: Environment) -> Gate | None:
    """Return the gate that a task has to pass; None when it may do everything."""
    around = run.scope.parent
    while around is not None:
        if getattr(around.task, "came_in_as_data", False):
            return environment.gate_for_data
        around = around.scope.parent
    return environment.gate


class Gate:
    """Lets the tasks of one run do what its policy allows, and asks about the rest if there is somebody to ask."""

    def __init__(
        self,
        policy: Policy,
        on_entitlement: OnEntitlement | None = None,
        *,
        keep: Keep | None = None,
        resolvers: ResolverRegistry | None = None,
    ) -> None:
        self.policy = policy
        self._ask = on_entitlement
        self._keep = keep
        self._resolvers = resolvers
        self._refused: set[Entitlement] = set()

    def admit(
        self,
        graph: TaskGraph,
        delivered: Mapping[str, Mapping[str, object]],
        *,
        is_final: Callable[[str], bool] | None = None,
    ) -> None:
        """Look at a whole graph; TaskEntitlementError names everything that is missing.

        `delivered` are the graph's inputs as its tasks get them.  `is_final` says which tasks of the graph itself will
        not run again.
        """
        missing: list[EntitlementRequest] = []
        for path, task in guarded_tasks(graph):
            if is_final is not None and is_final(path.partition("/")[0]):
                continue
            inputs = _known_inputs(graph, path, delivered)
            open_ended = inputs is None and type(task).asks_by_inputs()
            missing += self._missing(path, task, task.required_entitlements(inputs), postpone=open_ended)
            missing += self._missing(path, task, self._of_names(task, inputs), postpone=inputs is None)
        if missing:
            raise _refusal(missing)

    def check(self, run: TaskRun) -> None:
        """Look at a task that is about to begin, with its inputs; raises TaskEntitlementError."""
        task, inputs = run.task, run.inputs or {}
        required = (*task.required_entitlements(inputs), *self._of_names(task, inputs))
        missing = self._missing(run.path, task, required)
        if missing:
            raise _refusal(missing)

    def _of_names(self, task: Task, inputs: Mapping[str, object] | None) -> tuple[Entitlement, ...]:
        """What the names in a task's inputs need, before they are resolved."""
        if self._resolvers is None or not task.formats:
            return ()
        if inputs is None:
            return self._resolvers.required(task.formats)
        return self._resolvers.required_by(inputs, task.inputs.schema)

    def demand(self, path: str, task: Task, needed: Entitlement) -> None:
        """Look at something that only turned up while a task was made ready; raises TaskEntitlementError."""
        missing = self._missing(path, task, (needed,))
        if missing:
            raise _refusal(missing)

    def is_allowed(self, id: str, *resources: str) -> bool:
        """Say whether something is granted; nobody is asked."""
        return self.policy.judge(Entitlement(id, resources)).verdict == "granted"

    def _missing(
        self, path: str, task: Task, required: Iterable[Entitlement], *, postpone: bool = False
    ) -> list[EntitlementRequest]:
        missing: list[EntitlementRequest] = []
        for verdict in self.policy.evaluate(required):
            if verdict.verdict == "granted" or (postpone and self._is_postponed(verdict.entitlement)):
                continue
            request = EntitlementRequest(verdict.entitlement, path, task.type, verdict.rule)
            if verdict.verdict == "denied" or not self._is_answered(request):
                missing.append(request)
        return missing

    def _is_postponed(self, needed: Entitlement) -> bool:
        """Whether inputs that are not known yet may make it something that is granted."""
        return replace(self.policy, ask=()).is_possible(needed)

    def _is_answered(self, request: EntitlementRequest) -> bool:
        asked = _exact(request.entitlement)
        if self._ask is None or asked in self._refused:
            return False
        answer = self._ask(replace(request, entitlement=replace(asked, reason=request.entitlement.reason), rule=None))
        if answer not in ("once", "always"):
            self._refused.add(asked)
            return False
        rules = (asked,)
        self.policy = self.policy.granting(rules)
        if answer == "always" and self._keep is not None:
            self._keep(rules)
        return True


def _known_inputs(
    graph: TaskGraph, path: str, delivered: Mapping[str, Mapping[str, object]]
) -> Mapping[str, object] | None:
    """Return the inputs of a task that waits for no other one; None for all the rest."""
    if "/" in path or graph.incoming[path]:
        return None
    task = graph.tasks[path]
    try:
        return task.check_inputs({**task.defaults, **(delivered.get(path) or {})})
    except WorkglowError:
        return None  # the run will say what is wrong with them


def _refusal(missing: list[EntitlementRequest]) -> TaskEntitlementError:
    needed: dict[str, list[EntitlementRequest]] = {}
    for request in missing:
        needed.setdefault(str(_exact(request.entitlement)), []).append(request)
    said = "; ".join(_said(text, requests) for text, requests in needed.items())
    error = TaskEntitlementError(f"Denied entitlements: {said}.  {_remedy(missing)}")
    error.missing = tuple(missing)
    return error


def _exact(needed: Entitlement) -> Entitlement:
    """What was really meant: a path without symbolic links; what no path can be stays as it is."""
    try:
        return replace(as_rules([needed])[0], reason="")
    except TaskConfigurationError:
        return replace(needed, reason="")


def _said(text: str, requests: list[EntitlementRequest]) -> str:
    tasks = ", ".join(dict.fromkeys(f"'{request.task}' ({request.type})" for request in requests))
    reason = next((f": {request.entitlement.reason}" for request in requests if request.entitlement.reason), "")
    rule = next((f"denied by rule {request.rule}" for request in requests if request.rule), "no matching grant")
    return f"{text} for {tasks}{reason} ({rule})"


def _remedy(missing: list[EntitlementRequest]) -> str:
    if any(request.rule is not None for request in missing):
        return "What is denied by a rule is allowed only without the rule."
    texts = list(dict.fromkeys(text for request in missing for text in _exact(request.entitlement).texts()))
    options = " ".join(f"--allow {shlex.quote(text)}" for text in texts)
    return f"If you trust the graph with it, grant it: entitlements={texts!r}, or {options} on the command line."
