"""AiChatTask: a person and a model in turn, for as long as the person goes on.

The policy.  One turn is what the model says and what the person answers; each is a task of the run with a row of its
own, `chat[2]/model` and `chat[2]/person`.  So an answer of the model is written once, and a chat that waits for its
person is nothing but a row: it needs no process, and goes on from any.  It ends when the person declines or cancels,
or says nothing, or when the model has taken `max_iterations` turns; after the last the person is not asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.ai.events import Finish, TextDelta
from workglow.ai.messages import as_messages, user_message
from workglow.ai.request import GenerationRequest
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.errors import InvalidValueError, TaskInputError
from workglow.graph.control.compound import Controller, GraphAsTask, SequentialController
from workglow.graph.control.fallback import alone
from workglow.graph.graph import TaskGraph
from workglow.library.human import HumanInputTask
from workglow.tasks import Ports, TaskContext, as_task, task_registry
from workglow.tasks.configuration import config_names

if TYPE_CHECKING:
    from workglow.ai.messages import Message
    from workglow.graph.control.compound import Recall

__all__ = ["AiChatTask", "ChatTurnTask", "chat_turn"]

_ANSWER: Final = {
    "type": "object",
    "properties": {
        "content": {
            "title": "Your message",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}],
        }
    },
    "additionalProperties": False,
}
_SETTINGS: Final = ("model", "max_tokens", "temperature", "seed")


class _TurnInput(BaseModel):
    model: Annotated[ModelPort, model_port("AiChatTask")]
    messages: list[dict[str, Any]]
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    seed: int | None = None


class _TurnOutput(BaseModel):
    text: str
    finish_reason: str


class ChatTurnTask(AiTask):
    """Write the assistant's next message of a conversation."""

    title: ClassVar[str] = "Chat turn"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    capabilities: ClassVar[tuple[str, ...]] = ("chat",)
    Input: ClassVar[type[BaseModel] | None] = _TurnInput
    Output: ClassVar[type[BaseModel] | None] = _TurnOutput

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Write."""
        try:
            messages = as_messages(messages=inputs["messages"])
        except InvalidValueError as error:
            raise TaskInputError(f"{self._who}: {error}") from error
        model, capability = self.model(inputs["model"], context)
        settings = {name: inputs[name] for name in _SETTINGS[1:]}
        async for event in model.stream(capability, GenerationRequest(messages, **settings)):
            if isinstance(event, TextDelta):
                yield {"text": event.text}
            elif isinstance(event, Finish):
                yield {"finish_reason": event.reason}


def chat_turn(*, target: str = "default", metadata: Mapping[str, Any] | None = None) -> TaskGraph:
    """Return the graph of one turn of a chat: the model, and then the person, who is asked what the model said."""
    turn = TaskGraph()
    turn.add_task(ChatTurnTask(id="model"))
    turn.add_task(HumanInputTask(id="person", content_schema=_ANSWER, target=target, metadata=dict(metadata or {})))
    turn.connect("model", "text", "person", "prompt")
    turn.name_input("context", "person", "context")
    for name in ("text", "finish_reason"):
        turn.name_output(name, "model", name)
    for name in ("content", "action"):
        turn.name_output(name, "person", name)
    return turn


class _ChatConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    max_iterations: int = Field(default=100, alias="maxIterations", ge=1)


class _ChatInput(BaseModel):
    model: Annotated[ModelPort, model_port("AiChatTask")]
    prompt: str | list[str | dict[str, Any]]
    system: str | None = None
    messages: list[dict[str, Any]] = []
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    seed: int | None = None


class _ChatOutput(BaseModel):
    text: str
    messages: list[dict[str, Any]]
    iterations: int


class AiChatTask(GraphAsTask):
    """Let a person and a model talk: `text` is the model's last answer, `messages` all that was said.

    The conversation begins with `prompt`, behind what `messages` there are.  After each answer of the model a person is
    asked (`target` says who, as in HumanInputTask) and goes on with a text or a list of parts; who cancels, declines or
    says nothing ends it.  `iterations` is how often the model answered, `max_iterations` at most.
    """

    type: ClassVar[str] = "AiChatTask"
    title: ClassVar[str] = "AI Chat"
    category: ClassVar[str] = "AI Chat"
    Config: ClassVar[type[BaseModel] | None] = _ChatConfig
    Input: ClassVar[type[BaseModel] | None] = _ChatInput
    Output: ClassVar[type[BaseModel] | None] = _ChatOutput
    is_sequential: ClassVar[bool] = True
    brings_graph: ClassVar[bool] = True

    def __init__(self, subgraph: TaskGraph | None = None, *, target: str = "default", **options: Any) -> None:
        super().__init__(chat_turn(target=target) if subgraph is None else subgraph, **options)

    @classmethod
    def of_values(cls, *, id: str | None = None, **values: Any) -> AiChatTask:
        """Make a chat of its settings and values for its inputs, as a workflow's method takes them."""
        own = ("subgraph", "target", *config_names(_ChatConfig))
        made = cls(id=id, **{name: values.pop(name) for name in own if name in values})
        return cast("AiChatTask", as_task(made, **values))

    def input_schema(self) -> dict[str, Any]:
        return Ports.from_model(_ChatInput).schema

    def output_schema(self) -> dict[str, Any]:
        return Ports.from_model(_ChatOutput).schema

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _ChatController(self, inputs, state, recall)


class _ChatController(SequentialController):
    task: AiChatTask

    def __init__(
        self, task: AiChatTask, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task, state)
        given = cast("dict[str, Any]", inputs)
        try:
            self._first = as_messages(given["prompt"], system=given.get("system"), messages=given.get("messages") or ())
        except InvalidValueError as error:
            raise TaskInputError(f"{task.type} '{task.id}': {error}") from error
        self._settings = {name: given[name] for name in _SETTINGS if given.get(name) is not None}
        self._recall = recall
        self._turns: list[dict[str, Any]] = []
        self._limit: int = task.config["max_iterations"]

    def _turn(self, index: int) -> dict[str, Any]:
        while len(self._turns) <= index:
            self._turns.append(self._recall(len(self._turns)))
        return self._turns[index]

    def goes_on(self) -> bool:
        if self.opened == 0:
            return True
        return self.opened < self._limit and self._said(self._turn(self.opened - 1)) is not None

    def _said(self, turn: Mapping[str, Any]) -> Message | None:
        """What the person said to go on; None when that was nothing."""
        content = turn.get("content")
        if turn.get("action") != "accept" or not content or (isinstance(content, str) and not content.strip()):
            return None
        return user_message(content)

    def reopened(self, index: int) -> None:
        super().reopened(index)
        del self._turns[index:]

    def graph(self, index: int) -> TaskGraph:
        graph = self.task.subgraph
        return graph if index + 1 < self._limit else graph.derive("last turn", _without_person)

    def inputs(self, index: int) -> dict[str, object]:
        given: dict[str, object] = {**self._settings, "messages": self._messages(index)}
        if index + 1 < self._limit:
            given["context"] = {"iteration": index + 1, "taskId": self.task.id}
        return given

    def _messages(self, count: int) -> list[Message]:
        messages = list(self._first)
        for index in range(count):
            turn = self._turn(index)
            messages.append({"role": "assistant", "content": [{"type": "text", "text": turn["text"]}]})
            said = self._said(turn)
            if said is not None:
                messages.append(said)
        return messages

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        if index:
            self._turn(index - 1)
        self._turns[index:] = [outputs]

    def outputs(self) -> dict[str, object]:
        last = self._turn(self.opened - 1)
        return {"text": last["text"], "messages": self._messages(self.opened), "iterations": self.opened}


def _without_person(graph: TaskGraph) -> TaskGraph:
    return alone(graph, "model")


task_registry.register(ChatTurnTask)
task_registry.register(AiChatTask)
