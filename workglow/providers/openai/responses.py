"""The Responses API: what is sent, and what its events mean."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, Any

from workglow.ai.events import Finish, ModelEvent, ObjectDelta, TextDelta, ToolCall
from workglow.errors import ModelCallError
from workglow.providers.openai.completions import usage_of
from workglow.providers.openai.conversation import response_items, response_tool_choice, response_tools
from workglow.providers.openai.schemas import is_strict, schema_name
from workglow.providers.remote.collecting import GrowingObject, tool_call
from workglow.providers.remote.failures import from_code

if TYPE_CHECKING:
    from workglow.ai.request import GenerationRequest

__all__ = ["response_body", "response_events"]

_UNKNOWN = ("frequency_penalty", "presence_penalty", "stop", "seed", "written")


def response_body(request: GenerationRequest) -> dict[str, Any]:
    """Return what is sent, without the model's name; ModelCallError for settings that this protocol lacks."""
    for name in _UNKNOWN:
        if getattr(request, name):
            raise ModelCallError(
                f"The Responses API has no {name}: leave it out, or the option 'api' of the model's record."
            )
    body: dict[str, Any] = {"input": response_items(request.messages), "store": False}
    named = {
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
    body |= {name: value for name, value in named.items() if value is not None}
    if request.tools:
        body["tools"] = response_tools(request.tools)
        body["tool_choice"] = response_tool_choice(request.tool_choice)
    if request.schema is not None:
        strict, name = is_strict(request.schema), schema_name(request.schema)
        body["text"] = {
            "format": {"type": "json_schema", "name": name, "schema": dict(request.schema), "strict": strict}
        }
    return body


async def response_events(
    events: AsyncIterable[Any], who: str, *, structured: bool = False
) -> AsyncIterator[ModelEvent]:
    """Yield the events of an answer; without a Finish when it broke off."""
    growing = GrowingObject(who) if structured else None
    refused = False
    calls: list[Any] = []
    async for event in events:
        kind = getattr(event, "type", "")
        if kind == "response.output_text.delta":
            if growing is None:
                yield TextDelta(event.delta)
            elif (known := growing.add(event.delta)) is not None:
                yield ObjectDelta(known)
        elif kind == "response.refusal.delta":
            refused = True
            yield TextDelta(event.delta)
        elif kind == "response.output_item.done" and getattr(event.item, "type", "") == "function_call":
            calls.append(event.item)
        elif kind == "error":
            raise from_code(who, str(event.message), frozenset({str(event.code)}))
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            for one in _ended(event.response, who, growing, calls, refused):
                yield one
            return


def _ended(response: Any, who: str, growing: GrowingObject | None, calls: list[Any], refused: bool) -> list[ModelEvent]:
    events: list[ModelEvent] = []
    if (report := usage_of(getattr(response, "usage", None))) is not None:
        events.append(report)
    error = getattr(response, "error", None)
    if getattr(response, "status", "") == "failed" or error is not None:
        code = str(getattr(error, "code", ""))
        raise from_code(who, str(getattr(error, "message", "it failed")), frozenset({code}))
    why = getattr(getattr(response, "incomplete_details", None), "reason", None)
    if refused or why == "content_filter":
        return [*events, Finish("refused")]
    cut = why is not None
    if growing is not None:
        events.append(ObjectDelta(growing.end(cut=cut)))
    found: list[ToolCall] = [tool_call(who, call.call_id, call.name, call.arguments or "", cut=cut) for call in calls]
    return [*events, *found, Finish("length" if cut else "tool_calls" if found else "stop")]
