"""W6: from a closed file with a half-done run to the first task that starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Row, alternate
from shapes import Edges, chain, fan_out, to_graph

import workglow as wg
from workglow.tasks import task

__all__ = ["rows"]

SIZE = 10_000


class Stop(BaseException):
    """Ends the process's part in a run, as a kill would."""


class Moment:
    """What the task bodies look at: how many may still run, and when the last one began."""

    left = 0
    begun = 0.0


@task(name="bench_counted", output="value", cache=False, inline=True)
def counted(value: int) -> int:
    if Moment.left == 0:
        Moment.begun = time.perf_counter()
        raise Stop
    Moment.left -= 1
    return value + 1


def half_done(path: Path, edges: Edges, finished: int) -> str:
    with wg.open(path, durability="process") as project:
        Moment.left = finished
        with contextlib.suppress(Stop):
            project.run_sync(to_graph(edges, counted), {"value": 0})
        return project.runs()[-1].id


def resume(path: Path, run: str, copy: Path) -> Callable[[], float]:
    def go() -> float:
        shutil.copyfile(path, copy)
        with copy.open("rb+") as written:  # a file at rest, not one that the first sync has to write out whole
            os.fsync(written.fileno())
        Moment.left = 0
        begun = time.perf_counter()
        with wg.open(copy, durability="process") as project:
            try:
                project.resume_sync(run)
            except Stop:
                return Moment.begun - begun
        raise AssertionError("the run was finished")

    return go


def rows(peers: bool) -> Iterator[Row]:
    del peers
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        for shape, edges in (("chain", chain(SIZE)), ("fan-out", fan_out(SIZE))):
            few, many = folder / f"{shape}-few.wg", folder / f"{shape}-many.wg"
            first = resume(few, half_done(few, edges, SIZE // 10), folder / "first.wg")
            second = resume(many, half_done(many, edges, SIZE // 2), folder / "second.wg")
            half, tenth = alternate(second, first)
            yield Row("W6", f"{shape} of 10,000, half done", half * 1e3, "ms", "5 ms", 5, 1)
            yield Row("W6", f"{shape} of 10,000, half done", half * 1e3, "ms", "a tenth done", tenth * 1e3, 1.3)
