"""Auto-connect: which edges the builder adds between a new task and those before it.

Policy.  The new task (the target) is matched with the task before it (the source), port by port.

A. An input task as the source gives every port of the target, under the port's name.
B. A target with open ports takes every output of the source under its name, or whatever comes if it names none.
C. Otherwise each port of the target takes the output of the same name, or `input` takes `output`, if their types fit;
   then, for ports still without an edge, the output with the same `format` or `$id`, whatever its name.
D. Required ports still without an edge are sought in the earlier tasks, the newest first, by the same two rules.

A source that passes on what enters its open ports gives that too; without edges into it, it counts as an input task.
A target that takes nothing from a source that waits (for a time, an event, a person) is put behind it by a `*` edge.
A literal is never overridden.  Among several candidates the one of the same name is preferred, then those that stream
as the port does; if several are left, that is an error which names them.  A required port without an edge is an error,
and so is a target that nothing at all was found for, unless it needs nothing.  Types fit as in the system whose graphs
ours exchange (equal `type`, or one of the target's alternatives), and besides: `integer` fits `number`, one of the
source's alternatives is enough, and a port without a type fits by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from workglow.errors import AutoConnectError
from workglow.graph.admission import edge_schema
from workglow.graph.boundary import InputTask
from workglow.graph.building.candidates import nearest_outputs
from workglow.graph.dataflow import ALL_PORTS
from workglow.graph.graph import TaskGraph
from workglow.tasks import Task
from workglow.tasks.compatibility import compatibility

__all__ = ["Match", "Search", "find_matches", "types_fit"]

Schema = Mapping[str, Any]

_TYPE_WORDS = frozenset({"type", "anyOf", "oneOf", "allOf", "enum", "const", "format", "$id", "$ref"})


class Match(NamedTuple):
    """An edge that was found: from a port of a task to a port of the new task."""

    source: str
    source_port: str
    target_port: str


def find_matches(
    graph: TaskGraph, source_id: str, target_id: str, *, provided: Collection[str], earlier: Iterable[str]
) -> list[Match]:
    """Find the edges into a task that was just added; edges it has already stay as they are.

    `provided` are the ports given as literals, `earlier` the tasks before the source, newest first.  Raises
    AutoConnectError; the graph is not changed.
    """
    search = Search(graph, source_id, target_id, provided)
    search.take()
    search.seek(earlier)
    search.check()
    return search.matches()


class Search:
    """Looks for the edges into one task, step by step; changes nothing."""

    def __init__(self, graph: TaskGraph, source_id: str, target_id: str, provided: Collection[str]) -> None:
        self._graph = graph
        self._source_id, self._target_id = source_id, target_id
        self._source, self._target = graph.tasks[source_id], graph.tasks[target_id]
        self._given = _gives(graph, self._source)
        properties: dict[str, Any] = self._target.inputs.schema["properties"]
        self._taken: dict[str, Schema] = {name: edge_schema(schema) for name, schema in properties.items()}
        self._closed = {*provided, *(edge.target_port for edge in graph.incoming[target_id])}
        self._found: dict[str, Match] = {}
        self._tried = [source_id]

    def matches(self) -> list[Match]:
        """Return what was found so far."""
        return list(self._found.values())

    def take(self) -> None:
        """Match the ports with those of the source."""
        source = self._source
        if isinstance(source, InputTask) and not source.is_manual:
            self._take_by_name()
        elif self._target.inputs.open:
            self._take_everything()
        elif _passes_on(source) and not self._graph.incoming[self._source_id]:
            self._take_by_name()  # it stands where an input task would
        else:
            for fits in (_named_fit, _marked_fit):
                self._match(self._source_id, self._given, fits, self._taken)

    def seek(self, earlier: Iterable[str]) -> None:
        """Match the required ports that are left with those of earlier tasks."""
        needed = self.needed()
        for task_id in earlier:
            self._tried.append(task_id)
            if not needed:
                break
            self._search_earlier(task_id, needed)
            needed = self.needed()

    def _keep_waiting(self) -> None:
        """Let a target that takes nothing from a task that waits begin behind it all the same."""
        alone = not (self.needed() or self._found or self._graph.incoming[self._target_id])
        if alone and self._source.mode == "wait" and self._given.keys().isdisjoint(self._taken):
            self._add(self._source_id, ALL_PORTS, ALL_PORTS)

    def close(self, port: str) -> None:
        """Look no further for this port."""
        self._closed.add(port)
        self._found.pop(port, None)

    def _add(self, source_id: str, source_port: str, target_port: str) -> None:
        if target_port not in self._closed and target_port not in self._found:
            self._found[target_port] = Match(source_id, source_port, target_port)

    def _take_everything(self) -> None:
        for name in list(self._given) or ([ALL_PORTS] if self._source.outputs.open else []):
            self._add(self._source_id, name, name)

    def _take_by_name(self) -> None:
        for name in self._taken or ([ALL_PORTS] if self._target.inputs.open else []):
            self._add(self._source_id, name, name)

    def needed(self) -> list[str]:
        """Return the required ports that have neither literal nor edge."""
        if ALL_PORTS in self._closed or ALL_PORTS in self._found:
            return []
        required = self._target.inputs.schema.get("required", ())
        return [name for name in required if name not in self._closed and name not in self._found]

    def _search_earlier(self, task_id: str, needed: list[str]) -> None:
        task = self._graph.tasks[task_id]
        given = _gives(self._graph, task)
        wanted = {name: self._taken[name] for name in needed}
        if isinstance(task, InputTask):
            for name in wanted:
                if not task.is_manual or name in given:
                    self._add(task_id, name, name)
            return
        for fits in (_named_fit, _marked_fit):
            self._match(task_id, given, fits, wanted)

    def _match(self, task_id: str, given: Mapping[str, Schema], fits: _Fits, wanted: Mapping[str, Schema]) -> None:
        for name, taken in wanted.items():
            if name in self._closed or name in self._found:
                continue
            ranked: dict[tuple[bool, bool], list[str]] = {}
            for port, schema in given.items():
                if fits(port, schema, name, taken) and compatibility(dict(schema), dict(taken)) != "incompatible":
                    rank = (port != name, schema.get("x-stream") != taken.get("x-stream"))
                    ranked.setdefault(rank, []).append(port)
            if ranked:
                best = ranked[min(ranked)]
                if len(best) > 1:
                    raise self._ambiguous(task_id, best, name)
                self._add(task_id, best[0], name)

    def check(self) -> None:
        """Raise AutoConnectError when a required port has nothing, or when nothing at all was found."""
        self._keep_waiting()
        self.check_needed()
        self._check_any()

    def check_needed(self) -> None:
        """Raise AutoConnectError when a required port has neither literal nor edge."""
        needed = self.needed()
        if needed:
            raise AutoConnectError(
                f"Could not find matches for required inputs [{', '.join(needed)}] of {self._target.type}. "
                f"Attempted to match from {self._source.type} and earlier tasks."
                f"{nearest_outputs(self._graph, self._tried, self._target, needed)}"
            )

    def _check_any(self) -> None:
        ports = self._target.inputs
        needs_nothing = (
            self._found
            or self._graph.incoming[self._target_id]
            or any(port.required for port in ports.values())  # then all of them were given as literals
            or any("default" in schema for schema in ports.schema["properties"].values())
            or (not ports.open and all(name in self._closed for name in ports))
        )
        if not needs_nothing:
            raise AutoConnectError(
                f"Could not find a match between the outputs of {self._source.type} and the inputs of "
                f"{self._target.type}. You may need to connect the outputs to the inputs via connect() manually."
                f"{nearest_outputs(self._graph, self._tried, self._target, list(self._taken))}"
            )

    def _ambiguous(self, task_id: str, ports: list[str], name: str) -> AutoConnectError:
        candidates = ", ".join(f"{task_id}[{port}]" for port in ports)
        return AutoConnectError(
            f"The input {name!r} of {self._target.type} could come from any of {candidates}. "
            f"Say which: rename({ports[0]!r}, {name!r}) before adding it, or give it a literal."
        )


def _passes_on(task: Task) -> bool:
    return task.outputs.open and getattr(task, "passthrough", False)


def _gives(graph: TaskGraph, task: Task) -> dict[str, Schema]:
    """Return the outputs of a task by name, and if it passes on what enters its open ports, those that it was given."""
    own: dict[str, Schema] = task.outputs.schema["properties"]
    if not _passes_on(task):
        return own
    passed: dict[str, Schema] = {
        edge.target_port: {} if edge.transforms else _origin(graph, edge.source, edge.source_port)
        for edge in graph.incoming[task.id]
        if edge.target_port != ALL_PORTS and edge.target_port not in task.inputs
    }
    return {**passed, **own}


def _origin(graph: TaskGraph, task_id: str, port: str) -> Schema:
    """Return the schema of an output, sought through the tasks that only passed it on; empty when none declares it."""
    while True:
        task = graph.tasks[task_id]
        if port in task.outputs:
            return task.outputs[port].schema
        entering = [edge for edge in graph.incoming[task_id] if edge.target_port == port and not edge.transforms]
        if not entering or not _passes_on(task):
            return {}
        task_id, port = entering[0].source, entering[0].source_port


_Fits = Callable[[str, Schema, str, Schema], bool]


def _named_fit(port: str, given: Schema, name: str, taken: Schema) -> bool:
    return (port == name or (port == "output" and name == "input")) and types_fit(given, taken)


def _marked_fit(port: str, given: Schema, name: str, taken: Schema) -> bool:
    return _share_mark(given, taken)


def types_fit(given: Schema, taken: Schema) -> bool:
    """Say whether ports of the same name belong together by their types; narrower than what an edge may connect."""
    if _share_mark(given, taken):
        return True
    if "$id" in given or "$id" in taken:
        return False
    if not (_TYPE_WORDS & given.keys() and _TYPE_WORDS & taken.keys()):
        return True
    wanted = _types(taken) | {kind for member in _members(taken) for kind in _types(member)}
    offered = _types(given) | {kind for member in _members(given) for kind in _types(member)}
    if not (offered or wanted):
        return True
    return bool(offered & wanted) or ("integer" in offered and "number" in wanted)


def _types(schema: Schema) -> set[str]:
    kind: str | list[str] | None = schema.get("type")
    return set(kind) if isinstance(kind, list) else {kind} if kind else set()


def _members(schema: Schema) -> list[Schema]:
    return [*schema.get("oneOf", ()), *schema.get("anyOf", ())]


def _share_mark(given: Schema, taken: Schema) -> bool:
    return any(_marks(given, word) & _marks(taken, word) for word in ("format", "$id"))


def _marks(schema: Schema, word: str) -> set[str]:
    places = [schema, *_members(schema)]
    items = [place["items"] for place in places if isinstance(place.get("items"), Mapping)]
    return {place[word] for place in (*places, *items) if isinstance(place.get(word), str)}
