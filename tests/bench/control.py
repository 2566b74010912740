"""W9: loops and branches in a file, against plain tasks in a file; and the memory that an item of a map costs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Row, compare
from shapes import add_one, chain, fan_out, to_graph

import workglow as wg
from workglow import ConditionalTask, GraphAsTask, MapTask, ReduceTask, TaskGraph, WhileTask
from workglow.tasks import Task, task

__all__ = ["rows"]

SIZE = 1000
ITEMS = 100_000


@task(name="bench_fold", output="accumulator", cache=False)
async def fold(accumulator: int, value: int) -> int:
    return accumulator + value


def alone(single: object) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(single)  # type: ignore[arg-type]
    return graph


def mapped() -> TaskGraph:
    return alone(MapTask(alone(add_one), id="map", max_iterations="unbounded"))


def repeated() -> TaskGraph:
    return alone(
        WhileTask(
            alone(add_one),
            id="while",
            condition_field="value",
            condition_operator="less_than",
            condition_value=SIZE,
            max_iterations="unbounded",
        )
    )


def reduced() -> TaskGraph:
    return alone(ReduceTask(alone(fold), id="reduce", initial_value=0, max_iterations="unbounded"))


def branching() -> TaskGraph:
    """A chain of conditions, each of which takes its first branch."""
    return chained(
        lambda: ConditionalTask(
            branches=[
                {"id": "on", "condition": {"field": "value", "operator": "greater_or_equal", "value": 0}},
                {"id": "off", "condition": {"field": "value", "operator": "less_than", "value": 0}},
            ]
        ),
        "on",
    )


def grouped() -> TaskGraph:
    return chained(lambda: GraphAsTask(alone(add_one)), "value")


def chained(make: Callable[[], Task], port: str) -> TaskGraph:
    graph = TaskGraph()
    for number in range(SIZE):
        graph.add_task(make(), id=f"t{number}")
        if number:
            graph.add_dataflow(f"t{number - 1}", port, f"t{number}", "*" if port == "on" else port)
    return graph


def rows(peers: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        with wg.open(Path(name) / "control.wg", durability="process") as project:

            def ours(graph: TaskGraph, inputs: dict[str, object]) -> Callable[[], object]:
                return lambda: project.run_sync(graph, inputs)

            line, fan = ours(to_graph(chain(SIZE)), {"value": 0}), ours(to_graph(fan_out(SIZE)), {"value": 0})
            items = {"value": list(range(SIZE))}
            cases: list[tuple[str, Callable[[], object], str, Callable[[], object], float]] = [
                ("map of 1,000", ours(mapped(), {**items}), "fan-out", fan, 1.5),
                ("reduce of 1,000", ours(reduced(), {**items}), "chain", line, 3),
                ("while of 1,000 turns", ours(repeated(), {"value": 0}), "chain", line, 3),
                ("chain of conditions", ours(branching(), {"value": 0}), "chain", line, 3),
                ("chain of groups", ours(grouped(), {"value": 0}), "chain", line, 3),
            ]
            for case, mine, against, theirs, target in cases:
                yield compare("W9", case, mine, against, theirs, target=target, each=SIZE)
            large = ours(mapped(), {"value": list(range(ITEMS))})
            row = compare("W9", "map of 100,000", large, "fan-out", fan, target=None, each=SIZE, rounds=3)
            yield Row("W9", row.case, row.ours * SIZE / ITEMS, row.unit, row.against, row.theirs, 1.5)
        yield Row("W9", "map of 100,000, memory", memory(), "bytes/item", "1 KB", 1024, 1)


def memory() -> float:
    """How much more a process needs at its peak for each further item."""
    peaks = [
        int(subprocess.check_output([sys.executable, __file__, str(items)], text=True))
        for items in (ITEMS // 10, ITEMS)
    ]
    return (peaks[1] - peaks[0]) / (ITEMS - ITEMS // 10)


if __name__ == "__main__":  # one map in a process of its own, which prints its peak in bytes
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder, wg.open(Path(folder) / "memory.wg") as alone_in_it:
        alone_in_it.run_sync(mapped(), {"value": list(range(int(sys.argv[1])))})
    status = Path("/proc/self/status").read_text()  # getrusage would tell the peak of the process that began this one
    print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
