"""What the README promises about when a task starts, and what the hot queries cost."""

from __future__ import annotations

from pathlib import Path

import pytest

import workglow as wg
from workglow import TaskContext, TaskGraph, Workflow, task
from workglow.file import File
from workglow.testing import FakeClock

seen: list[tuple[str, str, str | None]] = []


def look(context: TaskContext, *before: str) -> None:
    """Read, on a connection of its own, what is committed about this task and those before it."""
    with File.open(context.project.path, read_only=True) as file:
        for path in (context.path, *before):
            row = file.reader.execute(
                "SELECT task_run.status FROM task_run JOIN run ON run.id = run_id WHERE uid = ? AND path = ?",
                (context.run_id, path),
            ).fetchone()
            seen.append((context.path, path, None if row is None else row[0]))


@task(name="promise_first", output="value", cache=False, inline=True)
def first(value: int, context: TaskContext) -> int:
    look(context)
    return value


@task(name="promise_second", output="value", cache=False)
async def second(value: int, context: TaskContext) -> int:
    look(context, "first")
    return value


@task(name="promise_third", output="value", cache=False)
def third(value: int, context: TaskContext) -> int:
    look(context, "second")
    return value


@pytest.mark.parametrize("durability", ["auto", "process", "power"])
def test_a_task_never_starts_before_everything_it_reads_is_committed(tmp_path: Path, durability: str) -> None:
    seen.clear()
    flow = Workflow().then(first, id="first").then(second, id="second").then(third, id="third")
    with wg.open(tmp_path / "a.wg", durability=durability) as project:  # type: ignore[arg-type]
        project.run_sync(flow, {"value": 1})
    assert seen == [
        ("first", "first", "running"),
        ("second", "second", "running"),
        ("second", "first", "completed"),
        ("third", "third", "running"),
        ("third", "second", "completed"),
    ]


@task(name="promise_slow", output="value", cache=False, inline=True)
def slow(value: int, context: TaskContext) -> int:
    context.project.file.clock.advance(1)  # longer than the runner lets work in place go on without a commit
    look(context, "slow", "behind_slow")
    return value


def test_what_became_ready_is_written_with_what_it_waited_for(tmp_path: Path) -> None:
    seen.clear()
    graph = TaskGraph()
    for id in ("alone", "slow", "looks_later"):  # the first batch has one task, the second has two
        graph.add_task(slow, id=id, value=1)
    graph.add_task(first, id="behind_slow")
    graph.add_dataflow("slow", "value", "behind_slow", "value")
    with wg.open(tmp_path / "a.wg", clock=FakeClock()) as project:
        project.run_sync(graph)
    assert ("looks_later", "slow", "completed") in seen
    assert ("looks_later", "behind_slow", "pending") in seen


HOT = {
    "the fence": ("SELECT 1 FROM run WHERE id = ? AND session_id IS ? AND epoch = ?", "USING INTEGER PRIMARY KEY"),
    "a task by its path": (
        "SELECT * FROM task_run WHERE run_id = ? AND path = ?", "task_run_path (run_id=? AND path=?)",
    ),
    "what is open": (
        "SELECT * FROM task_run WHERE +run_id = ? AND finished_at IS NULL AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    ),
    "a cached output": ("SELECT output, id FROM task_run WHERE cache_key = ? LIMIT 1", "task_run_cache (cache_key=?)"),
    "a value": ("SELECT kind, encoding, data FROM value WHERE hash = ?", "(hash=?)"),
    "a task of a graph": ("SELECT definition FROM graph_task WHERE graph_id = ? AND task_id = ?", "PRIMARY KEY"),
    "edges into a task": (
        "SELECT source_id FROM dataflow WHERE graph_id = ? AND target_id = ? ORDER BY position", "PRIMARY KEY",
    ),
    "edges out of a task": (
        "SELECT target_id FROM dataflow WHERE graph_id = ? AND source_id = ? ORDER BY position", "dataflow_source",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_hot_queries_search_and_never_scan(name: str) -> None:
    query, means = HOT[name]
    with File.open(":memory:") as file:
        count = query.count("?")
        plan = [row[3] for row in file.reader.execute(f"EXPLAIN QUERY PLAN {query}", (None,) * count)]
    assert any(means in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan), plan
