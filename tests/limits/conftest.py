"""What the tests of limiters share: a project on a clock that stands still, and registries of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import workglow as wg
from workglow.queue import HandlerRegistry
from workglow.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workglow import Project


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def handlers() -> HandlerRegistry:
    return HandlerRegistry()


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock, handlers: HandlerRegistry) -> Iterator[Project]:
    with wg.open(tmp_path / "limits.wg", clock=clock, handlers=handlers) as opened:
        yield opened
