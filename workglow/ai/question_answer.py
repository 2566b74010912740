"""Answering a question from a text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel

from workglow.ai.task import ModelPort, model_port
from workglow.ai.writing import BY_PROMPT, MaxTokens, Seed, Temperature, WritingTask, instructed, written
from workglow.errors import ModelOutputError, TaskInputError
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.results import FoundAnswer

__all__ = ["TextQuestionAnswerTask"]

_INSTRUCTION: Final = (
    "Answer the user's question from the context alone.  If the context does not hold the answer, say so.\n"
    "Answer briefly, in the language of the question."
)


class _Input(BaseModel):
    context: str
    question: str
    model: Annotated[ModelPort, model_port("TextQuestionAnswerTask")]
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    seed: Seed = None


class _Output(BaseModel):
    text: str
    finish_reason: str
    score: float | None = None
    start: int | None = None
    end: int | None = None


class TextQuestionAnswerTask(WritingTask):
    """Answer a question from a context.

    A model that was trained for it gives the part of the context that answers it, its characters from `start` to `end`,
    with how sure it is; `text` is "" when it finds none.  A model that can chat answers in its own words.
    """

    title: ClassVar[str] = "Text Question Answer"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("answer", *BY_PROMPT)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Answer."""
        given, question = inputs["context"], inputs["question"]
        if not question.strip():
            raise TaskInputError(f"{self._who}: input 'question' is empty; there is nothing to answer.")
        model, capability = self.writer(inputs, context)
        if capability != "answer":
            request = instructed(capability, _INSTRUCTION, f"Context:\n{given}\n\nQuestion: {question}", inputs)
            async for piece in written(model, capability, request):
                yield piece
            return
        found: FoundAnswer | None = await model.call(capability, question, context=given)
        if found is None:
            yield {"text": "", "finish_reason": "stop"}
            return
        if not 0 <= found["start"] <= found["end"] <= len(given):
            raise ModelOutputError(f"{model.name!r} found its answer beyond the end of the context.")
        yield {**found, "finish_reason": "stop"}


task_registry.register(TextQuestionAnswerTask)
