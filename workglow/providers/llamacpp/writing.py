"""An answer, token by token: what is read of the prompt, what is written, and why it ends."""

from __future__ import annotations

import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workglow.ai.answer import ModelAnswer
from workglow.ai.events import Finish, FinishReason, ModelEvent, TextDelta, UsageReport
from workglow.errors import ContextTooLongError
from workglow.providers.llamacpp.contexts import ReadingAbortedError
from workglow.providers.llamacpp.sampling import Sampler, Sampling

if TYPE_CHECKING:
    from workglow.providers.llamacpp.contexts import Abort
    from workglow.providers.llamacpp.loaded import LoadedModel

__all__ = ["AbortableAnswer", "Answer", "StopTexts", "write"]

_REPORTED: Final = 16
"""Tokens after which what was written is counted, so that an answer nobody wants any more is counted too."""


class AbortableAnswer(ModelAnswer):
    """What a model writes; it can be stopped from any thread, also while it reads its prompt."""

    def __init__(self, events: Callable[[AbortableAnswer], Iterator[ModelEvent]]) -> None:
        self._abort: Abort | None = None
        self._guard = threading.Lock()
        super().__init__(events)

    def cancel(self) -> None:
        """Write no more."""
        with self._guard:
            super().cancel()
            if self._abort is not None:
                self._abort.set()

    @contextmanager
    def abortable(self, abort: Abort) -> Generator[None]:
        """Let `cancel` stop a context while this answer has it."""
        with self._guard:
            self._abort = abort
            if self.is_cancelled:
                abort.set()
        try:
            yield
        except ReadingAbortedError:
            pass  # nobody reads this any more
        finally:
            with self._guard:
                self._abort = None
                abort.clear()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be written: how it goes on from `prompt`, of which the last `written` tokens are its own beginning.

    `limit` counts the beginning too.  `marks` are written out when a program reads the answer.
    """

    prompt: Sequence[int]
    sampling: Sampling
    written: int = 0
    limit: int | None = None
    stop: tuple[str, ...] = ()
    grammar: str = ""
    marks: bool = False


def write(loaded: LoadedModel, answer: Answer, writing: AbortableAnswer) -> Iterator[ModelEvent]:
    """Yield the text as it comes, then the Finish; with what it took."""
    context, prompt = loaded.text, answer.prompt
    if len(prompt) >= context.size:
        raise ContextTooLongError(
            f"The prompt has {len(prompt)} tokens, and the model reads {context.size} with its answer.  Shorten it, or "
            "give the model's record a larger context_length."
        )
    beginning = prompt[len(prompt) - answer.written :]
    sampler = Sampler(loaded.weights.vocabulary, answer.sampling, answer.grammar, beginning)
    try:
        with writing.abortable(context.abort):
            known = context.keep_common(prompt)
            yield UsageReport(input_tokens=known, cached_tokens=known)
            for count in context.read_all(prompt[known:]):
                yield UsageReport(input_tokens=count)
            yield from _answer(loaded, answer, sampler, writing)
    finally:
        sampler.close()


def _answer(loaded: LoadedModel, answer: Answer, sampler: Sampler, writing: AbortableAnswer) -> Iterator[ModelEvent]:
    context, weights = loaded.text, loaded.weights
    room = context.size - len(answer.prompt)
    if answer.limit is not None:
        room = min(room, answer.limit - answer.written)
    text, token, count, told = StopTexts(answer.stop), 0, 0, 0
    reason: FinishReason = "length"
    while count < room and not writing.is_cancelled:
        if count:
            context.read_one(token)
        token = sampler.choose(context.context)
        count += 1
        if weights.is_end(token):
            reason = "stop"
            break
        piece = text.feed(weights.piece(token, marks=answer.marks))
        if piece:
            yield TextDelta(piece)
        if text.met:
            reason = "stop"
            break
        if count - told >= _REPORTED:
            yield UsageReport(output_tokens=count - told)
            told = count
    if writing.is_cancelled:
        return
    rest = text.finish()
    if rest:
        yield TextDelta(rest)
    yield UsageReport(output_tokens=count - told)
    yield Finish(reason)


class StopTexts:
    """Bytes of tokens as text, up to that of the texts before which a model stops that is whole first."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.met = False
        self._stop = tuple(text for text in stop if text)
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._kept = ""

    def feed(self, piece: bytes) -> str:
        """Return what is certain to be part of the text."""
        text = self._decode(piece)
        if not self._stop:
            return text
        text = self._kept + text
        found = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self.met, self._kept = True, ""
            return text[: min(found)[1]]
        kept = max(_undecided(text, stop) for stop in self._stop)
        self._kept = text[len(text) - kept :]
        return text[: len(text) - kept]

    def finish(self) -> str:
        """Return the rest."""
        return "" if self.met else self._kept + self._decode(b"", True)


def _undecided(text: str, stop: str) -> int:
    """How many letters at the end of a text may be the beginning of a stop text."""
    longest = min(len(stop) - 1, len(text))
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
