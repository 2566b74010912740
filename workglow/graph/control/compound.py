"""Tasks that hold a graph.  A controller says which scopes of it to open next; the runner does the rest.

Everything a controller knows is in the task's inputs, in its `state`, a small mapping that is stored with the task's
row, or in what finished scopes gave, which it can ask for again.  So a loop goes on after a crash where it stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from workglow.errors import TaskConfigurationError
from workglow.tasks import Ports, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workglow.errors import WorkglowError
    from workglow.graph.graph import TaskGraph

    Recall = Callable[[int], dict[str, object]]
    """Reads back what a finished scope gave, also in an earlier process."""

__all__ = ["Controller", "GraphAsTask", "GroupController", "SequentialController"]


class Controller:
    """Decides what one run of a compound task does next.  `index` numbers its scopes."""

    def __init__(self, task: GraphAsTask) -> None:
        self.task = task

    def state(self) -> dict[str, object] | None:
        """What has to be stored so that a later process can go on; None when the inputs say it all."""
        raise NotImplementedError

    def openings(self) -> Iterator[int]:
        """The scopes to open now; each is counted as open when it is given out."""
        raise NotImplementedError

    def reopened(self, index: int) -> None:
        """A scope that was open when an earlier process stopped is open again.

        One that was opened there and is not reopened here has finished, and nobody was told: that process stopped while
        it was itself still reading back what was open.
        """
        raise NotImplementedError

    def prefix(self, path: str, index: int) -> str:
        """How the paths inside a scope begin."""
        return f"{path}[{index}]/"

    def graph(self, index: int) -> TaskGraph:
        """The graph that a scope executes."""
        return self.task.subgraph

    def inputs(self, index: int) -> dict[str, object]:
        """The graph inputs of a scope."""
        raise NotImplementedError

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        """A scope is finished, with these outputs."""
        raise NotImplementedError

    def failed(self, index: int, failure: WorkglowError) -> bool:
        """A scope failed: True when the task goes on all the same, False when it fails with it."""
        return False

    def finished(self) -> bool:
        """Is there nothing left to open and nothing open?"""
        raise NotImplementedError

    def progress(self) -> tuple[float, str] | None:
        """How far it is, from 0 to 1 and in words; None when the tasks inside say enough."""
        return None

    def outputs(self) -> dict[str, object]:
        """The task's own outputs; raises what the task fails with when it has none."""
        raise NotImplementedError


class SequentialController(Controller):
    """One scope after the other, each of them perhaps depending on those before it."""

    def __init__(self, task: GraphAsTask, state: Mapping[str, object] | None) -> None:
        super().__init__(task)
        self.opened = cast(int, state["opened"]) if state else 0
        self.is_open = False

    def state(self) -> dict[str, object] | None:
        return {"opened": self.opened}

    def openings(self) -> Iterator[int]:
        while not self.is_open and self.goes_on():
            self.is_open = True
            self.opened += 1
            yield self.opened - 1

    def goes_on(self) -> bool:
        """With no scope open: is another one to be opened?"""
        raise NotImplementedError

    def reopened(self, index: int) -> None:
        self.is_open = True
        self.opened = index + 1

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        self.is_open = False

    def finished(self) -> bool:
        return not self.is_open and not self.goes_on()


class GraphAsTask(Task):
    """A graph that behaves as one task: its inputs are the graph's, its outputs the graph's.

    `merge` of the graph says how the outputs of several last tasks become one: 'PROPERTY_ARRAY' gathers each port into
    a list, 'GRAPH_RESULT_ARRAY' gives the list of results.
    """

    type: ClassVar[str] = "GraphAsTask"
    title: ClassVar[str] = "Group"
    category: ClassVar[str] = "Flow control"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    has_body: ClassVar[bool] = False
    is_sequential: ClassVar[bool] = False
    """Whether a scope depends on the scopes before it, so that running one again takes the later ones along."""
    outlives_failures: ClassVar[bool] = False
    """Whether the task can complete although a scope in it failed."""
    brings_graph: ClassVar[bool] = False
    """Whether the task has a graph of its own when it is given none."""

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        if not subgraph.tasks:
            raise TaskConfigurationError(f"{self.type}: its graph has no tasks; add at least one.")
        self._inputs: tuple[dict[str, Any], Ports] | None = None  # and the schema that they were made of
        self.subgraph = subgraph  # before the options, because literals are checked against the graph's inputs
        super().__init__(**options)

    def check_definition(self) -> None:
        if self.retry is not None:
            raise TaskConfigurationError(
                f"{self.type} is not tried again as a whole; give retry to the tasks inside it."
            )

    @classmethod
    def from_subgraph(cls, subgraph: TaskGraph, **options: Any) -> GraphAsTask:
        """Make the task from its stored parts."""
        return cls(subgraph, **options)

    @classmethod
    def previews_inside(cls) -> bool:
        """Whether a preview of the task is that of its graph; a loop would have to run it."""
        return cls.controller is GraphAsTask.controller

    @classmethod
    def passes_streams(cls) -> bool:
        """Whether streams go in and out while they are written; a loop takes and gives whole values."""
        return cls.controller is GraphAsTask.controller

    @classmethod
    def has_preview(cls) -> bool:
        return cls.previews_inside() or super().has_preview()

    @property
    def mode(self) -> str:
        return "compound"

    @property
    def is_one_graph(self) -> bool:
        """Whether a scope runs the whole of its graph."""
        return True

    @property
    def inputs(self) -> Ports:
        schema = self.input_schema()
        if self._inputs is None or self._inputs[0] is not schema:  # the graph makes another one when it has changed
            ports = Ports.from_schema(schema)
            self._inputs = schema, ports.read_as_streams() if self.passes_streams() else ports
        return self._inputs[1]

    @property
    def outputs(self) -> Ports:
        return Ports.from_schema(self.output_schema())

    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of what the task takes."""
        return self.subgraph.input_schema()

    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of what the task gives."""
        return self.subgraph.output_schema()

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        """Return who drives one run of this task, from the beginning or from a stored state."""
        return GroupController(self, inputs, state, recall)


class GroupController(SequentialController):
    """One scope with the task's own inputs."""

    def __init__(
        self, task: GraphAsTask, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task, state)
        self._inputs = inputs
        self._recall = recall
        self._outputs: dict[str, object] | None = None

    def goes_on(self) -> bool:
        return self.opened == 0

    def prefix(self, path: str, index: int) -> str:
        return path + "/"

    def inputs(self, index: int) -> dict[str, object]:
        return self._inputs

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        self._outputs = outputs

    def outputs(self) -> dict[str, object]:
        return self._recall(0) if self._outputs is None else self._outputs
