"""What the crash tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_nursery import Nursery


@pytest.fixture()
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path / "ledger")
    yield nursery
    nursery.close()
