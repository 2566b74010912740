"""What `embed` and `embed_sync` promise whatever a provider returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from workglow.ai import Model, ModelRecord, Provider
from workglow.errors import ModelOutputError

RECORD = ModelRecord(name="test:model", provider="test", dimensions=2, query_prefix="query: ")


class Plain(Provider):
    name = "test"

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer
        self.thread: threading.Thread | None = None
        self.asked: list[tuple[Sequence[str], str]] = []

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> Any:
        self.thread = threading.current_thread()
        self.asked.append((texts, purpose))
        return self.answer


class Remote(Plain):
    async def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> Any:
        await asyncio.sleep(0)
        return super().embed(model, texts, purpose=purpose)


KINDS = pytest.mark.parametrize("kind", [Plain, Remote])


@KINDS
def test_vectors_come_back_as_float32_of_unit_length(kind: type[Plain]) -> None:
    expected = [[np.float32(0.6), np.float32(0.8)], [0, 0]]
    model = Model(RECORD, kind([[3, 4], [0, 0]]))
    for vectors in (model.embed_sync(["a", "b"]), asyncio.run(model.embed(["a", "b"]))):
        assert vectors.dtype == np.float32
        assert np.allclose(vectors, expected)


@KINDS
def test_the_blocking_twin_works_inside_a_running_loop(kind: type[Plain]) -> None:
    async def inside() -> np.ndarray:
        return Model(RECORD, kind([[3, 4]])).embed_sync(["a"])

    assert np.allclose(asyncio.run(inside()), [[0.6, 0.8]])


def test_a_plain_model_does_not_hold_the_loop_up() -> None:
    provider = Plain([[1, 0]])
    asyncio.run(Model(RECORD, provider).embed(["a"], purpose="query"))
    assert provider.thread is not threading.main_thread()
    assert provider.asked == [(["query: a"], "query")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([[1, 2, 3]], r"shape \(1, 3\) for 1 texts; \(1, 2\) was expected"),
        ([[1, 2], [1, 2]], r"shape \(2, 2\) for 1 texts"),
        ([[1, float("nan")]], "NaN or infinity"),
        ([[1, float("inf")]], "NaN or infinity"),
    ],
)
@KINDS
def test_what_is_no_vector_is_refused(kind: type[Plain], answer: Any, reason: str) -> None:
    with pytest.raises(ModelOutputError, match=rf"'test:model' returned vectors .*{reason}"):
        Model(RECORD, kind(answer)).embed_sync(["a"])


def test_what_is_given_is_not_changed() -> None:
    given = np.array([[3, 4]], np.float32)
    Model(RECORD, Plain(given)).embed_sync(["a"])
    assert given.tolist() == [[3, 4]]
