"""A graph as its JSON alone tells it: to be looked at where the code of its tasks is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from workglow.errors import UnknownTaskTypeError
from workglow.graph.graph import TaskGraph
from workglow.graph.json.loading import Reader
from workglow.graph.json.shape import parse_object
from workglow.tasks import Ports, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.graph.dataflow import Dataflow

__all__ = ["sketch"]


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Unknown(Task):
    """Stands for a task whose code is not there: it may have any port and any setting, and a graph inside."""

    Config: ClassVar[type[BaseModel] | None] = _Anything
    brings_graph: ClassVar[bool] = True  # or has none

    @property
    def inputs(self) -> Ports:
        return Ports(open=True)

    @classmethod
    def from_subgraph(cls, subgraph: TaskGraph, **options: Any) -> Self:
        task = cls(**options)
        vars(task)["subgraph"] = subgraph
        return task


class _Sketch(TaskGraph):
    """Takes every edge as it is written: what may be connected is said in code that is not there."""

    def _judge(self, edge: Dataflow) -> list[Dataflow]:
        return []


class _SketchReader(Reader):
    graph_kind: ClassVar[type[TaskGraph]] = _Sketch

    def _type(self, name: str, path: str) -> type[Task]:
        try:
            return super()._type(name, path)
        except UnknownTaskTypeError:
            return type(name, (_Unknown,), {"type": name})


def sketch(data: str | bytes | Mapping[str, Any]) -> TaskGraph:
    """Return a graph of the JSON that can be looked at and not run: tasks of unknown types are there without ports.

    Raises GraphFormatError, which names the place in the JSON.
    """
    return _SketchReader(None, None, tags=False).graph(parse_object(data), "$", 0, "PROPERTY_ARRAY")
