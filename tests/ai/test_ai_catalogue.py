"""The catalogue of models: kept in the file, found by name, searched, and trusted only where it was written."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.ai import ModelRecord, Models, Prices, SourceFile
from workglow.ai.catalogue import ModelChange
from workglow.ai.files import faults_of_files, with_files
from workglow.errors import (
    InvalidModelError,
    ModelCallError,
    ModelError,
    TaskEntitlementError,
    UnknownModelError,
    UnsupportedCapabilityError,
)
from workglow.storage.models import MemoryModels, StoredModel
from workglow.testing import ScriptedProvider

FULL = ModelRecord(
    name="onnx:Xenova/LaMini-Flan-T5-783M:q8",
    provider="onnx",
    source="Xenova/LaMini-Flan-T5-783M",
    title="LaMini",
    description="Rewrites texts.",
    tasks=("TextGenerationTask", "TextRewriterTask"),
    capabilities=("generate",),
    context_length=512,
    max_output_tokens=100,
    dimensions=3,
    pooling="mean",
    normalize=False,
    query_prefix="q: ",
    document_prefix="d: ",
    prices=Prices(1.5, 2.5, 0.5),
    device="cpu",
    dtype="q8",
    quantization="int8",
    revision="main",
    base_url="https://example.com/v1",
    credential="env:KEY",
    license="MIT",
    memory_bytes=10**9,
    max_concurrency=2,
    queue="slow",
    continues=True,
    files=(SourceFile("/a/b", "https://example.com/b", 5, "0" * 64),),
    fingerprint="0" * 64,
    options={"pipeline": "text2text-generation", "deep": {"list": [1, 2.5, None]}},
    metadata={"label": "é"},
)


@pytest.fixture
def models(project: wg.Project) -> Models:
    return project.models


def test_every_field_survives_the_file(project_path: Path) -> None:
    with wg.open(project_path) as project:
        project.models.add(FULL)
    with wg.open(project_path) as project:
        assert project.models.get(FULL.name) == project.models.find(FULL.name) == FULL
        assert project.models.all() == [FULL]
    with wg.open(project_path, read_only=True) as project:
        assert project.models.find(FULL.name) == FULL


def test_what_describes_a_model_is_as_good_as_a_record(models: Models) -> None:
    models.add(FULL.to_json())
    assert models.get(FULL.name) == FULL
    models.update({"name": FULL.name, "provider": "local"})
    assert models.get(FULL.name) == ModelRecord(name=FULL.name, provider="local")


def test_put_adds_or_updates(models: Models) -> None:
    told: list[str] = []
    models.events.on("*", lambda change: told.append(change.kind))
    models.put({"name": "a:b", "provider": "local"})
    models.put({"name": "a:b", "provider": "local", "title": "B"})
    assert told == ["added", "updated"]
    assert [record.title for record in models.all()] == ["B"]


def test_changes_are_told_once_with_the_record(models: Models) -> None:
    told: list[ModelChange] = []
    models.events.on("*", told.append)
    record = models.add({"name": "a:b", "provider": "local"})
    changed = models.update({"name": "a:b", "provider": "local", "title": "B"})
    models.remove("a:b")
    with pytest.raises(ModelError):
        models.remove("a:b")
    assert told == [ModelChange("added", record), ModelChange("updated", changed), ModelChange("removed", changed)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"provider": "local"}, "missing required field `name`"),
        ({"name": "a:b"}, "missing required field `provider`"),
        ({"name": "a:b", "provider": ""}, "names no provider"),
        ({"name": "plain", "provider": "local"}, "does not look like"),
        ({"name": "a:b", "provider": "local", "tasks": "not-an-array"}, r"Expected `array`, got `str` - at `\$.tasks`"),
        ({"name": "a:b", "provider": "local", "colour": 1}, "unknown field `colour`"),
        ({"name": "a:b", "provider": "local", "options": {"x": object()}}, "not JSON"),
        ({"name": "a:b", "provider": "local", "context_length": 0}, "'a:b' has a context_length of 0"),
        ({"name": "a:b", "provider": "local", "dimensions": -1}, "'a:b' has a dimensions of -1"),
        ("a:b", "Expected `object`, got `str`"),
        (None, "Expected `object`, got `null`"),
    ],
)
def test_a_wrong_record_is_refused_whoever_gets_it(models: Models, wrong: Any, reason: str) -> None:
    for method in (models.add, models.update):
        with pytest.raises(InvalidModelError, match=f"Invalid model record.*{reason}"):
            method(wrong)
    assert models.all() == []


def test_a_secret_is_not_stored(models: Models) -> None:
    with pytest.raises(InvalidModelError, match="no reference, such as 'env:OPENAI_API_KEY'") as raised:
        models.add({"name": "a:b", "provider": "local", "credential": "sk-very-secret"})
    assert "sk-very-secret" not in str(raised.value)
    assert models.all() == []


def test_a_name_of_the_catalogue_goes_before_that_of_a_provider(models: Models) -> None:
    assert models.find("local:wordllama").source == "wordllama"
    models.add({"name": "local:wordllama", "provider": "local", "source": "wordllama", "title": "Mine"})
    assert models.find("local:wordllama").title == "Mine"


def test_a_name_that_is_not_known_says_what_comes_near(models: Models) -> None:
    models.add({"name": "mine:summariser", "provider": "local"})
    with pytest.raises(UnknownModelError, match=r"Model 'mine:sumariser' not found.*mean 'mine:summariser'.*'local:…'"):
        models.find("mine:sumariser")


# ---------------------------------------------------------------------- search


def found(models: Models, *words: str, **chosen: str) -> list[str]:
    return [record.name for record in models.search(*words, **chosen)]


@pytest.fixture
def several(models: Models) -> Models:
    models.add({"name": "a:words", "provider": "local", "source": "wordllama", "description": "Vectors of WORDS"})
    models.add({"name": "b:chat", "provider": "far", "title": "Talks", "capabilities": ["chat"]})
    models.add({"name": "c:only", "provider": "local", "source": "wordllama", "tasks": ["TextEmbeddingTask"]})
    return models


def test_a_search_looks_for_all_words(several: Models) -> None:
    assert found(several) == ["a:words", "b:chat", "c:only"]
    assert found(several, "words vectors") == ["a:words"]
    assert found(several, "TALKS") == ["b:chat"]
    assert found(several, "talks vectors") == []


def test_a_search_by_provider_task_and_capability(several: Models) -> None:
    assert found(several, provider="local") == ["a:words", "c:only"]
    assert found(several, capability="embed") == ["a:words", "c:only"]
    assert found(several, capability="chat") == ["b:chat"]
    assert found(several, task="TextEmbeddingTask") == ["a:words", "c:only"]
    assert found(several, task="TextGenerationTask") == ["b:chat"]
    assert found(several, "words", task="TextEmbeddingTask", provider="far") == []


# ---------------------------------------------------------------------- trust


def test_a_record_that_reaches_out_counts_only_where_it_was_written(project_path: Path, tmp_path: Path) -> None:
    reaching = [
        {"name": "a:url", "provider": "local", "base_url": "https://evil.example"},
        {"name": "a:key", "provider": "local", "credential": "env:SECRET"},
        {"name": "a:options", "provider": "local", "options": {"trust_remote_code": True}},
        {"name": "local:wordllama", "provider": "far"},
    ]
    with wg.open(project_path) as project:
        for record in reaching:
            project.models.add(record)
        project.models.add({"name": "mine:words", "provider": "local", "source": "wordllama"})
    with wg.open(project_path) as project:
        for record in reaching:
            assert project.models.find(record["name"]).provider == record["provider"]
    shutil.copy(project_path, tmp_path / "copy.wg")
    with wg.open(tmp_path / "copy.wg") as project:
        models = project.models
        assert models.find("mine:words").source == "wordllama"
        for record in reaching:
            assert not models.is_trusted(record["name"])
            with pytest.raises(InvalidModelError, match=f"written elsewhere.*trust FILE {record['name']}"):
                models.find(record["name"])
        models.trust("a:url")
        assert models.find("a:url").base_url == "https://evil.example"
    with wg.open(tmp_path / "copy.wg") as project:
        assert project.models.is_trusted("a:url")
        assert not project.models.is_trusted("a:key")


def test_a_record_that_was_changed_in_the_file_is_not_the_one_that_was_trusted(project_path: Path) -> None:
    with wg.open(project_path) as project:
        project.models.add({"name": "a:b", "provider": "local", "options": {"x": 1}})
        with project.file.transaction() as db:
            db.execute("""UPDATE model SET record = '{"base_url":"https://evil.example","options":{"x":1}}'""")
        with pytest.raises(InvalidModelError, match=r"base_url=https://evil\.example"):
            project.models.find("a:b")


def test_a_record_that_nobody_can_read_is_named_and_can_be_removed(project: wg.Project) -> None:
    with project.file.transaction() as db:
        db.execute("INSERT INTO model VALUES ('a:b', 'local', '{\"colour\": 1}', '', 0, 0)")
    with pytest.raises(InvalidModelError, match=r"record of 'a:b' cannot be read.*unknown field `colour`"):
        project.models.all()
    assert project.models.remove("a:b").name == "a:b"
    assert project.models.all() == []


def test_a_catalogue_in_memory_needs_no_trust() -> None:
    models = Models(repository=MemoryModels())
    models.add({"name": "a:b", "provider": "local", "credential": "env:X"})
    assert models.find("a:b").credential == "env:X"
    assert StoredModel("a", "b", "{}").seal == ""


# ---------------------------------------------------------------------- inline


def test_a_record_on_the_spot_needs_no_name(models: Models) -> None:
    assert models.find({"provider": "local", "source": "wordllama"}).name == "local:wordllama"
    assert models.model({"provider": "local", "source": "wordllama"}).dimensions == 256


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            {"model_id": "onnx:Xenova/LaMini:q8", "provider": "HF_TRANSFORMERS_ONNX", "tasks": ["TextRewriterTask"],
             "title": "", "provider_config": {"model_path": "Xenova/LaMini", "dtype": "q8", "device": "webgpu",
                                              "pipeline": "text2text-generation"}},
            {"name": "onnx:Xenova/LaMini:q8", "provider": "onnx", "source": "Xenova/LaMini", "dtype": "q8",
             "tasks": ["TextRewriterTask"], "options": {"pipeline": "text2text-generation"}},
        ),
        (
            {"provider": "HF_TRANSFORMERS_ONNX", "provider_config": {"model_path": "a/b", "native_dimensions": 384,
             "pooling": "cls", "normalize": False, "dtype": "auto", "device": "cpu", "revision": "v1"}},
            {"name": "onnx:a/b", "provider": "onnx", "source": "a/b", "dimensions": 384, "pooling": "cls",
             "normalize": False, "device": "cpu", "revision": "v1"},
        ),
        (
            {"provider": "LOCAL_LLAMACPP", "provider_config": {"model_path": "m.gguf", "context_size": 2048, "seed": 3,
             "model_url": "https://example.com/m.gguf"}},
            {"name": "gguf:m.gguf", "provider": "gguf", "source": "m.gguf", "context_length": 2048,
             "files": [{"url": "https://example.com/m.gguf"}], "options": {"seed": 3}},
        ),
        (
            {"model_id": "gpt", "provider": "OPENAI",
             "provider_config": {"model_name": "gpt-4o", "credential_key": "K"}},
            {"name": "openai:gpt", "provider": "openai", "source": "gpt-4o", "credential": "K"},
        ),
        (
            {"provider": "ANTHROPIC", "provider_config": {"model_name": "claude", "max_tokens": 1024}},
            {"name": "anthropic:claude", "provider": "anthropic", "source": "claude", "max_output_tokens": 1024},
        ),
        (
            {"provider": "OLLAMA", "provider_config": {"model_name": "llama3"}},
            {"name": "openai:llama3", "provider": "openai", "source": "llama3",
             "base_url": "http://localhost:11434/v1"},
        ),
        (
            {"provider": "TENSORFLOW_MEDIAPIPE", "provider_config": {"model_path": "a.tflite", "task_engine": "text",
             "pipeline": "text-embedder"}},
            {"name": "mediapipe:a.tflite", "provider": "mediapipe", "source": "a.tflite",
             "options": {"task_engine": "text", "pipeline": "text-embedder"}},
        ),
    ],
)  # fmt: skip
def test_models_in_the_words_of_the_typescript_system(models: Models, theirs: Any, ours: Any) -> None:
    assert models.find(theirs).to_json() == ours


@pytest.mark.parametrize("provider", ["WEB_BROWSER", "nobody", None, ["OPENAI"]])
def test_a_provider_that_has_no_counterpart_is_named(models: Models, provider: Any) -> None:
    with pytest.raises(InvalidModelError, match="nobody here runs models of"):
        models.find({"provider": provider, "provider_config": {"model_name": "x"}})


def test_a_graph_from_elsewhere_may_not_say_where_texts_go(project: wg.Project) -> None:
    for model, missing in (
        ({"provider": "scripted", "source": "x", "base_url": "https://evil.example/v1"}, "network=evil.example"),
        ({"provider": "scripted", "source": "x", "credential": "env:KEY"}, "credential=env:KEY"),
        ({"provider": "OLLAMA", "provider_config": {"model_name": "x", "base_url": "http://evil.example"}},
         "network=evil.example"),
    ):  # fmt: skip
        graph = wg.TaskGraph.from_json(wg.Workflow().text_embedding(model=model).to_graph().to_json())
        with pytest.raises(TaskEntitlementError) as raised:
            project.run_sync(graph, {"text": "a"})
        assert missing in str(raised.value)


# ---------------------------------------------------------------------- gating


def test_a_model_for_other_tasks_is_refused_with_those_that_fit(project: wg.Project) -> None:
    project.models.add({"name": "a:other", "provider": "local", "source": "wordllama", "tasks": ["TextSummaryTask"]})
    project.models.add({"name": "b:fit", "provider": "local", "source": "wordllama"})
    with pytest.raises(ModelCallError) as raised:
        project.run_sync(wg.Workflow().text_embedding(model="a:other"), {"text": "x"})
    assert "Model 'a:other' for 'model' is not compatible with task 'TextEmbeddingTask'." in str(raised.value)
    assert "supports: TextSummaryTask." in str(raised.value)
    assert "Models of the catalogue that can: b:fit." in str(raised.value)


def test_a_model_that_cannot_do_it_says_what_it_can_and_who_else(project: wg.Project) -> None:
    project.models.add({"name": "b:writes", "provider": "far", "capabilities": ["generate"]})
    with pytest.raises(UnsupportedCapabilityError) as raised:
        project.run_sync(wg.Workflow().text_generation(model="local:wordllama"), {"prompt": "x"})
    assert "cannot answer in a conversation.  It can: count_tokens, embed." in str(raised.value)
    assert "b:writes" in str(raised.value)


# ---------------------------------------------------------------------- cached outputs


def test_outputs_of_another_model_of_that_name_are_not_taken_for_its_own(project: wg.Project) -> None:
    workflow = wg.Workflow().text_embedding(model="mine:words", text="a")
    with ScriptedProvider({"a": [1, 0], "q: a": [0, 1]}) as script:
        project.models.add({"name": "mine:words", "provider": "scripted"})
        assert project.run_sync(workflow).outputs["vector"].tolist() == [1, 0]
        assert project.run_sync(workflow).outputs["vector"].tolist() == [1, 0]
        assert script.asked == ["a"]
        project.models.update({"name": "mine:words", "provider": "scripted", "title": "Words", "prices": {"input": 1}})
        project.run_sync(workflow)
        assert script.asked == ["a"]  # what it answers is the same
        project.models.update({"name": "mine:words", "provider": "scripted", "document_prefix": "q: "})
        assert project.run_sync(workflow).outputs["vector"].tolist() == [0, 1]
        project.models.update({"name": "mine:words", "provider": "scripted", "fingerprint": "f" * 64})
        project.run_sync(workflow)
        assert script.asked == ["a", "q: a", "a"]


# ---------------------------------------------------------------------- files


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_files_of_a_model_are_measured(tmp_path: Path) -> None:
    (tmp_path / "one.gguf").write_bytes(b"one")
    record = with_files(ModelRecord(name="gguf:x", provider="gguf", source=str(tmp_path / "one.gguf")))
    assert record.files == (SourceFile(str(tmp_path / "one.gguf"), "", 3, digest(b"one")),)
    assert record.fingerprint == digest(b"one")
    plain = ModelRecord(name="gguf:x", provider="gguf", source="org/repo")
    assert with_files(plain) is plain


def test_a_folder_has_one_fingerprint_wherever_it_is(tmp_path: Path) -> None:
    prints: list[str] = []
    for folder in (tmp_path / "a", tmp_path / "b" / "c"):
        (folder / "deep").mkdir(parents=True)
        (folder / "x").write_bytes(b"1")
        (folder / "deep" / "y").write_bytes(b"2")
        (folder / ".cache").mkdir()
        (folder / ".cache" / "z").write_bytes(str(folder).encode())
        record = with_files(ModelRecord(name="local:x", provider="local", source=str(folder)))
        assert [Path(file.path).name for file in record.files] == ["y", "x"]
        prints.append(record.fingerprint)
    assert prints[0] == prints[1]
    (tmp_path / "a" / "x").write_bytes(b"3")
    assert (
        with_files(ModelRecord(name="local:x", provider="local", source=str(tmp_path / "a"))).fingerprint != prints[0]
    )


def test_files_that_are_not_what_they_were_are_told(tmp_path: Path) -> None:
    path = tmp_path / "one.gguf"
    path.write_bytes(b"one")
    record = with_files(ModelRecord(name="gguf:x", provider="gguf", source=str(path)))
    assert faults_of_files(record, read=True) == []
    path.write_bytes(b"two")
    assert faults_of_files(record) == []
    assert faults_of_files(record, read=True) == [f"{path} has another content than when it was added"]
    path.write_bytes(b"three")
    assert faults_of_files(record) == [f"{path} has 5 bytes instead of 3"]
    path.unlink()
    assert faults_of_files(record) == [f"{path} is not there"]
