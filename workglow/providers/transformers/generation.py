"""Writing: the model works in a thread, and what it writes is read token by token.

Who stops reading stops the model before its next token.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from workglow.ai.events import Finish, TextDelta, UsageReport
from workglow.errors import ContextTooLongError
from workglow.providers.transformers.decoding import StopTexts, TokenText
from workglow.providers.transformers.runtime import memory_checked, torch
from workglow.providers.transformers.sampling import Choice, processors, settings_of

if TYPE_CHECKING:
    from workglow.ai.events import ModelEvent
    from workglow.providers.transformers.loading import LoadedModel

__all__ = ["write"]

_TOKENS: Final = 1024  # where neither the call nor the model says how many
_END: Final = object()


def write(
    loaded: LoadedModel,
    inputs: dict[str, Any],
    *,
    max_tokens: int | None,
    context: int | None,
    choice: Choice | None = None,
    stop: Sequence[str] = (),
    forced: dict[str, Any] | None = None,
) -> Iterator[ModelEvent]:
    """Yield what the model writes to tensors of tokens, its usage, and why it ended.

    `context` is how many tokens it has room for; ContextTooLongError when the input leaves none.  `forced` are more
    settings of transformers' `generate`.
    """
    taken = int(inputs["input_ids"].shape[1]) if "input_ids" in inputs else 0
    is_pair = bool(loaded.model.config.is_encoder_decoder)
    own = loaded.model.generation_config
    limit = max_tokens or own.max_new_tokens or _TOKENS
    if context is not None:
        room = context - taken if not is_pair else context
        if room < 1 or taken > context:
            raise ContextTooLongError(f"The text has {taken} tokens; {loaded.name!r} has room for {context}.")
        limit = min(limit, room)
    settings = settings_of(own, limit)
    ends = _ends(settings.eos_token_id)
    if settings.pad_token_id is None and ends:
        settings.pad_token_id = min(ends)
    if choice is not None and choice.temperature:
        settings.num_beams = 1
    prompt = 1 if is_pair or not taken else taken
    run = _Run(
        loaded,
        {**inputs, **(forced or {})},
        settings,
        processors(choice, prompt, loaded.device) if choice is not None else [],
    )
    yield from _told(run, loaded, ends, taken, StopTexts(stop))


def _told(run: _Run, loaded: LoadedModel, ends: set[int], taken: int, stops: StopTexts) -> Iterator[ModelEvent]:
    tokenizer = getattr(loaded.prepare, "tokenizer", loaded.prepare)
    text = TokenText(lambda tokens: tokenizer.decode(tokens, skip_special_tokens=True))
    written, ended = 0, False
    try:
        for token in run:
            written += 1
            if token in ends:
                ended = True
                break
            piece = stops.add(text.add(token))
            if piece:
                yield TextDelta(piece)
            if stops.met:
                break
    finally:
        run.stop()
    if not stops.met:
        rest = stops.add(text.rest())
        rest += "" if stops.met else stops.rest()
        if rest:
            yield TextDelta(rest)
    yield UsageReport(taken, written)
    yield Finish("stop" if ended or stops.met else "length")


class _Run:
    """One call of `generate`, in a thread; iterating gives its tokens."""

    def __init__(self, loaded: LoadedModel, inputs: dict[str, Any], settings: Any, choosing: list[Any]) -> None:
        self._loaded = loaded
        self._inputs = inputs
        self._settings = settings
        self._choosing = choosing
        self._tokens: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._is_searching = (settings.num_beams or 1) > 1  # then the text is known only at the end
        self._prompt_is_due = True
        self._thread = threading.Thread(target=self._work, name="workglow-generate", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[int]:
        while (told := self._tokens.get()) is not _END:
            if isinstance(told, BaseException):
                raise told
            yield told

    def stop(self) -> None:
        """End it before its next token, and wait for that."""
        self._stopped.set()
        self._thread.join()

    def put(self, tokens: Any) -> None:
        """Called by transformers with the prompt first, then with each token."""
        if self._prompt_is_due:
            self._prompt_is_due = False
        else:
            for token in tokens.flatten().tolist():
                self._tokens.put(token)

    def end(self) -> None:
        """Called by transformers at the end."""

    def _is_stopped(self, *_: Any) -> bool:
        return self._stopped.is_set()

    def _work(self) -> None:
        try:
            with torch.inference_mode(), memory_checked(self._loaded.name):
                found = self._loaded.model.generate(
                    **self._inputs,
                    generation_config=self._settings,
                    logits_processor=self._choosing,
                    stopping_criteria=[self._is_stopped],
                    streamer=None if self._is_searching else self,
                )
            if self._is_searching:
                for token in found[0, 1:].tolist():
                    self._tokens.put(token)
        except BaseException as error:  # whatever it raises goes to the reader
            self._tokens.put(error)
        finally:
            self._tokens.put(_END)


def _ends(token: Any) -> set[int]:
    if isinstance(token, list):
        return set(cast("list[int]", token))
    return set() if token is None else {int(token)}
