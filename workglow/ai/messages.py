"""Conversations in the shape in which they go through graphs: plain JSON, the same for every provider.

`{"role": "user", "content": [{"type": "text", "text": "…"}]}`.  Roles are user, assistant, tool and system; parts are
text, image, audio, tool_use (of an assistant) and tool_result (of a tool).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, cast

from workglow.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Message", "Part", "Prompt", "Role", "as_messages", "text_of", "user_message"]

Role: TypeAlias = Literal["user", "assistant", "tool", "system"]

Part: TypeAlias = dict[str, Any]
"""One piece of a message; `type` says what it is.

text: `text`.  image and audio: `mimeType` and `data` in base64.  tool_use: `id`, `name`, `input`.  tool_result:
`tool_use_id`, `content` (parts), `is_error`.
"""

Prompt: TypeAlias = "str | Sequence[str | Mapping[str, Any]]"
"""A text, or texts and parts in a row."""

_FIELDS = {
    "text": {"text": str},
    "image": {"mimeType": str, "data": str},
    "audio": {"mimeType": str, "data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "tool_result": {"tool_use_id": str, "content": list},
}
_ROLES = ("user", "assistant", "tool", "system")


class Message(TypedDict):
    """What one side said."""

    role: Role
    content: list[Part]


def user_message(prompt: Prompt) -> Message:
    """Return what a person says."""
    return {"role": "user", "content": _parts(prompt, "prompt")}


def as_messages(
    prompt: Prompt | None = None, *, system: str | None = None, messages: Iterable[Mapping[str, Any]] = ()
) -> tuple[Message, ...]:
    """Return a whole conversation: the system prompt, what was said before, and the new prompt at the end.

    Raises InvalidValueError for what is no message, with its place.
    """
    whole: list[Message] = []
    if system:
        whole.append({"role": "system", "content": [{"type": "text", "text": system}]})
    whole.extend(_message(given, f"messages[{at}]") for at, given in enumerate(messages))
    if prompt:
        whole.append(user_message(prompt))
    if all(message["role"] == "system" for message in whole):
        raise InvalidValueError("There is nothing to answer: give a prompt, or messages.")
    return tuple(whole)


def text_of(message: Message) -> str:
    """Return the text of a message, without its other parts."""
    return "\n".join(part["text"] for part in message["content"] if part["type"] == "text")


def _message(given: Mapping[str, Any], place: str) -> Message:
    role = given.get("role")
    if role not in _ROLES:
        raise InvalidValueError(f"{place}: the role is {role!r}; it is one of {', '.join(_ROLES)}.")
    return {"role": role, "content": _parts(given.get("content", ()), place)}


def _parts(given: Any, place: str) -> list[Part]:
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    if not isinstance(given, list | tuple):
        raise InvalidValueError(f"{place}: {given!r:.60} is neither a text nor a list of parts.")
    return [_part(one, f"{place}, part {at}") for at, one in enumerate(cast("Sequence[object]", given))]


def _part(given: Any, place: str) -> Part:
    if isinstance(given, str):
        return {"type": "text", "text": given}
    fields_given = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    kind: Any = fields_given.get("type")
    fields = _FIELDS.get(kind)
    if fields is None:
        raise InvalidValueError(f"{place}: {given!r:.60} is no part; its `type` is one of {', '.join(_FIELDS)}.")
    for name, wanted in fields.items():
        if not isinstance(fields_given.get(name), wanted):
            raise InvalidValueError(f"{place}: a part of type {kind!r} needs `{name}`, a {wanted.__name__}.")
    return dict(fields_given)
