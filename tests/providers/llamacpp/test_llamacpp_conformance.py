"""The conformance suite, run on a model of random numbers, and on a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import asking  # skips where there is no llama.cpp
import pytest

from workglow.errors import ContextTooLongError, InvalidModelError, UnknownModelError
from workglow.testing import ProviderConformance

__all__ = ["asking"]


class TestTiny(ProviderConformance):
    capabilities = ("embed", "chat", "generate", "count_tokens")

    @pytest.fixture(autouse=True)
    def where(self, tiny: Path) -> None:
        self.model = {"name": "my:tiny", "provider": "gguf", "source": str(tiny), "options": {"threads": 1}}
        self.failures = [
            ("gguf:/no/such/file.gguf", UnknownModelError),
            ("gguf:nobody/nothing", UnknownModelError),
            ({**self.model, "context_length": 2}, ContextTooLongError),
            ({**self.model, "options": {"thread": 1}}, InvalidModelError),
        ]


class TestSmolLM2(ProviderConformance):
    capabilities = ("embed", "chat", "generate", "call_tools", "structured", "count_tokens")
    writes: ClassVar[dict[str, Any]] = {"max_tokens": 40, "temperature": 0.0}

    @pytest.fixture(autouse=True)
    def where(self, smollm: str) -> None:
        self.model = smollm
