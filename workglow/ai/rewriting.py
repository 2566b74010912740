"""Rewriting a text as told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

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
from workglow.tasks import TaskContext, task_registry

__all__ = ["TextRewriterTask"]

_INSTRUCTION = "Rewrite the text that the user gives, as follows: {prompt}\nAnswer with the rewritten text alone."


class _Input(BaseModel):
    text: str
    prompt: Annotated[str, Field(min_length=1, description="How to rewrite the text: 'Make it formal.'")]
    model: Annotated[ModelPort, model_port("TextRewriterTask")]
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    seed: Seed = None


class TextRewriterTask(WritingTask):
    """Rewrite a text as `prompt` says.

    A text that is cut off because the model had no more room is an error, unless `max_tokens` asks for a part.
    """

    title: ClassVar[str] = "Text Rewriter"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("rewrite", *BY_PROMPT)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = WrittenText

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Rewrite."""
        text, prompt = inputs["text"], inputs["prompt"]
        if not text.strip():
            yield {"text": text, "finish_reason": "stop"}
            return
        model, capability = self.writer(inputs, context)
        if capability == "rewrite":
            pieces = written_whole(model, capability, text, prompt=prompt)
        else:
            request = instructed(capability, _INSTRUCTION.format(prompt=prompt), text, inputs)
            pieces = written_whole(model, capability, request, cut=request.max_tokens is not None)
        async for piece in pieces:
            yield piece


task_registry.register(TextRewriterTask)
