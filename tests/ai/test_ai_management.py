"""Tasks on models themselves, in graphs: download, unload, info and search; and what providers say of themselves."""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import workglow as wg
import workglow.ai
from workglow.ai import ModelRecord, Provider, ProviderRegistry, provider_registry
from workglow.ai.facts import LIBRARIES, facts_of_class
from workglow.ai.files import urls_of
from workglow.ai.management import DownloadModelTask, DownloadProgress, ModelDownloadTask
from workglow.ai.registry import _SHIPPED
from workglow.errors import (
    MissingExtraError,
    ModelCallError,
    TaskConfigurationError,
    TaskEntitlementError,
    UnknownModelError,
    UnsupportedCapabilityError,
)
from workglow.tasks import task_registry
from workglow.tasks.registry import _SHIPPED as _SHIPPED_TASKS

DATA = random.Random(1).randbytes(200_000)


class Shelf(Provider):
    """A provider whose models are on a shelf."""

    name = "shelf"
    title = "A shelf"
    hosts = ("shelf.example",)
    loaded: ClassVar[set[str]] = set()
    steps: ClassVar[tuple[tuple[str, int, int | None], ...]] = ()

    def embed(self, model: ModelRecord, texts: Any, *, purpose: Any) -> Any:
        raise AssertionError("nobody embeds here")

    async def download(self, model: ModelRecord, progress: Any) -> ModelRecord:
        for step in self.steps:
            progress(*step)
            await asyncio.sleep(0)
        return ModelRecord(name=model.name, provider="shelf", source=model.source, fingerprint="1")

    def unload(self, model: ModelRecord) -> None:
        self.loaded.discard(model.source)

    def info(self, model: ModelRecord) -> dict[str, Any]:
        return {"is_loaded": model.source in self.loaded, "quantizations": ["q4", "q8"], "unheard_of": 1}

    async def search(self, query: str, *, limit: int) -> list[ModelRecord]:
        names = [name for name in ("small", "large") if query in name]
        return [ModelRecord(name=f"shelf:{name}", provider="shelf", source=name, title=name.title()) for name in names]


@pytest.fixture
def shelf(project_path: Path, downloads: Any) -> Iterator[wg.Project]:
    registry = provider_registry.copy()
    registry.register(Shelf)
    Shelf.loaded, Shelf.steps = {"a", "b"}, ()
    with wg.open(project_path, providers=registry) as project:
        project.models.downloads = downloads
        yield project


def outputs(project: wg.Project, workflow: wg.Workflow, **options: Any) -> dict[str, Any]:
    return dict(project.run_sync(workflow, **options).outputs)


# ---------------------------------------------------------------------- download


def test_a_download_is_noted_in_the_catalogue_and_survives(server: Any, shelf: wg.Project, project_path: Path) -> None:
    server.files["/one.gguf"] = DATA
    shelf.models.add({"name": "mine:one", "provider": "shelf", "source": server.url("/one.gguf")})
    assert outputs(shelf, wg.Workflow().download_model(model="mine:one")) == {"model": "mine:one"}
    (file,) = shelf.models.find("mine:one").files
    assert Path(file.path).read_bytes() == DATA
    assert shelf.models.find("mine:one").fingerprint == hashlib.sha256(DATA).hexdigest()
    assert outputs(shelf, wg.Workflow().download_model(model="mine:one")) == {"model": "mine:one"}
    assert len(server.asked) == 1
    shelf.close()
    with wg.open(project_path) as again:
        assert again.models.get("mine:one").files == (file,)  # pyright: ignore[reportOptionalMemberAccess]


def test_two_runs_that_want_one_model_make_one_transfer(server: Any, shelf: wg.Project) -> None:
    server.files["/one.gguf"], server.hold = DATA, threading.Event()
    shelf.models.add({"name": "mine:one", "provider": "shelf", "source": server.url("/one.gguf")})

    def heard(event: Any) -> None:
        if event.kind == "task_progress":  # it waits for the other one
            server.hold.set()

    async def both() -> None:
        first = asyncio.create_task(shelf.run(wg.Workflow().download_model(model="mine:one")))
        await asyncio.to_thread(server.held.wait)
        await shelf.run(wg.Workflow().download_model(model="mine:one"), on_event=heard)
        await first

    asyncio.run(both())
    assert len(server.asked) == 1


def test_a_download_that_broke_off_is_tried_again_by_the_run(server: Any, shelf: wg.Project) -> None:
    server.files["/one.gguf"], server.cuts = DATA, [50_000, 0]
    shelf.models.add({"name": "mine:one", "provider": "shelf", "source": server.url("/one.gguf")})
    task = DownloadModelTask(id="get", defaults={"model": "mine:one"}, retry=wg.Retry(2))
    assert outputs(shelf, wg.Workflow().then(task)) == {"model": "mine:one"}
    assert [asked.get("range") for asked in server.asked] == [None, "bytes=50000-", "bytes=50000-"]


def test_an_aborted_download_ends_at_once_and_leaves_no_file(server: Any, shelf: wg.Project) -> None:
    server.files["/one.gguf"], server.hold = DATA, threading.Event()
    shelf.models.add({"name": "mine:one", "provider": "shelf", "source": server.url("/one.gguf")})

    async def aborted() -> None:
        run = asyncio.create_task(shelf.run(wg.Workflow().download_model(model="mine:one")))
        await asyncio.to_thread(server.held.wait)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(asyncio.wait_for(aborted(), 20))
    assert not shelf.models.downloads.place_of(server.url("/one.gguf")).exists()
    assert shelf.models.find("mine:one").files == ()


def test_a_plain_download_that_is_aborted_ends_in_its_thread(shelf: wg.Project) -> None:
    reached, ended = [0], threading.Event()

    class Plain(Shelf):
        name = "plain"

        def download(self, model: ModelRecord, progress: Any) -> ModelRecord:  # type: ignore[override]
            try:
                for reached[0] in range(20_000_000):
                    progress("x", reached[0], 20_000_000)
            except Exception:
                pass  # as libraries do that try again
            finally:
                ended.set()
            return model

    shelf.models.registry.register(Plain)

    async def main() -> None:
        begun = asyncio.Event()

        def heard(event: wg.Event) -> None:
            if event.kind == "task_progress":
                begun.set()

        run = asyncio.create_task(shelf.run(wg.Workflow().download_model(model="plain:a"), on_event=heard))
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await asyncio.to_thread(ended.wait, 5)

    asyncio.run(main())
    assert reached[0] < 20_000_000 - 1
    assert shelf.models.get("plain:a") is None


def test_progress_of_a_run_never_goes_back(server: Any, shelf: wg.Project) -> None:
    Shelf.steps = (("a", 0, 100), ("a", 90, 100), ("b", 0, 900), ("b", 450, 900), ("a", 100, 100), ("b", 900, 900))
    told: list[float] = []

    def heard(event: Any) -> None:
        if event.kind == "task_progress":
            told.append(event.data[0])

    outputs(shelf, wg.Workflow().download_model(model="shelf:a"), on_event=heard)
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] == 1.0
    assert 0.9 in told
    assert shelf.models.get("shelf:a") is not None


def test_progress_weighs_files_by_their_size_and_counts_them_while_a_size_is_unknown() -> None:
    told: list[tuple[float, str]] = []
    progress = DownloadProgress(lambda fraction, name: told.append((fraction, name)))
    progress("a", 100, 100)
    progress("b", 100, 900)
    progress("c", 5, None)
    assert told == [(1.0, "a"), (0.2, "b"), (pytest.approx((1 + 1 / 9) / 3), "c")]
    assert progress.files == {"a": (100, 100), "b": (100, 900), "c": (5, None)}


def test_a_model_without_files_cannot_be_downloaded(project: wg.Project) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="'local:wordllama' has no files to download"):
        outputs(project, wg.Workflow().download_model(model="local:wordllama"))


def test_a_graph_from_elsewhere_needs_leave_to_download_and_for_each_host(server: Any, shelf: wg.Project) -> None:
    server.files["/one.gguf"] = DATA
    shelf.models.add({"name": "mine:one", "provider": "shelf", "source": server.url("/one.gguf")})
    graph = wg.TaskGraph.from_json(wg.Workflow().download_model(model="mine:one").to_graph().to_json())
    with pytest.raises(TaskEntitlementError, match="model:download"):
        shelf.run_sync(graph)
    with pytest.raises(TaskEntitlementError, match=r"network=127\.0\.0\.1"):
        shelf.run_sync(graph, entitlements=["model:download", "network=example.com"])
    assert server.asked == []
    shelf.run_sync(graph, entitlements=["model:download", "network=127.0.0.1"])
    other = wg.TaskGraph.from_json(wg.Workflow().download_model(model="shelf:a").to_graph().to_json())
    with pytest.raises(TaskEntitlementError, match=r"network=shelf\.example"):
        shelf.run_sync(other, entitlements=["model:download"])


def test_both_names_mean_one_task() -> None:
    assert ModelDownloadTask is DownloadModelTask
    assert DownloadModelTask.type == "DownloadModelTask"
    assert not DownloadModelTask.cacheable
    graph = {"tasks": [{"id": "get", "type": "ModelDownloadTask", "defaults": {"model": "local:x"}}], "dataflows": []}
    assert type(wg.TaskGraph.from_json(graph).tasks["get"]) is DownloadModelTask
    assert "ModelDownloadTask" in task_registry
    assert "ModelDownloadTask" not in task_registry.names()
    assert "ModelDownloadTask" not in wg.TaskRegistry()


@pytest.mark.parametrize("name", [name for name, module in _SHIPPED_TASKS.items() if module.startswith("workglow.ai.")])
def test_every_task_of_models_is_imported_from_one_place(name: str) -> None:
    if name in ("JoinTextTask", "SplitTextTask", "ToolCallsTask"):
        assert name not in wg.ai.__all__  # parts of what `long_summary` and agents are made of
        return
    assert getattr(wg.ai, name) is task_registry.get(name)
    assert name in wg.ai.__all__


# ---------------------------------------------------------------------- unload, info, search


def test_unloading_takes_one_model_out_of_memory(shelf: wg.Project) -> None:
    assert outputs(shelf, wg.Workflow().unload_model(model="shelf:a")) == {"model": "shelf:a"}
    assert Shelf.loaded == {"b"}
    assert outputs(shelf, wg.Workflow().unload_model(model="local:wordllama")) == {"model": "local:wordllama"}


def test_info_is_what_record_and_provider_know(shelf: wg.Project, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"abc")
    shelf.models.add(
        {"name": "mine:a", "provider": "shelf", "source": "a", "dimensions": 8, "context_length": 99,
         "files": [{"path": str(tmp_path / "x.bin"), "size": 3}], "metadata": {"mrl": True}}
    )  # fmt: skip
    assert outputs(shelf, wg.Workflow().model_info(model="mine:a")) == {
        "model": "mine:a", "is_local": True, "is_remote": False, "is_cached": True, "is_loaded": True,
        "file_sizes": {str(tmp_path / "x.bin"): 3}, "quantizations": ["q4", "q8"], "native_dimensions": 8,
        "mrl": True, "context_length": 99, "capabilities": ["download", "embed", "info", "search", "unload"],
    }  # fmt: skip
    (tmp_path / "x.bin").unlink()
    Shelf.loaded = set()
    gone = outputs(shelf, wg.Workflow().model_info(model="mine:a"))
    assert (gone["is_cached"], gone["is_loaded"]) == (False, False)


def test_search_asks_the_catalogue_or_a_provider(shelf: wg.Project) -> None:
    shelf.models.add({"name": "mine:large", "provider": "local", "source": "wordllama"})
    (own,) = outputs(shelf, wg.Workflow().model_search(query="large"))["results"]
    assert own["id"] == "mine:large"
    (found,) = outputs(shelf, wg.Workflow().model_search(provider="shelf", query="large"))["results"]
    assert (found["id"], found["label"]) == ("shelf:large", "Large")
    shelf.models.add(found["record"])
    assert shelf.models.find("shelf:large").title == "Large"
    both = outputs(shelf, wg.Workflow().model_search(provider="shelf"))["results"]
    assert [one["id"] for one in both] == ["shelf:small", "shelf:large"]
    with pytest.raises(UnsupportedCapabilityError, match="cannot be searched"):
        outputs(shelf, wg.Workflow().model_search(provider="local"))


# ---------------------------------------------------------------------- providers


@pytest.mark.parametrize("name", sorted(_SHIPPED))
def test_what_is_read_of_a_provider_is_what_its_class_says(name: str) -> None:
    assert name in LIBRARIES, "say in workglow/ai/facts.py what it imports"
    try:
        kind = provider_registry.get(name)
    except MissingExtraError:
        pytest.skip("its libraries are not installed")
    assert provider_registry.facts(name) == facts_of_class(kind)


def test_facts_load_nothing() -> None:
    program = (
        "import sys; from workglow.ai import provider_registry as all; [all.facts(name) for name in all];"
        "print([name for name in ('numpy', 'torch', 'tokenizers', 'llama_cpp', 'mediapipe', 'openai', 'pydantic')"
        " if name in sys.modules])"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_a_provider_whose_libraries_are_missing_is_known_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "shelf", ("a_library_that_nobody_has", "json"))
    facts = facts_of_class(Shelf)
    assert (facts.installed, facts.missing) == (False, ("a_library_that_nobody_has",))
    assert facts.capabilities == ("embed",)
    assert facts.manages == ("download", "info", "search", "unload")


def test_registries_are_apart() -> None:
    one, other = ProviderRegistry(), ProviderRegistry()
    one.register(Shelf)
    assert "shelf" in one
    assert "shelf" not in other
    assert "shelf" not in provider_registry
    with pytest.raises(TaskConfigurationError, match="registered already"):
        one.register(type("Other", (Shelf,), {}))


def test_prices_of_a_record_become_the_cost_of_a_run(shelf: wg.Project) -> None:
    from workglow.ai import Finish, TextDelta, UsageReport
    from workglow.testing import ScriptedProvider

    with ScriptedProvider(answers=[[TextDelta("hi"), UsageReport(1_000_000, 500_000, 400_000), Finish()]]):
        record = {"name": "mine:chat", "provider": "scripted", "prices": {"input": 2, "output": 8, "cached_input": 1}}
        with wg.open(":memory:") as project:
            project.models.add(record)
            run = project.run_sync(wg.Workflow().text_generation(model="mine:chat"), {"prompt": "x"})
            assert run.usage_by_model["mine:chat"].cost == pytest.approx(0.6 * 2 + 0.4 * 1 + 0.5 * 8)


def test_a_file_that_is_not_the_one_of_the_record_is_not_noted(server: Any, shelf: wg.Project) -> None:
    server.files["/one.gguf"] = DATA
    shelf.models.add(
        {"name": "mine:one", "provider": "local", "files": [{"url": server.url("/one.gguf"), "sha256": "0" * 64}]}
    )
    with pytest.raises(ModelCallError, match="thrown away"):
        outputs(shelf, wg.Workflow().download_model(model="mine:one"))
    assert shelf.models.find("mine:one").fingerprint == ""


class Reader(Provider):
    """A provider that knows a model only by its file."""

    name = "reader"

    def embed(self, model: ModelRecord, texts: Any, *, purpose: Any) -> Any:
        raise AssertionError("nobody embeds here")

    def record(self, name: str) -> ModelRecord:
        path = Path(name.partition(":")[2])
        if not path.is_file():
            raise UnknownModelError(f"There is no model {name!r}.")
        size = path.stat().st_size
        return ModelRecord(name=name, provider="reader", source=str(path), context_length=size, title="From the file")


def test_a_name_that_is_a_url_is_known_once_its_file_is_here(server: Any, downloads: Any) -> None:
    server.files["/one.gguf"] = DATA
    registry = ProviderRegistry()
    registry.register(Reader)
    name = f"reader:{server.url('/one.gguf')}"
    with wg.open(":memory:", providers=registry) as project:
        project.models.downloads = downloads
        with pytest.raises(UnknownModelError):
            project.models.find(name)
        found = asyncio.run(project.models.download(name))
        assert (found.name, found.context_length, found.title) == (name, len(DATA), "From the file")
        assert project.models.find(name) == found
        project.models.add(
            {"name": "mine:one", "provider": "reader", "source": server.url("/one.gguf"), "title": "Mine"}
        )
        assert asyncio.run(project.models.download("mine:one")).title == "Mine"
        with pytest.raises(UnknownModelError):
            asyncio.run(project.models.download("reader:nowhere"))


def test_a_record_says_where_its_files_come_from() -> None:
    (file,) = urls_of(ModelRecord(name="gguf:x", provider="gguf", source="https://example.com/model.gguf"))
    assert file.url == "https://example.com/model.gguf"
    for source in ("owner/some-GGUF", "/owner/name/model.gguf", "./name/model.gguf", "~/a/b.gguf", "model.gguf"):
        assert urls_of(ModelRecord(name="gguf:x", provider="gguf", source=source)) == ()
