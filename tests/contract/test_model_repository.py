"""What counts as keeping models: one suite for every place that keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workglow.file import File, doctor
from workglow.storage.models import MemoryModels, ModelRepository, StoredModel
from workglow.storage.sqlite.models import SqliteModels
from workglow.testing import FakeClock

ONE = StoredModel("mine:one", "local", '{"source":"wordllama"}', "seal")
OTHER = StoredModel("été:名 2", "gguf", "{}")


@pytest.fixture(params=["memory", ":memory:", "file"])
def models(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[ModelRepository]:
    if request.param == "memory":
        yield MemoryModels()
        return
    path = ":memory:" if request.param == ":memory:" else tmp_path / "a.wg"
    with File.open(path, clock=clock) as file:
        yield SqliteModels(file)
    if path != ":memory:":
        assert doctor(path).ok


def test_a_model_comes_back_as_it_was(models: ModelRepository) -> None:
    assert models.get("mine:one") is None
    assert models.all() == []
    assert models.add(OTHER)
    assert models.add(ONE)
    assert models.get("mine:one") == ONE
    assert models.all() == [ONE, OTHER]


def test_a_name_is_there_once(models: ModelRepository) -> None:
    assert models.add(ONE)
    assert not models.add(ONE)
    assert not models.add(StoredModel("mine:one", "gguf", "{}"))
    assert models.all() == [ONE]


def test_only_what_is_there_can_be_updated_or_removed(models: ModelRepository) -> None:
    changed = StoredModel("mine:one", "gguf", '{"title":"other"}', "another seal")
    assert not models.update(changed)
    assert not models.remove("mine:one")
    models.add(ONE)
    models.add(OTHER)
    assert models.update(changed)
    assert models.get("mine:one") == changed
    assert models.remove("mine:one")
    assert models.all() == [OTHER]
    assert models.add(ONE)


def test_a_file_says_when(tmp_path: Path, clock: FakeClock) -> None:
    with File.open(tmp_path / "a.wg", clock=clock) as file:
        models = SqliteModels(file)
        began = clock.now()
        models.add(ONE)
        clock.advance(1)
        models.update(ONE)
        times = file.reader.execute("SELECT created_at, updated_at FROM model").fetchall()
        assert times == [(began, began + 1000)]
