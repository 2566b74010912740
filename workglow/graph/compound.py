"""Tasks that hold a graph.  A controller says which scopes of it to open next; the runner does the rest.

Everything a controller knows is either in the task's inputs or in its `state`, a small mapping that is stored with the
task's row.  So a loop goes on after a crash where it stopped, without reading the iterations that are finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from workglow.errors import TaskConfigurationError
from workglow.tasks import Ports, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workglow.graph.graph import TaskGraph

__all__ = ["Controller", "GraphAsTask", "GroupController"]


class Controller(Protocol):
    """Decides what a compound task does next.  `index` numbers its scopes."""

    def state(self) -> dict[str, object] | None:
        """What has to be stored so that a later process can go on; None when the inputs say it all."""
        ...

    def openings(self) -> Iterator[int]:
        """The scopes to open now; each is counted as open when it is given out."""
        ...

    def reopened(self, index: int) -> None:
        """A scope that was open when an earlier process stopped is open again."""
        ...

    def prefix(self, path: str, index: int) -> str:
        """How the paths inside a scope begin."""
        ...

    def inputs(self, index: int) -> dict[str, object]:
        """The graph inputs of a scope."""
        ...

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        """A scope is finished, with these outputs."""
        ...

    def finished(self) -> bool:
        """Is there nothing left to open and nothing open?"""
        ...

    def progress(self) -> tuple[float, str] | None:
        """How far it is, from 0 to 1 and in words; None when the tasks inside say enough."""
        ...

    def outputs(self, recall: Callable[[int], dict[str, object]]) -> dict[str, object]:
        """The task's own outputs.  `recall` reads back what a scope gave in an earlier process."""
        ...


class GraphAsTask(Task):
    """A graph that behaves as one task: its inputs are the graph's, its outputs the graph's.

    `merge` says how the outputs of several last tasks become one: 'PROPERTY_ARRAY' gathers each port into a list,
    'GRAPH_RESULT_ARRAY' gives the list of results.
    """

    type: ClassVar[str] = "GraphAsTask"
    title: ClassVar[str] = "Group"
    category: ClassVar[str] = "Flow control"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        super().__init__(**options)
        if not subgraph.tasks:
            raise TaskConfigurationError(f"{self.type}: its graph has no tasks; add at least one.")
        self.subgraph = subgraph

    @classmethod
    def from_subgraph(cls, subgraph: TaskGraph, **options: Any) -> GraphAsTask:
        """Make the task from its stored parts."""
        return cls(subgraph, **options)

    @classmethod
    def previews_inside(cls) -> bool:
        """Whether a preview of the task is that of its graph; a loop would have to run it."""
        return cls.controller is GraphAsTask.controller

    @classmethod
    def has_preview(cls) -> bool:
        return cls.previews_inside() or super().has_preview()

    @property
    def mode(self) -> str:
        return "compound"

    @property
    def inputs(self) -> Ports:
        return Ports.from_schema(self.input_schema())

    @property
    def outputs(self) -> Ports:
        return Ports.from_schema(self.output_schema())

    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of what the task takes."""
        return self.subgraph.input_schema()

    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of what the task gives."""
        return self.subgraph.output_schema()

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None) -> Controller:
        """Return who drives one run of this task, from the beginning or from a stored state."""
        return GroupController(inputs, state)


class GroupController:
    """One scope with the task's own inputs."""

    def __init__(self, inputs: dict[str, object], state: Mapping[str, object] | None) -> None:
        self._inputs = inputs
        self._opened = state is not None
        self._outputs: dict[str, object] | None = None

    def state(self) -> dict[str, object]:
        return {"opened": 1}

    def openings(self) -> Iterator[int]:
        if not self._opened:
            self._opened = True
            yield 0

    def reopened(self, index: int) -> None:
        """The one scope."""

    def prefix(self, path: str, index: int) -> str:
        return path + "/"

    def inputs(self, index: int) -> dict[str, object]:
        return self._inputs

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        self._outputs = outputs

    def finished(self) -> bool:
        return self._outputs is not None

    def progress(self) -> None:
        return None

    def outputs(self, recall: Callable[[int], dict[str, object]]) -> dict[str, object]:
        return cast("dict[str, object]", self._outputs)
