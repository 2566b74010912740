"""What the crash tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_nursery import Nursery


@pytest.fixture(scope="session")
def running_nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def nursery(running_nursery: Nursery, tmp_path: Path) -> Nursery:
    """The nursery, with an empty ledger for this test."""
    running_nursery.ledger = tmp_path / "ledger"
    return running_nursery
