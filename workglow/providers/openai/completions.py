"""Chat completions: what is sent, and what the pieces of the answer mean."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.events import Finish, FinishReason, ModelEvent, ObjectDelta, TextDelta, UsageReport
from workglow.ai.messages import Message
from workglow.providers.openai.conversation import chat_messages, chat_tool_choice, chat_tools
from workglow.providers.openai.schemas import is_strict, schema_name
from workglow.providers.remote.collecting import GrowingObject, GrowingText, tool_call

if TYPE_CHECKING:
    from workglow.ai.request import GenerationRequest

__all__ = ["chat_body", "chat_events", "completion_body", "settings", "usage_of"]

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refused",
}


def settings(request: GenerationRequest, length_name: str) -> dict[str, Any]:
    """Return the settings of a request that were made."""
    named = {
        length_name: request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "stop": list(request.stop) or None,
        "seed": request.seed,
    }
    return {name: value for name, value in named.items() if value is not None}


def chat_body(request: GenerationRequest, length_name: str, structured: str = "json_schema") -> dict[str, Any]:
    """Return what is sent, without the model's name."""
    messages = request.messages
    if request.written:
        messages = (*messages, Message(role="assistant", content=[{"type": "text", "text": request.written}]))
    body = {"messages": chat_messages(messages), **settings(request, length_name)}
    if request.tools:
        body["tools"] = chat_tools(request.tools)
        body["tool_choice"] = chat_tool_choice(request.tool_choice)
    if request.schema is not None:
        body["response_format"] = _response_format(request.schema, structured)
        if structured == "json_object":
            told = f"Answer with a JSON object of this JSON Schema: {json.dumps(request.schema, ensure_ascii=False)}"
            body["messages"].insert(0, {"role": "system", "content": told})
    return body


def _response_format(schema: Mapping[str, Any], structured: str) -> dict[str, Any]:
    if structured == "json_object":
        return {"type": "json_object", "schema": dict(schema)}
    wanted = {"name": schema_name(schema), "schema": dict(schema), "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": wanted}


def completion_body(request: GenerationRequest) -> dict[str, Any]:
    """Return what is sent to have a text continued."""
    text = "\n".join(
        part["text"] for message in request.messages for part in message["content"] if part["type"] == "text"
    )
    return {"prompt": text + request.written, **settings(request, "max_tokens")}


class _Answer:
    """What has come of one answer."""

    def __init__(self, who: str, *, structured: bool) -> None:
        self.who = who
        self.reason: FinishReason | None = None
        self.usage: UsageReport | None = None
        self._object = GrowingObject(who) if structured else None
        self._tools: dict[int, tuple[list[str], GrowingText]] = {}  # index → [id, name], input
        self._refused = False

    def take(self, choice: Any) -> ModelEvent | None:
        """Read a piece of it, and return what is new."""
        reason = getattr(choice, "finish_reason", None)
        if isinstance(reason, str) and reason:
            self.reason = _REASONS.get(reason, "stop")
        delta = getattr(choice, "delta", None)
        text = getattr(choice, "text", None) if delta is None else getattr(delta, "content", None)
        for call in getattr(delta, "tool_calls", None) or ():
            self._take_call(call)
        refusal = getattr(delta, "refusal", None)
        if isinstance(refusal, str) and refusal:
            self._refused = True
            return TextDelta(refusal)
        if not isinstance(text, str) or not text:
            return None
        if self._object is None:
            return TextDelta(text)
        known = self._object.add(text)
        return None if known is None else ObjectDelta(known)

    def _take_call(self, call: Any) -> None:
        names, text = self._tools.setdefault(getattr(call, "index", None) or 0, (["", ""], GrowingText(self.who)))
        function = getattr(call, "function", None)
        for at, given in enumerate((getattr(call, "id", None), getattr(function, "name", None))):
            if isinstance(given, str) and given:
                names[at] = given
        arguments = getattr(function, "arguments", None)
        if isinstance(arguments, str):
            text.add(arguments)

    def end(self) -> list[ModelEvent]:
        """Return what is known only at the end."""
        reason = "refused" if self._refused else self.reason
        if reason is None:
            return []
        events: list[ModelEvent] = []
        if self._object is not None and reason != "refused":
            events.append(ObjectDelta(self._object.end(cut=reason == "length")))
        if reason != "refused":
            for at, (names, text) in sorted(self._tools.items()):
                id = names[0] or f"call_{at}"
                events.append(tool_call(self.who, id, names[1], text.whole(), cut=reason == "length"))
            if self._tools and reason == "stop":
                reason = "tool_calls"  # servers that only speak the protocol say so
        return [*events, Finish(reason)]


async def chat_events(chunks: AsyncIterable[Any], who: str, *, structured: bool = False) -> AsyncIterator[ModelEvent]:
    """Yield the events of an answer; without a Finish when it broke off."""
    answer = _Answer(who, structured=structured)
    usage: Any = None
    try:
        async for chunk in chunks:
            usage = getattr(chunk, "usage", None) or usage
            choices = getattr(chunk, "choices", None)
            if isinstance(choices, list) and choices and (event := answer.take(choices[0])) is not None:
                yield event
    except Exception:
        if answer.reason is None:
            raise
        # The answer is whole; only what comes behind it is lost.
    if (report := usage_of(usage)) is not None:
        yield report
    for event in answer.end():
        yield event


def usage_of(usage: Any) -> UsageReport | None:
    """Read the tokens that a call took; None when the service does not say."""
    if usage is None:
        return None
    details = getattr(usage, "prompt_tokens_details", None) or getattr(usage, "input_tokens_details", None)
    counts = (
        getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", None),
        getattr(usage, "completion_tokens", None) or getattr(usage, "output_tokens", None),
        getattr(details, "cached_tokens", None),
    )
    return UsageReport(*(count if isinstance(count, int) and count > 0 else 0 for count in counts))
