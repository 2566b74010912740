"""What the tests of the AI room share: `from toy_provider import ToyProvider`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_provider import ToyProvider

from workglow.ai import provider_registry


@pytest.fixture
def toy() -> Iterator[type[ToyProvider]]:
    """A provider whose models each can do one thing; it is there while the test runs."""
    ToyProvider.asked.clear()
    provider_registry.register(ToyProvider)
    yield ToyProvider
    provider_registry.unregister(ToyProvider.name)
