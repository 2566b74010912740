"""AgentTask: a model works on something with tools, turn by turn, and every step of it is a task of the run.

The policy.  A turn is one execution of the agent's graph: a model's turn, and then the calls that it asked for, all at
once.  A turn without calls is the last.  Every model's turn and every call has a row of its own, `agent[2]/model` and
`agent[2]/calls[0]/search`, so what is finished is never done again, whatever happens to the process.  What a tool
raises goes back to the model as an error, as does a call of a tool that there is not, or whose input does not fit; a
model that fails, or somebody who stops the run, ends the agent.

The tools are tasks of the graph inside `calls`, each for itself.  They are held to what the run may do like any task,
and inputs that a tool has literals for are not the model's to choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.ai.messages import as_messages
from workglow.ai.task import ModelPort, model_port
from workglow.ai.tool_calling import ToolCallingTask
from workglow.ai.tool_results import content_of
from workglow.ai.tools import CallRecord, bound_tool
from workglow.errors import (
    InvalidValueError,
    MaxIterationsError,
    TaskConfigurationError,
    TaskInputError,
    WorkglowError,
)
from workglow.graph.control.compound import Controller, GraphAsTask, SequentialController
from workglow.graph.control.fallback import alone
from workglow.graph.graph import TaskGraph
from workglow.graph.naming import method_name
from workglow.tasks import Ports, as_task, task_registry
from workglow.tasks.configuration import config_names

if TYPE_CHECKING:
    from workglow.ai.messages import Message, Part
    from workglow.graph.control.compound import Recall
    from workglow.graph.tasklike import TaskLike

__all__ = ["AgentTask", "ToolCallsTask", "agent_turn"]


def agent_turn(tools: Iterable[TaskLike | str], *, concurrency: int | None = None) -> TaskGraph:
    """Return the graph of one turn of an agent: a model, and the calls of these tools.

    A tool is a task, a `@task` function, a graph or workflow, or the name of a registered task type.
    """
    held = TaskGraph()
    for tool in tools:
        if isinstance(tool, str):
            held.add_task(task_registry.get(tool), id=method_name(tool))
        else:
            held.add_task(tool)
    if not held.tasks:
        raise TaskConfigurationError("An agent needs at least one tool; without tools use AiChatTask or a generation.")
    turn = TaskGraph()
    turn.add_task(ToolCallingTask(id="model"))
    turn.add_task(ToolCallsTask(held, id="calls", concurrency=concurrency))
    turn.connect("model", "tool_calls", "calls", "tool_calls")
    for name in ("text", "tool_calls", "invalid_calls", "finish_reason"):
        turn.name_output(name, "model", name)
    turn.name_output("results", "calls", "results")
    return turn


# ---------------------------------------------------------------------- the calls of one turn


class _CallsConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    concurrency: int | None = Field(default=None, alias="concurrencyLimit", ge=1)
    longest_result: int = Field(default=50_000, alias="longestResult", ge=100)


class _CallsInput(BaseModel):
    tool_calls: list[CallRecord]


class _CallsOutput(BaseModel):
    results: list[dict[str, Any]]


class ToolCallsTask(GraphAsTask):
    """Make the calls that a model asked for: each runs one task of the graph, and its `results` are parts of a message.

    At most `concurrency` run at a time.  A call that fails has the error as its result.  A result of more than
    `longest_result` characters is cut, and says so.
    """

    type: ClassVar[str] = "ToolCallsTask"
    title: ClassVar[str] = "Tool calls"
    category: ClassVar[str] = "AI Text Model"
    Config: ClassVar[type[BaseModel] | None] = _CallsConfig
    Input: ClassVar[type[BaseModel] | None] = _CallsInput
    Output: ClassVar[type[BaseModel] | None] = _CallsOutput
    outlives_failures: ClassVar[bool] = True

    def check_definition(self) -> None:
        super().check_definition()
        edge = next(iter(self.subgraph.dataflows()), None)
        if edge is not None:
            raise TaskConfigurationError(
                f"{self.type}: each task of its graph is a tool, called by itself, so {edge.id} connects what never "
                "runs together.  Put tasks that belong together into a GraphAsTask, or give a workflow as the tool."
            )
        self.tools()

    @property
    def is_one_graph(self) -> bool:
        """Whether a scope runs the whole of its graph; a call runs one tool."""
        return False

    def tools(self) -> list[dict[str, Any]]:
        """Describe the tools, as ToolCallingTask takes them."""
        return [bound_tool(name, task) for name, task in self.subgraph.tasks.items()]

    def tool(self, name: str) -> TaskGraph:
        """Return the graph that a call of the tool runs."""
        graphs: dict[str, TaskGraph] = self.subgraph.derive("tools", _tools_alone)
        return graphs[name]

    def input_schema(self) -> dict[str, Any]:
        return Ports.from_model(_CallsInput).schema

    def output_schema(self) -> dict[str, Any]:
        return Ports.from_model(_CallsOutput).schema

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _CallsController(self, inputs, state, recall)


def _tools_alone(graph: TaskGraph) -> dict[str, TaskGraph]:
    return {name: alone(graph, name) for name in graph.tasks}


class _CallsController(Controller):
    task: ToolCallsTask

    def __init__(
        self, task: ToolCallsTask, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task)
        self._recall = recall
        self._calls = cast("list[dict[str, Any]]", inputs["tool_calls"])
        self._opened = cast("int", state["opened"]) if state else 0
        failed = cast("dict[str, str]", state["failed"]) if state else {}
        self._failures = {int(index): text for index, text in failed.items()}
        self._outputs: dict[int, dict[str, object]] = {}
        self._live: set[int] = set()
        for call in self._calls:
            if call["name"] not in task.subgraph.tasks:
                raise TaskInputError(f"{task.type}: there is no tool {call['name']!r:.80}.")

    def state(self) -> dict[str, object]:
        return {"opened": self._opened, "failed": {str(index): text for index, text in self._failures.items()}}

    def openings(self) -> Iterator[int]:
        limit: int = self.task.config["concurrency"] or len(self._calls)
        while len(self._live) < limit and self._opened < len(self._calls):
            index = self._opened
            self._live.add(index)
            self._opened += 1
            yield index

    def reopened(self, index: int) -> None:
        self._live.add(index)
        self._failures.pop(index, None)

    def graph(self, index: int) -> TaskGraph:
        return self.task.tool(self._calls[index]["name"])

    def inputs(self, index: int) -> dict[str, object]:
        call = self._calls[index]
        bound = call["input"].keys() & self.task.subgraph.tasks[call["name"]].defaults.keys()
        if bound:
            raise TaskInputError(f"{call['name']} has no input {', '.join(sorted(bound))}.")
        return call["input"]

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        self._live.discard(index)
        self._outputs[index] = outputs

    def failed(self, index: int, failure: WorkglowError) -> bool:
        self._live.discard(index)
        cause = failure.__cause__  # the model need not know where in the run it happened
        self._failures[index] = str(failure) if cause is None else f"{type(cause).__name__}: {cause}"
        return True

    def finished(self) -> bool:
        return not self._live and self._opened >= len(self._calls)

    def progress(self) -> tuple[float, str] | None:
        done, count = self._opened - len(self._live), len(self._calls)
        return done / count, f"{self.task.title} {done}/{count}"

    def outputs(self) -> dict[str, object]:
        return {"results": [self._result(index, call["id"]) for index, call in enumerate(self._calls)]}

    def _result(self, index: int, call_id: str) -> Part:
        failure = self._failures.get(index)
        if failure is not None:
            return _result(call_id, [{"type": "text", "text": failure}], is_error=True)
        outputs = self._outputs.get(index)
        found = self._recall(index) if outputs is None else outputs
        return _result(call_id, content_of(found, self.task.config["longest_result"]), is_error=False)


def _result(call_id: str, content: list[Part], *, is_error: bool) -> Part:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": is_error}


# ---------------------------------------------------------------------- the loop


class _AgentConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    max_turns: int = Field(alias="maxTurns", ge=1)
    on_limit: Literal["error", "stop"] = Field(default="error", alias="onLimit")


class _AgentInput(BaseModel):
    model: Annotated[ModelPort, model_port("ToolCallingTask")]
    prompt: str | list[str | dict[str, Any]] = ""
    system: str | None = None
    messages: list[dict[str, Any]] = []
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    seed: int | None = None


class _AgentOutput(BaseModel):
    text: str
    messages: list[dict[str, Any]]
    turns: int
    finish_reason: str


_SETTINGS: Final = ("model", "max_tokens", "temperature", "seed")


class AgentTask(GraphAsTask):
    """Let a model work with tools until it has an answer.

    It gives the `text` of the answer, the `messages` of the whole, and how many `turns` it took.

    `tools` are tasks, `@task` functions, graphs or workflows, and names of registered task types; a tool is called by
    its task's id.  `max_turns` is required.  An agent that still wants tools called after that many fails with
    MaxIterationsError, or gives what it has said so far when `on_limit` is "stop".  `concurrency` is how many calls of
    one turn run at a time.  In place of `tools` the graph of a turn can be given, made from that of `agent_turn`.
    """

    type: ClassVar[str] = "AgentTask"
    title: ClassVar[str] = "Agent"
    category: ClassVar[str] = "AI Text Model"
    Config: ClassVar[type[BaseModel] | None] = _AgentConfig
    Input: ClassVar[type[BaseModel] | None] = _AgentInput
    Output: ClassVar[type[BaseModel] | None] = _AgentOutput
    is_sequential: ClassVar[bool] = True

    def __init__(
        self,
        subgraph: TaskGraph | None = None,
        *,
        tools: Iterable[TaskLike | str] = (),
        concurrency: int | None = None,
        **options: Any,
    ) -> None:
        if options.keys().isdisjoint(("max_turns", "maxTurns")):
            raise TaskConfigurationError(f"{self.type}: max_turns is required: how often may the model take its turn?")
        given = list(tools)
        if subgraph is not None and (given or concurrency is not None):
            raise TaskConfigurationError(
                f"{self.type}: give the tools, or the graph of a turn that has them, not both."
            )
        super().__init__(agent_turn(given, concurrency=concurrency) if subgraph is None else subgraph, **options)

    @classmethod
    def of_values(cls, *, id: str | None = None, **values: Any) -> AgentTask:
        """Make an agent of its tools, its settings and values for its inputs, as a workflow's method takes them."""
        own = ("subgraph", "tools", "concurrency", *config_names(_AgentConfig))
        made = cls(id=id, **{name: values.pop(name) for name in own if name in values})
        return cast("AgentTask", as_task(made, **values))

    def check_definition(self) -> None:
        super().check_definition()
        kinds = [task for task in self.subgraph.tasks.values() if isinstance(task, ToolCallsTask)]
        outputs = self.subgraph.output_schema()["properties"]
        missing = [name for name in ("text", "tool_calls", "results") if name not in outputs]
        if len(kinds) != 1 or missing:
            raise TaskConfigurationError(
                f"{self.type}: the graph of a turn needs one ToolCallsTask, and the outputs text, tool_calls and "
                "results; begin with agent_turn(tools)."
            )

    def calls(self) -> ToolCallsTask:
        """Return the task that holds the tools."""
        return next(task for task in self.subgraph.tasks.values() if isinstance(task, ToolCallsTask))

    def input_schema(self) -> dict[str, Any]:
        return Ports.from_model(_AgentInput).schema

    def output_schema(self) -> dict[str, Any]:
        return Ports.from_model(_AgentOutput).schema

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _AgentController(self, inputs, state, recall)


class _AgentController(SequentialController):
    task: AgentTask

    def __init__(
        self, task: AgentTask, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task, state)
        given = cast("dict[str, Any]", inputs)
        try:
            self._first = as_messages(
                given.get("prompt"), system=given.get("system"), messages=given.get("messages") or ()
            )
        except InvalidValueError as error:
            raise TaskInputError(f"{task.type} '{task.id}': {error}") from error
        self._settings = {name: given[name] for name in _SETTINGS if given.get(name) is not None}
        self._tools = task.calls().tools()
        self._recall = recall
        self._turns: list[dict[str, Any]] = []  # what each gave, read back when an earlier process finished it
        self._limit: int = task.config["max_turns"]

    def _turn(self, index: int) -> dict[str, Any]:
        while len(self._turns) <= index:
            self._turns.append(self._recall(len(self._turns)))
        return self._turns[index]

    def goes_on(self) -> bool:
        return self.opened == 0 or (self.opened < self._limit and _wants_more(self._turn(self.opened - 1)))

    def reopened(self, index: int) -> None:
        super().reopened(index)
        del self._turns[index:]

    def inputs(self, index: int) -> dict[str, object]:
        return {**self._settings, "messages": self._messages(index), "tools": self._tools}

    def _messages(self, count: int) -> list[Message]:
        said = [message for index in range(count) for message in turn_messages(self._turn(index))]
        return [*self._first, *said]

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        if index:
            self._turn(index - 1)
        self._turns[index:] = [outputs]

    def progress(self) -> tuple[float, str]:
        done = self.opened - self.is_open
        return min(0.99, done / self._limit), f"{self.task.title} {done}/{self._limit}"

    def outputs(self) -> dict[str, object]:
        last = self._turn(self.opened - 1)
        reason = last.get("finish_reason", "stop")
        if _wants_more(last):
            if self.task.config["on_limit"] == "error":
                raise MaxIterationsError(
                    f"{self.task.type} '{self.task.id}' has taken {self.opened} turns, which is its max_turns, and the "
                    "model still wants tools called.  Raise the limit, or give on_limit='stop' to take what there is."
                )
            reason = "max_turns"
        return {
            "text": last["text"],
            "messages": self._messages(self.opened),
            "turns": self.opened,
            "finish_reason": reason,
        }


def _wants_more(turn: Mapping[str, Any]) -> bool:
    return bool(turn["tool_calls"] or turn.get("invalid_calls"))


def turn_messages(turn: Mapping[str, Any]) -> Iterator[Message]:
    """Yield what a turn adds to the conversation: the assistant's message, and what its calls gave."""
    invalid: list[dict[str, Any]] = list(turn.get("invalid_calls") or ())
    named = [call for call in (*turn["tool_calls"], *invalid) if call["name"]]
    content: list[Part] = [{"type": "text", "text": turn["text"]}] if turn["text"] else []
    content += [{"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["input"]} for call in named]
    yield {"role": "assistant", "content": content}
    results = [*turn["results"]]
    results += [
        _result(call["id"], [{"type": "text", "text": call["error"]}], is_error=True)
        for call in invalid
        if call["name"]
    ]
    if results:
        yield {"role": "tool", "content": results}
    unread: list[Part] = [{"type": "text", "text": call["error"]} for call in invalid if not call["name"]]
    if unread:
        yield {"role": "user", "content": unread}


task_registry.register(ToolCallsTask)
task_registry.register(AgentTask)
