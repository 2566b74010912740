"""W14: what a worker costs that has nothing to do, and how soon it starts a job of another process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Row

import workglow as wg

__all__ = ["rows"]

IDLE = 5.0  # seconds
JOBS = 100

_WORKER = """
import asyncio, sys, time
import workglow as wg

@wg.job(inline=True)
def moment() -> int:
    return time.monotonic_ns()

async def main() -> None:
    with wg.open(sys.argv[1]) as project:
        worker = project.worker("work")
        working = asyncio.create_task(worker.run())
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        worker.stop()
        await working

asyncio.run(main())
"""


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows(peers: bool) -> Iterator[Row]:
    del peers
    with tempfile.TemporaryDirectory() as folder, wg.open(Path(folder) / "jobs.wg") as project:
        queue = project.queue("work")
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER, project.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        worker.stdout.readline()
        queue.enqueue("moment").result_sync()
        before = _cpu(worker.pid)
        time.sleep(IDLE)
        share = 100 * (_cpu(worker.pid) - before) / IDLE
        yield Row("W14", "an idle worker", share, "% of core", "half a per cent", 0.5, 1.0)
        waits: list[float] = []
        for number in range(JOBS):
            time.sleep(0.03 + 0.02 * number / JOBS)  # at every phase of the worker's looking
            begun = time.monotonic_ns()
            waits.append((queue.enqueue("moment").result_sync() - begun) / 1e6)
        worker.communicate("\n")
    yield Row("W14", "start elsewhere, p50", statistics.median(waits), "ms", "20 ms", 20.0, 1.0)
    yield Row("W14", "start elsewhere, p95", statistics.quantiles(waits, n=20)[-1], "ms", "20 ms", 20.0, None)
