"""Outputs of one model are never taken for those of another that has its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

import workglow as wg
from workglow import TaskGraph
from workglow.ai import ModelRecord, Provider, provider_registry
from workglow.ai.token_counting import CountTokensTask
from workglow.graph.launch import run_in_memory_sync
from workglow.storage.memory import MemoryTaskOutputRepository


class CountingProvider(Provider):
    """Counts what it was asked; its records are what the test says they are."""

    name = "counting"
    facts: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[str]] = []

    def record(self, name: str) -> ModelRecord:
        return ModelRecord(**{"name": name, "provider": self.name, "source": "m", **self.facts})

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        self.asked.append(model.name)
        return len(self.asked)


@pytest.fixture(autouse=True)
def provider() -> Any:
    CountingProvider.facts, CountingProvider.asked = {}, []
    provider_registry.register(CountingProvider)
    yield
    provider_registry.unregister("counting")


def counted(where: Any, model: object = "counting:m") -> int:
    graph = TaskGraph()
    graph.add_task(CountTokensTask(id="count", defaults={"model": model}))
    if isinstance(where, wg.Project):
        return where.run_sync(graph, {"text": "x"}).outputs["count"]
    return run_in_memory_sync(graph, {"text": "x"}, output_cache=where).outputs["count"]


@pytest.fixture(params=["memory", "file"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        yield MemoryTaskOutputRepository()
    else:
        with wg.open(tmp_path / "a.wg") as project:
            yield project


CHANGES = [
    {"fingerprint": "other files"},
    {"source": "another"},
    {"revision": "2"},
    {"base_url": "http://localhost:1"},
    {"options": {"seed": 3}},
    {"dtype": "int8"},
    {"query_prefix": "query: "},
    {"normalize": False},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_changed_record_is_another_model(where: Any, change: dict[str, Any]) -> None:
    assert counted(where) == counted(where) == 1
    CountingProvider.facts = change
    assert counted(where) == counted(where) == 2
    CountingProvider.facts = {}
    assert counted(where) == 1


@pytest.mark.parametrize(
    "change", [{"title": "Nice"}, {"prices": {"input": 3.0}}, {"description": "…"}, {"license": "x"}]
)
def test_what_does_not_change_the_model_keeps_its_outputs(where: Any, change: dict[str, Any]) -> None:
    assert counted(where) == 1
    record = {"name": "mine:other-name", "provider": "counting", "source": "m", **change}
    assert counted(where, record) == 1


def test_a_model_that_nobody_knows_any_more_is_not_served_from_memory(where: Any) -> None:
    assert counted(where) == 1
    provider_registry.unregister("counting")
    with pytest.raises(wg.errors.WorkglowError, match=r"not found|No provider"):
        counted(where)


@pytest.mark.extra("local")
def test_the_files_of_a_static_model_are_part_of_what_it_is(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    def embedded(project: wg.Project, row: list[float]) -> list[float]:
        save_file({"embeddings": np.asarray([row, [0, 0]], np.float32)}, str(tmp_path / "model.safetensors"))
        flow = wg.Workflow().text_embedding(model=f"local:{tmp_path}")
        return project.run_sync(flow, {"text": "a"}).outputs["vector"].tolist()

    with wg.open(tmp_path / "p.wg") as project:
        assert embedded(project, [2, 0]) == [1, 0]
        assert embedded(project, [0, 3]) == [0, 1]
