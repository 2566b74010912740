"""A piece that cannot become part of its port's value fails its task at once, not when the value is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, Field, create_model

from workglow import StreamChunk, TaskGraph
from workglow.errors import TaskOutputError
from workglow.graph.launch import run_in_memory_sync
from workglow.tasks import Task
from workglow.tasks.function import task_function


class Both(TypedDict):
    text: str
    count: int


@dataclass
class Person:
    name: str


def streamed(annotation: Any, *pieces: Any, mode: str | None = None) -> tuple[Any, int]:
    """What a task with one port `value` of this type ends with, and how many pieces it said."""
    said = 0

    field: Any = (annotation, Field(json_schema_extra={"x-stream": mode} if mode else None))
    output = create_model("Output", value=field)

    async def execute_stream(self: Any, inputs: Any) -> AsyncIterator[Any]:
        nonlocal said
        for piece in pieces:
            said += 1
            yield piece

    kind = type("Sayer", (Task,), {"Output": output, "execute_stream": execute_stream, "type": "Sayer"})
    graph = TaskGraph()
    graph.add_task(kind(id="sayer"))
    try:
        return run_in_memory_sync(graph).outputs["value"], said
    except TaskOutputError as error:
        return error, said


CASES: list[tuple[Any, Any, Any, Any, str]] = [
    (str, None, "a", 5, "'value' cannot be added to by this piece: expected str, got a int."),
    (str, None, "a", None, "'value' cannot be added to by this piece: expected str, got None."),
    (str, None, "a", ["b"], "'value' cannot be added to by this piece: expected str, got list ['b']."),
    (list[str], None, ["a"], "b", "'value' cannot be added to by this piece: expected list[str], got str 'b': "),
    (list[str], None, ["a"], [5], "'value' cannot be added to by this piece: expected list[str], got list [5]"),
    (list[Person], None, [Person("a")], [5], "'value' cannot be added to by this piece"),
    (Any, "append", "a", 5, "'value' cannot be added to by this piece: expected text or a list, got a int."),
    (str, "replace", "a", 5, "'value' cannot be replaced by this piece: expected str, got int 5."),
    (int, None, 1, "2", "'value' cannot be replaced by this piece: expected int, got str '2'."),
    (int, None, 1, True, "'value' cannot be replaced by this piece: expected int, got bool True."),
    (dict[str, int], None, {"a": 1}, ["a"], "'value' cannot be replaced by this piece: expected dict"),
    (dict[str, Any], "object", {"a": 1}, "b", "'value' takes objects as pieces: expected an object, got a str."),
    (dict[str, Any], "object", {"a": 1}, [{}], "'value' takes objects as pieces: expected an object, got a list."),
    (list[Any], "object", [{"id": 1}], [5], "'value' takes objects as pieces: expected a list of objects, got a i"),
    (list[Any], "object", [{"id": 1}], {"id": 2}, "takes objects as pieces: expected a list of objects, got a d"),
    (Person, "object", {"name": "a"}, 5, "'value' takes objects as pieces: expected an object, got a int."),
]


@pytest.mark.parametrize(("annotation", "mode", "good", "bad", "reason"), CASES)
def test_the_chunk_that_broke_it_is_the_last(annotation: Any, mode: Any, good: Any, bad: Any, reason: str) -> None:
    error, said = streamed(annotation, {"value": good}, {"value": bad}, {"value": good}, mode=mode)
    assert isinstance(error, TaskOutputError)
    assert reason in str(error)
    assert "Task 'sayer': output 'value'" in str(error)
    assert said == 2
    assert not isinstance(streamed(annotation, {"value": good}, {"value": good}, mode=mode)[0], Exception)


def test_an_object_may_lack_fields_while_it_grows() -> None:
    class Answer(BaseModel):
        title: str
        size: int

    value, _ = streamed(
        Answer, {"value": {}}, {"value": {"title": "a"}}, {"value": {"title": "a", "size": 1}}, mode="object"
    )
    assert value == Answer(title="a", size=1)


def test_a_whole_value_is_checked_in_the_end_as_ever() -> None:
    error, said = streamed(dict[str, int], {"value": {"a": "b"}}, {"value": {"a": "c"}})
    assert isinstance(error, TaskOutputError)
    assert said == 2


def test_a_port_that_is_not_there_is_told_with_its_first_piece() -> None:
    said: list[int] = []

    async def say() -> AsyncIterator[Both]:
        said.append(1)
        yield StreamChunk("texts", "a")  # pyright: ignore[reportReturnType]
        said.append(2)

    graph = TaskGraph()
    graph.add_task(task_function(say, register=False, cache=False).task(id="say"))
    with pytest.raises(TaskOutputError, match=r"Task 'say': output 'texts' is not known.* Did you mean 'text'"):
        run_in_memory_sync(graph)
    assert said == [1]
