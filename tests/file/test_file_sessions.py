"""Who is alive, and who is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from background import upkeep_of

from workglow.file import File, end_session
from workglow.file import session as sessions
from workglow.file.session import LEASE, Process, dead_sessions, this_process
from workglow.testing import FakeClock

OPEN = """
import sys
from workglow.file import File
file = File.open(sys.argv[1]); print(file.session.id, flush=True); sys.stdin.readline()
"""


pytestmark = pytest.mark.usefixtures("still")


def insert(file: File, process: Process, heartbeat: int) -> int:
    with file.transaction() as db:
        db.execute(
            """INSERT INTO session (host, boot, pid, pid_started, started_at, heartbeat_at, lease, beat)
               VALUES (?, ?, ?, ?, 0, ?, ?, ?)""",
            (*process, heartbeat, LEASE, round(file.clock.monotonic() * 1000)),
        )
        return db.last_insert_rowid()


def verdicts(file: File) -> dict[int, str]:
    return dict(dead_sessions(file.reader, file.clock))


def test_a_session_is_of_this_process_and_ends_with_the_file(path: Path, clock: FakeClock) -> None:
    with File.open(path, clock=clock) as file:
        assert file.session is not None
        assert file.session.process == this_process()
        assert file.session.process.pid == os.getpid()
        assert file.session.started_at == clock.now()
        clock.advance(5)
    with File.open(path, clock=clock) as file:
        row = file.reader.execute("SELECT pid, started_at, ended_at, ended_by FROM session WHERE id = 1").get
        assert row == (os.getpid(), clock.now() - 5000, clock.now(), "clean")
        assert file.session is not None
        assert file.session.id == 2


def test_memory_has_a_session(clock: FakeClock) -> None:
    with File.open(":memory:", clock=clock) as file:
        assert file.session is not None
        assert file.dead_sessions(file.db) == []


def test_the_session_of_our_own_process_is_never_dead(file: File, clock: FakeClock) -> None:
    clock.advance(10_000_000)
    assert verdicts(file) == {}
    with File.open(file.path, clock=clock):
        assert verdicts(file) == {}


def test_a_killed_process_is_dead_at_once_and_a_live_one_is_not(file: File, other: Callable[..., Any]) -> None:
    live, killed = other(OPEN, file.path), other(OPEN, file.path)
    ids = int(live.line()), int(killed.line())
    assert verdicts(file) == {}
    killed.process.kill()
    os.waitid(os.P_PID, killed.process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    assert verdicts(file) == {ids[1]: "crashed"}
    killed.kill()
    assert verdicts(file) == {ids[1]: "crashed"}
    assert file.dead_sessions(file.reader) == [ids[1]]


def test_a_live_process_that_stands_still_is_dead_after_its_lease(
    file: File, clock: FakeClock, other: Callable[..., Any]
) -> None:
    process = other(OPEN, file.path)
    number = int(process.line())
    with file.transaction() as db:
        db.execute("UPDATE session SET beat = 1000 WHERE id = ?", (number,))
    clock.advance(LEASE / 1000)
    assert verdicts(file) == {}
    clock.advance(0.001)
    assert verdicts(file) == {number: "lease"}


HOUR = 3600


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_clock_that_is_set_neither_ends_a_lease_nor_makes_it_last(file: File, clock: FakeClock, hours: int) -> None:
    elsewhere = this_process()._replace(boot=f"{this_process().boot.partition(':')[0]}:1")
    number = insert(file, elsewhere, clock.now())
    clock.jump(hours * HOUR)
    assert verdicts(file) == {}
    clock.advance(LEASE / 1000)
    assert verdicts(file) == {}
    clock.advance(0.001)
    assert verdicts(file) == {number: "lease"}


@pytest.mark.parametrize("hours", [-1, 1])
def test_heartbeats_count_whatever_the_clock_says(file: File, clock: FakeClock, hours: int) -> None:
    """Set between two heartbeats, the clock changes nothing for whoever cannot see the process."""
    upkeep, session = file._upkeep, file.session
    assert upkeep is not None
    assert session is not None
    with file.transaction() as db:
        db.execute("UPDATE session SET boot = boot || '1', pid = 1")
    for _ in range(5):
        clock.advance(LEASE / 3000)
        upkeep.tick()
        clock.jump(hours * HOUR)
        assert verdicts(file) == {}
    clock.advance(LEASE / 1000 + 0.001)
    assert verdicts(file) == {session.id: "lease"}


@pytest.mark.parametrize("beat", [0, 2**50])
def test_a_heartbeat_that_this_machine_cannot_have_given_is_measured_by_the_time_of_day(
    file: File, clock: FakeClock, beat: int
) -> None:
    number = insert(file, this_process()._replace(pid=os.getppid(), pid_started=""), clock.now())
    with file.transaction() as db:
        db.execute("UPDATE session SET beat = ? WHERE id = ?", (beat, number))
    clock.advance(LEASE / 1000)
    assert verdicts(file) == {}
    clock.advance(0.001)
    assert verdicts(file) == {number: "lease"}


def test_a_file_without_that_clock_is_judged_by_the_time_of_day(file: File, clock: FakeClock) -> None:
    number = insert(file, this_process()._replace(pid=os.getppid(), pid_started=""), clock.now())
    with file.transaction() as db:
        db.execute("ALTER TABLE session DROP COLUMN beat")
    assert verdicts(file) == {}
    clock.jump(LEASE / 1000 + 1)
    assert verdicts(file) == {number: "lease"}


def test_a_process_number_that_was_given_to_another_process_is_dead(file: File, clock: FakeClock) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        started = sessions._pid_started(running.pid)
        assert started
        reused = insert(file, this_process()._replace(pid=running.pid, pid_started=started + "1"), clock.now())
        same = insert(file, this_process()._replace(pid=running.pid, pid_started=started), clock.now())
        assert verdicts(file) == {reused: "crashed"}
        running.communicate(b"\n", timeout=30)
    assert verdicts(file) == {reused: "crashed", same: "crashed"}


def test_another_machine_or_an_earlier_start_of_this_one_has_moved(file: File, clock: FakeClock) -> None:
    number = insert(file, this_process()._replace(boot="another:1"), clock.now())
    assert verdicts(file) == {number: "moved"}


def test_a_process_in_another_container_is_judged_by_its_lease_alone(file: File, clock: FakeClock) -> None:
    machine = this_process().boot.partition(":")[0]
    number = insert(file, this_process()._replace(boot=f"{machine}:1", pid=2**22 + 1), clock.now())
    assert verdicts(file) == {}
    clock.advance(LEASE / 1000 + 1)
    assert verdicts(file) == {number: "lease"}


def test_boot_holds_the_namespace_of_process_numbers() -> None:
    assert this_process().boot.partition(":")[2] == str(os.stat("/proc/self/ns/pid").st_ino)


def test_a_process_whose_start_cannot_be_known_is_judged_by_its_lease(
    file: File, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = insert(file, this_process()._replace(pid=os.getppid(), pid_started=""), clock.now())
    assert verdicts(file) == {}
    clock.advance(LEASE / 1000 + 1)
    assert verdicts(file) == {number: "lease"}


def test_ended_sessions_are_not_dead_unless_they_still_own_a_run(file: File, clock: FakeClock) -> None:
    number = insert(file, this_process()._replace(boot="another:1"), clock.now())
    with file.transaction() as db:
        end_session(db, number, "moved", clock.now())
        end_session(db, number, "lease", clock.now() + 1)
    assert file.reader.execute("SELECT ended_by, ended_at FROM session WHERE id = ?", (number,)).get == (
        "moved",
        clock.now(),
    )
    assert verdicts(file) == {}
    with file.transaction() as db:
        db.execute("INSERT INTO graph (hash, created_at) VALUES (?, 0)", ("0" * 64,))
        db.execute(
            """INSERT INTO run (uid, graph_id, status, session_id, input, created_at)
               VALUES ('r', 1, 'running', ?, '{}', 0)""",
            (number,),
        )
    assert verdicts(file) == {number: "moved"}


def test_the_session_says_that_it_is_alive_every_third_of_its_lease(file: File, clock: FakeClock) -> None:
    upkeep = upkeep_of(file)

    def beat() -> int:
        upkeep.tick()
        return file.reader.execute("SELECT heartbeat_at FROM session").get

    start = clock.now()
    assert upkeep.beat_every == LEASE / 3000
    clock.advance(9.9)
    assert beat() == start
    clock.advance(0.1)
    assert beat() == start + 10_000
    clock.advance(5)
    assert beat() == start + 10_000


def test_a_session_that_was_taken_for_dead_is_followed_by_a_new_one(file: File, clock: FakeClock) -> None:
    """A laptop that slept for a night goes on; what was taken from it is fenced by the epoch of each run."""
    assert file.session is not None
    first = file.session.id
    with file.transaction() as db:
        end_session(db, first, "lease", clock.now())
    clock.advance(11)
    upkeep_of(file).tick()
    assert file.session.id != first
    assert verdicts(file) == {}
    file.close()
    with File.open(file.path, read_only=True) as again:
        assert again.reader.execute("SELECT ended_by FROM session ORDER BY id").fetchall() == [("lease",), ("clean",)]
