"""Tasks written as classes: C01, C03, configuration, immutability."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from workglow import TaskGraph
from workglow.errors import TaskConfigurationError, TaskInputError, TaskOutputError
from workglow.retry import Retry
from workglow.tasks import Ports, Task, TaskContext


class Words(BaseModel):
    text: str
    limit: int = Field(10, ge=1)


class Summary(BaseModel):
    summary: str
    words: int = 0


class Summarise(Task):
    """Keep the first words."""

    type: ClassVar[str] = "SummariseTask"
    category: ClassVar[str] = "Text"
    Input = Words
    Output = Summary

    class Config(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        separator: str = " "
        max_length: int | None = Field(None, alias="maxLength")

    def execute(self, inputs: Words, context: TaskContext) -> Summary:
        words = inputs.text.split()[: inputs.limit]
        return Summary(summary=self.config["separator"].join(words), words=len(words))


class Nested(Task):
    """Add one.

    To a number.
    """

    class Input(BaseModel):
        n: int

    class Output(BaseModel):
        n: int

    async def execute(self, inputs: Input) -> dict[str, int]:
        return {"n": inputs.n + 1}


class Open(Task):
    class Input(BaseModel):
        model_config = ConfigDict(extra="allow")
        input: Any = None

    inline: ClassVar[bool] = True

    def execute(self, inputs: Input, context: TaskContext) -> Mapping[str, object]:
        return {"all": inputs.model_dump(), "path": context.path}


class Validated(Task):
    class Input(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def even(cls, n: int) -> int:
            if n % 2:
                raise ValueError("has to be even")
            return n

    def execute(self, inputs: Input) -> None: ...


class PreviewOnly(Task):
    class Input(BaseModel):
        value: str = ""

    def execute_preview(self, inputs: Input, context: TaskContext) -> dict[str, str]:
        return {"out": f"preview:{inputs.value}"}


class Both(PreviewOnly):
    def execute(self, inputs: Any) -> dict[str, str]:
        return {"out": f"executed:{inputs.value}"}


class Neither(Task):
    pass


class Streaming(Task):
    class Input(BaseModel):
        prompt: str

    async def execute_stream(self, inputs: Input, context: TaskContext) -> AsyncIterator[str]:
        yield inputs.prompt


def test_a_class_has_ports_from_its_models() -> None:
    made = Summarise(id="s")
    assert list(made.inputs) == ["text", "limit"]
    assert list(made.outputs) == ["summary", "words"]
    assert made.inputs["limit"].schema["minimum"] == 1
    assert (made.type, made.category, made.description) == ("SummariseTask", "Text", "Keep the first words.")
    assert Nested.description == "Add one.\n\nTo a number."
    assert made.mode == "thread"
    assert made.needs_context
    result = made.call(made.check_inputs({"text": "a b c", "limit": 2}), TaskContext())
    assert made.to_outputs(result) == {"summary": "a b", "words": 2}


def test_results_may_be_models_or_mappings_and_are_validated() -> None:
    made = Nested()
    assert made.mode == "step"
    assert not made.needs_context
    with pytest.raises(StopIteration) as ended:
        made.call({"n": 1}, None).send(None)
    assert made.to_outputs(ended.value.value) == {"n": 2}
    assert Summarise().to_outputs({"summary": "a"}) == {"summary": "a", "words": 0}
    with pytest.raises(TaskOutputError, match="Task Nested: output 'n' expected int, got str 'x'"):
        made.to_outputs({"n": "x"})
    with pytest.raises(TaskOutputError, match="output 'more' is not known"):
        made.to_outputs({"n": 1, "more": 2})
    with pytest.raises(TaskOutputError, match="returned 3 of type int; return its Output"):
        made.to_outputs(3)
    with pytest.raises(TaskOutputError, match="output 'n' is required"):
        made.to_outputs(None)


def test_open_inputs_reach_the_model() -> None:
    made = Open()
    assert made.inputs.open
    assert made.mode == "inline"
    inputs = made.check_inputs({"input": 1, "extra": 2})
    assert made.call(inputs, TaskContext(path="p")) == {"all": {"input": 1, "extra": 2}, "path": "p"}
    assert made.outputs.open


def test_a_validator_of_the_author_names_the_task() -> None:
    with pytest.raises(TaskInputError, match=r"Task 'v' \(Validated\): .*has to be even"):
        Validated(id="v").call({"n": 1}, None)


def test_configuration_is_checked_when_the_task_is_made() -> None:
    made = Summarise(separator="-", maxLength=3)
    assert dict(made.config) == {"separator": "-", "max_length": 3}
    assert Summarise(max_length=3).config["max_length"] == 3
    assert dict(Summarise().config) == {"separator": " ", "max_length": None}
    with pytest.raises(
        TaskConfigurationError,
        match=r"\[Summarise\] Configuration Error: 'seperator' is not known; .*Did you mean 'separator'",
    ):
        Summarise(seperator="-")
    with pytest.raises(TaskConfigurationError, match=r"\[Summarise\] Configuration Error: separator: .*string"):
        Summarise(separator=3)
    with pytest.raises(TaskConfigurationError, match=r"max_length: .*integer"):
        Summarise(max_length="3")
    with pytest.raises(TaskConfigurationError, match=r"\[Nested\] Configuration Error: 'n' is not known.*`defaults`"):
        Nested(n=1)
    with pytest.raises(TypeError):
        made.config["separator"] = "x"  # type: ignore[index]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", -1), ("timeout", "5"), ("timeout", True), ("timeout", float("nan")), ("timeout", float("inf")),
        ("retry", 3), ("cache", "yes"), ("title", 1), ("extras", [1]), ("defaults", [1]), ("id", 7),
    ],
)  # fmt: skip
def test_options_of_every_task_are_checked(option: str, value: Any) -> None:
    with pytest.raises(TaskConfigurationError, match=rf"\[Nested\] Configuration Error: {option} has to be"):
        Nested(**{option: value})


def test_options_are_read_from_the_task_and_fall_back_to_the_class() -> None:
    made = Nested(id="n", title="N", timeout=5, retry=Retry(2), cache=False, extras={"x": 1}, description="d")
    assert (made.title, made.timeout, made.retry, made.cacheable, made.description) == ("N", 5, Retry(2), False, "d")
    assert dict(made.extras) == {"x": 1}
    assert (Nested.title, Nested.timeout, Nested.retry, Nested.cacheable) == ("", None, None, True)
    assert repr(made) == "<Nested 'n'>"


def test_c01_6_the_base_task_keeps_what_it_is_given() -> None:
    made = Task(id="test-id", title="Test Task", defaults={"testKey": "testValue"})
    assert (made.id, made.title, dict(made.defaults)) == ("test-id", "Test Task", {"testKey": "testValue"})
    assert Task().id == ""


def test_a_task_cannot_be_changed() -> None:
    made = Nested(id="n", defaults={"n": 1})
    for name in ("id", "title", "defaults", "config", "timeout"):
        with pytest.raises(AttributeError, match=rf"cannot be changed; use task\.replace\({name}="):
            setattr(made, name, "x")
    with pytest.raises(TypeError):
        made.defaults["n"] = 2  # type: ignore[index]


def test_replace_gives_a_new_task() -> None:
    made = Summarise(id="a", defaults={"limit": 2}, separator="-", timeout=3)
    other = made.replace(id="b")
    assert (made.id, other.id) == ("a", "b")
    assert (other.timeout, other.config, other.defaults) == (3, made.config, made.defaults)
    changed = made.replace(separator="+", defaults={"text": "x"}, title="T", timeout=9, cache=False)
    assert (changed.config["separator"], dict(changed.defaults), changed.title) == ("+", {"text": "x"}, "T")
    assert (changed.timeout, changed.cacheable, made.cacheable) == (9, False, True)
    assert made.config["separator"] == "-"
    assert made.replace(maxLength=5).config["max_length"] == 5
    assert made.replace(maxLength=5).replace(max_length=6).config["max_length"] == 6
    assert not made.replace(defaults={}).defaults
    with pytest.raises(TaskConfigurationError, match="Configuration Error"):
        made.replace(separator=1)


def test_defaults_are_copies_that_nobody_can_change() -> None:
    class Holder(Task):
        class Input(BaseModel):
            model_config = ConfigDict(arbitrary_types_allowed=True)
            items: list[Any] = []
            array: np.ndarray | None = None

        def execute(self, inputs: Input) -> None: ...

    items: list[Any] = [[1]]
    array = np.zeros(2)
    made = Holder(defaults={"items": items, "array": array})
    items[0].append(2)
    array[0] = 7
    assert made.defaults["items"] == [[1]]
    assert made.defaults["array"].tolist() == [0.0, 0.0]
    made.defaults["items"][0].append(3)
    assert made.defaults["items"] == [[1]]
    with pytest.raises(ValueError, match="read-only"):
        made.defaults["array"][0] = 1
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TaskConfigurationError, match="Circular reference detected in input data"):
        Holder(defaults={"items": loop})


def test_c03_1_run_and_preview_are_apart() -> None:
    made = Both()
    assert made.call({"value": "hello"}, None) == {"out": "executed:hello"}
    assert made.preview({"value": "hello"}, TaskContext()) == {"out": "preview:hello"}


def test_c03_4_a_task_with_only_a_preview_cannot_be_run() -> None:
    made = PreviewOnly(id="p")
    with pytest.raises(TaskConfigurationError, match=r"\(PreviewOnly\) implements only execute_preview"):
        made.call({}, None)
    assert made.preview({"value": "x"}, TaskContext()) == {"out": "preview:x"}
    assert Both().to_outputs(Both().call({"value": "x"}, None)) == {"out": "executed:x"}
    assert Neither().call({}, None) == {}
    assert Neither().preview({}, None) is None
    assert Neither().mode == "inline"


def test_a_class_may_stream() -> None:
    async def gather() -> list[str]:
        return [piece async for piece in Streaming().call({"prompt": "x"}, TaskContext())]

    assert Streaming().mode == "stream"
    assert asyncio.run(gather()) == ["x"]


def test_a_subclass_has_its_own_ports_mode_and_version() -> None:
    assert list(Nested.inputs) == ["n"]  # worked out for the parent first

    class More(Nested):
        class Input(BaseModel):
            n: int
            m: int

        def execute(self, inputs: Any) -> dict[str, int]:
            return {"n": inputs.n * inputs.m}

    assert list(More().inputs) == ["n", "m"]
    assert (Nested().mode, More().mode) == ("step", "thread")
    assert More().version != Nested().version
    assert More().type == "More"

    class Same(More):
        pass

    assert list(Same().inputs) == ["n", "m"]


def test_ports_may_differ_from_task_to_task() -> None:
    class Wide(Task):
        version: ClassVar[str] = "3"

        class Config(BaseModel):
            width: int = 1

        @property
        def inputs(self) -> Ports:
            return Ports.from_names(*(f"in{i}" for i in range(self.config["width"])))

        def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return inputs

    class Wider(Wide):
        pass

    assert list(Wide(width=2).inputs) == ["in0", "in1"]
    assert list(Wider(width=3).inputs) == ["in0", "in1", "in2"]
    assert Wide(width=1, defaults={"in0": 1}).call({"in0": 1}, None) == {"in0": 1}
    assert (Wide().version, Wider().version) == ("3", "3")


def test_execute_may_take_the_inputs_as_a_dict() -> None:
    class Plain(Task):
        class Input(BaseModel):
            n: int

        def execute(self, inputs: dict[str, Any]) -> Summary:
            return Summary(summary=str(inputs["n"]))

    assert Plain().to_outputs(Plain().call({"n": 1}, None)) == {"summary": "1", "words": 0}
    assert list(Plain().outputs) == ["summary", "words"]


def test_a_task_may_hold_things_of_its_own() -> None:
    class Counting(Task):
        def execute(self, inputs: Any) -> None:
            self.executed = True

    made = Counting()
    made.call({}, None)
    assert made.executed
    assert made.replace(id="x").executed


class Misspelt(Task):
    def exceute(self, inputs: Any) -> dict[str, Any]:
        return {"never": "called"}


class OnlyPorts(Task):
    class Input(BaseModel):
        text: str = ""


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Misspelt, r"'t' \(Misspelt\) .*execute\(self, inputs, context\).*execute_stream.*exceute\(\) is never called"),
        (OnlyPorts, r"'t' \(OnlyPorts\) .*execute\(self, inputs, context\)"),
        (type("Inner", (OnlyPorts,), {}), r"\(Inner\)"),
    ],
)
def test_a_class_that_was_to_do_something_and_has_nothing_to_run_is_refused(kind: type[Task], says: str) -> None:
    graph = TaskGraph()
    graph.add_task(kind(id="t"))  # a sketch of a graph needs no bodies
    with pytest.raises(TaskConfigurationError, match=says):
        graph.run_sync()
