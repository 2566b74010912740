"""Auto-connect: every row of the table that describes it, and where ours is stricter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workglow.errors import AutoConnectError, IncompatiblePortsError
from workglow.graph.building.autoconnect import types_fit
from workglow.graph.building.workflow import Workflow
from workglow.tasks import Ports, Task

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
VECTOR = {"type": "array", "items": {"type": "number"}, "format": "TypedArray"}
BARE_VECTOR = {"type": "array", "format": "TypedArray"}
VECTOR_OR_VECTORS = [BARE_VECTOR, {"type": "array", "items": BARE_VECTOR}]


def schema(properties: dict[str, Any], required: tuple[str, ...] = (), *, is_open: bool = False) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": is_open,
    }


def kind(
    name: str,
    takes: dict[str, Any],
    gives: dict[str, Any],
    execute: Callable[..., Any] | None = None,
    required: tuple[str, ...] = (),
    **attributes: Any,
) -> type[Task]:
    is_open = attributes.pop("is_open", False)
    members = {
        "inputs": Ports.from_schema(schema(takes, required, is_open=is_open)),
        "outputs": Ports.from_schema(schema(gives, is_open=is_open)),
        "inline": True,
        **attributes,
    }
    if execute is not None:
        members["execute"] = execute
    return type(name, (Task,), members)


Simple = kind(
    "SimpleTask", {"input": TEXT}, {"output": TEXT}, lambda _, given: {"output": f"processed-{given['input']}"}
)
OutTask = kind("OutTask", {"input": TEXT}, {"customOutput": TEXT}, lambda _, given: {"customOutput": given["input"]})
InTask = kind("InTask", {"customInput": TEXT}, {"output": TEXT}, lambda _, given: {"output": given["customInput"]})
StringT = kind("StringTask", {"input": TEXT}, {"output": TEXT})
NumberT = kind("NumberTask", {"input": NUMBER}, {"output": NUMBER})
VectorOut = kind("VectorOutTask", {"text": TEXT}, {"vector": BARE_VECTOR})
VectorsIn = kind("VectorsInTask", {"vectors": BARE_VECTOR}, {"count": NUMBER})
VecOneOfOut = kind("VecOneOfOutTask", {"text": TEXT}, {"embedding": {"oneOf": VECTOR_OR_VECTORS}})
VecAnyOfIn = kind("VecAnyOfInTask", {"data": {"anyOf": VECTOR_OR_VECTORS}}, {"sum": NUMBER})
TextOut = kind("TextOutputTask", {"input": TEXT}, {"text": TEXT})
VecOnly = kind("VectorOnlyTask", {"size": {**NUMBER, "default": 3}}, {"vector": VECTOR})
VecPass = kind("VectorPassTask", {"vector": BARE_VECTOR}, {"vector": VECTOR})
TextVecIn = kind("TextVectorInputTask", {"text": TEXT, "vector": VECTOR}, {"result": TEXT}, required=("text", "vector"))
WildPass = kind("WildPassTask", {}, {}, lambda _, given: dict(given), is_open=True, passthrough=True)


def edges(workflow: Workflow) -> list[str]:
    return [edge.id for edge in workflow.graph.dataflows()]


def refused(
    workflow: Workflow, task: type[Task], *words: str, error: type[Exception] = AutoConnectError, **literals: Any
):
    before = (list(workflow.graph.tasks.items()), edges(workflow))
    with pytest.raises(error) as caught:
        workflow.then(task, **literals)
    assert (list(workflow.graph.tasks.items()), edges(workflow)) == before
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


NOT_FOUND = "Could not find a match between the outputs of"
REQUIRED = "Could not find matches for required inputs"


def test_row_1_output_goes_to_input():
    workflow = Workflow().then(Simple, input="test").then(Simple)
    assert edges(workflow) == ["simple[output] ==> simple_2[input]"]


def test_row_2_types_that_differ_do_not_match():
    text = refused(Workflow().then(StringT), NumberT)
    assert text == (
        "Could not find a match between the outputs of StringTask and the inputs of NumberTask. "
        "You may need to connect the outputs to the inputs via connect() manually."
    )


def test_row_3_the_same_format_matches_whatever_the_names():
    assert edges(Workflow().then(VectorOut).then(VectorsIn)) == ["vector_out[vector] ==> vectors_in[vectors]"]


def test_row_4_a_format_inside_alternatives_matches():
    assert edges(Workflow().then(VecOneOfOut).then(VecAnyOfIn)) == ["vec_one_of_out[embedding] ==> vec_any_of_in[data]"]


def test_row_5_a_type_alone_does_not_match_other_names():
    refused(Workflow().then(StringT), InTask, NOT_FOUND)


def test_row_6_required_inputs_are_sought_further_back():
    workflow = Workflow().then(TextOut).then(VecOnly, size=5).then(TextVecIn)
    assert sorted(edges(workflow)) == [
        "text_output[text] ==> text_vector_input[text]",
        "vector_only[vector] ==> text_vector_input[vector]",
    ]


def test_row_7_a_required_input_without_an_output_is_an_error():
    text = refused(Workflow().then(VecOnly), TextVecIn)
    assert text == (
        "Could not find matches for required inputs [text] of TextVectorInputTask. "
        "Attempted to match from VectorOnlyTask and earlier tasks."
    )


def test_row_8_the_previous_task_comes_first():
    workflow = Workflow().then(TextOut).then(VecOnly).then(VecPass).then(TextVecIn)
    assert set(edges(workflow)) >= {
        "text_output[text] ==> text_vector_input[text]",
        "vector_pass[vector] ==> text_vector_input[vector]",
    }


def test_row_9_the_newest_of_several_comes_first():
    workflow = Workflow().then(TextOut).then(VecOnly).then(VecPass).then(VecOnly).then(TextVecIn)
    assert [edge for edge in edges(workflow) if "text_vector_input[" in edge] == [
        "vector_only_2[vector] ==> text_vector_input[vector]",
        "text_output[text] ==> text_vector_input[text]",
    ]


def test_among_earlier_tasks_the_newest_comes_first():
    workflow = Workflow().then(TextOut, id="old").then(TextOut, id="new", input="x").then(VecOnly).then(TextVecIn)
    assert "new[text] ==> text_vector_input[text]" in edges(workflow)


def test_row_10_no_output_anywhere():
    text = refused(Workflow().then(Simple).then(Simple).then(Simple), TextVecIn, REQUIRED)
    assert "[text, vector] of TextVectorInputTask. Attempted to match from SimpleTask and earlier tasks." in text


def test_row_11_optional_inputs_are_not_sought_further_back():
    refused(Workflow().then(Simple).then(Simple), InTask, NOT_FOUND)
    custom = kind("CustomTask", {"input": TEXT}, {"customInput": TEXT})
    refused(Workflow().then(custom).then(Simple, input="x"), InTask, NOT_FOUND)


def test_row_12_the_first_task_needs_no_match():
    assert edges(Workflow().then(TextVecIn)) == []


def test_row_13_literals_satisfy_required_inputs():
    assert edges(Workflow().then(Simple).then(TextVecIn, text="t", vector=[1.0])) == []


def test_row_14_a_literal_gets_no_edge():
    workflow = Workflow().then(Simple).then(VecOnly).then(TextVecIn, text="provided")
    assert [edge for edge in edges(workflow) if "text_vector_input[" in edge] == [
        "vector_only[vector] ==> text_vector_input[vector]"
    ]


def test_row_15_every_missing_input_is_named():
    refused(Workflow().then(Simple).then(Simple), TextVecIn, REQUIRED, "vector")


def test_row_16_an_input_task_gives_by_name():
    assert edges(Workflow().input().then(Simple)) == ["input[input] ==> simple[input]"]


def test_row_17_an_input_task_and_a_chain():
    workflow = Workflow().input().then(Simple).then(Simple)
    assert edges(workflow) == ["input[input] ==> simple[input]", "simple[output] ==> simple_2[input]"]


def test_row_18_an_input_task_is_asked_for_what_is_left():
    workflow = Workflow().input().then(VecOnly).then(TextVecIn)
    assert set(edges(workflow)) >= {
        "input[text] ==> text_vector_input[text]",
        "vector_only[vector] ==> text_vector_input[vector]",
    }


def test_row_19_an_input_task_has_the_ports_that_are_asked_for():
    workflow = Workflow().input().then(TextVecIn)
    assert edges(workflow) == [
        "input[text] ==> text_vector_input[text]",
        "input[vector] ==> text_vector_input[vector]",
    ]
    assert list(workflow.graph.tasks["input"].outputs) == ["text", "vector"]


def test_row_20_an_output_task_has_the_ports_that_enter_it():
    workflow = Workflow().then(Simple).output()
    assert edges(workflow) == ["simple[output] ==> output[output]"]
    node = workflow.graph.tasks["output"]
    expected = {"type": "object", "properties": {"output": TEXT}, "additionalProperties": False}
    assert node.inputs.schema == node.outputs.schema == expected


def test_row_21_an_input_task_is_closed():
    workflow = Workflow().input().then(Simple)
    node = workflow.graph.tasks["input"]
    expected = {"type": "object", "properties": {"input": TEXT}, "additionalProperties": False}
    assert node.inputs.schema == node.outputs.schema == expected
    assert workflow.graph.input_schema()["properties"] == {"input": TEXT}


def test_row_22_boundary_tasks_pass_values_through():
    workflow = Workflow().input().then(Simple).output()
    assert workflow.run_sync({"input": "hello"}).outputs == {"output": "processed-hello"}


def test_row_23_a_task_that_passes_everything_on_is_looked_through():
    workflow = Workflow().then(Simple).then(WildPass).output()
    assert edges(workflow) == ["simple[output] ==> wild_pass[output]", "wild_pass[output] ==> output[output]"]
    assert workflow.graph.tasks["output"].inputs.schema["properties"] == {"output": TEXT}
    assert workflow.run_sync({"input": "hello"}).outputs == {"output": "processed-hello"}


def test_row_24_a_rename_is_one_edge():
    workflow = Workflow().then(OutTask).rename("customOutput", "customInput").then(InTask)
    assert edges(workflow) == ["out[customOutput] ==> in[customInput]"]


# ---------------------------------------------------------------------- where ours is stricter, or knows Python


def test_a_literal_wins_over_an_output_of_the_same_name():
    give = kind("GiveTask", {}, {"z": TEXT}, lambda *_: {"z": "from parent"})
    take = kind("TakeTask", {"z": TEXT, "w": TEXT}, {"z": TEXT}, lambda _, given: {"z": given["z"]})
    workflow = Workflow().then(give).then(take, z="literal", w="w")
    assert edges(workflow) == []
    assert workflow.graph.tasks["take"].defaults["z"] == "literal"


def test_a_literal_wins_in_open_ports_and_under_an_input_task():
    give = kind("GiveTask", {}, {"z": TEXT, "y": TEXT})
    assert edges(Workflow().then(give).then(WildPass, z="literal")) == ["give[y] ==> wild_pass[y]"]
    assert edges(Workflow().input().then(TextVecIn, text="literal")) == ["input[vector] ==> text_vector_input[vector]"]


def test_candidates_of_equal_rank_are_an_error_that_names_them():
    two = kind("TwoTask", {}, {"a": VECTOR, "b": VECTOR})
    text = refused(Workflow().then(two), VectorsIn)
    assert "The input 'vectors' of VectorsInTask could come from any of two[a], two[b]" in text
    workflow = Workflow().then(two).rename("b", "vectors").then(VectorsIn)
    assert edges(workflow) == ["two[b] ==> vectors_in[vectors]"]


def test_equal_candidates_further_back_are_an_error_too():
    two = kind("TwoTask", {}, {"a": VECTOR, "b": VECTOR})
    one = kind("OneTask", {}, {"text": TEXT})
    refused(Workflow().then(two).then(one), TextVecIn, "two[a], two[b]")


def test_the_name_decides_before_the_format_and_input_before_output():
    two = kind("TwoTask", {}, {"vectors": VECTOR, "b": VECTOR})
    assert edges(Workflow().then(two).then(VectorsIn)) == ["two[vectors] ==> vectors_in[vectors]"]
    both = kind("BothTask", {}, {"output": TEXT, "input": TEXT})
    assert edges(Workflow().then(both).then(Simple)) == ["both[input] ==> simple[input]"]


def test_streams_decide_between_equal_candidates():
    streamed = {**VECTOR, "x-stream": "replace"}
    two = kind("TwoTask", {}, {"a": VECTOR, "b": streamed})
    take = kind("TakeTask", {"v": streamed}, {})
    assert edges(Workflow().then(two).then(take)) == ["two[b] ==> take[v]"]
    assert edges(Workflow().then(two).then(VectorsIn)) == ["two[a] ==> vectors_in[vectors]"]


def test_one_output_may_feed_several_inputs():
    take = kind("TakeTask", {"v": VECTOR, "w": VECTOR}, {})
    assert len(edges(Workflow().then(VecOnly).then(take))) == 2


def test_an_integer_fits_a_number_but_not_a_text():
    whole = kind("WholeTask", {}, {"value": {"type": "integer"}})
    assert len(edges(Workflow().then(whole).then(kind("RealTask", {"value": NUMBER}, {})))) == 1
    refused(Workflow().then(whole), kind("WordTask", {"value": TEXT}, {}), NOT_FOUND)


def test_functions_without_annotations_are_connected_by_name():
    def first():
        return 1

    def second(output):
        return output

    assert edges(Workflow().then(first).then(second)) == ["first[output] ==> second[output]"]


def test_an_optional_python_type_fits_in_both_directions():
    def find(text: str) -> str | None:
        return text or None

    def show(output: str | None) -> str:
        return str(output)

    def shout(output: str) -> str:
        return output.upper()

    assert len(edges(Workflow().then(find).then(show).then(shout))) == 2
    assert len(edges(Workflow().then(find).then(shout))) == 1


def test_a_task_that_takes_nothing_needs_no_match():
    def now() -> int:
        return 1

    assert edges(Workflow().then(Simple).then(now)) == []


def test_a_collecting_port_takes_one_item():
    texts = {"type": "array", "items": TEXT, "x-collect": True}
    take = kind("TakeTask", {"texts": texts, "text": {**texts}}, {})
    assert edges(Workflow().then(TextOut).then(take)) == ["text_output[text] ==> take[text]"]


def test_the_same_name_with_items_that_cannot_fit_is_no_match():
    give = kind("GiveTask", {}, {"items": {"type": "array", "items": TEXT}})
    take = kind("TakeTask", {"items": {"type": "array", "items": NUMBER}}, {}, required=("items",))
    refused(Workflow().then(give), take, REQUIRED, "[items]")


def test_open_ports_are_not_connected_against_their_types():
    give = kind("GiveTask", {}, {"z": TEXT})
    take = kind("TakeTask", {"z": NUMBER}, {}, is_open=True)
    refused(Workflow().then(give), take, "GiveTask gives string", error=IncompatiblePortsError)


def test_open_ports_take_whatever_comes_from_open_ports():
    anything = kind("AnythingTask", {}, {}, is_open=True)
    workflow = Workflow().then(anything).then(WildPass)
    assert edges(workflow) == ["anything[*] ==> wild_pass[*]"]
    assert edges(workflow.output())[-1] == "wild_pass[*] ==> output[*]"
    assert workflow.graph.output_schema()["additionalProperties"] is True


def test_an_input_task_feeds_open_ports_with_everything():
    workflow = Workflow().input().then(WildPass)
    assert edges(workflow) == ["input[*] ==> wild_pass[*]"]
    assert workflow.run_sync({"anything": 1}).outputs == {"anything": 1}


@pytest.mark.parametrize(
    ("given", "taken", "fits"),
    [
        (TEXT, TEXT, True),
        (TEXT, NUMBER, False),
        ({"type": "integer"}, NUMBER, True),
        (NUMBER, {"type": "integer"}, False),
        (TEXT, {"anyOf": [NUMBER, TEXT]}, True),
        (TEXT, {"oneOf": [NUMBER, {"type": "boolean"}]}, False),
        ({"type": "string", "format": "model"}, {"type": "number", "format": "model"}, True),
        ({"type": "string", "format": "model"}, {"type": "string", "format": "model:X"}, True),
        ({"type": "string", "$id": "a"}, {"type": "string"}, False),
        ({"type": "string", "$id": "a"}, {"type": "string", "$id": "a"}, True),
        ({}, TEXT, True),
        ({"title": "Thing"}, TEXT, True),
        ({"type": ["string", "null"]}, TEXT, True),
    ],
)
def test_types_that_belong_together(given: dict[str, Any], taken: dict[str, Any], fits: bool):
    assert types_fit(given, taken) is fits
