"""What edges do to the values that pass along them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.errors import GraphError, TaskInputError
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.dataflow import Transform
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.transforms import TransformDefinition, TransformRegistry
from workglow.tasks import Ports, task

CUSTOMER = {"customer": {"orders": [{"id": 7}], "created_at": 1700000000}}


@pytest.mark.parametrize(
    ("id", "params", "value", "result"),
    [
        ("pick", {"path": "customer.created_at"}, CUSTOMER, 1700000000),
        ("pick", {"path": "customer.orders.0.id"}, CUSTOMER, 7),
        ("pick", {"path": "customer.orders.1.id"}, CUSTOMER, None),
        ("pick", {"path": "customer.name.first"}, CUSTOMER, None),
        ("pick", {"path": "__class__"}, CUSTOMER, None),
        ("pick", {"path": ""}, 5, 5),
        ("index", {"index": 0}, [1, 2, 3], 1),
        ("index", {"index": -1}, (1, 2, 3), 3),
        ("index", {"index": 3}, [1, 2, 3], None),
        ("index", {"index": -4}, [1, 2, 3], None),
        ("index", {"index": 1}, np.array([1.5, 2.5]), 2.5),
        ("index", {"index": 0}, None, None),
        ("coalesce", {"defaultValue": 5}, None, 5),
        ("coalesce", {"defaultValue": 5}, 0, 0),
        ("uppercase", {}, "straße", "STRASSE"),
        ("lowercase", {}, "ABC", "abc"),
        ("truncate", {"max": 2}, "abc", "ab"),
        ("truncate", {"max": 5}, "abc", "abc"),
        ("substring", {"start": 1}, "abcd", "bcd"),
        ("substring", {"start": 1, "end": -1}, "abcd", "bc"),
        ("unixToIsoDate", {"unit": "s"}, 1700000000, "2023-11-14T22:13:20.000Z"),
        ("unixToIsoDate", {"unit": "ms"}, 1700000000123, "2023-11-14T22:13:20.123Z"),
        ("unixToIsoDate", {"unit": "s"}, "-1.5", "1969-12-31T23:59:58.500Z"),
        ("isoDateToUnix", {}, "2023-11-14T22:13:20.000Z", 1700000000000),
        ("isoDateToUnix", {}, "2023-11-14T23:13:20+01:00", 1700000000000),
        ("isoDateToUnix", {}, "1970-01-02", 86_400_000),
        ("isoDateToUnix", {}, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1000),
        ("isoDateToUnix", {}, date(1970, 1, 2), 86_400_000),
        ("numberToString", {}, 5, "5"),
        ("numberToString", {}, 5.0, "5"),
        ("numberToString", {}, 0.1, "0.1"),
        ("numberToString", {}, 10**30, "1" + "0" * 30),
        ("numberToString", {}, True, "true"),
        ("toBoolean", {}, "TRUE", True),
        ("toBoolean", {}, "1", True),
        ("toBoolean", {}, "yes", False),
        ("toBoolean", {}, 0, False),
        ("toBoolean", {}, -2.5, True),
        ("toBoolean", {}, None, False),
        ("toBoolean", {}, [], True),
        ("stringify", {}, {"a": [1, "ä", None]}, '{"a":[1,"ä",null]}'),
        ("parseJson", {}, '{"a": [1, 2]}', {"a": [1, 2]}),
    ],
)
def test_what_a_transform_makes_of_a_value(id: str, params: dict[str, Any], value: object, result: object) -> None:
    transform = Transform(id, params)
    built_in_transforms.check(transform)
    made = built_in_transforms.apply(transform, value)
    assert made == result
    assert type(made) is type(result) or isinstance(value, np.ndarray)


@pytest.mark.parametrize(
    ("id", "params", "value"),
    [
        ("index", {"index": 0}, "text"),
        ("index", {"index": 0}, {"0": 1}),
        ("uppercase", {}, None),
        ("uppercase", {}, ["a"]),
        ("unixToIsoDate", {"unit": "s"}, True),
        ("unixToIsoDate", {"unit": "s"}, "soon"),
        ("isoDateToUnix", {}, "soon"),
        ("isoDateToUnix", {}, 5),
        ("stringify", {}, float("nan")),
        ("parseJson", {}, "not-a-json"),
        ("parseJson", {}, "NaN"),
    ],
)
def test_what_a_transform_cannot_use_is_an_error(id: str, params: dict[str, Any], value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        built_in_transforms.apply(Transform(id, params), value)


OBJECT = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("id", "params", "schema", "result"),
    [
        ("pick", {"path": "a"}, OBJECT, {"type": "array", "items": {"type": "integer"}}),
        ("pick", {"path": "a.0"}, OBJECT, {"type": "integer"}),
        ("pick", {"path": "b"}, OBJECT, False),
        ("pick", {"path": "b.c"}, {**OBJECT, "additionalProperties": True}, True),
        ("pick", {"path": "b"}, {"type": "object"}, {}),
        ("pick", {"path": "b"}, True, True),
        ("index", {"index": 0}, OBJECT["properties"]["a"], {"type": "integer"}),  # type: ignore[index]
        ("index", {"index": 0}, {}, {}),
        ("coalesce", {"defaultValue": 1}, {"type": ["integer", "null"]}, {"type": "integer"}),
        ("coalesce", {"defaultValue": 1}, {"anyOf": [TEXT, {"type": "null"}], "default": None}, TEXT),
        ("coalesce", {"defaultValue": 1}, {"type": "null"}, {}),
        ("coalesce", {"defaultValue": 1}, TEXT, TEXT),
        ("numberToString", {}, {"type": "number"}, TEXT),
        ("unixToIsoDate", {"unit": "s"}, {"type": "number"}, {"type": "string", "format": "date-time"}),
        ("isoDateToUnix", {}, TEXT, {"type": "integer"}),
        ("toBoolean", {}, TEXT, {"type": "boolean"}),
        ("parseJson", {}, TEXT, {}),
    ],
)
def test_what_a_transform_makes_of_a_schema(id: str, params: dict[str, Any], schema: Any, result: object) -> None:
    assert built_in_transforms.infer(Transform(id, params), schema) == result


def test_there_are_thirteen() -> None:
    assert built_in_transforms.names() == [
        "coalesce", "index", "isoDateToUnix", "lowercase", "numberToString", "parseJson", "pick", "stringify",
        "substring", "toBoolean", "truncate", "unixToIsoDate", "uppercase",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (Transform("pik", {"path": "x"}), "Did you mean 'pick'"),
        (Transform("pick"), "'path' is required"),
        (Transform("pick", {"path": 5}), "'path' expected str"),
        (Transform("pick", {"path": "x", "deep": True}), "no param 'deep'; it takes path"),
        (Transform("uppercase", {"x": 1}), "it takes no params"),
        (Transform("unixToIsoDate", {"unit": "h"}), "'unit' expected"),
        (Transform("truncate", {"max": -1}), "'max' expected"),
    ],
)
def test_a_transform_is_checked(transform: Transform, says: str) -> None:
    with pytest.raises(GraphError, match=says):
        built_in_transforms.check(transform)


def test_own_transforms() -> None:
    reverse = TransformDefinition("reverse", "Reverse", lambda value, _: value[::-1], lambda schema, _: schema)
    registry = TransformRegistry([reverse])
    registry.register(reverse)
    assert registry.apply(Transform("reverse"), "abc") == "cba"
    assert registry.infer(Transform("reverse"), TEXT) == TEXT
    with pytest.raises(GraphError, match="already registered"):
        registry.register(TransformDefinition("reverse", "Other", lambda value, _: value, lambda schema, _: schema))
    assert registry.unregister("reverse")
    assert not registry.unregister("reverse")
    with pytest.raises(GraphError):
        registry.check(Transform("reverse"))


SCALARS = st.one_of(
    st.tuples(st.text(max_size=5), st.just({"type": "string"})),
    st.tuples(st.integers(-(2**50), 2**50), st.just({"type": "integer"})),
    st.tuples(st.floats(-1e9, 1e9), st.just({"type": "number"})),
    st.tuples(st.booleans(), st.just({"type": "boolean"})),
    st.tuples(st.none(), st.just({"type": "null"})),
)


def _list_of(item: tuple[Any, Any]) -> tuple[Any, Any]:
    return [item[0], item[0]], {"type": "array", "items": item[1]}


def _object_of(items: dict[str, tuple[Any, Any]]) -> tuple[Any, Any]:
    schema = {"type": "object", "properties": {name: item[1] for name, item in items.items()}}
    return {name: item[0] for name, item in items.items()}, schema


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        inner.map(_list_of), st.dictionaries(st.sampled_from("ab"), inner, min_size=1).map(_object_of)
    ),
    max_leaves=6,
)
STEPS = [
    Transform("pick", {"path": "a"}),
    Transform("pick", {"path": "a.0.b"}),
    Transform("index", {"index": -1}),
    Transform("coalesce", {"defaultValue": 1}),
    *(Transform(id) for id in ("uppercase", "lowercase", "isoDateToUnix", "numberToString", "toBoolean")),
    *(Transform(id) for id in ("stringify", "parseJson")),
    Transform("truncate", {"max": 2}),
    Transform("substring", {"start": 1, "end": -1}),
    Transform("unixToIsoDate", {"unit": "ms"}),
]


@given(given=VALUES, steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=3))
def test_what_comes_out_is_what_the_schema_says(given: tuple[Any, Any], steps: list[Transform]) -> None:
    value, schema = given
    for step in steps:
        try:
            value = built_in_transforms.apply(step, value)
        except (TypeError, ValueError, OverflowError):
            return
        schema = built_in_transforms.infer(step, schema)
        if value is None:  # what leads nowhere gives None, whatever the schema says
            return
    Ports.from_schema({"properties": {"x": schema}}).check({"x": value})
    assert schema is not False


def test_the_property_is_about_every_transform() -> None:
    assert {step.id for step in STEPS} == set(built_in_transforms)


@task(output="value", name="transforms_give", inline=True)
def give(value: Any = None) -> Any:
    return value


@task(output="text", name="transforms_take", inline=True)
def take(text: str = "nothing") -> str:
    return text


class TestOnAnEdge:
    @staticmethod
    def along(value: object, *transforms: object) -> object:
        graph = TaskGraph()
        graph.add_task(give, id="give")
        graph.add_task(take, id="take")
        graph.add_dataflow("give", "value", "take", "text", transforms)
        return run_in_memory_sync(graph, {"value": value}).outputs["text"]

    def test_one_after_the_other(self) -> None:
        pick = {"id": "pick", "params": {"path": "customer.created_at"}}
        assert self.along(CUSTOMER, pick, {"id": "unixToIsoDate", "params": {"unit": "s"}}) == (
            "2023-11-14T22:13:20.000Z"
        )

    def test_an_error_fails_the_target_and_names_the_edge(self) -> None:
        with pytest.raises(TaskInputError, match=r"'parseJson' on give\[value\] ==> take\[text\] failed"):
            self.along("not-a-json", "parseJson")


def test_an_output_that_was_not_given_is_not_made_of_the_others() -> None:
    from workglow.library import LambdaTask

    graph = TaskGraph()
    graph.add_task(LambdaTask(id="give", execute=lambda inputs: {"other": 1}))
    graph.add_task(take, id="take")
    graph.add_dataflow("give", "text", "take", "text", ["stringify"])
    assert run_in_memory_sync(graph).outputs["text"] == "nothing"
