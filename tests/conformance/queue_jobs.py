"""The handler that the cases of queues share, keyed on what it is told to do, and a queue of its own for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow import Project
from workglow.errors import PermanentJobError, RetryableJobError
from workglow.queue import HandlerRegistry, JobContext
from workglow.testing import FakeClock

handlers = HandlerRegistry()


@wg.job(registry=handlers, name="scripted")
async def scripted(context: JobContext, task_type: str = "", data: str = "") -> object:
    """Do what `task_type` says; anything else gives the data with its first "input" replaced by "output"."""
    if task_type == "failing":
        raise ValueError("Job failed as expected")
    if task_type == "failing_retryable":
        raise RetryableJobError("Job failed but can be retried", after=2)
    if task_type == "permanent_fail":
        raise PermanentJobError("Permanent failure - do not retry")
    if task_type == "long_running":
        await asyncio.Event().wait()
    if task_type == "progress":
        context.progress(0.25, "Starting task")
        context.progress(0.5, "Halfway there")
        context.progress(0.75, "Almost done", {"stage": "almost final"})
        context.progress(7, "Completed", {"stage": "final"})
        return {"result": "completed with progress"}
    return {"result": data.replace("input", "output", 1) if data else "output"}


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[Project]:
    with wg.open(tmp_path / "cases.wg", clock=clock, handlers=handlers) as opened:
        yield opened
