"""What runs took of models: kept per attempt, counted once, whatever happens to the run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

import workglow as wg
from workglow import Retry, TaskContext, Usage, Workflow, task
from workglow.errors import TaskFailedError
from workglow.file import doctor

attempts: list[str] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    attempts.clear()


@task(name="usage_ask", output="value", retry=Retry(attempts=3))
def ask(value: int, context: TaskContext) -> int:
    attempts.append(context.path)
    context.record_usage("large", input_tokens=10, cost=0.1)
    context.record_usage("large", output_tokens=1)
    if value < 0 or attempts.count(context.path) == 1:
        raise ValueError("the answer was no JSON")
    context.record_usage("small", input_tokens=5)
    return value


@task(name="usage_sum", output="value")
async def add_up(value: list[int], context: TaskContext) -> int:
    context.record_usage("large", input_tokens=100)
    await asyncio.sleep(0)
    return sum(value)


@task(name="usage_inline", output="value", inline=True)
def inline(value: int, context: TaskContext) -> int:
    context.record_usage(output_tokens=3)
    return value


@task(name="usage_free", output="value")
def free(value: int) -> int:
    return value


def workflow() -> Workflow:
    return Workflow().map(Workflow().then(ask)).then(add_up).then(inline)


def models_of(run: wg.Run) -> dict[str, tuple[int, int]]:
    return {model: (usage.input_tokens, usage.output_tokens) for model, usage in run.usage_by_model.items()}


@pytest.mark.parametrize("durable", [True, False], ids=["project", "memory"])
def test_every_attempt_counts_for_its_task_its_model_and_the_run(durable: bool, project: wg.Project) -> None:
    inputs = {"value": [1, 2]}
    run = project.run_sync(workflow(), inputs) if durable else workflow().run_sync(inputs)
    assert models_of(run) == {"large": (140, 4), "small": (10, 0), "": (0, 3)}
    assert run.usage_by_task["map[0]/usage_ask"] == Usage(25, 2, 0.0, 0.2)
    assert run.tasks["map[0]/usage_ask"].usage == Usage(25, 2, 0.0, 0.2)
    assert [(part.attempt, part.model, part.input_tokens) for part in run.tasks["map[1]/usage_ask"].usage_parts] == [
        (1, "large", 10),
        (2, "large", 10),
        (2, "small", 5),
    ]
    whole = run.usage
    assert (whole["input_tokens"], whole["output_tokens"], whole["cost"]) == (150, 7, 0.4)
    assert sum(run.usage_by_task.values(), Usage()) == sum(run.usage_by_model.values(), Usage())


def test_a_task_that_fails_for_good_keeps_what_it_took(project: wg.Project) -> None:
    with pytest.raises(TaskFailedError) as failure:
        project.run_sync(Workflow().then(ask), {"value": -1})
    run = failure.value.run
    assert isinstance(run, wg.Run)
    assert run.tasks["usage_ask"].usage == Usage(30, 3, 0.0, 0.3)
    assert project.get(run.id).usage["input_tokens"] == 30


def test_an_attempt_and_its_usage_are_one_transaction(project: wg.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever instant the file is copied at, an attempt that it says is over has its usage."""
    from workglow.storage.sqlite.journal import SqliteJournal

    seen: list[tuple[str, int, int]] = []
    commit = SqliteJournal.commit

    def and_look(self: SqliteJournal, rows: Any, **options: Any) -> Any:
        waiting = commit(self, rows, **options)
        for row in project.file.reader.execute(
            "SELECT status, attempt, coalesce(usage ->> 'input_tokens', 0) FROM task_run WHERE path = 'usage_ask'"
        ):
            seen.append(row)  # type: ignore[arg-type]
        return waiting

    monkeypatch.setattr(SqliteJournal, "commit", and_look)
    project.run_sync(Workflow().then(ask), {"value": 1})
    assert ("completed", 2, 25) in seen
    for status, attempt, taken in seen:
        over = attempt if status in ("completed", "pending") else attempt - 1
        assert taken >= 10 * over, seen


def test_resuming_counts_nothing_twice(project_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            with wg.open(project_path) as project:
                project.run_sync(Workflow().map(Workflow().then(ask)).then(last_words), {"value": [1, 2]})
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    with wg.open(project_path) as project:
        run = project.resume_sync()
        assert run.status == "completed"
        # Two attempts of each item; and two of the last task, the first of which was killed after it had said so.
        assert models_of(run) == {"large": (40, 4), "small": (10, 0), "other": (14, 0)}
        assert [part.attempt for part in run.tasks["usage_last_words"].usage_parts] == [1, 2]
        assert project.resume_sync(run.id).usage == run.usage
    assert doctor(project_path).ok


@task(name="usage_last_words", output="value")
async def last_words(value: list[int], context: TaskContext) -> int:
    context.record_usage("other", input_tokens=7)
    if context.attempt == 1:
        await _until_kept()
        os.kill(os.getpid(), 9)
    return sum(value)


async def _until_kept() -> None:
    for _ in range(1000):
        await asyncio.sleep(0)  # the runner's turn


def test_a_fork_pays_only_for_what_it_runs(project: wg.Project) -> None:
    first = project.run_sync(workflow(), {"value": [1, 2]})
    again = project.fork_sync(first.id, from_task="usage_sum")
    assert models_of(again) == {"large": (100, 0), "": (0, 3)}
    assert (again.usage["attempts"], again.usage["cached"], again.usage["input_tokens"]) == (2, 3, 100)
    assert project.get(first.id).usage["input_tokens"] == 150


def test_a_rerun_pays_only_for_what_it_runs(project: wg.Project) -> None:
    graph = Workflow().map(Workflow().then(ask))
    failed = project.run_sync(graph, {"value": [-1, 2]}, continue_on_error=True)
    assert (failed.status, failed.usage["input_tokens"]) == ("failed", 30 + 25)
    again = project.rerun_failed_sync(failed.id)
    assert (again.status, again.usage["input_tokens"]) == ("failed", 30)
    assert list(again.usage_by_task) == ["map[0]/usage_ask"]
    assert project.get(failed.id).usage["input_tokens"] == 30 + 25


def test_what_the_cache_gives_took_nothing(project: wg.Project) -> None:
    project.run_sync(Workflow().then(inline), {"value": 1})
    again = project.run_sync(Workflow().then(inline), {"value": 1})
    assert again.usage["cached"] == 1
    assert again.tasks["usage_inline"].usage == Usage()
    assert (again.usage_by_task, again.usage["output_tokens"]) == ({}, 0)


def test_a_task_that_takes_nothing_has_no_usage_in_the_file(project_path: Path) -> None:
    with wg.open(project_path) as project:
        project.run_sync(Workflow().then(free), {"value": 1})
    db = apsw.Connection(str(project_path), flags=apsw.SQLITE_OPEN_READONLY)
    assert db.execute("SELECT count(usage), count(*) FROM task_run").get == (0, 1)
    db.close()
