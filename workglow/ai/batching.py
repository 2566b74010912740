"""Small embeddings that are asked for at once become one call of the model.

Policy.  A call starts at the next turn of the event loop with all that was asked for until then, so nobody waits for
company.  While it is under way, more gathers for the next one.  What was asked for different purposes is not mixed.  A
batch that fails for what it holds is tried piece by piece, so that one text that the model refuses harms no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from workglow.errors import RetryableJobError
from workglow.tasks.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    Embed = Callable[[Sequence[str]], Awaitable[tuple[Any, Usage]]]
    Asked = tuple[Sequence[str], Embed, asyncio.Future[tuple[Any, Usage]]]

__all__ = ["Batches"]

_MOST: Final = 256
"""Texts of one call."""


class Batches:
    """Gathers what is asked for at once, for each model and purpose."""

    def __init__(self) -> None:
        self._gathering: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[object, _Gathering]] = WeakKeyDictionary()

    async def embed(self, key: object, texts: Sequence[str], embed: Embed) -> tuple[Any, Usage]:
        """Return the vectors of the texts, perhaps out of a larger call, and what they took of it.

        `embed` does such a call.
        """
        if len(texts) >= _MOST:
            return await embed(texts)
        here = self._gathering.setdefault(asyncio.get_running_loop(), {})
        gathering = here.get(key)
        if gathering is None:
            gathering = here[key] = _Gathering(lambda: here.pop(key, None))
        return await gathering.ask(texts, embed)


class _Gathering:
    def __init__(self, over: Callable[[], object]) -> None:
        self._waiting: deque[Asked] = deque()
        self._under_way: list[Asked] = []
        self._over = over
        self._working: asyncio.Task[None] | None = None

    async def ask(self, texts: Sequence[str], embed: Embed) -> tuple[Any, Usage]:
        done: asyncio.Future[tuple[Any, Usage]] = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, embed, done))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            return await done
        finally:
            if all(one[2].done() for one in (*self._under_way, *self._waiting)):
                self._working.cancel()  # nobody waits for the call any more; one that is over does not mind

    async def _work(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)
                self._under_way = self._next()
                await self._do(self._under_way)
        finally:
            self._over()
            for _, _, done in (*self._under_way, *self._waiting):
                done.cancel()

    def _next(self) -> list[Asked]:
        batch: list[Asked] = []
        count = 0
        while self._waiting and (not batch or count + len(self._waiting[0][0]) <= _MOST):
            one = self._waiting.popleft()
            if not one[2].done():  # else nobody waits for it any more
                batch.append(one)
                count += len(one[0])
        return batch

    async def _do(self, batch: list[Asked]) -> None:
        if not batch:
            return
        try:
            vectors, usage = await batch[0][1]([text for texts, _, _ in batch for text in texts])
        except RetryableJobError as error:  # it is nobody's text that is wrong
            for _, _, done in batch:
                _settle(done, error)
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0][2], error)
                return
            for one in batch:
                await self._do([one])
        else:
            start = 0
            shares = _shares(usage, [sum(map(len, texts)) for texts, _, _ in batch])
            for (texts, _, done), share in zip(batch, shares, strict=True):
                if not done.done():
                    done.set_result((vectors[start : start + len(texts)], share))
                start += len(texts)


def _shares(usage: Usage, sizes: Sequence[int]) -> Iterator[Usage]:
    """Divide what a call took among those who asked, by the lengths of their texts; the parts add up to it."""
    whole, before, sofar = sum(sizes) or 1, Usage(), 0
    for size in sizes:
        sofar += size
        part = sofar / whole
        upto = Usage(
            round(usage.input_tokens * part),
            round(usage.output_tokens * part),
            usage.model_seconds * part,
            usage.cost * part,
        )
        yield Usage(
            upto.input_tokens - before.input_tokens,
            upto.output_tokens - before.output_tokens,
            upto.model_seconds - before.model_seconds,
            upto.cost - before.cost,
        )
        before = upto


def _settle(done: asyncio.Future[Any], error: Exception) -> None:
    with suppress(asyncio.InvalidStateError):
        done.set_exception(error)
