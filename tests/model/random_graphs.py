"""Random graphs of small tasks over whole numbers, with every kind of compound task inside each other.

`random_graph(Random(seed))` gives the same graph for the same seed.  Each takes the input `value`, an integer, and
gives `value`, an integer; what runs inside depends on the value.  Everything in a graph is data, so it can be stored.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from workglow import (
    Collect,
    ConditionalTask,
    FallbackTask,
    ForEachTask,
    GraphAsTask,
    MapTask,
    ReduceTask,
    SwitchTask,
    Task,
    TaskContext,
    TaskGraph,
    TaskRegistry,
    WhileTask,
)
from workglow.graph.schemas import GRAPH_RESULT_ARRAY
from workglow.tasks import task

__all__ = ["random_graph", "registry", "run_count"]

_MODULUS = 1009
run_count: dict[str, int] = {}
"""How often each path has begun, for whoever clears it first."""


@task(name="rg_add", output="value", cache=False, inline=True)
def add(value: int, context: TaskContext, by: int = 1) -> int:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    return (value + by) % _MODULUS


@task(name="rg_wait", output="value", cache=False)
async def wait(value: int, context: TaskContext, by: int = 3) -> int:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    await asyncio.sleep(0)
    return value * by % _MODULUS


@task(name="rg_picky", output="value", cache=False, inline=True)
def picky(value: int, context: TaskContext, of: int = 3) -> int:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    if value % of:
        raise ValueError(f"{value} is not divisible by {of}")
    return value // of + 1


@task(name="rg_comfort", output="value", cache=False, inline=True)
def comfort(error: str) -> int:
    return len(error) % 7


@task(name="rg_join", output="value", cache=False, inline=True)
def join(values: Collect[int]) -> int:
    return sum(values) % _MODULUS


@task(name="rg_spread", output="items", cache=False, inline=True)
def spread(value: int, count: int = 3) -> list[int]:
    return [(value + number) % _MODULUS for number in range(count)]


@task(name="rg_fold", output="accumulator", cache=False, inline=True)
def fold(accumulator: int, value: int, iteration_index: int = 0) -> int:
    return (3 * accumulator + value + iteration_index) % _MODULUS


@task(name="rg_total", output="value", cache=False, inline=True)
def total(items: list[Any]) -> int:
    return sum(_number(item) for item in items) % _MODULUS


@task(name="rg_pass", output="value", cache=False, inline=True)
def pass_on(value: int = 5) -> int:
    return value


def _number(item: Any) -> int:
    if isinstance(item, dict):
        return _number(item["data"]["value"])
    return item or 0


TASKS = (add, wait, picky, comfort, join, spread, fold, total, pass_on)


def registry() -> TaskRegistry:
    """The tasks that the graphs are made of."""
    return TaskRegistry([made.task_type for made in TASKS])


def random_graph(random: Random, *, depth: int | None = None) -> TaskGraph:
    """A chain of one to three parts, each from `value` to `value`, with graphs inside graphs down to `depth`."""
    depth = random.choice((1, 1, 2)) if depth is None else depth
    graph = TaskGraph()
    last: tuple[str, str] | None = None
    for number in range(random.choice((1, 1, 1, 2, 3))):
        part = random.choice(_LEAVES if depth == 0 else _PARTS)
        first, ends = part(graph, random, f"p{number}", depth)
        if last is not None:
            graph.add_dataflow(*last, first, "value")
        last = ends
    assert last is not None
    if random.random() < 0.2:
        graph.name_output("value", *last)
    elif last[1] != "value":
        graph.add_task(pass_on, id="end")
        graph.add_dataflow(*last, "end", "value")
    return graph


# Each adds tasks to a graph: the id of the task that takes `value`, and the task and port that give the result.
Ends = tuple[str, tuple[str, str]]


def _one(graph: TaskGraph, made: Task) -> Ends:
    graph.add_task(made)
    return made.id, (made.id, "value")


def _plain(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    graph.add_task(random.choice((add, wait)), id=id, by=random.randrange(1, 5))
    return id, (id, "value")


def _handled(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    graph.add_task(picky, id=id, of=random.randrange(1, 4))
    graph.add_task(comfort, id=f"{id}_comfort")
    graph.add_task(join, id=f"{id}_join")
    graph.add_dataflow(id, "[error]", f"{id}_comfort", "*")
    graph.add_dataflow(id, "value", f"{id}_join", "values")
    graph.add_dataflow(f"{id}_comfort", "value", f"{id}_join", "values")
    return id, (f"{id}_join", "value")


def _group(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    return _one(graph, GraphAsTask(random_graph(random, depth=depth - 1), id=id))


def _side_by_side(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    listed = random.random() < 0.5
    inner = TaskGraph(merge=GRAPH_RESULT_ARRAY) if listed else TaskGraph()
    for name in ("left", "right"):
        inner.add_task(GraphAsTask(random_graph(random, depth=depth - 1), id=name))
    graph.add_task(GraphAsTask(inner, id=id))
    graph.add_task(total, id=f"{id}_total")
    graph.add_dataflow(id, "results" if listed else "value", f"{id}_total", "items")
    return id, (f"{id}_total", "value")


def _branches(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    if random.random() < 0.5:
        cases: Any = {"low": [0, 1, 2], "some": list(range(3, 500, 2))}
        graph.add_task(SwitchTask(id=id, field="value", cases=cases, default="other"))
        ports = ["low", "some", "other"]
    else:
        branches = [
            {"id": port, "condition": {"field": "value", "operator": operator, "value": random.randrange(400)}}
            for port, operator in (("more", "greater_than"), ("less", "less_than"), ("rest", "is_empty"))
        ]
        exclusive = random.random() < 0.5
        graph.add_task(ConditionalTask(id=id, branches=branches, exclusive=exclusive, default_branch="rest"))
        ports = ["more", "less", "rest"]
    graph.add_task(pass_on, id=f"{id}_in")
    graph.add_dataflow(f"{id}_in", "value", id, "value")
    graph.add_task(join, id=f"{id}_join")
    for port in ports:
        graph.add_task(GraphAsTask(random_graph(random, depth=depth - 1), id=f"{id}_{port}"))
        graph.add_dataflow(id, port, f"{id}_{port}", "*")
        graph.add_dataflow(f"{id}_{port}", "value", f"{id}_join", "values")
    return f"{id}_in", (f"{id}_join", "value")


def _listed(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    graph.add_task(spread, id=id, count=random.randrange(5))
    options: dict[str, Any] = {"id": f"{id}_map", "max_iterations": "unbounded"}
    if random.random() < 0.5:
        options["concurrency"] = random.randrange(1, 4)
    if random.random() < 0.3:
        options["batch_size"] = random.randrange(1, 4)
    body = random_graph(random, depth=depth - 1)
    if random.random() < 0.2:
        graph.add_task(ForEachTask(body, discard_results=False, **options))
    else:
        graph.add_task(MapTask(body, **options))
    graph.add_dataflow(id, "items", f"{id}_map", "value")
    if random.random() < 0.5:
        graph.add_task(total, id=f"{id}_total")
        graph.add_dataflow(f"{id}_map", "value", f"{id}_total", "items")
        return id, (f"{id}_total", "value")
    inner = TaskGraph()
    if random.random() < 0.5:
        inner.add_task(fold, id="fold")
    else:
        inner.add_task(GraphAsTask(random_graph(random, depth=depth - 1), id="first"))
        inner.add_task(fold, id="fold")
        inner.add_dataflow("first", "value", "fold", "value")
    graph.add_task(ReduceTask(inner, id=f"{id}_fold", initial_value=random.randrange(9), max_iterations="unbounded"))
    graph.add_dataflow(f"{id}_map", "value", f"{id}_fold", "value")
    return id, (f"{id}_fold", "accumulator")


def _loop(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    body = random_graph(random, depth=depth - 1)
    operator = random.choice(("less_than", "greater_than"))
    limit = random.randrange(1, 5)
    loop = WhileTask(
        body,
        id=id,
        condition_field="value",
        condition_operator=operator,
        condition_value=random.randrange(300),
        max_iterations=limit,
        chain_iterations=random.random() < 0.8,
    )
    return _one(graph, loop)


def _alternatives(graph: TaskGraph, random: Random, id: str, depth: int) -> Ends:
    inner = TaskGraph()
    if random.random() < 0.4:
        inner.add_task(picky, id="picky", of=random.randrange(2, 4))
        inner.add_task(GraphAsTask(random_graph(random, depth=depth - 1), id="then"))
        inner.add_dataflow("picky", "value", "then", "value")
        given = [{}, *({"value": random.randrange(9)} for _ in range(2)), {"value": 6}]
        return _one(graph, FallbackTask(inner, id=id, mode="data", alternatives=given))
    for number in range(random.randrange(1, 3)):
        wrapped = TaskGraph()
        wrapped.add_task(wait, id="before", by=random.randrange(1, 4))
        wrapped.add_task(picky, id="picky", of=random.randrange(2, 5))
        wrapped.add_dataflow("before", "value", "picky", "value")
        inner.add_task(GraphAsTask(wrapped, id=f"try{number}"))
    inner.add_task(GraphAsTask(random_graph(random, depth=depth - 1), id="last"))
    return _one(graph, FallbackTask(inner, id=id))


_LEAVES = (_plain, _plain, _handled)
_PARTS = (_plain, _handled, _group, _side_by_side, _branches, _listed, _listed, _loop, _loop, _alternatives)
