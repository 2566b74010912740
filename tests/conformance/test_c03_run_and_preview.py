"""C03: a run executes and a preview previews, and neither does the other."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of
from fixture_tasks import Uncached
from pydantic import BaseModel

from workglow.errors import TaskConfigurationError
from workglow.file import File
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.previews.preview import Preview
from workglow.storage.sqlite.outputs import SqliteOutputs
from workglow.tasks import Task


class Value(BaseModel):
    value: str = ""


class Out(BaseModel):
    out: str


class Both(Task):
    calls: ClassVar[list[str]] = []
    Input = Value
    Output = Out

    def execute(self, inputs: Value) -> dict[str, Any]:
        self.calls.append("execute")
        return {"out": f"executed:{inputs.value}"}

    def execute_preview(self, inputs: Value) -> dict[str, Any]:
        self.calls.append("preview")
        return {"out": f"previewed:{inputs.value}"}


class PreviewOnly(Uncached):
    Input = Value
    Output = Out

    def execute_preview(self, inputs: Value) -> dict[str, Any]:
        return {"out": f"previewed:{inputs.value}"}


class ExecuteOnly(Uncached):
    Input = Value
    Output = Out

    def execute(self, inputs: Value) -> dict[str, Any]:
        return {"out": inputs.value}


class Neither(Uncached):
    pass


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    Both.calls.clear()


def test_c03_1_run_executes_and_preview_previews() -> None:
    assert run_in_memory_sync(graph_of(Both), {"value": "hello"}).outputs == {"out": "executed:hello"}
    assert Both.calls == ["execute"]
    Both.calls.clear()
    assert Preview(graph_of(Both), {"value": "hello"}).outputs == {"out": "previewed:hello"}
    assert Both.calls == ["preview"]


def test_c03_2_a_cached_output_calls_neither() -> None:
    cache = SqliteOutputs(File.open(":memory:"))
    first = run_in_memory_sync(graph_of(Both), {"value": "x"}, output_cache=cache)
    Both.calls.clear()
    second = run_in_memory_sync(graph_of(Both()), {"value": "x"}, output_cache=cache)
    assert first.outputs == second.outputs == {"out": "executed:x"}
    assert Both.calls == []


class Given(Uncached):
    class Config(BaseModel):
        answer: dict[str, str] | None

    def execute_preview(self, inputs: dict[str, Any]) -> Any:
        return self.config["answer"]


def test_c03_3_the_result_is_what_the_preview_gave() -> None:
    # A: there are no outputs of an earlier run that a preview could replace, or leave
    assert Preview(graph_of(Given(id="t", answer={"a": "new"}))).tasks["t"].outputs == {"a": "new"}
    nothing = Preview(graph_of(Given(id="t", answer=None)))
    assert (nothing.tasks["t"].state, nothing.outputs, nothing.errors) == ("unknown", {}, {})


def test_c03_4_what_can_be_run() -> None:
    with pytest.raises(TaskConfigurationError, match="PreviewOnly"):
        run_in_memory_sync(graph_of(PreviewOnly))
    assert Preview(graph_of(PreviewOnly), {"value": "x"}).outputs == {"out": "previewed:x"}
    assert run_in_memory_sync(graph_of(ExecuteOnly), {"value": "x"}).outputs == {"out": "x"}
    assert run_in_memory_sync(graph_of(Both), {"value": "x"}).outputs == {"out": "executed:x"}
    assert run_in_memory_sync(graph_of(Neither)).outputs == {}


def test_c03_5_the_guard_leaves_nothing_running() -> None:
    graph = graph_of(PreviewOnly(id="t"))
    with pytest.raises(TaskConfigurationError) as caught:
        run_in_memory_sync(graph)
    assert caught.value.run.tasks["t"].status == "failed"  # type: ignore[union-attr]
    assert Preview(graph, {"value": "x"}).outputs == {"out": "previewed:x"}
