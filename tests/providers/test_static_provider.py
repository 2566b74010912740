"""Static embeddings: the packaged model, Model2Vec folders, and what is said when there is no model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from workglow.ai import EmbeddingModel, models_without_project, provider_registry
from workglow.errors import MissingExtraError, ModelError, UnknownModelError
from workglow.providers import static
from workglow.providers.static import StaticEmbeddingModel

pytestmark = [
    pytest.mark.extra("local"),
    pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama: pip install 'workglow[local]'"),
]


@pytest.fixture(scope="module")
def wordllama() -> EmbeddingModel:
    return models_without_project().model("local:wordllama")


def cosines(model: EmbeddingModel, *texts: str) -> np.ndarray:
    vectors = model.embed_sync(texts)
    assert isinstance(vectors, np.ndarray)
    return vectors @ vectors.T


def test_paraphrases_are_nearer_than_unrelated_texts(wordllama: EmbeddingModel) -> None:
    pairs = [
        ("How do I resume a run after a crash?", "Continue the workflow once the process was killed."),
        ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
        ("Interest rates were raised by the bank.", "The central bank increased its lending rate."),
    ]
    likeness = cosines(wordllama, *(text for pair in pairs for text in pair))
    for row in range(6):
        twin = row ^ 1
        others = [likeness[row, other] for other in range(6) if other not in (row, twin)]
        assert likeness[row, twin] > max(others) + 0.05


def test_vectors_are_float32_of_unit_length_and_the_same_alone_or_in_a_batch(wordllama: EmbeddingModel) -> None:
    texts = [f"sentence number {number} " * (number % 40) + "x" for number in range(3000)]
    vectors = wordllama.embed_sync(texts)
    assert isinstance(vectors, np.ndarray)
    assert (vectors.shape, vectors.dtype) == ((3000, 256), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for row in (0, 1, 1023, 1024, 2999):
        assert np.allclose(vectors[row], wordllama.embed_sync([texts[row]]), atol=1e-5)


def test_a_text_without_tokens_is_a_row_of_zeros(wordllama: EmbeddingModel) -> None:
    vectors = wordllama.embed_sync(["", "word", ""])
    assert isinstance(vectors, np.ndarray)
    assert vectors.any(axis=1).tolist() == [False, True, False]
    empty = wordllama.embed_sync([])
    assert isinstance(empty, np.ndarray)
    assert empty.shape == (0, 256)
    assert wordllama.count_tokens("") == 0


def test_a_text_longer_than_a_block_is_the_mean_of_all_of_it(wordllama: EmbeddingModel) -> None:
    long = "one " * 40_000 + "two " * 30_000
    assert cosines(wordllama, long, "one " * 400 + "two " * 300)[0, 1] > 0.999
    assert cosines(wordllama, long, "two " * 300)[0, 1] < 0.99
    assert wordllama.count_tokens(long) >= 70_000


def test_wordllama_itself_is_never_imported() -> None:
    program = (
        "import sys; from workglow.ai import models_without_project as m; m().model('local:wordllama');"
        "print([name for name in ('wordllama', 'requests', 'torch') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_a_model_is_read_once_until_its_files_change(folder: Path) -> None:
    def loaded() -> StaticEmbeddingModel:
        return static._loaded(f"local:{folder}")  # pyright: ignore[reportPrivateUsage]

    first = loaded()
    assert loaded() is first
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert loaded() is not first


WORDS = ["[UNK]", "alpha", "beta", "gamma"]
TABLE = np.array([[9, 9], [3, 4], [0, 2], [1, 0]], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "model", embeddings=TABLE)


def make_folder(folder: Path, **tensors: np.ndarray) -> Path:
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder.mkdir()
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"normalize": False}))
    return folder


def rows(model: EmbeddingModel, *texts: str) -> list[list[float]]:
    vectors = model.embed_sync(texts)
    assert isinstance(vectors, np.ndarray)
    return np.round(vectors, 4).tolist()


def test_a_model2vec_folder_is_a_model_without_truncation_padding_or_unknown_words(folder: Path) -> None:
    model = models_without_project().model(f"local:{folder}")
    assert (model.name, model.dimensions, model.max_tokens) == (f"local:{folder}", 2, None)
    assert rows(model, "alpha", "alpha strange strange", "strange", "alpha gamma gamma gamma gamma gamma") == [
        [np.float32(0.6), np.float32(0.8)],
        [np.float32(0.6), np.float32(0.8)],
        [0, 0],
        np.round(np.array([8, 4], np.float32) / np.sqrt(np.float32(80)), 4).tolist(),
    ]
    assert model.count_tokens("alpha beta gamma alpha") == 4


def test_shared_rows_and_weights_of_newer_model2vec_folders_are_used(tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "shared",
        embeddings=np.array([[3, 4], [0, 2]], np.float16),
        mapping=np.array([0, 0, 1, 1], np.int64),
        weights=np.array([1, 1, 4, 0], np.float64),
    )
    model = models_without_project().model(f"local:{folder}")
    expected = np.array([3, 4 + 8], np.float32)
    (row,) = rows(model, "alpha beta gamma")
    assert np.allclose(row, expected / np.linalg.norm(expected), atol=1e-3)


def test_a_home_folder_may_be_written_with_a_tilde(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert models_without_project().model("local:~/model").name == "local:~/model"


@pytest.mark.parametrize("name", ["wordllama", "gpt:x", "", "local", ":x"])
def test_a_name_without_a_known_provider_says_what_names_look_like(name: str) -> None:
    with pytest.raises(UnknownModelError, match=r"'local:…'.*'local:wordllama'.*pip install 'workglow\[local\]'"):
        models_without_project().model(name)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"has no model\.safetensors and no tokenizer\.json.*'local:wordllama'"):
        models_without_project().model(f"local:{tmp_path}")


def test_a_missing_library_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "workglow.providers.static", raising=False)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setattr(provider_registry, "_classes", {})
    with pytest.raises(MissingExtraError, match=r"tokenizers.*pip install 'workglow\[local\]'"):
        models_without_project().model("local:wordllama")


def test_damaged_models_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer of .* cannot be read"):
        models_without_project().model(f"local:{folder}").embed_sync(["alpha"])
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match=r"cannot be read"):
        models_without_project().model(f"local:{folder}").embed_sync(["alpha"])
    bad = {
        "unnamed": ({"other": TABLE}, "no table of token vectors"),
        "flat": ({"embeddings": TABLE.ravel()}, "no table of token vectors"),
        "short": ({"embeddings": TABLE[:2]}, "has 4 tokens but only 2"),
        "astray": ({"embeddings": TABLE, "mapping": np.array([0, 1, 2, 9])}, "vectors that it does not have"),
        "light": ({"embeddings": TABLE, "weights": np.ones(3)}, "has 4 tokens but only 3"),
    }
    for name, (tensors, reason) in bad.items():
        with pytest.raises(ModelError, match=reason):
            models_without_project().model(f"local:{make_folder(tmp_path / name, **tensors)}").embed_sync(["alpha"])
