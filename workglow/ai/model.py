"""A model that can be called: its record, with whoever runs it."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from workglow.ai.bridging import called, events_of
from workglow.ai.events import Finish, UsageReport
from workglow.ai.messages import text_of
from workglow.ai.request import GenerationRequest
from workglow.errors import IncompleteStreamError, ModelOutputError, UnsupportedCapabilityError
from workglow.tasks.usage import Usage

if TYPE_CHECKING:
    from workglow.ai.batching import Batches
    from workglow.ai.events import ModelEvent
    from workglow.ai.passage import Passage
    from workglow.ai.provider import Provider, Purpose, Vectors
    from workglow.ai.record import ModelRecord

__all__ = ["Model", "report_usage"]

_reports: ContextVar[list[UsageReport] | None] = ContextVar("workglow-model-usage", default=None)
_ESTIMATE: Final = 3  # characters a token, so that the estimate is rather too high


def report_usage(input_tokens: int = 0, output_tokens: int = 0, cached_tokens: int = 0) -> None:
    """For a provider's methods that return rather than stream: tell how many tokens the call took."""
    reports = _reports.get()
    if reports is not None:
        reports.append(UsageReport(input_tokens, output_tokens, cached_tokens))


class Model:
    """A model under its name.

    `on_usage` is told what each call took, also of one that failed; `passage` leads calls through the limiters of a
    project; `batches` makes one call of small ones.
    """

    def __init__(
        self,
        record: ModelRecord,
        provider: Provider,
        on_usage: Callable[[str, Usage], None] | None = None,
        *,
        passage: Passage | None = None,
        batches: Batches | None = None,
    ) -> None:
        self.record = record
        self.provider = provider
        self._on_usage = on_usage
        self._passage = passage
        self._batches = batches
        self._dimensions = record.dimensions

    @property
    def name(self) -> str:
        """Its full name, such as 'local:wordllama'."""
        return self.record.name

    @property
    def max_tokens(self) -> int | None:
        """How much of a text it reads; None when that is not known, or all."""
        return self.record.context_length

    @property
    def dimensions(self) -> int:
        """How many numbers its vectors have; a model whose record does not say is asked for one, which blocks."""
        if self._dimensions is None:
            self._dimensions = int(self._embedded_now([""], "document").shape[1])
        return self._dimensions

    def telling(self, on_usage: Callable[[str, Usage], None]) -> Model:
        """Return the same model, which tells somebody else what it takes."""
        return Model(self.record, self.provider, on_usage, passage=self._passage, batches=self._batches)

    def can(self, capability: str) -> bool:
        """Whether it can do that."""
        return capability in self.provider.capabilities_of(self.record)

    def first_of(self, capabilities: Sequence[str]) -> str:
        """Return the first of these that it can do; UnsupportedCapabilityError lists what it can."""
        for capability in capabilities:
            if self.can(capability):
                return capability
        raise self.provider.cannot(capabilities[0], self.record)

    async def call(self, capability: str, *arguments: Any, **options: Any) -> Any:
        """Have it done; arguments are those of the provider's method of that name, without the model."""
        call = _Call(self.record)
        try:
            return await self._called(call, capability, arguments, options)
        finally:
            self._tell(call.usage())

    async def _called(self, call: _Call, capability: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        method = self._method(capability)
        async with self._through(call, arguments):
            token = _reports.set(call.reports)
            call.begin()
            try:
                return await called(method, self.record, *arguments, **options)
            finally:
                call.end()
                _reports.reset(token)

    async def stream(self, capability: str, *arguments: Any, **options: Any) -> AsyncGenerator[ModelEvent]:
        """Have it written; yields what the provider's generator does, the usage left out.

        IncompleteStreamError when it ends without a Finish: what came is not the whole.
        """
        call = _Call(self.record)
        method = self._method(capability)
        try:
            async with self._through(call, arguments):
                call.begin()
                try:
                    async with aclosing(events_of(method, self.record, *arguments, **options)) as events:
                        async for event in events:
                            if isinstance(event, UsageReport):
                                call.reports.append(event)
                                continue
                            call.finished = isinstance(event, Finish)
                            yield event
                finally:
                    call.end()
                if not call.finished:
                    raise IncompleteStreamError(f"The answer of {self.name!r} broke off before its end.")
        finally:
            self._tell(call.usage())

    @asynccontextmanager
    async def _through(self, call: _Call, arguments: tuple[Any, ...]) -> AsyncGenerator[None]:
        if self._passage is None:
            yield
            return
        async with self._passage.through(self.record, estimated_tokens(arguments)) as slot:
            try:
                yield
            finally:
                if slot is not None and call.reports:
                    taken = call.usage()
                    slot.cost = taken.input_tokens + taken.output_tokens

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose = "document") -> Vectors:
        """Return float32 of shape (number of texts, dimensions), each row of unit length, or of zeros."""
        prefixed = self._prefixed(texts, purpose)
        if self._batches is None:
            return self._checked(texts, await self.call("embed", prefixed, purpose=purpose))

        async def embed(many: Sequence[str]) -> tuple[Any, Usage]:
            call = _Call(self.record)
            try:
                vectors = await self._called(call, "embed", (many,), {"purpose": purpose})
            except BaseException:
                self._tell(call.usage())  # of a call that failed, whoever made it bears the cost
                raise
            return self._checked(many, vectors), call.usage()

        vectors, usage = await self._batches.embed((msgspec.json.encode(self.record), purpose), prefixed, embed)
        self._tell(usage)
        return vectors

    def embed_sync(self, texts: Sequence[str], /, *, purpose: Purpose = "document") -> Vectors:
        """`embed`, blocking; a model in this process is called on the spot."""
        return self._checked(texts, self._embedded_now(self._prefixed(texts, purpose), purpose))

    async def embed_images(self, images: Sequence[Any], /) -> Vectors:
        """Return float32 of shape (number of images, dimensions), each row of unit length, or of zeros."""
        return self._checked(images, await self.call("embed_image", images), "images")

    def count_tokens(self, text: str, /) -> int:
        """Count the tokens of a text, blocking.  A model that cannot say gives an estimate, rather too high."""
        method = self.provider.count_tokens
        if not self.can("count_tokens") or inspect.iscoroutinefunction(method):
            return -(-len(text) // _ESTIMATE)
        count = method(self.record, text)
        if isinstance(count, Awaitable):
            raise UnsupportedCapabilityError(f"{self.name!r} counts tokens only on the event loop.")
        return count

    def __repr__(self) -> str:
        return f"<model {self.name}>"

    def _method(self, capability: str) -> Any:
        if not self.can(capability):
            raise self.provider.cannot(capability, self.record)
        return getattr(self.provider, capability)

    def _embedded_now(self, texts: Sequence[str], purpose: Purpose) -> Any:
        method = self._method("embed")
        if not inspect.iscoroutinefunction(method):
            return method(self.record, texts, purpose=purpose)
        from workglow.blocking import run_blocking

        return run_blocking(lambda: self.call("embed", texts, purpose=purpose))

    def _prefixed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[str]:
        prefix = self.record.query_prefix if purpose == "query" else self.record.document_prefix
        return [prefix + text for text in texts] if prefix else texts

    def _tell(self, usage: Usage) -> None:
        if self._on_usage is not None:
            self._on_usage(self.name, usage)

    def _checked(self, embedded: Sequence[Any], given: object, what: str = "texts") -> Vectors:
        import numpy as np

        vectors = np.asarray(given, dtype=np.float32)
        wanted = self._dimensions
        if vectors.ndim != 2 or len(vectors) != len(embedded) or vectors.shape[1] != (wanted or vectors.shape[1]):
            raise ModelOutputError(
                f"The model {self.name!r} returned vectors of shape {vectors.shape} for {len(embedded)} {what}; "
                f"({len(embedded)}, {wanted or 'dimensions'}) was expected.  Its record or its provider is wrong."
            )
        self._dimensions = vectors.shape[1]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise ModelOutputError(f"The model {self.name!r} returned vectors that hold NaN or infinity.")
        if not self.record.normalize:
            return vectors
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


class _Call:
    """What one call takes."""

    def __init__(self, record: ModelRecord) -> None:
        self._prices = record.prices
        self._begun: float | None = None
        self._seconds = 0.0
        self.reports: list[UsageReport] = []
        self.finished = False

    def begin(self) -> None:
        self._begun = time.perf_counter()

    def end(self) -> None:
        if self._begun is not None:
            self._seconds = time.perf_counter() - self._begun

    def usage(self) -> Usage:
        taken = sum(report.input_tokens for report in self.reports)
        written = sum(report.output_tokens for report in self.reports)
        cached = sum(report.cached_tokens for report in self.reports)
        cost = self._prices.cost(taken, written, cached) if self._prices is not None else 0.0
        return Usage(taken, written, self._seconds, cost)


def estimated_tokens(arguments: Sequence[Any]) -> int:
    """How many tokens the texts among the arguments of a call have, and the answer may have; rather too many."""
    characters = answer = 0
    for given in arguments:
        if isinstance(given, str):
            characters += len(given)
        elif isinstance(given, GenerationRequest):
            characters += sum(len(text_of(message)) for message in given.messages)
            answer = given.max_tokens or 0
        elif isinstance(given, list | tuple):
            characters += sum(len(text) for text in cast("Sequence[object]", given) if isinstance(text, str))
    return -(-characters // _ESTIMATE) + answer
