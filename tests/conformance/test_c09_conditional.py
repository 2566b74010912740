"""C09: conditional routing, and what is disabled behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from fixture_runs import graph_of, kinds, run_task
from fixture_tasks import DoubleToDoubled, Halve, Tracking

from workglow.errors import TaskConfigurationError
from workglow.file import File
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.conditions import evaluate_condition
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.property_path import value_at
from workglow.graph.run import Run
from workglow.storage.sqlite.outputs import SqliteOutputs

Predicate = Callable[[dict[str, Any]], object]


def branches(*pairs: tuple[str, Predicate]) -> list[dict[str, Any]]:
    return [{"id": id, "condition": condition, "outputPort": id} for id, condition in pairs]


def above(*limits: float) -> list[dict[str, Any]]:
    def over(limit: float) -> Predicate:
        return lambda inputs: inputs["value"] > limit

    return branches(*((f"b{number}", over(limit)) for number, limit in enumerate(limits, 1)))


HIGH_LOW = branches(("high", lambda i: i["value"] > 5), ("low", lambda i: i["value"] <= 5))


def outputs(inputs: Mapping[str, object], **config: Any) -> dict[str, Any]:
    return dict(run_task(ConditionalTask(**config), inputs).outputs)


def active(inputs: Mapping[str, object], **config: Any) -> list[str]:
    return outputs(inputs, **config)["_activeBranches"]


# ---------------------------------------------------------------------- the task alone


def test_c09_1_one_branch_is_taken_and_nothing_is_remembered() -> None:
    task = ConditionalTask(branches=HIGH_LOW)
    assert run_task(task, {"value": 10}).outputs == {"_activeBranches": ["high"], "high": {"value": 10}}
    assert run_task(task, {"value": 3}).outputs == {"_activeBranches": ["low"], "low": {"value": 3}}


def test_c09_2_the_first_match_or_all() -> None:
    assert active({"value": 15}, branches=above(10, 5, 0)) == ["b1"]
    assert active({"value": 15}, branches=above(20, 10, 0)) == ["b2"]
    assert active({"value": 15}, branches=above(10, 5, 0), exclusive=False) == ["b1", "b2", "b3"]
    assert active({"value": 15}, branches=above(20, 10, 0), exclusive=False) == ["b2", "b3"]


def test_c09_3_when_nothing_matches() -> None:
    assert active({"value": 1}, branches=above(10, 5), defaultBranch="b2") == ["b2"]
    assert active({"value": 7}, branches=above(10, 5), defaultBranch="b1") == ["b2"]
    assert active({"value": 1}, branches=above(10), default_branch="unknown") == []
    assert active({"value": 1}, branches=[]) == []
    assert active({"value": 1}) == []


def test_c09_3_a_predicate_that_raises_does_not_hold(caplog: pytest.LogCaptureFixture) -> None:
    def raises(inputs: dict[str, Any]) -> bool:
        raise ValueError("no")

    assert active({"value": 1}, branches=branches(("bad", raises), ("next", lambda i: True))) == ["next"]
    assert "'bad' raised" in caplog.text


def test_c09_3_predicates_see_all_kinds_of_values() -> None:
    assert active({}, branches=branches(("missing", lambda i: i.get("value") is None))) == ["missing"]
    assert active({"status": "on"}, branches=branches(("text", lambda i: i["status"] == "on"))) == ["text"]
    assert active({"items": [1, 2]}, branches=branches(("list", lambda i: len(i["items"]) == 2))) == ["list"]
    assert active({"a": {"b": 1}}, branches=branches(("nested", lambda i: i["a"]["b"] == 1))) == ["nested"]


def test_c09_4_ports() -> None:
    # A: the status of the ports belongs to a run, so it is asked with that run's values
    task = ConditionalTask(
        branches=[
            {"id": "a", "condition": lambda i: True, "outputPort": "portA"},
            {"id": "b", "condition": lambda i: False, "outputPort": "portB"},
        ]
    )
    given = run_task(task, {"value": 1}).outputs
    assert task.inactive_ports({"value": 1}, given, ["portA", "portB"]) == {"portB"}
    assert list(task.outputs.schema["properties"]) == ["_activeBranches", "portA", "portB"]


def rule(id: str, field: str, operator: str, value: str = "") -> dict[str, str]:
    return {"id": id, "field": field, "operator": operator, "value": value}


HIGH_LOW_CONFIG = {
    "branches": [rule("high", "value", "greater_than", "100"), rule("low", "value", "less_or_equal", "100")]
}


def configured(inputs: Mapping[str, object], *rules: dict[str, str], **more: Any) -> dict[str, Any]:
    return outputs(inputs, conditionConfig={"branches": list(rules), **more})


def test_c09_5_conditions_as_data() -> None:
    assert active({"value": 150}, conditionConfig=HIGH_LOW_CONFIG) == ["high"]
    assert active({"value": 50}, conditionConfig=HIGH_LOW_CONFIG) == ["low"]
    assert configured({"status": "active", "data": "hello"}, rule("one", "status", "equals", "active")) == {
        "_activeBranches": ["one"],
        "status_1": "active",
        "data_1": "hello",
    }
    assert configured({"value": 5}, rule("one", "value", "greater_than", "9")) == {
        "_activeBranches": [],
        "value_else": 5,
    }
    both = configured(
        {"value": 5},
        rule("one", "value", "greater_than", "1"),
        rule("two", "value", "greater_than", "2"),
        exclusive=False,
    )
    assert both == {"_activeBranches": ["one", "two"], "value_1": 5, "value_2": 5}


@pytest.mark.parametrize(
    ("inputs", "condition", "holds"),
    [
        ({"user": {"role": "admin"}}, rule("x", "user.role", "equals", "admin"), True),
        ({"data": {"nested": {"value": 42}}}, rule("x", "data.nested.value", "equals", "42"), True),
        ({"data": {}}, rule("x", "data.nested.value", "equals", "42"), False),
        ({"text": "Hello World"}, rule("x", "text", "contains", "world"), True),
        ({"text": "Hello World"}, rule("x", "text", "starts_with", "hello"), True),
        ({"text": ""}, rule("x", "text", "is_empty"), True),
        ({"flag": True}, rule("x", "flag", "is_true"), True),
    ],
)
def test_c09_5_what_conditions_can_say(inputs: dict[str, Any], condition: dict[str, str], holds: bool) -> None:
    assert (configured(inputs, condition)["_activeBranches"] == ["x"]) is holds


def test_c09_5_where_the_conditions_come_from() -> None:
    other = {"branches": [rule("given", "value", "greater_than", "0")]}
    assert active({"value": 1, "conditionConfig": other}, conditionConfig=HIGH_LOW_CONFIG) == ["given"]
    assert active({"value": 1}, conditionConfig=HIGH_LOW_CONFIG) == ["low"]
    assert active({"value": 1}, branches=HIGH_LOW, conditionConfig=other) == ["low"]
    assert active({"value": 1}, conditionConfig={**HIGH_LOW_CONFIG, "branches": [], "defaultBranch": "x"}) == []


def test_c09_5_a_branch_of_its_own_port_may_be_data_too() -> None:
    task = ConditionalTask(
        branches=[
            {"id": "big", "condition": {"field": "value", "operator": "greater_than", "value": 5}},
            {"id": "rest"},
        ],
        defaultBranch="rest",
    )
    assert run_task(task, {"value": 6}).outputs == {"_activeBranches": ["big"], "big": {"value": 6}}
    assert run_task(task, {"value": 5}).outputs == {"_activeBranches": ["rest"], "rest": {"value": 5}}


@pytest.mark.parametrize(
    "config",
    [
        {"branches": [{"id": "a"}, {"id": "a"}]},
        {"branches": [{"id": "a", "condition": {"field": "x", "operator": "gt", "value": 1}}]},
        {"branches": [{"id": "a", "port": "x"}]},
        {"conditionConfig": {"branches": [{"id": "a"}]}},
        {"branches": [{"id": "a", "condition": 7}]},
    ],
)
def test_c09_what_cannot_be_a_condition_is_refused_at_once(config: dict[str, Any]) -> None:
    with pytest.raises(TaskConfigurationError):
        ConditionalTask(**config)


def test_c09_an_async_predicate_is_refused_because_it_would_always_hold() -> None:
    async def condition(inputs: dict[str, Any]) -> bool:
        return False

    with pytest.raises(TaskConfigurationError, match="async"):
        ConditionalTask(branches=branches(("a", condition)))


# ---------------------------------------------------------------------- in a graph


def routed(task: ConditionalTask, edges: Mapping[str, str], *targets: Any) -> TaskGraph:
    """`edges` says from which port of the conditional to which task."""
    graph = graph_of(task, *targets)
    for port, target in edges.items():
        graph.add_dataflow(task.id, port, target, "*")
    return graph


def statuses(run: Run) -> dict[str, str]:
    return {path: result.status for path, result in run.tasks.items()}


def conditional(*pairs: tuple[str, Predicate], **config: Any) -> ConditionalTask:
    return ConditionalTask(id="if", branches=branches(*pairs), **config)


def test_c09_6_only_the_taken_branch_runs() -> None:
    graph = routed(
        ConditionalTask(id="if", branches=HIGH_LOW), {"high": "double", "low": "halve"},
        DoubleToDoubled(id="double"), Halve(id="halve"),
    )  # fmt: skip
    run = run_in_memory_sync(graph, {"value": 10})
    assert run.outputs == {"doubled": 20}
    assert statuses(run) == {"if": "completed", "double": "completed", "halve": "disabled"}
    assert run.tasks["halve"].attempt == 0


def chain(graph: TaskGraph, *ids: str) -> TaskGraph:
    for source, target in pairwise(ids):
        graph.add_dataflow(source, "input", target, "input")
    return graph


def test_c09_7_a_branch_is_disabled_to_its_end() -> None:
    graph = routed(conditional(("no", lambda i: False)), {"no": "t1"}, *(Tracking(id=id) for id in ("t1", "t2", "t3")))
    run = run_in_memory_sync(chain(graph, "t1", "t2", "t3"), {"value": 1})
    assert statuses(run) == {"if": "completed", "t1": "disabled", "t2": "disabled", "t3": "disabled"}


def test_c09_8_one_active_edge_is_enough() -> None:
    graph = graph_of(conditional(("yes", lambda i: True), ("no", lambda i: False)), Tracking(id="t"))
    graph.add_dataflow("if", "yes", "t", "input")
    graph.add_dataflow("if", "no", "t", "other")
    run = run_in_memory_sync(graph, {"value": 1})
    assert run.tasks["t"].status == "completed"
    assert run.tasks["t"].outputs["input"] == {"value": 1}


def is_letter(letter: str) -> tuple[str, Predicate]:
    return letter, lambda inputs: inputs["value"] == letter


def test_c09_9_a_switch() -> None:
    graph = routed(
        conditional(*map(is_letter, "ABC")), {"A": "a", "B": "b", "C": "c"}, *(Tracking(id=id) for id in "abc")
    )
    run = run_in_memory_sync(graph, {"value": "B"})
    assert statuses(run) == {"if": "completed", "a": "disabled", "b": "completed", "c": "disabled"}


def test_c09_9_several_paths() -> None:
    task = conditional(
        ("A", lambda i: True), ("B", lambda i: True), ("C", lambda i: False), exclusive=False
    )  # fmt: skip
    graph = routed(task, {"A": "a", "B": "b", "C": "c"}, *(Tracking(id=id) for id in "abc"))
    run = run_in_memory_sync(graph, {"value": 1})
    assert statuses(run) == {"if": "completed", "a": "completed", "b": "completed", "c": "disabled"}


def test_c09_10_a_conditional_behind_a_conditional() -> None:
    first = ConditionalTask(
        id="user",
        branches=branches(
            ("premium", lambda i: i["userType"] == "premium"), ("standard", lambda i: i["userType"] != "premium")
        ),
    )
    second = ConditionalTask(
        id="tier",
        branches=branches(
            ("gold", lambda i: i["premium"]["tier"] == "gold"), ("silver", lambda i: i["premium"]["tier"] != "gold")
        ),
    )
    graph = graph_of(first, second, *(Tracking(id=id) for id in ("gold", "silver", "standard")))
    graph.add_dataflow("user", "premium", "tier", "premium")
    graph.add_dataflow("user", "standard", "standard", "*")
    graph.add_dataflow("tier", "gold", "gold", "*")
    graph.add_dataflow("tier", "silver", "silver", "*")
    run = run_in_memory_sync(graph, {"userType": "premium", "tier": "gold"})
    assert [run.tasks[id].status for id in ("gold", "silver", "standard")] == ["completed", "disabled", "disabled"]


def test_c09_11_arms_that_meet_again() -> None:
    graph = routed(
        ConditionalTask(id="if", branches=HIGH_LOW), {"high": "left", "low": "right"},
        Tracking(id="left"), Tracking(id="right"), Tracking(id="merge"),
    )  # fmt: skip
    graph.add_dataflow("left", "executed", "merge", "left")
    graph.add_dataflow("right", "executed", "merge", "right")
    run = run_in_memory_sync(graph, {"value": 10})
    assert statuses(run) == {"if": "completed", "left": "completed", "right": "disabled", "merge": "completed"}


def test_c09_11_no_match_disables_everything_behind_and_tells() -> None:
    # A: an edge has no status of its own
    graph = routed(conditional(("no", lambda i: False)), {"no": "t"}, Tracking(id="t"))
    events: list[Event] = []
    run = run_in_memory_sync(graph, {"value": 1}, on_event=events.append)
    assert statuses(run) == {"if": "completed", "t": "disabled"}
    assert kinds(events, "t") == ["disabled"]


BIG = {"field": "value", "operator": "greater_than", "value": 5}
HIGH_LOW_DATA = [{"id": "high", "condition": BIG}, {"id": "low", "condition": {**BIG, "operator": "less_or_equal"}}]


@pytest.mark.parametrize("branches", [HIGH_LOW, HIGH_LOW_DATA], ids=["functions", "data"])
def test_c09_12_a_cache_does_not_change_the_way(branches: list[dict[str, Any]]) -> None:
    cache = SqliteOutputs(File.open(":memory:"))
    graph = routed(
        ConditionalTask(id="if", branches=branches, cache=True), {"high": "double", "low": "halve"},
        DoubleToDoubled(id="double", cache=True), Halve(id="halve", cache=True),
    )  # fmt: skip
    runs = [run_in_memory_sync(graph, {"value": 10}, output_cache=cache) for _ in range(2)]
    assert runs[1].tasks["double"].status == "completed"
    assert [run.tasks["halve"].status for run in runs] == ["disabled", "disabled"]
    assert runs[0].outputs == runs[1].outputs == {"doubled": 20}


@pytest.mark.parametrize(("value", "taken"), [(150, "one"), (50, "two"), (None, "rest")])
def test_c09_12_conditions_as_data_route_too(value: object, taken: str) -> None:
    task = ConditionalTask(id="if", conditionConfig=HIGH_LOW_CONFIG)
    graph = graph_of(task, Tracking(id="one"), Tracking(id="two"), Tracking(id="rest"))
    for port, target in (("value_1", "one"), ("value_2", "two"), ("value_else", "rest")):
        graph.add_dataflow("if", port, target, "input")
    run = run_in_memory_sync(graph, {"value": value})
    assert {id: run.tasks[id].status for id in ("one", "two", "rest")} == {
        **dict.fromkeys(("one", "two", "rest"), "disabled"),
        taken: "completed",
    }
    assert run.tasks[taken].outputs["input"] == value


def test_c09_12_a_port_of_an_input_that_was_not_given_follows_its_branch() -> None:
    graph = graph_of(ConditionalTask(id="if", conditionConfig=HIGH_LOW_CONFIG), Tracking(id="on"), Tracking(id="off"))
    graph.add_dataflow("if", "absent_1", "on", "input")
    graph.add_dataflow("if", "absent_2", "off", "input")
    run = run_in_memory_sync(graph, {"value": 150})
    assert (run.tasks["on"].status, run.tasks["off"].status) == ("completed", "disabled")


# ---------------------------------------------------------------------- appendix A4


ORDER = [
    ("greater_than", {10: True, 5: False, 3: False}),
    ("greater_or_equal", {10: True, 5: True, 3: False}),
    ("less_than", {10: False, 5: False, 3: True}),
    ("less_or_equal", {10: False, 5: True, 3: True}),
]
CASES: list[tuple[object, str, str, bool]] = [
    ("hello", "equals", "hello", True),
    ("hello", "equals", "world", False),
    (42, "equals", "42", True),
    (42, "equals", "43", False),
    (3.14, "equals", "3.14", True),
    ("hello", "not_equals", "hello", False),
    ("hello", "not_equals", "world", True),
    (42, "not_equals", "42", False),
    *((value, operator, "5", holds) for operator, answers in ORDER for value, holds in answers.items()),
    ("Hello World", "contains", "hello", True),
    ("Hello World", "starts_with", "world", False),
    ("Hello World", "starts_with", "hello", True),
    ("Hello World", "ends_with", "WORLD", True),
    ("", "is_empty", "", True),
    ("hello", "is_empty", "", False),
    ([], "is_empty", "", True),
    ([1, 2], "is_empty", "", False),
    (None, "is_empty", "", True),
    ("", "is_not_empty", "", False),
    ("hello", "is_not_empty", "", True),
    ([], "is_not_empty", "", False),
    ([1, 2], "is_not_empty", "", True),
    (None, "is_not_empty", "", False),
    *(
        (value, "is_true", "", holds)
        for value, holds in zip((True, False, 1, None), (True, False, True, False), strict=True)
    ),
    (0, "is_true", "", False),
    *(
        (value, "is_false", "", holds)
        for value, holds in zip((True, False, 1, None), (False, True, False, True), strict=True)
    ),
    (0, "is_false", "", True),
    *((None, operator, "5", False) for operator in ("equals", "not_equals", "greater_than", "contains")),
    (5, "unknown", "5", False),
    (True, "equals", "true", True),
    ("abc", "less_than", "5", False),
    ("1_000", "equals", "1000", False),
    (2**60 + 1, "equals", str(2**60), False),
]


@pytest.mark.parametrize(("value", "operator", "other", "holds"), CASES)
def test_a4_conditions(value: object, operator: str, other: str, holds: bool) -> None:
    assert evaluate_condition(value, operator, other) is holds


def test_a4_paths() -> None:
    assert value_at({"a": {"b": {"c": 42}}}, "a.b.c") == 42
    assert value_at({"a": {}}, "a.b.c") is None
