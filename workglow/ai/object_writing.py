"""Objects that models write, judged by a JSON Schema.

The policy.  A model that can write objects is given the schema; one that can only chat is told to answer in JSON, and
the first object in its answer is taken.  An object that does not fit is sent back with what is wrong, a few times.  One
that was cut off is no object: trying again would cut it off again.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.events import Finish, ObjectDelta, TextDelta
from workglow.ai.messages import as_messages, user_message
from workglow.ai.request import GenerationRequest
from workglow.errors import ModelOutputError, StructuredOutputError, TruncatedOutputError
from workglow.values.partial_json import parse_partial_json

if TYPE_CHECKING:
    from workglow.ai.json_schema import Fault, JsonSchema
    from workglow.ai.model import Model

__all__ = ["OBJECT_WAYS", "asked_object", "written_objects"]

OBJECT_WAYS: Final = ("structured", "chat")
"""The ways of a model that can write an object."""

_THOUGHTS: Final = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_LONGEST_SHOWN: Final = 4000  # characters of a wrong answer that the model is shown again


async def asked_object(model: Model, capability: str, instruction: str, text: str, schema: JsonSchema) -> Any:
    """Return the object that a model writes about a text; errors as in `written_objects`."""
    request = GenerationRequest(as_messages(text, system=instruction))
    return [value async for value in written_objects(model, capability, request, schema)][-1]


async def written_objects(
    model: Model, capability: str, request: GenerationRequest, schema: JsonSchema, *, retries: int = 2
) -> AsyncIterator[Any]:
    """Yield the object as it grows, and {} where it begins anew; the last one is whole and fits the schema.

    StructuredOutputError, with each attempt, when none of `retries` + 1 fits; TruncatedOutputError when the model had
    no more room; ModelOutputError when it refused.  What else goes wrong is not tried again here.
    """
    asked = replace(request, schema=schema.schema) if capability == "structured" else _told(request, schema)
    request = asked
    attempts: list[Mapping[str, Any]] = []
    while True:
        answer = _Answer()
        async for event in model.stream(capability, request):
            if isinstance(event, Finish):
                _check_end(event, model)
            elif isinstance(event, TextDelta | ObjectDelta) and answer.takes(event):
                yield answer.value
        faults = answer.finish() or schema.faults(answer.value)
        if not faults:
            yield answer.value
            return
        attempts.append({"attempt": len(attempts) + 1, "errors": faults, "object": answer.value})
        if len(attempts) > retries:
            raise StructuredOutputError(
                f"What {model.name!r} wrote does not fit its JSON Schema, after {len(attempts)} "
                f"attempt{'s' if retries else ''}:\n{_listed(faults)}",
                attempts=attempts,
            )
        yield {}
        request = asked.with_messages(answer.message(), user_message(_feedback(faults)))


class _Answer:
    """What a model has written so far: objects, or a text with an object in it."""

    def __init__(self) -> None:
        self.value: Any = None
        self._text = ""
        self._read = 0
        self._is_text = True

    def takes(self, event: TextDelta | ObjectDelta) -> bool:
        """Say whether there is more of the object with this event."""
        if isinstance(event, ObjectDelta):
            self.value, self._is_text = event.value, False
            return True
        self._text += event.text
        if len(self._text) < self._read * 9 // 8:  # reading it over and over takes no more time than reading it
            return False
        self._read = len(self._text)
        found = parse_partial_json(self._object_text())
        if found is None or found == self.value:
            return False
        self.value = found
        return True

    def finish(self) -> list[Fault]:
        """Read what the text comes to; return what is wrong with it as JSON."""
        if not self._is_text:
            return []
        try:
            self.value, _ = json.JSONDecoder(parse_constant=_refuse).raw_decode(self._object_text())
        except (ValueError, RecursionError) as error:
            return [{"path": "", "message": f"The answer holds no JSON object: {error}."}]
        return []

    def message(self) -> Any:
        text = self._text if self._is_text else json.dumps(self.value, ensure_ascii=False)
        return {"role": "assistant", "content": [{"type": "text", "text": text[:_LONGEST_SHOWN] or "{}"}]}

    def _object_text(self) -> str:
        text = _THOUGHTS.sub("", self._text)
        start = text.find("{")
        return text[start:] if start >= 0 else ""


def _told(request: GenerationRequest, schema: JsonSchema) -> GenerationRequest:
    told = f"Answer with one JSON object that fits this JSON Schema, and with nothing else:\n{schema.to_text()}"
    first, *rest = request.messages
    if first["role"] != "system":
        return replace(request, messages=as_messages(system=told, messages=request.messages))
    system = {"role": "system", "content": [*first["content"], {"type": "text", "text": told}]}
    return replace(request, messages=as_messages(messages=[system, *rest]))


def _check_end(finish: Finish, model: Model) -> None:
    if finish.reason == "length":
        raise TruncatedOutputError(
            f"The object that {model.name!r} wrote was truncated: there was no more room.  Give a larger max_tokens."
        )
    if finish.reason == "refused":
        raise ModelOutputError(f"{model.name!r} refused to write the object.")


def _feedback(faults: list[Fault]) -> str:
    return (
        "Your answer failed its validation against the JSON Schema:\n"
        f"{_listed(faults)}\nAnswer again, with the corrected JSON object and nothing else."
    )


def _listed(faults: list[Fault]) -> str:
    return "\n".join(f"  - {fault['path'] or '/'}: {fault['message']}" for fault in faults)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
