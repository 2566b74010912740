"""What a model is told of tools, which of its calls count, and one turn of it."""

from __future__ import annotations

from typing import Any

import pytest

import workglow as wg
from workglow import Workflow, task
from workglow.ai import Finish, ToolCall, ToolCallingTask, ToolDefinition, filter_valid_tool_calls, task_types_to_tools
from workglow.ai.tools import build_tool_description
from workglow.errors import TaskInputError, UnknownTaskTypeError
from workglow.tasks import TaskRegistry, task_registry
from workglow.testing import ScriptedProvider

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "inputSchema": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
        "additionalProperties": False,
    },
}
NATIVE = "scripted:native"
PROMPTED = {"name": "scripted:prompted", "provider": "scripted", "capabilities": ["chat"]}


@task(name="TestAddTask")
def add_numbers(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


def test_the_description_tells_what_comes_back_when_that_is_known() -> None:
    assert build_tool_description("Adds.") == "Adds."
    told = build_tool_description("Adds.", {"type": "integer"})
    assert told.startswith("Adds.")
    assert "Returns:" in told
    assert '{"type":"integer"}' in told


def test_only_calls_of_tools_that_there_are_count() -> None:
    tools = [ToolDefinition(name, "", {}) for name in ("get_weather", "search")]
    calls = [ToolCall(str(at), name, {}) for at, name in enumerate(("get_weather", "evil_tool", "search"))]
    assert [call.name for call in filter_valid_tool_calls(calls, tools)] == ["get_weather", "search"]
    assert filter_valid_tool_calls([ToolCall("1", "evil", {}), ToolCall("2", "", {})], tools) == []
    assert filter_valid_tool_calls([], tools) == []


def test_task_types_are_tools() -> None:
    kind: Any = add_numbers.task_type
    registry = TaskRegistry([kind])
    assert task_types_to_tools([kind.type], registry) == [
        {
            "name": kind.type,
            "description": "Add two numbers.",
            "inputSchema": kind.inputs.schema,
            "outputSchema": kind.outputs.schema,
            "taskType": kind.type,
        }
    ]
    assert task_types_to_tools([], registry) == []
    with pytest.raises(UnknownTaskTypeError, match='Unknown task type "NonExistentTask"'):
        task_types_to_tools(["NonExistentTask"], registry)


def turn(answer: object, model: object = NATIVE, **inputs: Any) -> tuple[Any, Any]:
    """Return the outputs of one turn, and what the model was asked."""
    given = {"prompt": "What is the weather in San Francisco?", "tools": [WEATHER], **inputs, "model": model}
    with ScriptedProvider(answers=[answer]) as script:
        return Workflow().then(ToolCallingTask(id="turn")).run_sync(given).outputs, script.requests[0]


CALLED = {
    "native": (NATIVE, ["Let me look.", ToolCall("c1", "get_weather", {"location": "SF"}), Finish("tool_calls")]),
    "prompted": (
        PROMPTED,
        ["Let me lo", "ok.<tool", '_call>{"name":"get_weather","arguments":{"location":"SF"}}</tool_call>', Finish()],
    ),
}


@pytest.mark.parametrize("way", CALLED)
def test_a_call_comes_out_beside_the_text(way: str) -> None:
    model, answer = CALLED[way]
    outputs, request = turn(answer, model)
    assert outputs["text"] == "Let me look."
    assert [(call["name"], call["input"]) for call in outputs["tool_calls"]] == [("get_weather", {"location": "SF"})]
    assert (outputs["invalid_calls"], outputs["finish_reason"]) == ([], "tool_calls")
    assert bool(request.tools) == (way == "native")


BAD = [
    (ToolCall("1", "evil_tool", {}), "There is no tool 'evil_tool'.  The tools are: get_weather."),
    (ToolCall("1", "get_weather", {}), "'location' is required"),
    (ToolCall("1", "get_weather", {"location": 5}), "'location'"),
    (ToolCall("1", "get_weather", {"location": "SF", "delete": True}), "'delete' is not known"),
]


@pytest.mark.parametrize(("call", "why"), BAD)
def test_calls_that_cannot_be_made_come_out_apart_with_the_reason(call: ToolCall, why: str) -> None:
    outputs, _ = turn(["", call, Finish("tool_calls")])
    assert outputs["tool_calls"] == []
    (invalid,) = outputs["invalid_calls"]
    assert (invalid["name"], invalid["input"]) == (call.name, call.input)
    assert why in invalid["error"]


@pytest.mark.parametrize("depth", [100, 400, 900, 50_000])
def test_an_input_that_is_nested_without_end_fails_the_call_and_nothing_else(project: wg.Project, depth: int) -> None:
    nested = f'{{"location":{"[" * depth}{"]" * depth}}}'
    answer = f'<tool_call>{{"name":"get_weather","arguments":{nested}}}</tool_call>'
    workflow = Workflow().then(ToolCallingTask(id="turn"))
    with ScriptedProvider(answers=[answer]):
        run = project.run_sync(workflow, {"prompt": "Hi", "tools": [WEATHER], "model": PROMPTED})
    outputs: Any = run.outputs
    assert (outputs["tool_calls"], len(outputs["invalid_calls"])) == ([], 1)


def test_while_it_streams_only_calls_that_can_be_made_are_told_as_such() -> None:
    told: list[tuple[str, object]] = []
    answer = [ToolCall("1", "evil", {}), ToolCall("2", "get_weather", {"location": "SF"}), Finish("tool_calls")]
    with ScriptedProvider(answers=[answer]):
        workflow = Workflow().then(ToolCallingTask(id="turn"))
        workflow.events.on("task_chunk", lambda event: told.append((event.data.port, event.data.data)))
        workflow.run_sync({"prompt": "Hi", "tools": [WEATHER], "model": NATIVE})
    assert [call[0]["name"] for port, call in told if port == "tool_calls"] == ["get_weather"]  # type: ignore[index]


def test_what_a_prompted_model_meant_as_a_call_and_cannot_be_read_is_told() -> None:
    outputs, _ = turn(["<tool_call>{get_weather: SF</tool_call>", Finish()], PROMPTED)
    (invalid,) = outputs["invalid_calls"]
    assert invalid["name"] == ""
    assert "{get_weather: SF" in invalid["error"]


def test_with_the_choice_none_a_prompted_model_is_told_of_no_tools_and_only_writes() -> None:
    outputs, request = turn("It is <tool_call> fine.", PROMPTED, tool_choice="none")
    assert (outputs["text"], outputs["tool_calls"]) == ("It is <tool_call> fine.", [])
    assert "get_weather" not in str(request.messages)


@pytest.mark.parametrize("choice", ["auto", "none", "required", "get_weather"])
def test_the_choice_reaches_a_model_that_has_tools(choice: str) -> None:
    assert turn("Fine.", tool_choice=choice)[1].tool_choice == choice


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"tool_choice": "search"}, "give 'auto', 'none', 'required' or a tool: 'get_weather'"),
        ({"tool_choice": "required", "tools": []}, "there are no tools"),
        ({"tools": [{"name": "a b"}]}, "cannot name a tool"),
        ({"tools": [WEATHER, WEATHER]}, "a tool called 'get_weather' already"),
        ({"messages": [{"role": "robot", "content": ""}]}, "the role is 'robot'"),
        ({"prompt": ""}, "nothing to answer"),
    ],
)
def test_what_is_wrong_with_the_inputs_is_said_before_the_model_is_asked(inputs: dict[str, Any], why: str) -> None:
    with ScriptedProvider(answers=["never"]) as script:
        given = {"prompt": "Hi", "tools": [WEATHER], "model": NATIVE, **inputs}
        with pytest.raises(TaskInputError, match=why):
            Workflow().then(ToolCallingTask(id="turn")).run_sync(given)
        assert script.requests == []


def test_a_tool_that_is_no_task_type_is_said_before_the_model_is_asked() -> None:
    with pytest.raises(UnknownTaskTypeError, match="NonExistentTask"):
        turn("never", tools=["NonExistentTask"])


@pytest.mark.parametrize("model", [NATIVE, PROMPTED], ids=["native", "prompted"])
def test_calls_and_results_of_earlier_turns_go_along(model: object) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "get_weather", "input": {}}]},
        {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": ["22 degrees"]}]},
    ]
    answer = '<tool_call>{"name":"get_weather","arguments":{"location":"SF"}}</tool_call>'
    outputs, request = turn(answer, model, prompt="", messages=messages)
    assert "22 degrees" in str(request.messages[-1])
    if model is PROMPTED:
        assert [call["id"] for call in outputs["tool_calls"]] == ["call_1"]  # not one that was there before


@pytest.mark.parametrize("kept", [True, False], ids=["stored", "in memory"])
def test_registered_tasks_are_tools_by_name(project: wg.Project, kept: bool) -> None:
    workflow = Workflow().then(ToolCallingTask(id="turn"))
    given = {"prompt": "Hi", "tools": ["StringTrimTask"], "model": NATIVE}
    with ScriptedProvider(answers=["Fine."]) as script:
        project.run_sync(workflow, given) if kept else workflow.run_sync(given)
    (tool,) = script.requests[0].tools
    kind: Any = task_registry.get("StringTrimTask")
    assert (tool.name, tool.input_schema) == ("StringTrimTask", kind.inputs.schema)
    assert "Returns:" in tool.description


def test_it_is_never_taken_from_the_cache(project: wg.Project) -> None:
    workflow = Workflow().then(ToolCallingTask(id="turn"))
    with ScriptedProvider(answers=["One", "Two"]):
        said = [project.run_sync(workflow, {"prompt": "Hi", "model": NATIVE}).outputs["text"] for _ in range(2)]
    assert said == ["One", "Two"]
