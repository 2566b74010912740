"""Random graphs of small tasks over whole numbers, with every kind of compound task inside each other.

`random_graph(Random(seed))` gives the same graph for the same seed.  Each takes the input `value`, an integer, and
gives `value`, an integer; what runs inside depends on the value.  Everything in a graph is data, so it can be stored.
With `waits=True` some tasks wait: for a time, for one of EVENTS, or for a person.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from random_tasks import (
    add,
    comfort,
    falter,
    fold,
    head,
    hear,
    join,
    pass_on,
    picky,
    read,
    registry,
    repeat,
    rescue,
    run_count,
    say,
    spread,
    stumble,
    take,
    told,
    total,
    wait,
)

from workglow import (
    ArrayTask,
    ConditionalTask,
    DelayTask,
    FallbackTask,
    ForEachTask,
    GraphAsTask,
    HumanApprovalTask,
    HumanInputTask,
    MapTask,
    ReduceTask,
    SwitchTask,
    Task,
    TaskGraph,
    WaitForEventTask,
    WhileTask,
)
from workglow.graph.schemas import GRAPH_RESULT_ARRAY
from workglow.library.subgraph import JsonTask
from workglow.tasks import TaskFunction

__all__ = ["EVENTS", "random_graph", "registry", "run_count"]

EVENTS = {"red": 11, "blue": 23}
"""The events that tasks wait for, and what is to be sent with each."""

NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}

# Each part adds tasks to a graph: the id of the task that takes `value`, and the task and port that give the result.
Ends = tuple[str, tuple[str, str]]


def random_graph(random: Random, *, depth: int | None = None, waits: bool = False) -> TaskGraph:
    """A chain of one to three parts, each from `value` to `value`, with graphs inside graphs down to `depth`."""
    return _Maker(random, waits).graph(random.choice((1, 1, 2)) if depth is None else depth)


def _one(graph: TaskGraph, made: Task) -> Ends:
    graph.add_task(made)
    return made.id, (made.id, "value")


def _alone(made: TaskFunction[..., Any]) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(made, id="alone")
    return graph


class _Maker:
    def __init__(self, random: Random, waits: bool) -> None:
        self.random = random
        waiting = (self._delay, self._event, self._question, self._approval) if waits else ()
        self.leaves = (self._plain, self._plain, self._handled, self._streamed_here, *waiting)
        self.parts = (
            *(self._plain, self._handled, self._group, self._side_by_side, self._branches, self._listed, self._listed),
            *(self._loop, self._loop, self._alternatives, self._rescued, self._configured, self._from_json),
            *(self._streamed, self._streamed_through, self._streamed_through, *waiting),
        )

    def graph(self, depth: int) -> TaskGraph:
        graph = TaskGraph()
        last: tuple[str, str] | None = None
        for number in range(self.random.choice((1, 1, 1, 2, 3))):
            part = self.random.choice(self.leaves if depth == 0 else self.parts)
            first, ends = part(graph, f"p{number}", depth)
            if last is not None:
                graph.add_dataflow(*last, first, "value")
            last = ends
        assert last is not None
        if self.random.random() < 0.2:
            graph.name_output("value", *last)
        elif last[1] != "value":
            graph.add_task(pass_on, id="end")
            graph.add_dataflow(*last, "end", "value")
        return graph

    def _plain(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        graph.add_task(self.random.choice((add, wait)), id=id, by=self.random.randrange(1, 5))
        return id, (id, "value")

    def _handled(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        graph.add_task(picky, id=id, of=self.random.randrange(1, 4))
        graph.add_task(comfort, id=f"{id}_comfort")
        graph.add_task(join, id=f"{id}_join")
        graph.add_dataflow(id, "[error]", f"{id}_comfort", "*")
        graph.add_dataflow(id, "value", f"{id}_join", "values")
        graph.add_dataflow(f"{id}_comfort", "value", f"{id}_join", "values")
        return id, (f"{id}_join", "value")

    def _group(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        return _one(graph, GraphAsTask(self.graph(depth - 1), id=id))

    def _side_by_side(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        listed = self.random.random() < 0.5
        inner = TaskGraph(merge=GRAPH_RESULT_ARRAY) if listed else TaskGraph()
        for name in ("left", "right"):
            inner.add_task(GraphAsTask(self.graph(depth - 1), id=name))
        graph.add_task(GraphAsTask(inner, id=id))
        graph.add_task(total, id=f"{id}_total")
        graph.add_dataflow(id, "results" if listed else "value", f"{id}_total", "items")
        return id, (f"{id}_total", "value")

    def _branches(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        if self.random.random() < 0.5:
            cases: Any = {"low": [0, 1, 2], "some": list(range(3, 500, 2))}
            graph.add_task(SwitchTask(id=id, field="value", cases=cases, default="other"))
            ports = ["low", "some", "other"]
        else:
            branches = [
                {"id": port, "condition": {"field": "value", "operator": operator, "value": self.random.randrange(400)}}
                for port, operator in (("more", "greater_than"), ("less", "less_than"), ("rest", "is_empty"))
            ]
            exclusive = self.random.random() < 0.5
            graph.add_task(ConditionalTask(id=id, branches=branches, exclusive=exclusive, default_branch="rest"))
            ports = ["more", "less", "rest"]
        graph.add_task(pass_on, id=f"{id}_in")
        graph.add_dataflow(f"{id}_in", "value", id, "value")
        graph.add_task(join, id=f"{id}_join")
        for port in ports:
            graph.add_task(GraphAsTask(self.graph(depth - 1), id=f"{id}_{port}"))
            graph.add_dataflow(id, port, f"{id}_{port}", "*")
            graph.add_dataflow(f"{id}_{port}", "value", f"{id}_join", "values")
        return f"{id}_in", (f"{id}_join", "value")

    def _configured(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        rules = [
            {"id": operator, "field": "value", "operator": operator, "value": str(self.random.randrange(400))}
            for operator in ("greater_than", "less_than")
        ]
        config = {"branches": rules, "exclusive": self.random.random() < 0.5}
        graph.add_task(pass_on, id=f"{id}_in")
        graph.add_task(ConditionalTask(id=id, condition_config=config))
        graph.add_dataflow(f"{id}_in", "value", id, "value")
        graph.add_task(join, id=f"{id}_join")
        for port in ("value_1", "value_2", "value_else"):
            graph.add_task(GraphAsTask(self.graph(depth - 1), id=f"{id}_{port}"))
            graph.add_dataflow(id, port, f"{id}_{port}", "value")
            graph.add_dataflow(f"{id}_{port}", "value", f"{id}_join", "values")
        return f"{id}_in", (f"{id}_join", "value")

    def _listed(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        graph.add_task(spread, id=id, count=self.random.randrange(5))
        options: dict[str, Any] = {"id": f"{id}_map", "max_iterations": "unbounded"}
        if self.random.random() < 0.5:
            options["concurrency"] = self.random.randrange(1, 4)
        if self.random.random() < 0.3:
            options["batch_size"] = self.random.randrange(1, 4)
        body = self.graph(depth - 1)
        if self.random.random() < 0.2:
            graph.add_task(ForEachTask(body, discard_results=False, **options))
        else:
            graph.add_task(self.random.choice([MapTask, ArrayTask])(body, **options))
        graph.add_dataflow(id, "items", f"{id}_map", "value")
        if self.random.random() < 0.5:
            graph.add_task(total, id=f"{id}_total")
            graph.add_dataflow(f"{id}_map", "value", f"{id}_total", "items")
            return id, (f"{id}_total", "value")
        inner = TaskGraph()
        if self.random.random() < 0.5:
            inner.add_task(fold, id="fold")
        else:
            inner.add_task(GraphAsTask(self.graph(depth - 1), id="first"))
            inner.add_task(fold, id="fold")
            inner.add_dataflow("first", "value", "fold", "value")
        graph.add_task(
            ReduceTask(inner, id=f"{id}_fold", initial_value=self.random.randrange(9), max_iterations="unbounded")
        )
        graph.add_dataflow(f"{id}_map", "value", f"{id}_fold", "value")
        return id, (f"{id}_fold", "accumulator")

    def _loop(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        body = self.graph(depth - 1)
        operator = self.random.choice(("less_than", "greater_than"))
        limit = self.random.randrange(1, 5)
        loop = WhileTask(
            body,
            id=id,
            condition_field="value",
            condition_operator=operator,
            condition_value=self.random.randrange(300),
            max_iterations=limit,
            chain_iterations=self.random.random() < 0.8,
        )
        return _one(graph, loop)

    def _alternatives(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        inner = TaskGraph()
        if self.random.random() < 0.4:
            inner.add_task(picky, id="picky", of=self.random.randrange(2, 4))
            inner.add_task(GraphAsTask(self.graph(depth - 1), id="then"))
            inner.add_dataflow("picky", "value", "then", "value")
            given = [{}, *({"value": self.random.randrange(9)} for _ in range(2)), {"value": 6}]
            return _one(graph, FallbackTask(inner, id=id, mode="data", alternatives=given))
        for number in range(self.random.randrange(1, 3)):
            wrapped = TaskGraph()
            wrapped.add_task(wait, id="before", by=self.random.randrange(1, 4))
            wrapped.add_task(picky, id="picky", of=self.random.randrange(2, 5))
            wrapped.add_dataflow("before", "value", "picky", "value")
            inner.add_task(GraphAsTask(wrapped, id=f"try{number}"))
        inner.add_task(GraphAsTask(self.graph(depth - 1), id="last"))
        return _one(graph, FallbackTask(inner, id=id))

    def _rescued(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        inner = TaskGraph()
        inner.add_task(GraphAsTask(self.graph(depth - 1), id="before"))
        inner.add_task(picky, id="picky", of=self.random.randrange(2, 4))
        inner.add_dataflow("before", "value", "picky", "value")
        graph.add_task(GraphAsTask(inner, id=id))
        graph.add_task(rescue, id=f"{id}_rescue")
        graph.add_task(join, id=f"{id}_join")
        graph.add_dataflow(id, "[error]", f"{id}_rescue", "*")
        graph.add_dataflow(id, "value", f"{id}_join", "values")
        graph.add_dataflow(f"{id}_rescue", "value", f"{id}_join", "values")
        return id, (f"{id}_join", "value")

    def _from_json(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        graph.add_task(pass_on, id=f"{id}_in")
        graph.add_task(JsonTask(id=id, defaults={"json": json.dumps(self.graph(depth - 1).to_json())}))
        graph.add_task(take, id=f"{id}_take")
        graph.add_dataflow(f"{id}_in", "value", id, "value")
        graph.add_dataflow(id, "output", f"{id}_take", "output")
        return f"{id}_in", (f"{id}_take", "value")

    def _streamed(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        inner = TaskGraph()
        inner.add_task(say, id="say")
        last = "say"
        for number in range(self.random.randrange(3)):
            inner.add_task(repeat, id=f"repeat{number}")
            inner.add_dataflow(last, "text", f"repeat{number}", "text")
            last = f"repeat{number}"
        if self.random.random() < 0.3:
            inner.add_task(head, id="head")
            inner.add_dataflow(last, "text", "head", "text")
            last = "head"
        graph.add_task(GraphAsTask(inner, id=id))
        graph.add_task(join, id=f"{id}_join")
        for number in range(self.random.randrange(1, 3)):
            graph.add_task(self.random.choice((hear, read)), id=f"{id}_{number}")
            graph.add_dataflow(id, "text", f"{id}_{number}", "text")
            graph.add_dataflow(f"{id}_{number}", "value", f"{id}_join", "values")
        return id, (f"{id}_join", "value")

    def _streamed_through(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        """A stream that enters and leaves groups, some of which fall back to another one in the middle of it."""
        graph.add_task(say, id=id)
        last = id
        for number in range(self.random.randrange(1, 4)):
            step = f"{id}_step{number}"
            graph.add_task(self._passing(step, self.random.randrange(3)))
            graph.add_dataflow(last, "text", step, "text")
            last = step
        graph.add_task(join, id=f"{id}_join")
        for number in range(self.random.randrange(1, 3)):
            end = self.random.choice((hear, read))
            wrapped = self.random.random() < 0.5
            graph.add_task(GraphAsTask(_alone(end), id=f"{id}_{number}") if wrapped else end, id=f"{id}_{number}")
            graph.add_dataflow(last, "text", f"{id}_{number}", "text")
            graph.add_dataflow(f"{id}_{number}", "value", f"{id}_join", "values")
        return id, (f"{id}_join", "value")

    def _passing(self, id: str, depth: int) -> Task:
        """A task from text to text that may read along, and may hold others."""
        if depth == 0:
            return self.random.choice((repeat, falter)).task(id=id)
        inner = TaskGraph()
        if self.random.random() < 0.4:
            inner.add_task(stumble, id="stumble", of=self.random.randrange(2, 5))
            inner.add_task(self._passing("then", depth - 1))
            return FallbackTask(inner, id=id)
        inner.add_task(self._passing("first", depth - 1))
        if self.random.random() < 0.5:
            inner.add_task(repeat, id="second")
            inner.add_dataflow("first", "text", "second", "text")
        if self.random.random() < 0.4:  # somebody wants the whole text, and takes his time
            inner.add_task(read, id="read")
            inner.add_task(wait, id="wait")
            inner.add_dataflow("read", "value", "wait", "value")
            inner.name_output("text", "second" if "second" in inner.tasks else "first", "text")
        return GraphAsTask(inner, id=id)

    def _streamed_here(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        graph.add_task(say, id=id)
        graph.add_task(self.random.choice((repeat, head)), id=f"{id}_then")
        graph.add_task(self.random.choice((hear, read)), id=f"{id}_end")
        graph.add_dataflow(id, "text", f"{id}_then", "text")
        graph.add_dataflow(f"{id}_then", "text", f"{id}_end", "text")
        return id, (f"{id}_end", "value")

    def _delay(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        return _one(graph, DelayTask(id=id, seconds=self.random.randrange(1, 9)))

    def _event(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        name = self.random.choice((*EVENTS, "never"))
        limit: dict[str, Any] = {"timeout": self.random.randrange(1, 9), "default": 4} if name == "never" else {}
        graph.add_task(WaitForEventTask(id=id, event=name, **limit))
        graph.add_task(told, id=f"{id}_told")
        graph.add_dataflow(id, "value", f"{id}_told", "value")
        graph.add_dataflow(id, "payload", f"{id}_told", "payload")
        return id, (f"{id}_told", "value")

    def _question(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        graph.add_task(pass_on, id=f"{id}_in")
        limit: dict[str, Any] = {"timeout": self.random.randrange(1, 9), "default": {"number": 3}}
        graph.add_task(HumanInputTask(id=id, message="?", content_schema=NUMBER, **limit))
        graph.add_task(told, id=f"{id}_told")
        graph.add_dataflow(f"{id}_in", "value", id, "value")
        graph.add_dataflow(f"{id}_in", "value", f"{id}_told", "value")
        graph.add_dataflow(id, "number", f"{id}_told", "number")
        return f"{id}_in", (f"{id}_told", "value")

    def _approval(self, graph: TaskGraph, id: str, depth: int) -> Ends:
        limit: dict[str, Any] = {"timeout": self.random.randrange(1, 9), "default": self.random.random() < 0.5}
        graph.add_task(pass_on, id=f"{id}_in")
        graph.add_task(HumanApprovalTask(id=id, message="May it?", **limit))
        graph.add_task(told, id=f"{id}_told")
        graph.add_task(join, id=f"{id}_join")
        graph.add_dataflow(f"{id}_in", "value", id, "value")
        graph.add_dataflow(id, "value", f"{id}_told", "value")
        graph.add_dataflow(f"{id}_in", "value", f"{id}_join", "values")
        graph.add_dataflow(f"{id}_told", "value", f"{id}_join", "values")
        return f"{id}_in", (f"{id}_join", "value")
