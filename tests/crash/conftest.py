"""What the crash tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_nursery import Nursery
from job_nursery import JobNursery


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


@pytest.fixture(scope="session")
def running_job_nursery() -> Iterator[JobNursery]:
    nursery = JobNursery()
    yield nursery
    nursery.close()


@pytest.fixture
def workers(running_job_nursery: JobNursery, tmp_path: Path) -> JobNursery:
    """The nursery of workers, with an empty ledger for this test."""
    running_job_nursery.ledger = tmp_path / "ledger"
    return running_job_nursery
