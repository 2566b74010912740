"""Small embeddings that are asked for at once become one call, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow.ai import ModelRecord, Models, Provider, ProviderRegistry, report_usage
from workglow.errors import ModelCallError, RateLimitedError
from workglow.tasks.usage import Usage


class Counting(Provider):
    """Its vectors say how long a text is; it refuses the text 'bad'."""

    name = "counting"
    calls: list[tuple[list[str], str]]
    failure: Exception | None = None

    def __init__(self, credentials: Any = None) -> None:
        super().__init__(credentials)
        self.calls = []
        self.go = asyncio.Event()
        self.go.set()
        self.called = asyncio.Event()
        self.cancelled = 0

    async def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> Any:
        self.calls.append((list(texts), purpose))
        self.called.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        report_usage(sum(map(len, texts)))
        if self.failure is not None:
            raise self.failure
        if "bad" in texts:
            raise ModelCallError("bad is bad")
        return np.asarray([[len(text), 1.0] for text in texts], np.float32)


@pytest.fixture
def registry() -> ProviderRegistry:
    own = ProviderRegistry()
    own.register(Counting)
    return own


@pytest.fixture
def models(registry: ProviderRegistry) -> Models:
    return Models(registry)


def counting(models: Models) -> Counting:
    found = models.provider("counting")
    assert isinstance(found, Counting)
    return found


def length(vector: Any) -> int:
    return round(float(vector[0] / vector[1]))


def test_what_is_asked_for_at_once_is_one_call_and_each_gets_its_own(models: Models) -> None:
    told: list[Usage] = []
    texts = [["a", "bb"], ["ccc"], [], ["dddd"] * 3]

    async def ask(some: list[str]) -> list[int]:
        model = models.model("counting:x", lambda _, usage: told.append(usage))
        return [length(vector) for vector in await model.embed(some)]

    async def all_at_once() -> list[list[int]]:
        return await asyncio.gather(*map(ask, texts))

    assert asyncio.run(all_at_once()) == [[len(text) for text in some] for some in texts]
    assert counting(models).calls == [([text for some in texts for text in some], "document")]
    assert sorted(usage.input_tokens for usage in told) == [0, 3, 3, 12]


def test_one_alone_does_not_wait_and_more_gather_while_a_call_is_under_way(models: Models) -> None:
    async def scenario() -> None:
        provider, model = counting(models), models.model("counting:x")
        provider.go.clear()
        first = asyncio.create_task(model.embed(["first"]))
        await provider.called.wait()
        rest = [asyncio.create_task(model.embed([f"text {number}"])) for number in range(5)]
        await asyncio.sleep(0)
        assert len(provider.calls) == 1
        provider.go.set()
        await asyncio.gather(first, *rest)
        assert [len(texts) for texts, _ in provider.calls] == [1, 5]

    asyncio.run(scenario())


def test_purposes_and_models_are_not_mixed(models: Models) -> None:
    async def scenario() -> None:
        one, other = models.model("counting:x"), models.model("counting:y")
        await asyncio.gather(one.embed(["a"]), one.embed(["b"], purpose="query"), other.embed(["c"]))

    asyncio.run(scenario())
    assert sorted(counting(models).calls) == [(["a"], "document"), (["b"], "query"), (["c"], "document")]


def test_a_text_that_is_refused_harms_no_other(models: Models) -> None:
    async def scenario() -> list[Any]:
        model = models.model("counting:x")
        return await asyncio.gather(*(model.embed([text]) for text in ("a", "bad", "c")), return_exceptions=True)

    first, second, third = asyncio.run(scenario())
    assert (length(first[0]), length(third[0])) == (1, 1)
    assert isinstance(second, ModelCallError)


def test_a_limit_is_told_to_all_and_asked_once(models: Models) -> None:
    async def scenario() -> list[Any]:
        counting(models).failure = RateLimitedError()
        model = models.model("counting:x")
        return await asyncio.gather(*(model.embed([text]) for text in "abc"), return_exceptions=True)

    assert [type(one) for one in asyncio.run(scenario())] == [RateLimitedError] * 3
    assert len(counting(models).calls) == 1


def test_who_goes_away_stops_nobody_and_the_last_one_stops_the_call(models: Models) -> None:
    async def scenario() -> None:
        provider, model = counting(models), models.model("counting:x")
        provider.go.clear()
        one, two = (asyncio.create_task(model.embed([text])) for text in "ab")
        await provider.called.wait()
        one.cancel()
        await asyncio.wait([one])
        assert provider.cancelled == 0
        provider.go.set()
        assert length((await two)[0]) == 1
        provider.go.clear()
        provider.called.clear()
        three = asyncio.create_task(model.embed(["c"]))
        await provider.called.wait()
        three.cancel()
        await asyncio.wait([three])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert provider.cancelled == 1

    asyncio.run(scenario())


def test_a_map_over_small_texts_calls_the_model_a_few_times_only(registry: ProviderRegistry) -> None:
    with wg.open(":memory:", providers=registry) as project:
        body = wg.Workflow().text_embedding(model="counting:x")
        texts = ["x" * number for number in range(1, 501)]
        run = project.run_sync(wg.Workflow().map(body), {"text": texts})
        assert [length(vector) for vector in run.outputs["vector"]] == [len(text) for text in texts]
        provider = counting(project.models)
        assert sum(len(asked) for asked, _ in provider.calls) == 500
        assert len(provider.calls) <= 25
        assert run.usage["input_tokens"] == sum(map(len, texts))
