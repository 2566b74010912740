"""`workglow worker`, as real processes that get real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workglow as wg

Call = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]

HANDLERS = str(Path(__file__).with_name("command_line_handlers.py"))


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Held:
    """A project with a job that begins and ends when the test wants it to, and one behind it."""

    def __init__(self, folder: Path, handler: str = "cli_hold") -> None:
        self.path = folder / "jobs.wg"
        self.begun, self.end = folder / "begun", folder / "end"
        for fifo in (self.begun, self.end):
            os.mkfifo(fifo)
        with wg.open(self.path) as project:
            queue = project.queue("work")
            queue.enqueue(handler, {"begun": str(self.begun), "end": str(self.end)}, max_attempts=1)
            queue.enqueue("cli_note", {"value": 1})

    def wait(self) -> int:
        """Wait until the job has begun; the process that runs it."""
        return int(self.begun.read_text())

    def release(self) -> None:
        self.end.write_text("released")

    def jobs(self) -> list[tuple[str, int]]:
        with wg.open(self.path) as project:
            return [(one.status, one.attempt) for one in reversed(project.queue("work").jobs())]


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def test_it_works_until_nothing_is_left(call: Call, tmp_path: Path) -> None:
    with wg.open(tmp_path / "jobs.wg") as project:
        project.queue("a").enqueue_many("cli_note", [{"value": value} for value in range(3)])
        project.queue("b").enqueue("cli_fail", {"value": 7}, max_attempts=1)
        project.queue("c").enqueue("cli_note", {"value": 1})
    words = ("worker", "jobs.wg", "--queue", "a", "--queue", "b", "--until-idle", "--tasks", HANDLERS)
    done = call(*words)
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "job 4 of b failed: ValueError: 7 is wrong",
        "Stopped after 4 jobs, 1 of them failed.",
    ]
    with wg.open(tmp_path / "jobs.wg") as project:
        assert [project.job(number).status for number in range(1, 6)] == ["completed"] * 3 + ["failed", "pending"]


def test_json_is_a_line_an_event(call: Call, tmp_path: Path) -> None:
    with wg.open(tmp_path / "jobs.wg") as project:
        project.queue("a").enqueue("cli_note", {"value": 1})
        project.queue("a").enqueue("cli_fail", {"value": 7}, max_attempts=1)
    done = call("worker", "jobs.wg", "--until-idle", "--json", "--tasks", HANDLERS)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = {(line["kind"], line.get("job")) for line in lines}
    assert told == {
        *((kind, 1) for kind in ("job_started", "job_completed")),
        *((kind, 2) for kind in ("job_started", "job_failed")),
        ("worker_stopped", None),
    }
    assert lines[-1]["done"] == 2
    [failed] = [line for line in lines if line["kind"] == "job_failed"]
    assert failed["error"] == {"type": "ValueError", "message": "7 is wrong"}


def test_jobs_whose_handlers_a_worker_does_not_know_are_left_for_others(spawn: Spawn, held: Held) -> None:
    with spawn("worker", "jobs.wg", "--until-idle") as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert held.jobs() == [("pending", 0), ("pending", 0)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_drains(spawn: Spawn, held: Held, number: signal.Signals) -> None:
    with spawn("worker", "jobs.wg", "--tasks", HANDLERS) as process:
        held.wait()
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.readline() == "Finishing what runs; once more hands it back.\n"
        held.release()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "Stopped after 1 job.\n")
    assert held.jobs() == [("completed", 1), ("pending", 0)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_hand_back(spawn: Spawn, held: Held, number: signal.Signals) -> None:
    with spawn("worker", "jobs.wg", "--tasks", HANDLERS) as process:
        held.wait()
        process.send_signal(number)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert held.jobs() == [("pending", 0), ("pending", 0)]


def test_a_grace_that_is_over_hands_back(spawn: Spawn, held: Held) -> None:
    with spawn("worker", "jobs.wg", "--grace", "0", "--tasks", HANDLERS) as process:
        held.wait()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert held.jobs() == [("pending", 0), ("pending", 0)]


def test_a_handler_that_goes_on_whatever_it_is_told_keeps_no_process(spawn: Spawn, tmp_path: Path) -> None:
    held = Held(tmp_path, "cli_stubborn")
    with spawn("worker", "jobs.wg", "--grace", "0", "--json", "--tasks", HANDLERS) as process:
        held.wait()
        process.send_signal(signal.SIGTERM)
        told, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert [json.loads(line)["kind"] for line in told.splitlines()] == ["job_started", "worker_stopped"]
    assert set(said.splitlines()) == {"no"}, "what a handler prints is no JSON"
    assert held.jobs() == [("pending", 0), ("pending", 0)]


def test_a_file_that_was_taken_away_ends_it_with_a_word(spawn: Spawn, held: Held) -> None:
    with spawn("worker", "jobs.wg", "--tasks", HANDLERS) as process:
        held.wait()
        held.path.unlink()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was deleted or moved away while it was open here." in said
    assert "Nothing is lost" in said
    assert "Traceback" not in said


# ---------------------------------------------------------------------- queues that are not there


@pytest.mark.parametrize("several", [(), ("--processes", "2")], ids=["one", "several"])
def test_a_queue_that_is_not_there_is_refused_by_who_would_not_wait_for_it(
    call: Call, tmp_path: Path, several: tuple[str, ...]
) -> None:
    with wg.open(tmp_path / "jobs.wg") as project:
        project.queue("letters").enqueue("cli_note", {"value": 1})
    refused = call("worker", "jobs.wg", "--queue", "lettres", "--until-idle", *several)
    assert refused.exit_code == 2
    assert "has no queue lettres; it has letters. Did you mean 'letters'?" in " ".join(refused.stderr.split())
    with wg.open(tmp_path / "jobs.wg") as project:
        assert [queue.name for queue in project.queues.all()] == ["letters"]


def test_a_worker_waits_for_a_queue_that_comes_later_and_says_so(spawn: Spawn, tmp_path: Path) -> None:
    with wg.open(tmp_path / "jobs.wg") as project:
        project.queue("letters")
        with spawn("worker", "jobs.wg", "--queue", "lettres", "--tasks", HANDLERS) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert said == (
                "jobs.wg has no queue lettres yet; its jobs are taken when there is one. Did you mean 'letters'?\n"
            )
            assert [queue.name for queue in project.queues.all()] == ["letters"], "none is made"
            ours = project.queue("lettres").enqueue("cli_note", {"value": 1})
            scoped = project.queue("lettres", scope={"user": "u1"}).enqueue("cli_note", {"value": 2})
            other = project.queue("letters").enqueue("cli_note", {"value": 3})
            assert [ours.result_sync(timeout=30), scoped.result_sync(timeout=30)]
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        assert process.returncode == 0
        assert other.status == "pending"


# ---------------------------------------------------------------------- several processes


def test_a_crashed_process_is_started_again(spawn: Spawn, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with wg.open(tmp_path / "jobs.wg") as project:
        one = project.queue("work").enqueue("cli_die", {"ledger": str(ledger)})
        jobs = project.queue("work").enqueue_many("cli_note", [{"value": value} for value in range(20)])
        with spawn("worker", "jobs.wg", "--processes", "2", "--until-idle", "--tasks", HANDLERS) as process:
            _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "A worker process was killed by signal 9; another is started in 1 s." in said
        assert one.result_sync(timeout=30) != int(ledger.read_text())
        assert [each.result_sync(timeout=30) for each in jobs] == list(range(20))
        assert [(each.attempt, each.outcome) for each in one.attempts] == [(1, "crashed")]


def test_signals_reach_every_process(spawn: Spawn, held: Held) -> None:
    with wg.open(held.path) as project:
        project.queue("work").enqueue("cli_hold", {"begun": str(held.begun), "end": str(held.end)})
    with spawn("worker", "jobs.wg", "--processes", "2", "--tasks", HANDLERS) as process:
        pids = {held.wait(), held.wait()}
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline() == "Finishing what runs; once more hands it back.\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert "Finishing" not in said, "it is said once, for all of them"
    assert len(pids) == 2
    assert process.returncode == 130
    assert all(map(ended, pids))
    assert [status for status, _ in held.jobs()].count("pending") >= 2


def test_two_signals_are_two_also_for_a_process_that_had_no_time_for_the_first(spawn: Spawn, held: Held) -> None:
    with spawn("worker", "jobs.wg", "--processes", "1", "--tasks", HANDLERS) as process:
        pid = held.wait()
        os.kill(pid, signal.SIGSTOP)
        for arrived in ({signal.SIGTERM}, {signal.SIGTERM, signal.SIGINT}):
            process.send_signal(signal.SIGINT)
            while not arrived <= waiting_signals(pid):
                os.sched_yield()
        os.kill(pid, signal.SIGCONT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert ended(pid)


def waiting_signals(pid: int) -> set[int]:
    """What was sent to a process that has not looked yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("ShdPnd:"))
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_an_error_of_one_process_ends_all(spawn: Spawn, tmp_path: Path) -> None:
    with spawn("worker", "nowhere.wg", "--processes", "3", "--tasks", HANDLERS) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nowhere.wg does not exist" in said
    assert "Finishing what runs" not in said


def test_a_file_that_was_taken_away_ends_every_process_without_a_promise(spawn: Spawn, held: Held) -> None:
    with spawn("worker", "jobs.wg", "--processes", "2", "--tasks", HANDLERS) as process:
        held.wait()
        held.path.unlink()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was deleted or moved away while it was open here." in said
    assert "Finishing what runs" not in said


def test_workers_end_when_their_supervisor_is_killed(spawn: Spawn, held: Held) -> None:
    with spawn("worker", "jobs.wg", "--processes", "1", "--grace", "0", "--tasks", HANDLERS) as process:
        pid = held.wait()
        process.kill()
        while not ended(pid):
            os.sched_yield()
    assert held.jobs() == [("pending", 0), ("pending", 0)]


# ---------------------------------------------------------------------- a service


def test_it_tells_the_service_manager_how_it_goes(spawn: Spawn, held: Held, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        with spawn(
            "worker", "jobs.wg", "--tasks", HANDLERS, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="20000"
        ) as process:
            told = {manager.recv(100) for _ in range(3)}
            assert told == {b"READY=1", b"WATCHDOG=1"}
            held.wait()
            process.send_signal(signal.SIGTERM)
            while (said := manager.recv(100)) == b"WATCHDOG=1":
                pass
            assert said == b"STOPPING=1"
            held.release()
            assert process.wait(timeout=60) == 0
