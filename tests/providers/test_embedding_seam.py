"""What `embed` and `embed_sync` promise whatever a model returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from workglow.ai import embed, embed_sync
from workglow.errors import KnowledgeError


class Model:
    name, dimensions, max_tokens = "test:model", 2, None

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.thread: threading.Thread | None = None
        self.purpose = ""

    def count_tokens(self, text: str, /) -> int:
        return len(text)

    def embed(self, texts: Sequence[str], /, *, purpose: str = "document") -> Any:
        self.thread, self.purpose = threading.current_thread(), purpose
        return self.answer


class Remote(Model):
    async def embed(self, texts: Sequence[str], /, *, purpose: str = "document") -> Any:
        await asyncio.sleep(0)
        return super().embed(texts, purpose=purpose)


class Wrapped(Model):
    def embed(self, texts: Sequence[str], /, *, purpose: str = "document") -> Any:
        async def later() -> Any:
            return self.answer

        return later()


@pytest.mark.parametrize("kind", [Model, Remote, Wrapped])
def test_vectors_come_back_as_float32_of_unit_length(kind: type[Model]) -> None:
    expected = [[np.float32(0.6), np.float32(0.8)], [0, 0]]
    model = kind([[3, 4], [0, 0]])
    for vectors in (embed_sync(model, ["a", "b"]), asyncio.run(embed(model, ["a", "b"]))):
        assert vectors.dtype == np.float32
        assert np.allclose(vectors, expected)


@pytest.mark.parametrize("kind", [Model, Remote, Wrapped])
def test_the_blocking_twin_works_inside_a_running_loop(kind: type[Model]) -> None:
    async def inside() -> np.ndarray:
        return embed_sync(kind([[3, 4]]), ["a"])

    assert np.allclose(asyncio.run(inside()), [[0.6, 0.8]])


def test_a_plain_model_does_not_hold_the_loop_up() -> None:
    model = Model([[1, 0]])
    asyncio.run(embed(model, ["a"], purpose="query"))
    assert model.thread is not threading.main_thread()
    assert model.purpose == "query"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([[1, 2, 3]], r"shape \(1, 3\) for 1 texts; \(1, 2\) was expected"),
        ([[1, 2], [1, 2]], r"shape \(2, 2\) for 1 texts"),
        ([[1, float("nan")]], "NaN or infinity"),
        ([[1, float("inf")]], "NaN or infinity"),
    ],
)
@pytest.mark.parametrize("kind", [Model, Remote])
def test_what_is_no_vector_is_refused(kind: type[Model], answer: Any, reason: str) -> None:
    with pytest.raises(KnowledgeError, match=rf"'test:model' returned vectors .*{reason}"):
        embed_sync(kind(answer), ["a"])


def test_what_is_given_is_not_changed() -> None:
    given = np.array([[3, 4]], np.float32)
    embed_sync(Model(given), ["a"])
    assert given.tolist() == [[3, 4]]
