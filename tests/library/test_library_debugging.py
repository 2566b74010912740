"""DebugLogTask and LambdaTask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from workglow.errors import TaskConfigurationError, TaskOutputError, TaskSerializationError
from workglow.graph.building.workflow import Workflow
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.previews.preview import Preview
from workglow.library import DebugLogTask, LambdaTask
from workglow.tasks import TaskContext, task
from workglow.values import Secret


def run(task: Any, inputs: dict[str, object]) -> dict[str, object]:
    graph = TaskGraph()
    graph.add_task(task, id="t")
    return dict(run_in_memory_sync(graph, inputs).outputs)


@pytest.mark.parametrize("level", ["log", "dir"])
def test_what_passes_by_is_written_and_passed_on(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"text": "so it goes", "key": Secret("hush")}
    assert run(DebugLogTask(log_level=level), inputs) == inputs
    written = capsys.readouterr().err
    assert "'text': 'so it goes'" in written
    assert "hush" not in written


@pytest.mark.parametrize(("level", "number"), [("debug", 10), ("info", 20), ("warn", 30), ("error", 40)])
def test_other_levels_go_to_the_logger(level: str, number: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "workglow.debug_log"):
        run(DebugLogTask(log_level=level), {"x": 1})
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(number, "{'x': 1}")]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(TaskConfigurationError, match="log_level"):
        DebugLogTask(log_level="loud")


@task(output="text", name="debugging_shout", inline=True)
def shout(text: str) -> str:
    return text.upper()


def test_a_workflow_looks_through_a_debug_log(capsys: pytest.CaptureFixture[str]) -> None:
    workflow = Workflow().then(shout, id="a").then(DebugLogTask, id="one").then(DebugLogTask, id="two")
    assert [edge.id for edge in workflow.graph.dataflows()] == ["a[text] ==> one[text]", "one[text] ==> two[text]"]
    assert workflow.run_sync({"text": "x"}).outputs == {"text": "X"}
    assert capsys.readouterr().err == "{'text': 'X'}\n" * 2


async def awaited(inputs: dict[str, int], context: TaskContext) -> dict[str, object]:
    await asyncio.sleep(0)
    return {"n": inputs["n"] + 1, "path": context.path}


async def streamed(inputs: dict[str, int]) -> AsyncIterator[dict[str, str]]:
    for number in range(inputs["n"]):
        yield {"text": str(number)}


@pytest.mark.parametrize(
    ("function", "mode", "outputs"),
    [
        (lambda inputs: {"n": inputs["n"] + 1}, "thread", {"n": 4}),
        (lambda inputs, context: {"path": context.path}, "thread", {"path": "t"}),
        (awaited, "async", {"n": 4, "path": "t"}),
        (streamed, "stream", {"text": "012"}),
    ],
)
def test_a_function_is_called_as_its_kind_asks(function: Any, mode: str, outputs: dict[str, object]) -> None:
    task = LambdaTask(execute=function)
    assert task.mode == mode
    assert run(task, {"n": 3}) == outputs


def test_a_changed_function_is_the_one_that_is_called() -> None:
    task = LambdaTask(execute=lambda inputs: {"n": 1}).replace(execute=awaited)
    assert task.mode == "async"
    assert run(task, {"n": 3})["n"] == 4


def test_a_function_may_have_a_preview() -> None:
    graph = TaskGraph()
    graph.add_task(LambdaTask(id="t", execute=lambda inputs: {}, executePreview=lambda inputs: {"seen": True}))
    assert Preview(graph).outputs == {"seen": True}
    only = LambdaTask(execute_preview=lambda inputs, context: {"path": context.path})
    with pytest.raises(TaskConfigurationError, match="only a preview"):
        run(only, {})


def test_what_is_no_function_is_refused() -> None:
    for options in ({}, {"execute": "print"}):
        with pytest.raises(TaskConfigurationError):
            LambdaTask(**options)
    with pytest.raises(TaskOutputError):
        run(LambdaTask(execute=lambda inputs: 5), {})


def test_a_function_is_not_written_to_a_graph() -> None:
    graph = TaskGraph()
    graph.add_task(LambdaTask(id="t", execute=lambda inputs: {}))
    with pytest.raises(TaskSerializationError, match="LambdaTask"):
        graph.to_json()
