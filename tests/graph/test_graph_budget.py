"""Budgets: a run that has taken of models what it may waits, until somebody gives it more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

import workglow as wg
from workglow.errors import BudgetError, RunStateError, TaskConfigurationError
from workglow.graph.budget import Budget
from workglow.tasks import Task, TaskContext
from workglow.testing import FakeClock


class _In(BaseModel):
    cost: float = 1.0


class Spender(Task):
    """Takes what it is told to."""

    spends: ClassVar[bool] = True
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    Input: ClassVar[type[BaseModel] | None] = _In
    done: ClassVar[list[str]] = []

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        context.record_usage("paid:model", input_tokens=10, output_tokens=5, cost=inputs["cost"])
        self.done.append(context.path)
        return {"output": inputs["cost"]}


@pytest.fixture
def registry() -> wg.TaskRegistry:
    Spender.done.clear()
    return wg.TaskRegistry([Spender])


@pytest.fixture
def project(tmp_path: Path, registry: wg.TaskRegistry) -> Iterator[wg.Project]:
    with wg.open(tmp_path / "notes.wg", clock=FakeClock(), registry=registry) as opened:
        yield opened


def chain(count: int) -> wg.TaskGraph:
    graph = wg.TaskGraph()
    for number in range(count):
        graph.add_task(Spender(id=f"t{number}", defaults={"cost": 1.0}))
        if number:
            graph.add_dataflow(f"t{number - 1}", "output", f"t{number}", "cost")
    return graph


def test_a_run_waits_when_its_budget_is_used_up_and_goes_on_with_more(project: wg.Project) -> None:
    run = project.run_sync(chain(5), budget=Budget(cost=2))
    assert run.status == "waiting"
    assert Spender.done == ["t0", "t1"]
    assert "larger budget" in project.why(run.id, "t2")
    assert project.resume_sync(run.id).status == "waiting"
    assert project.set_budget(run.id, cost=4).status == "waiting"
    assert project.resume_sync(run.id).status == "waiting"
    assert Spender.done == ["t0", "t1", "t2", "t3"]
    project.set_budget(run.id, cost=100)
    done = project.resume_sync(run.id)
    assert done.status == "completed"
    assert Spender.done == [f"t{number}" for number in range(5)]
    assert done.usage["cost"] == 5
    assert done.tasks["t2"].attempt == 1


def test_what_an_earlier_process_took_counts(tmp_path: Path, registry: wg.TaskRegistry) -> None:
    path = tmp_path / "notes.wg"
    with wg.open(path, registry=registry) as project:
        run = project.run_sync(chain(3), budget=1.0)
        assert run.status == "waiting"
    with wg.open(path, registry=registry) as project:
        project.set_budget(run.id, cost=2)
        assert project.resume_sync(run.id).status == "waiting"
        assert Spender.done == ["t0", "t1"]


def test_all_that_wait_go_on_together(project: wg.Project) -> None:
    graph = wg.TaskGraph()
    for number in range(6):
        graph.add_task(Spender(id=f"t{number}"))
    run = project.run_sync(graph, budget=2.0, concurrency=1)
    assert len(Spender.done) == 2
    project.set_budget(run.id, cost=6)
    assert project.resume_sync(run.id).status == "completed"
    assert len(Spender.done) == 6


@pytest.mark.parametrize(("budget", "done"), [({"tokens": 30}, 2), ({"cost": 0.5}, 1), ({"cost": 0}, 0)])
def test_each_amount_is_a_limit(project: wg.Project, budget: dict[str, Any], done: int) -> None:
    assert project.run_sync(chain(4), budget=Budget(**budget)).status == "waiting"
    assert len(Spender.done) == done


def test_without_a_project_the_run_fails(registry: wg.TaskRegistry) -> None:
    with pytest.raises(BudgetError, match="2 of 2 cost"):
        chain(4).run_sync(budget=Budget(cost=2), registry=registry)
    assert len(Spender.done) == 2


def test_tasks_that_take_nothing_of_models_go_on(project: wg.Project) -> None:
    @wg.task(name="budget_free", output="output")
    def free(cost: float) -> float:
        return cost

    graph = chain(2)
    graph.add_task(free, id="free")
    graph.add_dataflow("t0", "output", "free", "cost")
    run = project.run_sync(graph, budget=1.0)
    assert run.status == "waiting"
    assert run.tasks["free"].status == "completed"


def test_a_finished_run_takes_no_budget(project: wg.Project) -> None:
    run = project.run_sync(chain(1), budget=10)
    with pytest.raises(RunStateError, match="is completed"):
        project.set_budget(run.id, cost=20)


@pytest.mark.parametrize("amounts", [{}, {"cost": -1}, {"tokens": float("nan")}, {"model_seconds": True}])
def test_what_is_no_budget_is_refused(amounts: dict[str, Any]) -> None:
    with pytest.raises(TaskConfigurationError, match=r"[Bb]udget"):
        Budget(**amounts)


def test_a_run_under_way_goes_on_at_once(project: wg.Project) -> None:
    def on_event(event: wg.Event) -> None:
        if event.kind == "task_waiting":
            project.set_budget(event.run, cost=10)

    assert project.run_sync(chain(4), budget=2.0, wait=True, on_event=on_event).status == "completed"
    assert len(Spender.done) == 4
