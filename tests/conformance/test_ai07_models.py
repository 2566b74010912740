"""Models, cases 5, 7 and 9: registration of providers, the catalogue and its gate, downloads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.ai import ModelRecord, Provider, ProviderRegistry
from workglow.ai.management import DownloadProgress
from workglow.errors import (
    InvalidModelError,
    ModelCallError,
    ModelError,
    TaskConfigurationError,
    UnknownModelError,
    UnsupportedCapabilityError,
)

LAMINI = {
    "model_id": "onnx:Xenova/LaMini-Flan-T5-783M:q8",
    "provider": "HF_TRANSFORMERS_ONNX",
    "title": "LaMini",
    "description": "",
    "tasks": ["TextGenerationTask", "TextRewriterTask"],
    "metadata": {},
    "provider_config": {
        "pipeline": "text2text-generation",
        "model_path": "Xenova/LaMini-Flan-T5-783M",
        "dtype": "q8",
    },
}


class Fake(Provider):
    """Downloads in a hundred steps."""

    name = "fake"
    closed = 0

    def chat(self, model: ModelRecord, request: Any) -> Any:
        raise AssertionError("nobody is asked here")

    async def download(self, model: ModelRecord, progress: Any) -> ModelRecord:
        for percent in range(101):
            progress("one", percent, 100)
            await asyncio.sleep(0)
        return model

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def project(project_path: Path) -> Iterator[wg.Project]:
    registry = ProviderRegistry()
    registry.register(Fake)
    with wg.open(project_path, providers=registry) as project:
        yield project


# ---------------------------------------------------------------------- 5: registration


def test_a_provider_that_can_do_nothing_is_refused() -> None:
    with pytest.raises(TaskConfigurationError, match="can do nothing"):
        ProviderRegistry().register(type("Idle", (Provider,), {"name": "idle"}))


def test_a_provider_whose_construction_fails_is_not_kept() -> None:
    class Broken(Fake):
        name = "broken"

        def __init__(self, credentials: Any = None) -> None:
            raise RuntimeError("boom")

    registry = ProviderRegistry()
    registry.register(Broken)
    with wg.open(":memory:", providers=registry) as project:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="boom"):
                project.models.provider("broken")


def test_closing_a_project_closes_its_providers() -> None:
    registry = ProviderRegistry()
    registry.register(Fake)
    before = Fake.closed
    with wg.open(":memory:", providers=registry) as project:
        assert project.models.provider("fake") is project.models.provider("fake")
    assert Fake.closed == before + 1


def test_a_provider_of_one_registry_is_unknown_in_another(project: wg.Project) -> None:
    assert "fake" in list(project.models.registry)
    with wg.open(":memory:", providers=ProviderRegistry()) as other:
        with pytest.raises(UnknownModelError, match="No provider is called 'fake'"):
            other.models.provider("fake")


def test_a_task_that_nobody_can_do_says_what_the_model_can(project: wg.Project) -> None:
    with pytest.raises(UnsupportedCapabilityError, match=r"cannot turn texts into vectors\.  It can: chat"):
        project.run_sync(wg.Workflow().text_embedding(model="fake:x"), {"text": "a"})


# ---------------------------------------------------------------------- 7: the catalogue


def test_a_record_round_trips_and_is_found_by_task(project_path: Path) -> None:
    with wg.open(project_path) as project:
        models = project.models
        models.add(models.find(LAMINI))
        found = models.get(LAMINI["model_id"])
        assert found is not None
        assert (found.source, found.dtype) == ("Xenova/LaMini-Flan-T5-783M", "q8")
        assert found.options == {"pipeline": "text2text-generation"}
        assert found.tasks == ("TextGenerationTask", "TextRewriterTask")
        for task in found.tasks:
            assert models.search(task=task) == [found]
        assert models.get("nobody:knows") is None
        assert models.search("nobody knows") == []
    with wg.open(project_path) as again:
        assert again.models.get(found.name) == found


def test_wrong_changes_are_named(project: wg.Project) -> None:
    models = project.models
    models.add(models.find(LAMINI))
    with pytest.raises(ModelError, match="already exists"):
        models.add(models.find(LAMINI))
    for wrong in ({"title": "no name"}, {"name": "a:b", "provider": "p", "tasks": "not-an-array"}):
        with pytest.raises(InvalidModelError, match="Invalid model record"):
            models.add(wrong)
        with pytest.raises(InvalidModelError, match="Invalid model record"):
            models.update(wrong)
    changed = models.update({**models.find(LAMINI).to_json(), "title": "New", "tasks": ["TextSummaryTask"]})
    assert (changed.title, changed.tasks) == ("New", ("TextSummaryTask",))
    for method in (models.remove, lambda name: models.update({"name": name, "provider": "p"})):
        with pytest.raises(UnknownModelError, match="not found"):
            method("a:b")


def test_events_fire_once_with_the_record(project: wg.Project) -> None:
    told: list[tuple[str, str]] = []
    for kind in ("added", "updated", "removed"):
        project.models.events.on(kind, lambda change: told.append((change.kind, change.record.name)))
    project.models.add({"name": "a:b", "provider": "fake"})
    project.models.update({"name": "a:b", "provider": "fake", "title": "x"})
    project.models.remove("a:b")
    assert told == [("added", "a:b"), ("updated", "a:b"), ("removed", "a:b")]


def test_a_model_is_for_the_tasks_of_its_record_and_without_any_for_all(project: wg.Project) -> None:
    project.models.add({"name": "a:only", "provider": "fake", "tasks": ["TextSummaryTask"]})
    project.models.add({"name": "b:any", "provider": "fake"})
    with pytest.raises(ModelCallError) as raised:
        project.run_sync(wg.Workflow().text_generation(model="a:only"), {"prompt": "x"})
    for word in ("a:only", "'model'", "TextGenerationTask", "TextSummaryTask", "b:any"):
        assert word in str(raised.value)
    with pytest.raises(UnknownModelError, match="Model 'x' not found"):
        project.run_sync(wg.Workflow().text_generation(model="x"), {"prompt": "x"})
    with pytest.raises(Exception, match="nobody is asked here"):
        project.run_sync(wg.Workflow().text_generation(model="b:any"), {"prompt": "x"})


# ---------------------------------------------------------------------- 9: downloads


def test_aborting_at_the_first_progress_ends_the_download(project: wg.Project) -> None:
    told: list[float] = []

    async def aborted() -> None:
        def heard(event: Any) -> None:
            if event.kind == "task_progress":
                told.append(event.data[0])
                run.cancel()

        run = asyncio.create_task(project.run(wg.Workflow().download_model(model="fake:x"), on_event=heard))
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(aborted())
    assert 1 <= len(told) < 20
    assert project.models.get("fake:x") is None


def test_progress_is_that_of_all_files() -> None:
    told: list[float] = []
    progress = DownloadProgress(lambda fraction, _: told.append(round(fraction, 2)))
    progress("x", 40, 100)
    progress("y", 80, 100)
    assert told == [0.4, 0.6]
    assert progress.files == {"x": (40, 100), "y": (80, 100)}
    again = DownloadProgress(lambda fraction, _: told.append(fraction))
    assert again.files == {}
