"""One turn of a model that may call tools: what it says, and what it wants called.  Nothing is called here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, Field

from workglow.ai.events import Finish, FinishReason, TextDelta, ToolCall
from workglow.ai.flat_messages import with_prompted_tools
from workglow.ai.messages import as_messages
from workglow.ai.request import GenerationRequest
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.ai.tool_text import ToolTextReader
from workglow.ai.tools import CallRecord, InvalidCall, call_fault, check_tool_choice, is_too_deep, tool_definitions
from workglow.errors import InvalidValueError, TaskInputError, UnknownTaskTypeError
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.model import Model
    from workglow.ai.request import ToolDefinition

__all__ = ["ToolCallingTask"]


_TOO_DEEP: Final = "The input is nested too deep; flatten it."


class _Input(BaseModel):
    model: Annotated[ModelPort, model_port("ToolCallingTask")]
    prompt: str | list[str | dict[str, Any]] = ""
    tools: Annotated[list[str | dict[str, Any]], Field(json_schema_extra={"format": "tasks"})] = []
    system: str | None = None
    messages: list[dict[str, Any]] = []
    tool_choice: str = "auto"
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    seed: int | None = None


class _Output(BaseModel):
    text: str
    tool_calls: list[dict[str, Any]]
    invalid_calls: list[dict[str, Any]]
    finish_reason: str


class ToolCallingTask(AiTask):
    """Let a model answer, or say which tools it wants called with what.

    The tools are not called here; AgentTask does that.  `tools` are names of task types, or descriptions with `name`,
    `description` and `inputSchema`.  `tool_choice` is "auto", "none", "required" or the name of a tool.  A call of a
    tool that there is, with an input that fits, is one of `tool_calls`; any other is one of `invalid_calls`, with its
    `error`.  A model that knows of no tools is told of them in words, and its calls are read from its text.
    """

    title: ClassVar[str] = "Tool Calling"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    capabilities: ClassVar[tuple[str, ...]] = ("call_tools", "chat")
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Write."""
        try:
            tools = tool_definitions(inputs["tools"], context.registry or task_registry)
            check_tool_choice(inputs["tool_choice"], tools)
            messages = as_messages(inputs["prompt"], system=inputs["system"], messages=inputs["messages"])
        except (InvalidValueError, UnknownTaskTypeError) as error:
            raise TaskInputError(f"{self._who}: {error}") from error
        model, capability = self.model(inputs["model"], context)
        if not tools and model.can("chat"):
            capability = "chat"
        request = GenerationRequest(
            messages,
            max_tokens=inputs["max_tokens"],
            temperature=inputs["temperature"],
            seed=inputs["seed"],
            tools=tools,
            tool_choice=inputs["tool_choice"],
        )
        turn = _Turn(tools, messages)
        pieces = _native(turn, model, request) if capability == "call_tools" else _prompted(turn, model, request)
        async for piece in pieces:
            yield piece


class _Turn:
    """Sorts the calls of one turn, and gives each an id that the conversation does not have yet."""

    def __init__(self, tools: Iterable[ToolDefinition], messages: Iterable[Mapping[str, Any]]) -> None:
        self.tools = {tool.name: tool for tool in tools}
        parts = (part for message in messages for part in message["content"])
        self._ids = {str(part["id"]) for part in parts if part["type"] == "tool_use"}
        self._has_calls = False

    def piece(self, event: ToolCall) -> dict[str, Any]:
        """Return a call as a piece of the port that it belongs to."""
        if is_too_deep(event.input):
            call, fault = CallRecord(id=self._free_id(event.id), name=event.name, input={}), _TOO_DEEP
        else:
            call = CallRecord(id=self._free_id(event.id), name=event.name, input=event.input)
            fault = call_fault(event, self.tools)
        if fault is not None:
            return {"invalid_calls": [{**call, "error": fault}]}
        self._has_calls = True
        return {"tool_calls": [call]}

    def unread(self, body: str) -> dict[str, Any]:
        """Return what was meant as a call, and cannot be read."""
        error = f"What you wrote as a call is none: {body.strip():.500}"
        return {"invalid_calls": [InvalidCall(id=self._free_id(""), name="", input={}, error=error)]}

    def reason(self, given: FinishReason) -> FinishReason:
        """Return why the model stopped, which is to have its calls made when there are any."""
        return "tool_calls" if self._has_calls and given == "stop" else given

    def _free_id(self, wanted: str) -> str:
        number = len(self._ids)
        found = wanted or f"call_{number}"
        while found in self._ids:
            found, number = f"call_{number}", number + 1
        self._ids.add(found)
        return found


async def _native(turn: _Turn, model: Model, request: GenerationRequest) -> AsyncIterator[dict[str, Any]]:
    async for event in model.stream("call_tools", request):
        if isinstance(event, TextDelta):
            yield {"text": event.text}
        elif isinstance(event, ToolCall):
            yield turn.piece(event)
        elif isinstance(event, Finish):
            yield {"finish_reason": turn.reason(event.reason)}


async def _prompted(turn: _Turn, model: Model, request: GenerationRequest) -> AsyncIterator[dict[str, Any]]:
    reader = ToolTextReader(request.tools) if request.tools and request.tool_choice != "none" else None
    async for event in model.stream("chat", with_prompted_tools(request)):
        if isinstance(event, TextDelta):
            if reader is None:
                yield {"text": event.text}
            else:
                for piece in _said(turn, reader.feed(event.text)):
                    yield piece
        elif isinstance(event, Finish):
            if reader is not None:
                for piece in _said(turn, reader.finish()):
                    yield piece
                for body in reader.unread:
                    yield turn.unread(body)
            yield {"finish_reason": turn.reason(event.reason)}


def _said(turn: _Turn, events: Iterable[TextDelta | ToolCall]) -> Iterator[dict[str, Any]]:
    for event in events:
        yield {"text": event.text} if isinstance(event, TextDelta) else turn.piece(event)


task_registry.register(ToolCallingTask)
