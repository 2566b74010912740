"""What the events of Anthropic's streams mean."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from workglow.ai.events import Finish, FinishReason, ModelEvent, ObjectDelta, TextDelta, UsageReport
from workglow.providers.remote.collecting import GrowingObject, GrowingText, tool_call

__all__ = ["message_events"]

_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refused",
}


class _Usage:
    """The tokens of one call, as far as they are known; each is told once."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(
            ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"), 0
        )

    def take(self, usage: Any) -> None:
        """Counts are totals, so that the last one holds."""
        for name in self._counts:
            count = getattr(usage, name, None)
            if isinstance(count, int) and count >= 0:
                self._counts[name] = count

    def report(self) -> UsageReport:
        """All of them; the service counts what its cache had, or took, beside the input."""
        cached = self._counts["cache_read_input_tokens"]
        taken = self._counts["input_tokens"] + cached + self._counts["cache_creation_input_tokens"]
        return UsageReport(taken, self._counts["output_tokens"], cached)


class _Answer:
    """What has come of one answer.  `wrapped`: the object is the `value` of the one that is written."""

    def __init__(self, who: str, *, structured: bool, wrapped: bool) -> None:
        self._who = who
        self._wrapped = wrapped
        self._object = GrowingObject(who) if structured else None
        self._tools: dict[int, tuple[str, str, GrowingText]] = {}
        self.reason: str | None = None

    def begin(self, event: Any) -> ModelEvent | None:
        """Read the beginning of a block."""
        block: Any = getattr(event, "content_block", None)
        if getattr(block, "type", "") == "tool_use" and self._object is None:
            self._tools[event.index] = (block.id, block.name, GrowingText(self._who))
        text = getattr(block, "text", "")
        return TextDelta(text) if self._object is None and isinstance(text, str) and text else None

    def take(self, event: Any) -> ModelEvent | None:
        """Read a piece of a block, and return what is new."""
        delta: Any = getattr(event, "delta", None)
        kind = getattr(delta, "type", "")
        if kind == "text_delta" and self._object is None and delta.text:
            return TextDelta(delta.text)
        if kind != "input_json_delta":
            return None
        if self._object is not None:
            known = self._object.add(delta.partial_json)
            return None if known is None else self._shown(known)
        if event.index in self._tools:
            self._tools[event.index][2].add(delta.partial_json)
        return None

    def _shown(self, known: Any) -> ModelEvent | None:
        if not self._wrapped:
            return ObjectDelta(known)
        return ObjectDelta(known["value"]) if isinstance(known, dict) and "value" in known else None

    def end(self) -> list[ModelEvent]:
        """Return what is known only at the end."""
        if self.reason is None:
            return []
        reason = _REASONS.get(self.reason, "stop")
        cut = reason == "length"
        events: list[ModelEvent] = []
        if reason != "refused":
            if self._object is not None:
                whole = self._object.end(cut=cut)
                reason = "length" if cut else "stop"  # the tool was only a form to write in
                events = [shown] if (shown := self._shown(whole)) is not None else []
            for id, name, text in self._tools.values():
                events.append(tool_call(self._who, id, name, text.whole(), cut=cut))
        return [*events, Finish(reason)]


async def message_events(
    events: AsyncIterable[Any], who: str, *, structured: bool = False, wrapped: bool = False
) -> AsyncIterator[ModelEvent]:
    """Yield the events of an answer; without a Finish when it broke off.  What it took is told in either case."""
    usage = _Usage()
    answer = _Answer(who, structured=structured, wrapped=wrapped)
    try:
        async for event in events:
            kind = getattr(event, "type", "")
            new: ModelEvent | None = None
            if kind == "content_block_delta":
                new = answer.take(event)
            elif kind == "content_block_start":
                new = answer.begin(event)
            elif kind == "message_start":
                usage.take(event.message.usage)
            elif kind == "message_delta":
                usage.take(event.usage)
                answer.reason = event.delta.stop_reason or answer.reason
            if new is not None:
                yield new
    except Exception:
        if answer.reason is None:
            yield usage.report()
            raise
        # The answer is whole; only what comes behind it is lost.
    yield usage.report()
    for event in answer.end():
        yield event
