"""What a graph takes and gives: schemas, delivery of inputs, merged outputs."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import DuplicateDataflowError, GraphError, TaskInputError, UnknownPortError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.switch import SwitchTask
from workglow.graph.delivery import deliver
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.schemas import merge_results, result_plan
from workglow.tasks import Collect, Ports, Task
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, **options)


@task(output="outputA")
def ga(inputA1: str, inputA2: int = 42) -> str:
    return f"{inputA1}-{inputA2}"


@task(output="outputB")
def gb(inputB: str) -> str:
    return f"processed-{inputB}"


class GC(TypedDict):
    outputC1: str
    outputC2: int


@task()
def gc(inputC1: str, inputC2: str = "defaultC2") -> GC:
    return {"outputC1": f"{inputC1}+{inputC2}", "outputC2": len(inputC1) + len(inputC2)}


@task(output="x")
def constant(x: int) -> int:
    return x


@task(output="total")
def gather(values: Collect[int]) -> int:
    return sum(values)


class Anything(Task):
    inputs = Ports(open=True)
    outputs = Ports(open=True)
    inline = True

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs


class Shown(Anything):
    is_graph_output: ClassVar[bool] = True


class Either(Task):
    """Gives `left` or `right`."""

    inputs = Ports.from_names("value")
    outputs = Ports.from_schema({"properties": {"left": {}, "right": {}}, "additionalProperties": False})
    exclusive_ports: ClassVar[tuple[str, ...]] = ("left", "right")


def graph_of(*tasks: Any, edges: tuple[tuple[str, str, str, str], ...] = ()) -> TaskGraph:
    graph = TaskGraph()
    for each in tasks:
        graph.add_task(each)
    for edge in edges:
        graph.add_dataflow(*edge)
    return graph


DIAMOND = (("ga", "outputA", "gb", "inputB"), ("ga", "outputA", "gc", "inputC1"))


# ---------------------------------------------------------------------- schemas


def test_inputs_are_those_of_roots_and_outputs_those_of_leaves():
    graph = graph_of(ga, gb, edges=(("ga", "outputA", "gb", "inputB"),))
    assert graph.input_schema() == {
        "type": "object",
        "properties": {"inputA1": {"type": "string"}, "inputA2": {"type": "integer", "default": 42}},
        "required": ["inputA1"],
        "additionalProperties": False,
    }
    assert list(graph.output_schema()["properties"]) == ["outputB"]


def test_ports_that_an_edge_feeds_are_not_asked_for():
    graph = graph_of(ga, gb, gc, edges=(("ga", "outputA", "gc", "inputC1"), ("gb", "outputB", "gc", "inputC2")))
    assert list(graph.input_schema()["properties"]) == ["inputA1", "inputA2", "inputB"]
    graph = graph_of(ga, gb, gc, edges=(("ga", "outputA", "gc", "inputC1"),))
    assert list(graph.input_schema()["properties"]) == ["inputA1", "inputA2", "inputB"]


def test_an_empty_graph_takes_and_gives_nothing():
    assert TaskGraph().input_schema()["properties"] == {}
    assert TaskGraph().output_schema()["properties"] == {}


def test_a_chain_gives_only_what_its_last_task_gives():
    graph = graph_of(ga, gb, gc, edges=(("ga", "outputA", "gb", "inputB"), ("gb", "outputB", "gc", "inputC1")))
    assert list(graph.output_schema()["properties"]) == ["outputC1", "outputC2"]
    outputs = run_in_memory_sync(graph, {"inputA1": "hello", "inputA2": 99}).outputs
    assert outputs == {"outputC1": "processed-hello-99+defaultC2", "outputC2": 27}


def test_several_leaves_give_lists_in_the_schema_and_in_the_run():
    graph = graph_of(ga, gb, gc.task(inputC2="extra"), edges=DIAMOND)
    assert graph.output_schema() == {
        "type": "object",
        "properties": {
            "outputB": {"type": "array", "items": {"type": "string"}},
            "outputC1": {"type": "array", "items": {"type": "string"}},
            "outputC2": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["outputB", "outputC1", "outputC2"],
        "additionalProperties": False,
    }
    outputs = run_in_memory_sync(graph, {"inputA1": "begin", "inputA2": 5}).outputs
    assert outputs == {"outputB": ["processed-begin-5"], "outputC1": ["begin-5+extra"], "outputC2": [12]}


def test_leaves_at_different_depths_all_count():
    graph = graph_of(ga, gb, constant, edges=(("ga", "outputA", "gb", "inputB"),))
    assert list(graph.output_schema()["properties"]) == ["outputB", "x"]
    assert run_in_memory_sync(graph, {"inputA1": "a", "x": 1}).outputs == {"outputB": ["processed-a-42"], "x": [1]}


def test_a_literal_makes_an_input_optional_and_is_its_default():
    graph = graph_of(ga.task(inputA1="given"))
    assert graph.input_schema()["properties"]["inputA1"] == {"type": "string", "default": "given"}
    assert "required" not in graph.input_schema()


def test_a_literal_that_is_no_json_is_left_out_of_the_schema():
    @task()
    def echo(value: object) -> object:
        return value

    assert "default" in graph_of(echo.task(value=1)).input_schema()["properties"]["value"]
    assert "default" not in graph_of(echo.task(value=object())).input_schema()["properties"]["value"]


def test_one_input_for_two_ports_satisfies_both():
    @task()
    def longer(inputA1: str, inputA2: float = 1) -> str:
        return inputA1

    properties = graph_of(ga, longer).input_schema()["properties"]
    assert properties["inputA1"] == {"type": "string"}
    assert properties["inputA2"] == {"allOf": [{"type": "integer"}, {"type": "number"}]}
    assert graph_of(constant.task(x=1, id="a"), constant.task(x=2, id="b")).input_schema()["properties"]["x"] == {
        "type": "integer"
    }


def test_open_roots_open_the_graph():
    assert graph_of(Anything).input_schema()["additionalProperties"] is True
    assert graph_of(ga).input_schema()["additionalProperties"] is False


def test_an_output_task_alone_counts():
    graph = graph_of(ga, gb, Shown, edges=(("ga", "outputA", "shown", "text"),))
    assert graph.output_schema()["additionalProperties"] is True
    assert merge_results(graph, {"gb": {"outputB": "b"}, "shown": {"text": "a"}}) == {"text": "a"}


def test_named_outputs_take_the_place_of_the_leaves():
    graph = graph_of(ga, gb, edges=(("ga", "outputA", "gb", "inputB"),))
    graph.name_output("middle", "ga", "outputA")
    assert graph.output_schema() == {
        "type": "object",
        "properties": {"middle": {"type": "string"}},
        "required": ["middle"],
        "additionalProperties": False,
    }
    assert run_in_memory_sync(graph, {"inputA1": "a"}).outputs == {"middle": "a-42"}
    with pytest.raises(UnknownPortError):
        graph.name_output("end", "gb", "nothing")


# ---------------------------------------------------------------------- merging


def test_one_leaf_is_taken_as_it_is():
    assert merge_results(graph_of(constant), {"constant": {"x": 1}}) == {"x": 1}


def test_several_leaves_are_gathered_over_those_that_have_the_key():
    graph = graph_of(Anything(id="a"), Anything(id="b"))
    assert merge_results(graph, {"b": {"x": 3, "y": 2}, "a": {"x": 1}}) == {"x": [1, 3], "y": [2]}
    assert merge_results(graph, {"b": {"x": 3}}) == {"x": [3]}
    assert merge_results(graph, {}) == {}


def test_lists_are_in_the_order_of_definition():
    graph = graph_of(constant.task(id="first"), constant.task(id="second"))
    assert merge_results(graph, {"second": {"x": 2}, "first": {"x": 1}}) == {"x": [1, 2]}


def test_results_can_be_given_one_by_one():
    graph = TaskGraph(merge="GRAPH_RESULT_ARRAY")
    graph.add_task(constant, id="a")
    graph.add_task(constant, id="b")
    result = merge_results(graph, {"a": {"x": 1}, "b": {"x": 2}})
    assert result == {
        "results": [
            {"id": "a", "type": "constant", "data": {"x": 1}},
            {"id": "b", "type": "constant", "data": {"x": 2}},
        ]
    }
    assert list(graph.output_schema()["properties"]) == ["results"]


def guarded() -> TaskGraph:
    graph = graph_of(ga, gb, Anything(id="handler"), edges=(("ga", "outputA", "gb", "inputB"),))
    graph.add_dataflow("ga", "[error]", "handler", "*")
    return graph


def test_a_handler_is_an_alternative_and_not_one_more_result():
    graph = guarded()
    assert merge_results(graph, {"gb": {"outputB": "b"}}) == {"outputB": "b"}
    assert merge_results(graph, {"handler": {"error": "e"}}) == {"error": "e"}
    schema = graph.output_schema()
    assert schema["properties"] == {"outputB": {"type": "string"}}
    assert "required" not in schema
    assert schema["additionalProperties"] is True


def test_a_handler_of_one_leaf_among_several_is_gathered():
    graph = guarded()
    graph.add_task(constant)
    assert merge_results(graph, {"constant": {"x": 1}, "gb": {"outputB": "b"}}) == {"x": [1], "outputB": ["b"]}
    assert graph.output_schema()["required"] == ["x"]


def test_a_guarded_leaf_and_its_handler_are_alternatives():
    graph = graph_of(constant, Anything(id="handler"))
    graph.add_dataflow("constant", "[error]", "handler", "*")
    assert merge_results(graph, {"constant": {"x": 1}}) == {"x": 1}


def test_exclusive_branches_are_alternatives_until_they_meet():
    graph = graph_of(
        Either(id="if"),
        Anything(id="a"),
        Anything(id="b"),
        edges=(("if", "left", "a", "x"), ("if", "right", "b", "x")),
    )
    assert merge_results(graph, {"b": {"x": 2}}) == {"x": 2}
    graph.add_task(Anything, id="join")
    graph.add_task(Anything, id="side")
    graph.add_dataflow("a", "*", "join", "*")
    graph.add_dataflow("b", "*", "join", "*")
    graph.add_dataflow("if", "left", "side", "x")
    # the join runs in either branch, the side only in one of them: two results are possible
    assert merge_results(graph, {"join": {"x": 2}}) == {"x": [2]}


def test_a_task_where_branches_meet_runs_beside_each_of_them():
    graph = graph_of(
        Either(id="if"),
        Anything(id="join"),
        Anything(id="right"),
        edges=(("if", "left", "join", "x"), ("if", "right", "join", "y"), ("if", "right", "right", "x")),
    )
    assert merge_results(graph, {"join": {"x": 2}}) == {"x": [2]}


def test_branches_of_different_tasks_are_no_alternatives():
    graph = graph_of(
        Either(id="if"),
        Either(id="other"),
        Anything(id="a"),
        Anything(id="b"),
        edges=(("if", "left", "a", "x"), ("other", "left", "b", "x")),
    )
    assert merge_results(graph, {"a": {"x": 1}}) == {"x": [1]}


# ---------------------------------------------------------------------- delivery


def test_a_root_takes_inputs_by_name_and_another_task_only_what_it_lacks():
    graph = graph_of(ga, gc, edges=(("ga", "outputA", "gc", "inputC2"),))
    assert deliver(graph, {"inputA1": "a", "inputC1": "c"}) == {"ga": {"inputA1": "a"}, "gc": {"inputC1": "c"}}
    assert graph.input_schema()["required"] == ["inputA1", "inputC1"]


def test_one_name_feeds_every_root_that_has_it():
    graph = graph_of(constant.task(id="a"), constant.task(id="b"))
    assert deliver(graph, {"x": 7}) == {"a": {"x": 7}, "b": {"x": 7}}


def test_an_unknown_input_lists_the_known_ones():
    graph = graph_of(ga)
    with pytest.raises(
        TaskInputError, match=r"no input 'inputA'. Its inputs are inputA1, inputA2. Did you mean 'inputA"
    ):
        deliver(graph, {"inputA1": "a", "inputA": 1})
    with pytest.raises(TaskInputError, match=r"'map\[3\]/' has no input 'z'"):
        deliver(graph, {"inputA1": "a", "z": 1}, where="map[3]/")


def test_a_missing_input_names_task_and_port():
    with pytest.raises(TaskInputError, match="Task 'ga': port 'inputA1' is required"):
        deliver(graph_of(ga), {})
    with pytest.raises(TaskInputError, match="Task 'ga' in 'map': port 'inputA1' is required"):
        deliver(graph_of(ga), {}, where="map")


def test_an_open_root_takes_everything():
    graph = graph_of(Anything, constant)
    assert deliver(graph, {"x": 1, "more": 2}) == {"anything": {"x": 1, "more": 2}, "constant": {"x": 1}}


def test_graph_inputs_have_names_of_their_own():
    graph = graph_of(ga, gc, edges=(("ga", "outputA", "gc", "inputC1"),))
    graph.name_input("who", "ga", "inputA1")
    graph.name_input("suffix", "gc", "inputC2")
    graph.name_input("who", "gc", "inputC2")
    assert list(graph.input_schema()["properties"]) == ["who", "inputA2", "suffix"]
    assert deliver(graph, {"who": "w"}) == {"ga": {"inputA1": "w"}, "gc": {"inputC2": "w"}}
    with pytest.raises(TaskInputError, match="no input 'inputA1'"):
        deliver(graph, {"who": "w", "inputA1": "a"})
    with pytest.raises(DuplicateDataflowError):
        graph.name_input("middle", "gc", "inputC1")
    with pytest.raises(UnknownPortError):
        graph.name_input("middle", "gc", "nothing")


def test_an_input_that_was_named_by_hand_and_leads_nowhere_is_an_error():
    graph = graph_of(ga)
    graph.inputs["who"] = [("gone", "inputA1")]
    with pytest.raises(GraphError, match=r"'who' goes to gone\[inputA1\], which is not in the graph"):
        graph.input_schema()


def test_a_handler_asks_for_what_a_failure_does_not_carry():
    @task()
    def handler(error: str, errorType: str, language: str) -> str:
        return error

    graph = graph_of(constant, handler)
    graph.add_dataflow("constant", "[error]", "handler", "*")
    assert graph.input_schema()["required"] == ["x", "language"]


def test_an_object_that_is_spread_over_a_task_feeds_all_of_it():
    graph = graph_of(Anything(id="a"), ga, edges=(("a", "*", "ga", "*"),))
    assert graph.input_schema()["properties"] == {}
    assert deliver(graph, {"inputA1": "x"}) == {"a": {"inputA1": "x"}}


def test_a_collecting_root_takes_a_list():
    graph = graph_of(gather)
    assert deliver(graph, {"values": [1, 2]}) == {"gather": {"values": [1, 2]}}
    assert run_in_memory_sync(graph, {"values": [1, 2]}).outputs == {"total": 3}


def test_the_plan_is_made_once(monkeypatch: pytest.MonkeyPatch):
    import workglow.graph.delivery as delivery

    graph = graph_of(constant)
    deliver(graph, {"x": 1})
    monkeypatch.setattr(delivery, "free_ports", lambda *_: pytest.fail("the plan was made again"))
    deliver(graph, {"x": 2})


@settings(deadline=None)
@given(st.lists(st.integers(), min_size=1, max_size=5), st.integers(0, 3))
def test_the_schema_says_what_a_run_gives(values: list[int], chained: int):
    graph = TaskGraph()
    for number, value in enumerate(values):
        graph.add_task(constant, id=f"t{number}", x=value)
    for number in range(min(chained, len(values) - 1)):
        graph.add_dataflow(f"t{number}", "x", f"t{number + 1}", "x")
    schema = graph.output_schema()
    outputs = run_in_memory_sync(graph).outputs
    assert sorted(outputs) == sorted(schema["properties"])
    for name, value in outputs.items():
        assert (schema["properties"][name]["type"] == "array") == isinstance(value, list)


# ---------------------------------------------------------------------- branches that need not be taken


def branching(**options: Any) -> TaskGraph:
    branches = [{"id": name, "condition": lambda _: True} for name in ("a", "b")]
    graph = graph_of(ConditionalTask(id="choice", branches=branches, **options))
    for name in ("a", "b"):
        graph.add_task(gb, id=name)
        graph.add_dataflow("choice", name, name, "*")
    return graph


def joined(graph: TaskGraph) -> TaskGraph:
    graph.add_task(Anything(id="join"))
    for name in ("a", "b"):
        graph.add_dataflow(name, "outputB", "join", f"from_{name}")
    return graph


def test_what_is_behind_a_port_that_may_be_off_is_not_promised():
    for options in ({}, {"exclusive": False}, {"default_branch": "a"}):
        schema = branching(**options).output_schema()
        assert "required" not in schema, options
    assert branching(exclusive=False).output_schema()["properties"]["outputB"]["type"] == "array"
    assert branching().output_schema()["properties"]["outputB"]["type"] == "string"


def test_where_all_branches_meet_is_promised_if_one_is_always_taken():
    def certain(graph: TaskGraph) -> bool:
        return bool(result_plan(graph).certain)

    assert certain(joined(branching(default_branch="a")))
    assert not certain(joined(branching()))
    assert not certain(joined(branching(exclusive=False)))
    only_one = branching(default_branch="a")
    only_one.add_task(Anything(id="join"))
    only_one.add_dataflow("a", "outputB", "join", "x")
    assert not certain(only_one)


def test_where_only_some_branches_meet_is_not_promised():
    graph = graph_of(SwitchTask(id="s", field="k", cases={"a": 1, "b": 2}, default="c"), Anything(id="join"))
    for name in ("a", "b"):
        graph.add_dataflow("s", name, "join", name)
    assert not result_plan(graph).certain
    graph.add_dataflow("s", "c", "join", "c")
    assert result_plan(graph).certain == {"join"}


def test_numbered_ports_of_a_condition_config_are_not_promised():
    rows = [{"id": "big", "field": "inputB", "operator": "greater_than", "value": "5"}]
    graph = graph_of(ConditionalTask(id="c", condition_config={"branches": rows}), gb)
    graph.add_dataflow("c", "inputB_1", "gb", "inputB")
    assert not result_plan(graph).certain


def test_what_a_group_takes_changes_with_its_graph():
    inside = graph_of(constant)
    group = GraphAsTask(inside)
    assert list(group.inputs) == ["x"]
    assert group.inputs is group.inputs, "a group that runs asks twice"
    inside.add_task(gb)
    assert sorted(group.inputs) == ["inputB", "x"]
