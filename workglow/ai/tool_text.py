"""Calls of tools that a model writes into its text, because it has no other way, or because its runtime knows none.

The policy.  Each family of models was trained on marks of its own around a call; the marks are unlike each other and
unlike prose, so all of them are looked for, whatever the model is called.  What stands between marks is never shown,
also when it holds no call.  Without marks an object is taken for a call when it has a tool's name and arguments; when
it is none it stays text.  Thoughts between <think> and </think> are neither shown nor searched.

A text may come in any pieces: what is shown and which calls are found does not depend on them.  The work is linear in
the length of the text, whatever stands in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from workglow.ai.events import TextDelta, ToolCall
from workglow.ai.tool_marks import calls_between_marks, calls_of_value, json_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from workglow.ai.request import ToolDefinition
    from workglow.ai.tool_marks import NamedCall

__all__ = ["ToolTextReader", "parse_tool_calls"]

Said: TypeAlias = TextDelta | ToolCall

_MARKS: Final[Mapping[str, tuple[str, ...]]] = {
    "<think>": ("</think>",),
    "<tool_call>": ("</tool_call>",),  # Hermes, Qwen, GLM, Granite
    "<tool_calls>": ("</tool_calls>",),  # Jamba
    "<|tool_call|>": ("<|/tool_call|>",),  # Phi, Granite
    "<|tool_call_start|>": ("<|tool_call_end|>",),  # LFM
    "<|START_ACTION|>": ("<|END_ACTION|>",),  # Cohere
    "<|action_start|>": ("<|action_end|>",),  # InternLM
    "<|python_tag|>": ("<|eom_id|>", "<|eot_id|>"),  # Llama
    "<｜tool▁calls▁begin｜>": ("<｜tool▁calls▁end｜>",),  # noqa: RUF001 - DeepSeek's own marks
    "<function=": ("</function>",),  # Functionary, Llama
    "[TOOL_CALLS]": ("</s>",),  # Mistral
    "```tool_call": ("```",),
    "```json": ("```",),
}
"""What opens a part of the text that is not shown → what closes it, if the text does not end before."""

_SHOWN_UNLESS_CALLED: Final = frozenset(("```json", "```tool_call"))
_THOUGHT: Final = "<think>"

_KEYS: Final = "name|function|type|id|arguments|parameters|tool_name|tool_calls"
_BARE: Final = rf'(?:\[\s{{0,40}})?\{{\s{{0,40}}"(?:{_KEYS})"'
_FUNCTIONARY: Final = r">>>[A-Za-z_][\w.-]{0,63}\n\s{0,40}(?=\{)"
_TOKEN: Final = r"<\|[\w/]{1,40}\|>|</think>|</s>"
_OPENING: Final = re.compile(
    rf"(?P<mark>{'|'.join(map(re.escape, _MARKS))})|(?P<token>{_TOKEN})|(?P<bare>{_BARE})|(?P<named>{_FUNCTIONARY})"
)
_UNDECIDED: Final = re.compile(
    r'(?:\[\s{0,40})?(?:\{\s{0,40}(?:"[a-z_]{0,12})?)?|>{1,3}|>>>[A-Za-z_][\w.-]{0,63}\n?\s{0,40}|<\|?[\w/]{0,40}\|?'
)
_LONGEST: Final = 160  # characters that may stand at the end undecided
_BRACKETS: Final = re.compile(r'"|[{\[]+|[}\]]+')
_IN_STRING: Final = re.compile(r'["\\]')
_RESCANS: Final = 1


class _Region(NamedTuple):
    """A part of the text that is kept back: what opened it, and what closes it; None is the end of an object."""

    opening: str
    closings: tuple[str, ...] = ()
    closing: re.Pattern[str] | None = None
    is_shown: bool = True
    """Whether it is text when it holds no call."""


_REGIONS: Final = {
    mark: _Region(mark, closings, re.compile("|".join(map(re.escape, closings))), mark in _SHOWN_UNLESS_CALLED)
    for mark, closings in _MARKS.items()
}
_BARE_OBJECT: Final = _Region("")


def parse_tool_calls(text: str, tools: Iterable[ToolDefinition] = ()) -> tuple[str, list[ToolCall]]:
    """Return the text without what is meant for the machine, and the calls in it, in order.

    With `tools` a bare object is a call only if it names one of them, and texts in it are read by the tool's schema.
    Never raises: what cannot be read is no call.
    """
    reader = ToolTextReader(tools)
    said = [*reader.feed(text), *reader.finish()]
    shown = "".join(event.text for event in said if isinstance(event, TextDelta))
    calls = [event for event in said if isinstance(event, ToolCall)]
    return (shown if shown == text else shown.strip()), calls


class ToolTextReader:
    """Tells text from calls while a model writes: feed it pieces, and finish it at the end.

    `unread` are the parts between marks that hold no call, so that the model can be told.
    """

    def __init__(self, tools: Iterable[ToolDefinition] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._buffer = ""
        self._at = 0  # in the buffer: what is before has been dealt with
        self._region: _Region | None = None
        self._kept: list[str] = []  # of the region, without what is still in the buffer
        self._brackets = _Balance()
        self._rescans = 0
        self._count = 0
        self.unread: list[str] = []

    def feed(self, piece: str) -> list[Said]:
        """Return what is certain now: text to show, and calls that are whole."""
        self._buffer += piece
        return list(self._read(final=False))

    def finish(self) -> list[Said]:
        """Return the rest."""
        said = list(self._read(final=True))
        while self._region is not None:
            said.extend(self._end_of_text())
        return said

    def _read(self, *, final: bool) -> Iterator[Said]:
        while self._at < len(self._buffer):
            if self._region is None:
                if not (yield from self._outside(final=final)):
                    break
            elif not self._find_end(self._region):
                break
            else:
                yield from self._closed()
        self._buffer, self._at = self._buffer[self._at :], 0

    def _outside(self, *, final: bool) -> Iterator[Said]:
        """Show what is text; True when something opened that is none."""
        buffer, begin = self._buffer, self._at
        found = _OPENING.search(buffer, begin) if self._rescans <= _RESCANS else None
        if found is None:
            self._at = len(buffer) if final else _decided(buffer, begin)
            if self._at > begin:
                yield TextDelta(buffer[begin : self._at])
            return False
        if found.start() > begin:
            yield TextDelta(buffer[begin : found.start()])
        self._at = found.end()
        if found["mark"]:
            self._open(_REGIONS[found["mark"]])
        elif found["bare"]:
            self._at = found.start()
            self._open(_BARE_OBJECT)
        elif found["named"]:
            self._open(_Region(found["named"]))
        return True

    def _open(self, region: _Region) -> None:
        self._region, self._kept = region, []
        if region.closing is None:
            self._brackets = _Balance()

    def _find_end(self, region: _Region) -> bool:
        """Move what belongs to the region out of the buffer; True when its end was found."""
        buffer, begin = self._buffer, self._at
        if region.closing is None:
            end = self._brackets.end(buffer, begin)
            self._at = len(buffer) if end is None else end
            self._kept.append(buffer[begin : self._at])
            return end is not None
        found = region.closing.search(buffer, begin)
        if found is None:
            tail = max(map(len, region.closings)) - 1
            self._at = max(begin, len(buffer) - tail)
            self._kept.append(buffer[begin : self._at])
            return False
        self._kept.append(buffer[begin : found.start()])
        self._at = found.end()
        return True

    def _closed(self) -> Iterator[Said]:
        region, body = self._region, "".join(self._kept)
        assert region is not None
        self._region, self._kept = None, []
        calls = self._calls(region, body)
        if not calls and region.is_shown:
            yield TextDelta(region.opening + body + "".join(region.closings[:1]))
        yield from calls

    def _end_of_text(self) -> Iterator[Said]:
        """The text ended inside a region: read it all the same; where an object never ended, look behind its start."""
        region, body = self._region, "".join(self._kept) + self._buffer
        assert region is not None
        self._region, self._kept, self._buffer = None, [], ""
        calls = self._calls(region, body) if region.closings else []
        if not calls and region.is_shown:
            if region.closings:
                yield TextDelta(region.opening + body)
            else:
                self._rescans += 1
                yield TextDelta(region.opening + body[:1])
                self._buffer = body[1:]
                yield from self._read(final=True)
        yield from calls

    def _calls(self, region: _Region, body: str) -> list[ToolCall]:
        if region.opening == _THOUGHT:
            return []
        if region.closings and not region.is_shown:
            found = calls_between_marks(region.opening, body, self._tools)
            if not found and body.strip():
                self.unread.append(body)
        else:
            found = self._bare_calls(region, body)
        return [self._numbered(call) for call in found]

    def _bare_calls(self, region: _Region, body: str) -> Sequence[NamedCall]:
        decoded = json_at(body, len(body) - len(body.lstrip()))
        if decoded is None:
            return ()
        if region.opening.startswith(">>>"):
            value: Any = {"name": region.opening[3:].strip(), "arguments": decoded[0]}
        else:
            value = decoded[0]
        calls = calls_of_value(value, needs_arguments=True)
        known = not self._tools or all(call.name in self._tools for call in calls)
        return calls if known else ()

    def _numbered(self, call: NamedCall) -> ToolCall:
        self._count += 1
        return ToolCall(call.id or f"call_{self._count - 1}", call.name, call.input)


class _Balance:
    """Finds where an object ends that comes in pieces; brackets inside its strings do not count."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def end(self, piece: str, at: int) -> int | None:
        """Return the place behind the bracket that closes the first one; None when it is not in what begins at `at`."""
        if self._is_escaped and at < len(piece):
            self._is_escaped, at = False, at + 1
        while (found := (_IN_STRING if self._in_string else _BRACKETS).search(piece, at)) is not None:
            at = found.end()
            match found[0]:
                case '"':
                    self._in_string = not self._in_string
                case "\\":
                    self._is_escaped = at == len(piece)
                    at += 1
                case brackets if brackets[0] in "{[":
                    self._depth += len(brackets)
                case brackets if len(brackets) < self._depth:
                    self._depth -= len(brackets)
                case brackets:
                    return at - len(brackets) + self._depth
        return None


def _decided(buffer: str, begin: int) -> int:
    """Return up to where it is text whatever comes next."""
    for at in range(max(begin, len(buffer) - _LONGEST), len(buffer)):
        if buffer[at] in "<[{>`" and _may_open(buffer[at:]):
            return at
    return len(buffer)


def _may_open(rest: str) -> bool:
    return _UNDECIDED.fullmatch(rest) is not None or any(
        mark.startswith(rest) for mark in (*_MARKS, "</think>", "</s>")
    )
