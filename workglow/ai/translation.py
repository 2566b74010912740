"""Translating a text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BaseModel, Field

from workglow.ai.languages import language_name
from workglow.ai.task import ModelPort, model_port
from workglow.ai.writing import (
    BY_PROMPT,
    MaxTokens,
    Seed,
    Temperature,
    WritingTask,
    WrittenText,
    instructed,
    written_whole,
)
from workglow.errors import TaskInputError
from workglow.tasks import TaskContext, task_registry

__all__ = ["TextTranslationTask"]

_Language: TypeAlias = Annotated[
    str, Field(pattern="^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="An ISO 639 code, such as 'en' or 'pt-BR'.")
]


class _Input(BaseModel):
    text: str
    source_lang: _Language | None = None
    target_lang: _Language
    model: Annotated[ModelPort, model_port("TextTranslationTask")]
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    seed: Seed = None


class _Output(WrittenText):
    target_lang: str


class TextTranslationTask(WritingTask):
    """Translate a text into the language `target_lang`.

    Models that were trained to translate have to be told the language of the text, others find out themselves.  A text
    that is cut off because the model had no more room is an error, unless `max_tokens` asks for a part.
    """

    title: ClassVar[str] = "Text Translation"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("translate", *BY_PROMPT)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Translate."""
        text, source, target = inputs["text"], inputs["source_lang"], inputs["target_lang"]
        yield {"target_lang": target}
        if not text.strip() or source == target:
            yield {"text": text, "finish_reason": "stop"}
            return
        model, capability = self.writer(inputs, context)
        if capability == "translate":
            if source is None:
                raise TaskInputError(
                    f"{self._who}: input 'source_lang' is required, for {model.name!r} has to be told the language."
                )
            pieces = written_whole(model, capability, text, source=source, target=target)
        else:
            request = instructed(capability, _instruction(source, target), text, inputs)
            pieces = written_whole(model, capability, request, cut=request.max_tokens is not None)
        async for piece in pieces:
            yield piece


def _instruction(source: str | None, target: str) -> str:
    languages = f"from {language_name(source)} to" if source else "into"
    return (
        f"Translate the text that the user gives {languages} {language_name(target)}.  Keep its tone and its layout.\n"
        "Answer with the translation alone."
    )


task_registry.register(TextTranslationTask)
