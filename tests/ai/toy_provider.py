"""Models that were made for one thing each, by rules that a test can foresee."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from workglow.ai import Finish, GenerationRequest, ModelEvent, ModelRecord, Provider, TextDelta
from workglow.ai.results import Entity, Filling, FoundAnswer, Label, LanguageGuess


class ToyProvider(Provider):
    """'toy:summarise' can summarise and nothing else, and so on."""

    name = "toy"
    title = "Toys"
    asked: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    finish: ClassVar[str] = "stop"

    def record(self, name: str) -> ModelRecord:
        source = name.partition(":")[2]
        return ModelRecord(name=name, provider=self.name, source=source, capabilities=(source,), context_length=256)

    def _write(self, *words: str) -> Iterator[ModelEvent]:
        for word in words:
            yield TextDelta(word)
        yield Finish(self.finish)  # pyright: ignore[reportArgumentType]

    def generate(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        self.asked.append(("generate", {"messages": request.messages}))
        return self._write("and so on")

    def rewrite(self, model: ModelRecord, text: str, *, prompt: str) -> Iterator[ModelEvent]:
        self.asked.append(("rewrite", {"text": text, "prompt": prompt}))
        return self._write(text.upper())

    def summarise(self, model: ModelRecord, text: str, *, max_tokens: int | None) -> Iterator[ModelEvent]:
        self.asked.append(("summarise", {"text": text, "max_tokens": max_tokens}))
        return self._write(text.split(maxsplit=1)[0], "…")

    def translate(self, model: ModelRecord, text: str, *, source: str, target: str) -> Iterator[ModelEvent]:
        self.asked.append(("translate", {"text": text, "source": source, "target": target}))
        return self._write(f"<{source}>", text, f"<{target}>")

    def answer(self, model: ModelRecord, question: str, *, context: str) -> FoundAnswer | None:
        word = question.removeprefix("Where is ").rstrip("?")
        at = context.find(word)
        return None if at < 0 else {"text": word, "score": 0.9, "start": at, "end": at + len(word)}

    def classify(self, model: ModelRecord, text: str) -> list[Label]:
        return [{"label": f"class {number}", "score": number / 10} for number in range(8)]

    def classify_freely(self, model: ModelRecord, text: str, *, labels: Sequence[str]) -> list[Label]:
        return [{"label": label, "score": float(label in text)} for label in labels]

    def detect_language(self, model: ModelRecord, text: str) -> list[LanguageGuess]:
        return [
            {"language": "pt-BR", "score": 0.3},
            {"language": "de", "score": 0.5},
            {"language": "en", "score": 0.15},
            {"language": "nl", "score": 0.05},
        ]

    def recognise_entities(self, model: ModelRecord, text: str) -> list[Entity]:
        found = [
            Entity(
                entity="LOC" if match[0] == "Rome" else "PER",
                word=match[0],
                score=0.9,
                start=match.start(),
                end=match.end(),
            )
            for match in re.finditer(r"[A-Z]\w+(?: [A-Z]\w+)*", text)
        ]
        return found[::-1]

    def fill_mask(self, model: ModelRecord, text: str, *, limit: int) -> list[Filling]:
        words = {"blue": 0.7, "grey": 0.2, "green": 0.1}
        return [
            {"entity": word, "score": score, "sequence": text.replace("<mask>", word)} for word, score in words.items()
        ]

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        return len(text.split())
