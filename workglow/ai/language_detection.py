"""Telling the language of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import BaseModel, Field

from workglow.ai.object_writing import OBJECT_WAYS
from workglow.ai.results import LanguageGuess
from workglow.ai.scoring import asked_findings, each, likeliest
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.model import Model

__all__ = ["TextLanguageDetectionTask"]

_INSTRUCTION: Final = (
    "Tell in which language the text that the user gives is written, by its ISO 639 code, such as 'en'.  Name more "
    "than one language only if the text may be in either."
)
_CODE: Final = {"type": "string", "pattern": "^[a-z]{2,3}$"}
_Codes: TypeAlias = Annotated[list[str], Field(description="ISO 639 codes, such as 'en'.")]


class _Input(BaseModel):
    text: str | list[str]
    model: Annotated[ModelPort, model_port("TextLanguageDetectionTask")]
    max_languages: Annotated[int, Field(ge=0, le=100, description="0 is no limit.")] = 5
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    allow_list: _Codes = []
    block_list: _Codes = []


class _Output(BaseModel):
    languages: list[LanguageGuess] | list[list[LanguageGuess]]


class TextLanguageDetectionTask(AiTask):
    """Tell the language of a text, the likeliest first; several texts give a list for each.

    Languages under the `score_threshold`, in the `block_list`, or not in an `allow_list` that is given, are left out;
    so nothing may be left.  'pt' in a list means 'pt-BR' too.
    """

    title: ClassVar[str] = "Language Detection"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("detect_language", *OBJECT_WAYS)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Tell."""
        model, capability = self.model(inputs["model"], context)
        allowed, blocked = inputs["allow_list"], inputs["block_list"]

        def counts(code: str) -> bool:
            return (not allowed or _is_among(code, allowed)) and not _is_among(code, blocked)

        async def detect(text: str) -> list[LanguageGuess]:
            if not text.strip():
                return []
            found = [guess for guess in await _guesses(model, capability, text) if counts(guess["language"])]
            limit = inputs["max_languages"] or None
            return likeliest(found, "language", limit=limit, threshold=inputs["score_threshold"])

        return {"languages": await each(inputs["text"], detect)}


def _is_among(code: str, listed: list[str]) -> bool:
    code = code.lower()
    return any(code == one.lower() or code.startswith(f"{one.lower()}-") for one in listed)


async def _guesses(model: Model, capability: str, text: str) -> list[LanguageGuess]:
    if capability == "detect_language":
        return await model.call(capability, text)
    given: Any = await asked_findings(model, capability, _INSTRUCTION, text, {"language": _CODE}, limit=5)
    return given


task_registry.register(TextLanguageDetectionTask)
