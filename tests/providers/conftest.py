"""Models made once for all tests of their providers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from workglow.ai import Model, Models

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the first import of its library, which reads it once

Make = Callable[[Callable[..., Path]], Model]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Where a model is that a function makes; it is made once."""
    folder, there = tmp_path_factory.mktemp("models"), dict[str, Path]()

    def make(function: Callable[..., Path], **options: object) -> Path:
        name = "-".join([function.__name__, *(f"{key}-{value}" for key, value in options.items())])
        if name not in there:
            there[name] = function(folder / name, **options)
        return there[name]

    return make


@pytest.fixture(scope="session")
def models() -> Iterator[Models]:
    models = Models()
    yield models
    models.close()


@pytest.fixture(scope="session")
def torch_threads() -> None:
    """Leave the other cores to others."""
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
