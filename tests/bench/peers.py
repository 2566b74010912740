"""The same work done by others.  They come with `pip install -e '.[bench]'`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from shapes import Edges

__all__ = ["dbos_chain", "dbos_queue", "hamilton", "huey_queue", "langgraph_chain"]


def hamilton(edges: Edges) -> Callable[[], object]:
    """Hamilton's synchronous driver over one function for each task."""
    from hamilton import ad_hoc_utils, driver

    lines: list[str] = []
    for number, sources in enumerate(edges):
        parameters = ", ".join(f"t{source}: int" for source in sources)
        body = " + ".join([*(f"t{source}" for source in sources), "1"])
        lines.append(f"def t{number}({parameters}) -> int:\n    return {body} & 1023\n")
    nodes: dict[str, Any] = {}
    exec("\n".join(lines), nodes)  # Hamilton wants a function for each node
    functions = [nodes[f"t{number}"] for number in range(len(edges))]
    module = ad_hoc_utils.create_temporary_module(*functions, module_name=f"hamilton_{len(sys.modules)}")
    sys.setrecursionlimit(100_000)  # it walks a chain by recursion
    built = driver.Builder().with_modules(module).build()
    leaves = sorted({f"t{number}" for number in range(len(edges))} - {f"t{s}" for sources in edges for s in sources})
    return lambda: built.execute(leaves)


def dbos_chain(folder: Path, size: int) -> Callable[[], object]:
    """A DBOS workflow of that many steps, in SQLite."""
    from dbos import DBOS

    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "log_level": "ERROR"})

    @DBOS.step()
    def one(value: int) -> int:
        return value + 1

    @DBOS.workflow()
    def whole() -> int:
        value = 0
        for _ in range(size):
            value = one(value)
        return value

    DBOS.launch()
    return whole


def langgraph_chain(folder: Path, size: int) -> Callable[[], object]:
    """One LangGraph node that loops, with a checkpoint at each step in SQLite with synchronous=NORMAL."""
    import sqlite3

    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        value: int

    def one(state: State) -> State:
        return {"value": state["value"] + 1}

    db = sqlite3.connect(folder / "langgraph.sqlite", check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    builder = StateGraph(State)
    builder.add_node("one", one)
    builder.add_edge(START, "one")
    builder.add_conditional_edges("one", lambda state: END if state["value"] >= size else "one")
    compiled = builder.compile(checkpointer=SqliteSaver(db))
    runs = 0

    def run() -> Any:
        nonlocal runs
        runs += 1
        config: Any = {"configurable": {"thread_id": str(runs)}, "recursion_limit": size + 10}
        return compiled.invoke({"value": 0}, config, durability="sync")

    return run


def huey_queue(folder: Path) -> tuple[Callable[[int], Callable[[], float]], Callable[[int], Callable[[], float]]]:
    """Put and take with SqliteHuey at its fastest: no fsync, no results, no consumer that pauses."""
    from huey import SqliteHuey

    huey = SqliteHuey(filename=str(folder / "huey.db"), fsync=False, results=False, strict_fifo=False)

    @huey.task()
    def noop(a: int) -> None:
        return None

    def fill(size: int) -> float:
        begun = time.perf_counter()
        for number in range(size):
            noop(number)
        return time.perf_counter() - begun

    def empty() -> float:
        begun = time.perf_counter()
        while (task := huey.dequeue()) is not None:
            huey.execute(task)
        return time.perf_counter() - begun

    def put(size: int) -> Callable[[], float]:
        def run() -> float:
            taken = fill(size)
            empty()
            return taken

        return run

    def take(size: int) -> Callable[[], float]:
        def run() -> float:
            fill(size)
            return empty()

        return run

    return put, take


def dbos_queue(folder: Path, size: int) -> Callable[[], object]:
    """A DBOS queue in SQLite, asked every 10 ms: that many workflows enqueued, and awaited."""
    from dbos import DBOS

    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "log_level": "ERROR"})

    @DBOS.workflow()
    def noop(a: int) -> None:
        return None

    DBOS.launch()
    queue = DBOS.register_queue("bench", polling_interval_sec=0.01)

    def run() -> None:
        for handle in [queue.enqueue(noop, number) for number in range(size)]:
            handle.get_result()

    return run
