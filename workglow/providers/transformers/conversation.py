"""From a conversation to the tokens of a prompt, by the model's own template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from workglow.ai.messages import text_of
from workglow.errors import InvalidValueError, ModelCallError
from workglow.providers.transformers.runtime import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.ai.messages import Message
    from workglow.ai.request import GenerationRequest
    from workglow.providers.transformers.loading import LoadedModel

__all__ = ["conversation_inputs", "text_inputs"]


def conversation_inputs(loaded: LoadedModel, request: GenerationRequest) -> dict[str, Any]:
    """Return the conversation as the model was taught to read it, up to where it is to go on."""
    messages = [{"role": message["role"], "content": _text(loaded.name, message)} for message in request.messages]
    try:
        written = _templated(loaded, messages)
    except Exception as error:
        merged = _without_system(messages)
        if merged is None:
            raise ModelCallError(f"The template of {loaded.name!r} refuses the conversation: {error}") from error
        try:
            written = _templated(loaded, merged)
        except Exception as second:
            raise ModelCallError(f"The template of {loaded.name!r} refuses the conversation: {second}") from second
    return _tokens(loaded, written + request.written, add_special_tokens=False)


def text_inputs(loaded: LoadedModel, text: str) -> dict[str, Any]:
    """Return a text as tokens; one without any begins with the sign for the beginning."""
    inputs = _tokens(loaded, text, add_special_tokens=True)
    if inputs["input_ids"].shape[1]:
        return inputs
    begin = loaded.prepare.bos_token_id
    if begin is None:
        raise InvalidValueError("There is nothing to go on with: the text is empty.")
    ids = torch.tensor([[begin]], device=loaded.device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _tokens(loaded: LoadedModel, text: str, *, add_special_tokens: bool) -> dict[str, Any]:
    found = loaded.prepare(text, return_tensors="pt", add_special_tokens=add_special_tokens)
    names = ("input_ids", "attention_mask")
    return {name: found[name].long().to(loaded.device) for name in names}


def _templated(loaded: LoadedModel, messages: Sequence[dict[str, str]]) -> str:
    return loaded.prepare.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def _without_system(messages: Sequence[dict[str, str]]) -> list[dict[str, str]] | None:
    """Put what the system says into the first message of a person, for templates that know no system."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    rest = [dict(message) for message in messages if message["role"] != "system"]
    first = next((message for message in rest if message["role"] == "user"), None)
    if not system or first is None:
        return None
    first["content"] = f"{system}\n\n{first['content']}"
    return rest


def _text(name: str, message: Message) -> str:
    strange = next((part["type"] for part in message["content"] if part["type"] not in ("text", "tool_result")), None)
    if strange is not None:
        raise ModelCallError(f"A message holds a part of type {strange!r}, and {name!r} reads texts only.")
    results: list[str] = [
        inner["text"]
        for part in message["content"]
        if part["type"] == "tool_result"
        for inner in cast("list[dict[str, Any]]", part["content"])
        if inner.get("type") == "text"
    ]
    return "\n".join([text_of(message), *results] if results else [text_of(message)])
