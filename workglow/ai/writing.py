"""What the tasks have in common in which a model writes a text.

Each has a way of its own, for models that were trained for just that, and the general one: a model that can chat, or go
on with a text, is told in words what to do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, Field

from workglow.ai.events import Finish, TextDelta
from workglow.ai.messages import as_messages
from workglow.ai.request import GenerationRequest
from workglow.ai.task import AiTask
from workglow.errors import ModelOutputError, TaskInputError, TruncatedOutputError

if TYPE_CHECKING:
    from workglow.ai.model import Model
    from workglow.tasks import TaskContext

__all__ = [
    "BY_PROMPT",
    "SETTINGS",
    "MaxTokens",
    "Seed",
    "Temperature",
    "WritingTask",
    "WrittenText",
    "instructed",
    "request_of",
    "written",
    "written_whole",
]

BY_PROMPT: Final = ("chat", "generate")
"""The ways of a model that is told in words."""

SETTINGS: Final = ("max_tokens", "temperature", "seed")
"""Inputs that every task has in which a model writes; what is left out is left to the model."""

MaxTokens: TypeAlias = Annotated[int | None, Field(ge=1, description="No more than so many tokens are written.")]
Temperature: TypeAlias = Annotated[float | None, Field(ge=0, le=2, description="0 writes what is likeliest.")]
Seed: TypeAlias = Annotated[int | None, Field(description="The same seed gives the same text, of a local model.")]


class WrittenText(BaseModel):
    """What a model wrote, and why it stopped."""

    text: str
    finish_reason: str


class WritingTask(AiTask):
    """A task whose text a model writes; the first of its `capabilities` is its own, the others are BY_PROMPT."""

    def writer(
        self, inputs: Mapping[str, Any], context: TaskContext, *, asked: tuple[str, ...] = ()
    ) -> tuple[Model, str]:
        """Return the model and what it shall do; `asked` names inputs that only a model told in words can follow.

        TaskInputError names one of them, or of the settings, that the model cannot follow.
        """
        asked += tuple(name for name in SETTINGS if inputs[name] is not None)
        if not asked:
            return self.model(inputs["model"], context)
        own = self.capabilities[0]
        model, capability = self.model(inputs["model"], context, (*BY_PROMPT, own))
        if capability == own:
            raise TaskInputError(
                f"{self._who}: input {asked[0]!r} cannot be told to {model.name!r}, which can only {own}.  Leave it "
                "out, or take a model that can chat."
            )
        return model, capability


def request_of(inputs: Mapping[str, Any], **parts: Any) -> GenerationRequest:
    """Return a request with the SETTINGS among the inputs."""
    return GenerationRequest(
        max_tokens=inputs["max_tokens"], temperature=inputs["temperature"], seed=inputs["seed"], **parts
    )


def instructed(capability: str, instruction: str, text: str, inputs: Mapping[str, Any]) -> GenerationRequest:
    """Return the request to do something with a text, for a model that chats or for one that goes on with a text."""
    if capability == "generate":
        return request_of(inputs, messages=as_messages(f"{instruction}\n\n{text}\n\n"))
    return request_of(inputs, messages=as_messages(text, system=instruction))


async def written(model: Model, capability: str, *arguments: Any, **options: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield what a model writes as pieces of the ports `text` and `finish_reason`."""
    async for event in model.stream(capability, *arguments, **options):
        if isinstance(event, TextDelta):
            yield {"text": event.text}
        elif isinstance(event, Finish):
            yield {"finish_reason": event.reason}


async def written_whole(
    model: Model, capability: str, *arguments: Any, cut: bool = False, **options: Any
) -> AsyncIterator[dict[str, Any]]:
    """Yield pieces as `written` does, of a text that is of no use in part.

    TruncatedOutputError when the model had no more room, unless it was to be cut; ModelOutputError when it refused.
    """
    async for piece in written(model, capability, *arguments, **options):
        yield piece
        reason = piece.get("finish_reason")
        if reason == "length" and not cut:
            raise TruncatedOutputError(
                f"{model.name!r} had no more room before the text was whole.  Give a shorter text, or cut it up with "
                "SplitTextTask; or give max_tokens, if a part of it will do."
            )
        if reason == "refused":
            raise ModelOutputError(f"{model.name!r} refused to write that.")
