"""Handlers in processes of their own: what goes in and out, and how they end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import queue_process_handlers as module
from queue_process_handlers import handlers as known

import workglow as wg
from workglow import job
from workglow.errors import JobAbortedError, JobFailedError, TaskConfigurationError
from workglow.queue import HandlerRegistry

if TYPE_CHECKING:
    from workglow import Project
    from workglow.queue import Job
    from workglow.testing import FakeClock


@pytest.fixture
def handlers() -> HandlerRegistry:
    return known


def outcomes(one: Job) -> list[tuple[int, str]]:
    return [(each.attempt, each.outcome) for each in one.attempts]


def is_gone(pid: int) -> bool:
    """Whether a process has ended, whoever has to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def until(path: Path) -> list[int]:
    while not path.exists():
        os.sched_yield()
    return [int(word) for word in path.read_text().split()]


# ---------------------------------------------------------------------- going right


def test_a_handler_runs_in_a_process_that_is_used_again(project: Project) -> None:
    queue = project.queue("work")
    jobs = queue.enqueue_many(module.where, [{"value": number} for number in range(5)])
    assert queue.work_sync() == 5
    results = [one.result_sync() for one in jobs]
    assert [result["value"] for result in results] == list(range(5))
    assert len({result["pid"] for result in results}) == 1
    assert {result["parent"] for result in results} == {os.getpid()}
    assert is_gone(results[0]["pid"])


def test_values_of_every_kind_travel(project: Project) -> None:
    array, text = np.arange(5000, dtype=np.float32).reshape(50, 100), "long " * 1000
    one = project.queue("work").enqueue(module.double, {"array": array, "text": text})
    two = project.queue("work").enqueue(module.later, {"value": 1})
    project.queue("work").work_sync(concurrency=2)
    result = one.result_sync()
    np.testing.assert_array_equal(result["array"], array * 2)
    assert result["array"].dtype == np.float32
    assert result["text"] == text * 2
    assert two.result_sync() == 2


def test_it_is_told_what_a_handler_is_told_and_its_progress_arrives(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    one = project.queue("work").enqueue(module.identify)
    told: list[object] = []
    project.queues.events.subscribe(lambda event: told.append(event.data) if event.kind == "job_progress" else None)
    project.queue("work").work_sync()
    number, queue, attempt, key, alone = one.result_sync()
    assert (number, queue, attempt, alone) == (one.id, "work", 1, True)
    context = wg.JobContext(job_id=one.id, queue="", attempt=9, clock=project.file.clock, project_uid=project.file.uid)
    assert key == context.idempotency_key
    assert told == [(50.0, "step 1", {"step": 1}), (100.0, "step 2", {"step": 2})]
    assert "printed where it does no harm" in capfd.readouterr().err


def test_it_inherits_nothing_of_the_project(project: Project) -> None:
    one = project.queue("work").enqueue(module.open_files)
    project.queue("work").work_sync()
    assert not [name for name in one.result_sync() if "jobs.wg" in name]


def test_a_process_that_has_nothing_to_do_ends_after_a_while(project: Project, clock: FakeClock) -> None:
    queue = project.queue("work")

    async def main() -> list[int]:
        async with queue.worker():
            pids: list[int] = []
            for pause in (0, 59, 121):
                clock.advance(pause)
                pids.append((await queue.enqueue(module.where, {"value": 1}).result())["pid"])
            return pids

    first, second, third = asyncio.run(main())
    assert first == second != third
    assert is_gone(first)
    assert is_gone(third)


# ---------------------------------------------------------------------- going wrong


def test_what_it_raises_decides_as_anywhere_else(project: Project, clock: FakeClock) -> None:
    queue = project.queue("work")
    jobs = {kind: queue.enqueue(module.fail, {"kind": kind}) for kind in ("plain", "retry", "permanent", "leave")}
    with wg.open(project.path, clock=clock, handlers=HandlerRegistry()) as stranger:
        misfit = stranger.queue("work").enqueue("where", {"value": "no number"}).id
    unstorable = queue.enqueue(module.unstorable)
    queue.work_sync(concurrency=2)
    assert [jobs[kind].status for kind in jobs] == ["pending", "pending", "failed", "failed"]
    assert jobs["retry"].record.run_after == clock.now() + 7000
    assert "OSError: no such luck" in str(jobs["plain"].error)
    plain = jobs["plain"].error
    assert plain is not None
    assert any('raise OSError("no such luck")' in line for line in plain.trace)
    assert "SystemExit: that is all" in str(jobs["leave"].error)
    for number, kind in ((misfit, "JobInputError"), (unstorable.id, "UnstorableValueError")):
        error = project.job(number).error
        assert project.job(number).status == "failed"
        assert error is not None
        assert error.type == kind


@pytest.mark.parametrize(
    ("how", "said"),
    [("exit", "exit code 3"), ("crash", "SIGSEGV"), ("SIGKILL", "SIGKILL"), ("SIGTERM", "SIGTERM")],
)
def test_a_process_that_dies_fails_that_attempt_and_nothing_else(
    project: Project, tmp_path: Path, how: str, said: str
) -> None:
    queue = project.queue("work")
    ledger = tmp_path / "ledger"
    before, one = (
        queue.enqueue(module.later, {"value": 1}),
        queue.enqueue(module.end, {"how": how, "ledger": str(ledger)}),
    )
    after = queue.enqueue(module.later, {"value": 2})
    queue.work_sync()
    assert (before.result_sync(), after.result_sync(), one.result_sync()) == (2, 3, "the second time")
    assert outcomes(one) == [(1, "crashed")]
    error = one.attempts[0].error
    assert error is not None
    assert '"type":"ProcessDiedError"' in error
    assert said in error
    assert f"job {one.id} (end)" in error


@pytest.mark.parametrize("reason", ["timeout", "abort", "lost", "stop", "cancel"])
def test_it_is_killed_with_all_it_has_started(project: Project, tmp_path: Path, clock: FakeClock, reason: str) -> None:
    place = tmp_path / "place"
    queue = project.queue("work")
    one = queue.enqueue(module.hang, {"place": str(place)}, timeout=5, max_attempts=1)

    async def main() -> list[int]:
        reported = asyncio.create_task(project.queues.events.wait_on("job_progress"))
        worker = queue.worker()
        working = asyncio.create_task(worker.run())
        await reported
        pids = until(place)
        assert not any(map(is_gone, pids))
        if reason == "timeout":
            clock.advance(5)
            with pytest.raises(JobFailedError, match="took longer than 5 s"):
                await one.result()
        elif reason == "abort":
            one.abort("enough")
            with pytest.raises(JobAbortedError, match="enough"):
                await one.result()
        elif reason == "lost":
            lost = asyncio.create_task(project.queues.events.wait_on("job_lost"))
            await asyncio.sleep(0)
            with project.file.transaction() as db:
                db.execute("UPDATE job SET claim = claim + 1, session_id = NULL")
            project.file.notify()
            await lost
        elif reason == "cancel":
            working.cancel()
        worker.stop(grace=0)
        await asyncio.wait((working,))
        return pids

    pids = asyncio.run(main())
    while not all(map(is_gone, pids)):  # the kill was sent; the kernel takes its time
        os.sched_yield()
    expected = {"timeout": [(1, "timed out")], "abort": [(1, "aborted")], "lost": []}
    assert outcomes(one) == expected.get(reason, [(1, "returned")])
    if reason in ("stop", "cancel"):
        assert (one.status, one.attempt) == ("pending", 0)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
import workglow as wg
from queue_process_handlers import hang, handlers
with wg.open(sys.argv[1], handlers=handlers) as project:
    project.queue("work").enqueue(hang, {"place": sys.argv[3]})
    project.queue("work").work_sync()
"""


def test_it_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "place"
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "jobs.wg"), str(Path(__file__).parent), str(place)]
    with subprocess.Popen(words) as worker:
        child, _ = until(place)
        worker.kill()
    while not is_gone(child):
        os.sched_yield()


# ---------------------------------------------------------------------- being found


def test_what_another_process_cannot_find_is_refused_at_once() -> None:
    def inside() -> None: ...

    for function in (inside, lambda: None, Path("/").exists):
        with pytest.raises(TaskConfigurationError, match="another process cannot find it"):
            job(registry=HandlerRegistry(), name="it", executor="process")(function)
    code = 'from workglow import job\n@job(executor="process")\ndef it(): ...'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "TaskConfigurationError: it is defined in an interactive session" in done.stderr


MAIN = """
import sys
import workglow as wg
from workglow import job

@job(executor="process")
def triple(value: int) -> int:
    return 3 * value

@job(name="plain", executor="process")
def _hidden(value: int) -> str:
    return __name__

def main():
    with wg.open(sys.argv[1]) as project:
        queue = project.queue("work")
        jobs = [queue.enqueue(triple, {"value": 4}), queue.enqueue("plain", {"value": 1})]
        queue.work_sync()
        print(*[job.result_sync() for job in jobs])

"""


@pytest.mark.parametrize(
    ("words", "guard", "said"),
    [
        (["program.py"], 'if __name__ == "__main__": main()', "12 __workglow_main__"),
        (["-m", "program"], 'if __name__ == "__main__": main()', "12 program"),
        (["program.py"], "main()", 'under `if __name__ == "__main__":`'),
    ],
)
def test_handlers_of_the_program_itself(tmp_path: Path, words: list[str], guard: str, said: str) -> None:
    (tmp_path / "program.py").write_text(MAIN + guard)
    done = subprocess.run(
        [sys.executable, *words, str(tmp_path / "jobs.wg")], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert said in done.stdout + done.stderr
