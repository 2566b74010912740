"""Ports: names, types and defaults of what goes in and out; nothing is dropped silently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import PortError, TaskConfigurationError
from workglow.tasks import MISSING, Ports, TaskContext


@dataclass
class Data:
    first: int
    second: list[str] = field(default_factory=list)
    hidden: int = field(default=0, init=False)


class Typed(TypedDict):
    first: int
    second: NotRequired[list[str]]


class Named(NamedTuple):
    first: int
    second: str = "b"


class Model(BaseModel):
    first: int
    second: Annotated[str, Field(min_length=1, description="the second")] = "b"
    third: list[int] = Field(default_factory=list, title="Third")


class Struct(msgspec.Struct):
    first: int
    second: str = "b"
    third: list[int] = []


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    first: int


def test_parameters_are_ports() -> None:
    def function(a: int, b: str = "x", *, c: list[int], d: Any = None, e=1.5): ...

    ports = Ports.from_signature(function)
    assert list(ports) == ["a", "b", "c", "d", "e"]
    assert [port.required for port in ports.values()] == [True, False, True, False, False]
    assert ports["b"].default == "x"
    assert ports["a"].default is MISSING
    assert ports["c"].annotation == list[int]
    assert ports["e"].annotation is Any
    assert not ports.open
    assert ports.schema == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "string", "default": "x"},
            "c": {"type": "array", "items": {"type": "integer"}},
            "d": {"default": None},
            "e": {"default": 1.5},
        },
        "additionalProperties": False,
        "required": ["a", "c"],
    }


def test_the_context_is_no_port() -> None:
    def annotated(a: int, anything: TaskContext) -> None: ...
    def optional(a: int, anything: TaskContext | None = None) -> None: ...
    def named(a: int, context): ...
    def short(a: int, ctx): ...
    def data(a: int, context: str) -> None: ...

    for function in (annotated, optional, named, short):
        assert list(Ports.from_signature(function)) == ["a"]
    assert list(Ports.from_signature(data)) == ["a", "context"]


def test_keywords_make_ports_open_and_star_arguments_are_refused() -> None:
    def loose(a: int, **more: int): ...
    def starred(*texts: str): ...

    ports = Ports.from_signature(loose)
    assert ports.open
    assert list(ports) == ["a"]
    assert ports.check({"a": 1, "z": object}) == {"a": 1, "z": object}
    with pytest.raises(TaskConfigurationError, match=r"starred takes \*texts"):
        Ports.from_signature(starred)


@pytest.mark.parametrize("kind", [Data, Typed, Named, Model, Struct])
def test_every_kind_of_structure_gives_a_port_for_each_field(kind: type) -> None:
    ports = Ports.from_model(kind)
    assert list(ports)[:2] == ["first", "second"]
    assert ports["first"].required
    assert ports["first"].annotation is int
    assert not ports["second"].required
    assert "hidden" not in ports
    assert not ports.open


def test_fields_keep_limits_titles_and_defaults() -> None:
    ports = Ports.from_model(Model)
    assert ports["second"].schema["description"] == "the second"
    assert ports["third"].schema["title"] == "Third"
    with pytest.raises(PortError, match=r"at least 1 character"):
        ports.check({"first": 1, "second": ""})
    assert ports.check({"first": 1}) == {"first": 1, "second": "b", "third": []}
    assert Ports.from_model(Loose).open
    with pytest.raises(TypeError, match=r"has no fields"):
        Ports.from_model(int)


def test_values_that_need_nothing_come_back_as_they_are() -> None:
    ports = Ports.from_names("a", "b")
    given: dict[str, object] = {"a": 1, "b": np.zeros(2)}
    assert ports.check(given) is given


def test_missing_unknown_and_unfit_values_are_named() -> None:
    def function(amount: int, text: str = "a"): ...

    ports = Ports.from_signature(function)
    with pytest.raises(PortError, match=r"'amount' is required and was not given") as missing:
        ports.check({})
    assert (missing.value.port, missing.value.reason) == ("amount", "is required and was not given.")
    with pytest.raises(PortError, match=r"'amont' is not known; the ports are amount, text. Did you mean 'amount'"):
        ports.check({"amont": 1})
    with pytest.raises(PortError, match=r"'extra' is not known"):
        ports.check({"amount": 1, "text": "a", "extra": 1})
    with pytest.raises(PortError, match=r"'amount' expected int, got bool True"):
        ports.check({"amount": True})
    with pytest.raises(PortError, match=r"there are no such ports"):
        Ports().check({"a": 1})


def test_a_mutable_default_is_not_shared_between_runs() -> None:
    def function(items: list[int] = [], table: dict[str, int] = {"a": 1}): ...  # noqa: B006

    ports = Ports.from_signature(function)
    first, second = ports.check({}), ports.check({})
    first["items"].append(1)  # type: ignore[attr-defined]
    assert second["items"] == []
    assert ports.check({})["items"] == []


def test_a_default_is_not_judged() -> None:
    def function(limit: int = None): ...  # type: ignore[assignment]  # noqa: RUF013

    assert Ports.from_signature(function).check({}) == {"limit": None}


def test_values_are_converted_only_where_needed() -> None:
    def function(point: Data, n: int): ...

    given: dict[str, object] = {"point": {"first": 1}, "n": 2}
    assert Ports.from_signature(function).check(given) == {"point": Data(1), "n": 2}
    assert given == {"point": {"first": 1}, "n": 2}


def test_an_annotation_that_cannot_be_found_says_so() -> None:
    def function(a: Nowhere): ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TaskConfigurationError, match=r"annotation of function names 'Nowhere'.*TYPE_CHECKING"):
        Ports.from_signature(function)


def test_check_given_leaves_out_what_is_not_given() -> None:
    def function(a: int, b: int = 2): ...

    ports = Ports.from_signature(function)
    assert ports.check_given({"b": 3}) == {"b": 3}
    with pytest.raises(PortError, match=r"'b' expected int"):
        ports.check_given({"b": "x"})
