"""What the tests of the shipped tasks share."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from workglow.graph.graph import TaskGraph
from workglow.tasks import task_registry

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run() -> Run:
    """Run one task by its type name, in a graph that has been through JSON, allowed what the type says it needs."""

    def run(name: str, inputs: Mapping[str, object] | None = None, **config: Any) -> dict[str, Any]:
        graph = TaskGraph()
        graph.add_task(task_registry.get(name)(**config), id="t")
        read = TaskGraph.from_json(json.dumps(graph.to_json()))
        needed = {need.entitlement.id for need in read.entitlements()}
        return dict(read.run_sync(inputs, entitlements=needed).outputs)

    return run


@pytest.fixture
def javascript() -> None:
    if importlib.util.find_spec("quickjs") is None:
        pytest.skip("needs pip install 'workglow[javascript]'")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
