"""Saying briefly what a text says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar, Final, Literal

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

__all__ = ["SUMMARY_TOKENS", "TextSummaryTask"]

SUMMARY_TOKENS: Final = {"short": 60, "medium": 150, "long": 400}
"""How many tokens a summary of each length has at most, of a model that can be told nothing else."""

_LENGTHS: Final = {
    "text": {
        "short": "in one or two sentences",
        "medium": "in one paragraph of three to five sentences",
        "long": "in two to four paragraphs",
    },
    "bullets": {
        "short": "as a list of two or three points, each on a line that begins with '- '",
        "medium": "as a list of four to six points, each on a line that begins with '- '",
        "long": "as a list of up to twelve points, each on a line that begins with '- '",
    },
    "headline": {
        "short": "as a headline of at most six words",
        "medium": "as a headline of at most twelve words",
        "long": "as a headline, with one sentence below it",
    },
}


class _Input(BaseModel):
    text: str
    model: Annotated[ModelPort, model_port("TextSummaryTask")]
    length: Literal["short", "medium", "long"] = "medium"
    style: Literal["text", "bullets", "headline"] = "text"
    focus: Annotated[str, Field(description="What the summary is to be about, if not about everything.")] = ""
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    seed: Seed = None


class TextSummaryTask(WritingTask):
    """Say briefly what a text says.

    `style` and `focus` are for models that take instructions; one that can only summarise is told the `length`.
    """

    title: ClassVar[str] = "Text Summary"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("summarise", *BY_PROMPT)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = WrittenText

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Summarise."""
        text, limit = inputs["text"], inputs["max_tokens"]
        if not text.strip():
            yield {"text": "", "finish_reason": "stop"}
            return
        asked = tuple(name for name, usual in (("style", "text"), ("focus", "")) if inputs[name] != usual)
        model, capability = self.writer({**inputs, "max_tokens": None}, context, asked=asked)
        if capability == "summarise":
            tokens = limit or SUMMARY_TOKENS[inputs["length"]]
            pieces = written_whole(model, capability, text, max_tokens=tokens, cut=True)
        else:
            request = instructed(capability, _instruction(inputs), text, inputs)
            pieces = written_whole(model, capability, request, cut=limit is not None)
        async for piece in pieces:
            yield piece


def _instruction(inputs: dict[str, Any]) -> str:
    how = _LENGTHS[inputs["style"]][inputs["length"]]
    focus = f"\nSay only what concerns this: {inputs['focus']}" if inputs["focus"] else ""
    return (
        f"Summarize the text that the user gives, {how}, in the language of the text.  Keep the key points, and add "
        f"nothing that it does not say.{focus}\nAnswer with the summary alone."
    )


task_registry.register(TextSummaryTask)
