"""`@task`: a function becomes a task and stays a function."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypedDict

import pytest

from workglow.errors import TaskConfigurationError, TaskInputError, TaskOutputError
from workglow.retry import Retry
from workglow.tasks import Task, TaskContext, TaskRegistry, as_task, task, task_registry


@dataclass(frozen=True)
class Digest:
    longest: str
    count: int


class Report(TypedDict):
    text: str
    lines: list[str]


class Chunk(NamedTuple):
    port: str
    data: object


@task
def split(text: str, *, size: int = 400) -> list[str]:
    """Cut text into passages.

    Each has at most `size` characters.
    """
    return [text[i : i + size] for i in range(0, len(text), size)]


@task(output="text", title="Clean", category="Text", timeout=30, retry=Retry(attempts=2), cache=False, version="7")
def clean(text: str) -> str:
    return " ".join(text.split())


@task
async def digest(passages: list[str]) -> Digest:
    return Digest(longest=max(passages, key=len), count=len(passages))


def test_a_task_is_still_a_function() -> None:
    assert split("abcd", size=2) == ["ab", "cd"]
    assert split.__name__ == "split"
    assert split.__doc__ is not None
    assert asyncio.run(digest(["a", "bb"])) == Digest("bb", 2)
    assert repr(split) == "<task split>"


def test_the_type_is_described_by_the_function_and_the_options() -> None:
    assert split.task_type.type == "split"
    assert split.task_type.description.startswith("Cut text into passages.\n\nEach has")
    assert issubclass(split.task_type, Task)
    kind = clean.task_type
    assert (kind.title, kind.category, kind.timeout, kind.cacheable) == ("Clean", "Text", 30, False)
    assert kind.retry == Retry(attempts=2)
    assert clean.task().version == "7"
    assert task_registry.get("clean") is kind


def test_a_task_of_a_function_checks_and_calls() -> None:
    made = split.task(id="s", size=2)
    assert made.id == "s"
    assert dict(made.defaults) == {"size": 2}
    assert made.check_inputs({"text": "abcd", **made.defaults}) == {"text": "abcd", "size": 2}
    assert made.call({"text": "abcd", "size": 2}, None) == ["ab", "cd"]
    assert made.to_outputs(["ab", "cd"]) == {"output": ["ab", "cd"]}
    assert not made.needs_context
    with pytest.raises(TaskInputError, match=r"Task 's' \(split\): input 'text' is required"):
        made.check_inputs({"size": 2})
    with pytest.raises(
        TaskOutputError, match=r"Task 's' \(split\): output 'output' expected list\[str\], got str 'ab'"
    ):
        made.to_outputs("ab")


def test_a_literal_that_does_not_fit_is_refused_where_it_is_given() -> None:
    with pytest.raises(TaskInputError, match=r"Task split: default 'size' expected int, got str '2'"):
        split.task(size="2")
    with pytest.raises(TaskInputError, match=r"default 'sise' is not known.*Did you mean 'size'"):
        split.task(sise=2)


def test_the_output_may_have_a_name() -> None:
    assert list(clean.task().outputs) == ["text"]
    assert clean.task().to_outputs("a") == {"text": "a"}


def test_a_structure_gives_a_port_for_each_field() -> None:
    made = digest.task()
    assert list(made.outputs) == ["longest", "count"]
    assert made.to_outputs(Digest("a", 1)) == {"longest": "a", "count": 1}
    assert made.to_outputs({"longest": "a", "count": 1}) == {"longest": "a", "count": 1}
    with pytest.raises(TaskOutputError, match=r"returned list .* declares the ports longest, count"):
        made.to_outputs(["a", 1])
    with pytest.raises(TaskOutputError, match=r"output 'count' is required"):
        made.to_outputs({"longest": "a"})
    with pytest.raises(TaskOutputError, match=r"output 'count' expected int, got str 'x'"):
        made.to_outputs(Digest("a", "x"))  # type: ignore[arg-type]


def test_a_name_for_the_output_keeps_a_structure_whole() -> None:
    @task(output="digest")
    def whole(n: int) -> Digest:
        return Digest("a", n)

    assert whole.task().to_outputs(Digest("a", 1)) == {"digest": Digest("a", 1)}


def test_none_gives_no_port_and_no_annotation_gives_any() -> None:
    @task
    def silent(n: int) -> None: ...

    @task
    def free(n): ...

    assert len(silent.task().outputs) == 0
    assert silent.task().to_outputs(None) == {}
    with pytest.raises(TaskOutputError, match=r"returned int 3, but declares `-> None`"):
        silent.task().to_outputs(3)
    assert free.task().to_outputs(None) == {"output": None}
    assert free.task().to_outputs({"a": 1}) == {"output": {"a": 1}}
    assert free.task().inputs["n"].annotation is Any


def test_the_context_is_given_to_whom_asks() -> None:
    @task
    def with_context(n: int, context: TaskContext) -> str:
        return f"{context.path} {n}"

    made = with_context.task()
    assert made.needs_context
    assert list(made.inputs) == ["n"]
    assert made.call({"n": 1}, TaskContext(path="a/b")) == "a/b 1"


def test_positional_parameters_and_keywords_are_filled() -> None:
    @task
    def mixed(a: int, b: int, /, c: int, ctx: TaskContext, **rest: int) -> list[object]:
        return [a, b, c, ctx.path, rest]

    assert mixed.task().call({"c": 3, "b": 2, "a": 1, "d": 4}, TaskContext(path="p")) == [1, 2, 3, "p", {"d": 4}]


def test_types_of_the_surrounding_function_are_found() -> None:
    @dataclass
    class Local:
        x: int

    @task
    def use(given: Local) -> Local:
        return given

    made = use.task()
    assert made.inputs["given"].annotation is Local
    assert list(made.outputs) == ["x"]


def test_a_stream_has_a_port_that_adds_up() -> None:
    @task
    async def words(prompt: str) -> AsyncIterator[str]:
        yield prompt

    @task(output="score")
    async def scores(n: int) -> AsyncIterator[float]:
        yield n

    @task
    async def report(n: int) -> AsyncIterator[Report]:
        yield {"text": "a", "lines": ["a"]}

    @task
    async def chunks(n: int) -> AsyncIterator[Chunk]:
        yield Chunk("text", "a")

    @task
    async def free(n: int):
        yield n

    assert words.task().mode == "stream"
    assert words.task().outputs.schema["properties"] == {"output": {"type": "string", "x-stream": "append"}}
    assert words.task().to_outputs({"output": "all"}) == {"output": "all"}
    assert scores.task().outputs.schema["properties"] == {"score": {"type": "number", "x-stream": "replace"}}
    assert report.task().outputs["lines"].schema["x-stream"] == "append"
    assert list(report.task().outputs) == ["text", "lines"]
    assert chunks.task().outputs.open
    assert free.task().outputs["output"].schema == {"x-stream": "replace"}


def test_options_that_make_no_sense_are_refused() -> None:
    registered = set(task_registry.names())

    with pytest.raises(TaskConfigurationError, match=r"on_interrupt is 'maybe'"):

        @task(on_interrupt="maybe")
        def one(n: int) -> int: ...

    with pytest.raises(TaskConfigurationError, match=r"side effects is never cached"):

        @task(side_effects=True, cache=True)
        def two(n: int) -> int: ...

    with pytest.raises(TaskConfigurationError, match=r"timeout has to be a number of seconds"):

        @task(timeout=-1)
        def three(n: int) -> int: ...

    with pytest.raises(TaskConfigurationError, match=r"is a generator"):

        @task
        def four(n: int):
            yield n

    with pytest.raises(TaskConfigurationError, match=r"@task needs a function"):
        task(Digest)
    with pytest.raises(TaskConfigurationError, match=r"@task needs a function"):
        task(3)  # type: ignore[call-overload]
    assert set(task_registry.names()) == registered


def test_anything_callable_is_a_task() -> None:
    class Adder:
        def __init__(self, amount: int) -> None:
            self.amount = amount

        def __call__(self, n: int) -> int:
            return n + self.amount

        def method(self, n: int) -> int:
            return n - self.amount

    def power(base: int, exponent: int) -> int:
        return base**exponent

    assert as_task(Adder(2)).call({"n": 1}, None) == 3
    assert as_task(Adder(2).method).call({"n": 1}, None) == -1
    squared = as_task(partial(power, exponent=2))
    assert squared.call(squared.check_inputs({"base": 3}), None) == 9
    double = as_task(lambda n: n * 2, id="d")
    assert (double.id, double.call({"n": 2}, None), double.to_outputs(4)) == ("d", 4, {"output": 4})
    assert as_task(len).call({"obj": "abc"}, None) == 3


def test_as_task_takes_every_shape_and_registers_nothing() -> None:
    def plain(n: int = 1) -> int:
        return n

    known = task_registry.names()
    made = as_task(plain, id="p", n=3)
    assert (made.id, dict(made.defaults)) == ("p", {"n": 3})
    assert as_task(made) is made
    assert as_task(made, id="q").id == "q"
    assert dict(as_task(made, n=4).defaults) == {"n": 4}
    assert dict(as_task(split.task(size=3, text="a"), text="b").defaults) == {"size": 3, "text": "b"}
    assert as_task(split, size=3).defaults["size"] == 3
    assert as_task(split.task_type, id="x").id == "x"
    assert type(as_task(plain)) is type(as_task(plain))
    assert task_registry.names() == known
    for wrong in (3, "split", int, Digest):
        with pytest.raises(TaskConfigurationError, match=r"is no task"):
            as_task(wrong)


def test_options_beside_ports_reach_the_task() -> None:
    def titled(title: str) -> str:
        return title

    assert as_task(split, title="Mine", timeout=3).title == "Mine"
    assert as_task(split, title="Mine", timeout=3).timeout == 3
    assert dict(as_task(titled, title="Mine").defaults) == {"title": "Mine"}
    assert dict(as_task(split, defaults={"size": 1}, text="a").defaults) == {"size": 1, "text": "a"}


def test_a_name_belongs_to_one_function() -> None:
    registry = TaskRegistry()
    registry.register(split.task_type)
    stranger: Any = type("split", (Task,), {"__module__": "elsewhere", "type": "split"})
    with pytest.raises(TaskConfigurationError, match=r'"split" is already registered.*elsewhere\.split.*@task\(name'):
        registry.register(stranger)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"side_effect": True}, "'side_effect' is not known. Did you mean 'side_effects'"),
        ({"executor": "process"}, "'executor' is not known. The options are name, output"),
        ({"cache": "no"}, "cacheable has to be True or False, not 'no'"),
        ({"side_effects": "no"}, "side_effects has to be True or False"),
        ({"inline": 1}, "inline has to be True or False"),
        ({"version": 2}, "version has to be a str, not 2"),
        ({"output": ""}, "give the name of a port"),
        ({"output": "*"}, "give the name of a port"),
        ({"output": "[error]"}, "give the name of a port"),
    ],
)
def test_an_option_that_is_none_is_refused_where_the_function_is_decorated(options: dict[str, Any], said: str):
    with pytest.raises(TaskConfigurationError, match=re.escape(said)):
        task(name="refused_where_it_is_decorated", **options)(len)
