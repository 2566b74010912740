"""Agents: turns, calls, what goes back to the model, limits, rights, and how an agent is stored and begun again."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import workglow as wg
from workglow import Task, TaskContext, TaskGraph, Workflow, task
from workglow.ai import AgentTask, Finish, ToolCall, agent_turn
from workglow.ai.agent import ToolCallsTask
from workglow.errors import (
    MaxIterationsError,
    ModelCallError,
    TaskConfigurationError,
    TaskEntitlementError,
    UnknownTaskTypeError,
)
from workglow.graph.control.compound import GraphAsTask
from workglow.testing import ScriptedProvider

MODEL = "scripted:agent"


@task(output="forecast", cache=False)
def weather(city: str, unit: str = "C") -> str:
    """Tell the weather of a city."""
    if city == "Atlantis":
        raise LookupError("it sank")
    return f"sunny in {city}, 20 {unit}"


@task(output="sum", cache=False)
def add_up(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


def call(name: str, id: str = "c", /, **given: Any) -> ToolCall:
    return ToolCall(id, name, given)


def calls(*wanted: ToolCall) -> list[object]:
    return [*wanted, Finish("tool_calls")]


def work(answers: list[object], *tools: Any, **more: Any) -> tuple[Any, Any]:
    """Return the outputs of an agent, and what its model was asked."""
    settings = {name: more.pop(name) for name in ("max_turns", "on_limit", "concurrency") if name in more}
    given: dict[str, Any] = {"max_turns": 5, **settings}
    agent = AgentTask(id="agent", tools=tools or (weather, add_up), **given)
    with ScriptedProvider(answers=answers) as script:
        run = Workflow().then(agent).run_sync({"prompt": "Go", "model": MODEL, **more})
        return run.outputs, script.requests


def results(outputs: Any) -> dict[str, tuple[bool, str]]:
    return {
        part["tool_use_id"]: (part["is_error"], part["content"][0]["text"])
        for message in outputs["messages"]
        if message["role"] == "tool"
        for part in message["content"]
    }


def test_it_calls_tools_until_the_model_wants_no_more() -> None:
    first = ["Let me see.", *calls(call("weather", "a", city="Paris"), call("add_up", "b", left=1, right=2))]
    outputs, requests = work([first, "It is sunny."])
    assert (outputs["text"], outputs["turns"], outputs["finish_reason"]) == ("It is sunny.", 2, "stop")
    assert results(outputs) == {"a": (False, "sunny in Paris, 20 C"), "b": (False, '{"sum":3}')}
    assert [message["role"] for message in outputs["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert [part["type"] for part in outputs["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert list(requests[1].messages) == outputs["messages"][:3]
    assert [tool.name for tool in requests[0].tools] == ["weather", "add_up"]
    assert requests[0].tools[0].description == "Tell the weather of a city."


def test_what_goes_wrong_goes_back_to_the_model_as_an_error() -> None:
    wanted = [
        call("weather", "raises", city="Atlantis"),
        call("evil", "unknown"),
        call("add_up", "unfit", left="x", right=1),
        call("add_up", "fine", left=1, right=1),
    ]
    found = results(work([calls(*wanted), "Done."])[0])
    assert {id: is_error for id, (is_error, _) in found.items()} == {
        "raises": True,
        "unknown": True,
        "unfit": True,
        "fine": False,
    }
    assert found["raises"][1] == "LookupError: it sank"
    assert "There is no tool 'evil'" in found["unknown"][1]
    assert "'left'" in found["unfit"][1]


def test_a_model_without_tools_of_its_own_is_prompted_and_told_when_a_call_cannot_be_read() -> None:
    model = {"name": MODEL, "provider": "scripted", "capabilities": ["chat"]}
    broken = "<tool_call>add 1 and 2</tool_call>"
    right = 'So: <tool_call>{"name":"add_up","arguments":{"left":1,"right":2}}</tool_call>'
    outputs, requests = work([broken, right, "3"], model=model)
    assert (outputs["text"], outputs["turns"]) == ("3", 3)
    assert "add 1 and 2" in str(requests[1].messages[-1])
    assert results(outputs)["call_0"] == (False, '{"sum":3}')
    assert requests[2].messages[0]["role"] == "system"


def test_the_ids_of_calls_stay_apart_over_the_turns() -> None:
    model = {"name": MODEL, "provider": "scripted", "capabilities": ["chat"]}
    one = '<tool_call>{"name":"add_up","arguments":{"left":1,"right":2}}</tool_call>'
    outputs, _ = work([one, one, "3"], model=model)
    assert list(results(outputs)) == ["call_0", "call_1"]


def test_an_agent_without_an_end_fails_or_stops_at_its_limit() -> None:
    endless: list[object] = [calls(call("add_up", left=1, right=1)) for _ in range(9)]
    with pytest.raises(MaxIterationsError, match="taken 2 turns, which is its max_turns"):
        work(list(endless), max_turns=2)
    outputs, requests = work(list(endless), max_turns=2, on_limit="stop")
    assert (outputs["turns"], outputs["finish_reason"], len(requests)) == (2, "max_turns", 2)


def test_the_calls_of_a_turn_run_at_the_same_time_and_one_failure_leaves_the_others() -> None:
    met: list[str] = []
    all_there = asyncio.Event()

    @task(output="name", cache=False)
    async def meet(name: str) -> str:
        """Wait until all three are there."""
        met.append(name)
        if name == "b":
            raise ValueError("went home")
        if len(met) == 3:
            all_there.set()
        await all_there.wait()
        return name

    found = results(work([calls(*(call("meet", name, name=name) for name in "bac")), "Done."], meet)[0])
    assert found == {"b": (True, "ValueError: went home"), "a": (False, "a"), "c": (False, "c")}


def test_concurrency_is_how_many_calls_run_at_a_time() -> None:
    running: list[str] = []
    most = 0

    @task(output="name", cache=False)
    async def step(name: str) -> str:
        nonlocal most
        running.append(name)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.remove(name)
        return name

    work([calls(*(call("step", name, name=name) for name in "abcde")), "Done."], step, concurrency=2)
    assert most == 2


def test_inputs_that_a_tool_has_literals_for_are_not_the_models() -> None:
    kind: Any = weather.task_type
    bound = kind(id="paris", defaults={"city": "Paris"})
    wanted = calls(call("paris", "a", unit="F"), call("paris", "b", city="Rome"))
    outputs, requests = work([wanted, "Done."], bound)
    assert list(requests[0].tools[0].input_schema["properties"]) == ["unit"]
    found = results(outputs)
    assert found["a"] == (False, "sunny in Paris, 20 F")
    assert found["b"][0]


def test_tools_with_open_ports_cannot_be_given_what_is_bound() -> None:
    kind: Any = ToolCallsTask
    template: Any = agent_turn(["TemplateTask"]).tasks["calls"]
    bound = next(iter(template.subgraph.tasks.values())).replace(defaults={"template": "Hi {{name}}"})
    graph = TaskGraph()
    graph.add_task(bound)
    run: Any = (
        Workflow()
        .then(kind(graph, id="calls"))
        .run_sync({"tool_calls": [{"id": "a", "name": bound.id, "input": {"template": "{{secret}}", "name": "x"}}]})
    )
    assert run.outputs["results"][0]["is_error"]


def test_graphs_and_workflows_are_tools() -> None:
    twice = Workflow().then(add_up, id="first", right=1).rename("sum", "left").then(add_up, id="second", right=1)
    group = GraphAsTask(twice.to_graph(), id="two_more", description="Adds two.")
    outputs, requests = work([calls(call("two_more", "a", left=5)), "7"], group)
    assert (requests[0].tools[0].name, requests[0].tools[0].description) == ("two_more", "Adds two.")
    assert results(outputs)["a"] == (False, '{"sum":7}')


def test_a_tool_may_ask_a_person_and_the_agent_waits_in_the_file(project: wg.Project) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    ask = wg.HumanInputTask(id="ask", content_schema=schema)
    agent = Workflow().then(AgentTask(id="agent", tools=[ask], max_turns=3))
    with ScriptedProvider(answers=[calls(call("ask", prompt="Which city?")), "Thanks."]) as script:
        assert project.run_sync(agent, {"prompt": "Go", "model": MODEL}).status == "waiting"
        (question,) = project.questions()
        assert (question.task, question.message) == ("agent[0]/calls[0]/ask", "Which city?")
        project.answer(question.run, question.task, "Rome")
        run = project.resume_sync()
        assert len(script.requests) == 2
    assert results(run.outputs)["c"] == (False, '{"answer":"Rome","action":"accept"}')


def test_a_long_result_is_cut_and_says_so_and_arrays_are_described() -> None:
    @task(cache=False)
    def much() -> dict[str, Any]:
        return {"text": "x" * 90_000, "vector": np.zeros(3, np.float32)}

    @task(cache=False, output="vector")
    def vector() -> Any:
        return np.zeros((2, 3), np.float32)

    found = results(work([calls(call("much", "a"), call("vector", "b")), "Done."], much, vector)[0])
    assert len(found["a"][1]) < 50_200
    assert "characters are left out" in found["a"][1]
    assert "an array of float32, shape (2, 3)" in found["b"][1]


def test_a_model_that_fails_ends_the_agent() -> None:
    with pytest.raises(ModelCallError, match="no"):
        work([[ModelCallError("no")]])


# ---------------------------------------------------------------------- rights


class ReadSecret(Task):
    """Read a secret."""

    entitlements = ("files:read",)

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        return {"secret": "xyzzy"}


def test_what_the_tools_need_is_asked_before_the_model_is() -> None:
    agent = Workflow().then(AgentTask(id="agent", tools=[ReadSecret(id="read")], max_turns=2))
    with ScriptedProvider(answers=["never"]) as script:
        with pytest.raises(TaskEntitlementError, match="files:read for 'agent/calls/read'"):
            agent.run_sync({"prompt": "Go", "model": MODEL}, entitlements=[])
        assert script.requests == []


class _Path(BaseModel):
    path: str


class ReadFile(Task):
    """Read a file."""

    entitlements = ("files:read={path}",)
    Input = _Path

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        return {"text": f"read {inputs['path']}"}


def test_what_turns_out_not_to_be_allowed_is_not_done_and_the_model_is_told() -> None:
    wanted = calls(call("read", "a", path="/mine/notes"), call("read", "b", path="/etc/passwd"))
    agent = Workflow().then(AgentTask(id="agent", tools=[ReadFile(id="read")], max_turns=2))
    with ScriptedProvider(answers=[wanted, "Done."]):
        run = agent.run_sync({"prompt": "Go", "model": MODEL}, entitlements=["files:read=/mine/*"])
    found = results(run.outputs)
    assert found["a"] == (False, "read /mine/notes")
    assert found["b"][0]
    assert "Denied entitlements: files:read=/etc/passwd" in found["b"][1]


# ---------------------------------------------------------------------- how it is made, stored, and begun again


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"tools": [weather]}, "max_turns is required"),
        ({"tools": [weather], "max_turns": 0}, "greater than or equal to 1"),
        ({"max_turns": 3}, "at least one tool"),
        ({"tools": ["NoSuchTask"], "max_turns": 3}, "NoSuchTask"),
    ],
)
def test_an_agent_that_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], why: str) -> None:
    with pytest.raises((TaskConfigurationError, UnknownTaskTypeError), match=why):
        AgentTask(**options)


def test_a_builder_adds_one_and_json_and_python_keep_it() -> None:
    workflow = Workflow().agent(tools=[weather, "TemplateTask"], max_turns=4, model=MODEL, system="Be brief")
    agent: Any = workflow.graph.tasks["agent"]
    assert (agent.config["max_turns"], agent.defaults["system"]) == (4, "Be brief")
    assert [tool["name"] for tool in agent.calls().tools()] == ["weather", "template"]
    stored = workflow.to_json()
    assert Workflow.from_json(stored).to_json() == stored
    made: dict[str, Any] = {}
    exec(workflow.to_python(), {"weather": weather}, made)
    assert made["workflow"].to_json() == stored


def test_a_turn_may_have_more_tasks_of_ones_own(project: wg.Project) -> None:
    @task(output="note", cache=False)
    def note(tool_calls: list[dict[str, Any]]) -> str:
        return f"{len(tool_calls)} calls"

    turn = agent_turn([add_up])
    turn.add_task(note, id="note")
    turn.connect("model", "tool_calls", "note", "tool_calls")
    agent = Workflow().then(AgentTask(turn, id="agent", max_turns=3))
    with ScriptedProvider(answers=[calls(call("add_up", left=1, right=1)), "2"]):
        run = project.run_sync(agent, {"prompt": "Go", "model": MODEL})
    assert run.tasks["agent[0]/note"].outputs == {"note": "1 calls"}


def test_a_run_forked_from_a_later_turn_keeps_the_earlier_ones(project: wg.Project) -> None:
    agent = Workflow().then(AgentTask(id="agent", tools=[add_up], max_turns=5))
    answers: list[object] = [
        calls(call("add_up", "a", left=1, right=1)),
        calls(call("add_up", "b", left=2, right=2)),
        "4",
    ]
    with ScriptedProvider(answers=[*answers, "Four"]) as script:
        run = project.run_sync(agent, {"prompt": "Go", "model": MODEL})
        forked = project.fork_sync(run.id, from_task="agent[2]/model")
        assert len(script.requests) == 4
    assert (forked.outputs["text"], forked.outputs["turns"]) == ("Four", 3)
    assert results(forked.outputs) == results(run.outputs)


def test_why_and_show_know_the_paths(project: wg.Project) -> None:
    agent = Workflow().then(AgentTask(id="agent", tools=[add_up], max_turns=5))
    with ScriptedProvider(answers=[calls(call("add_up", "a", left=1, right=1)), "2"]):
        run = project.run_sync(agent, {"prompt": "Go", "model": MODEL})
    assert sorted(run.tasks) == [
        "agent",
        "agent[0]/calls",
        "agent[0]/calls[0]/add_up",
        "agent[0]/model",
        "agent[1]/calls",
        "agent[1]/model",
    ]
    assert project.why(run.id, "agent[0]/calls[0]/add_up")
