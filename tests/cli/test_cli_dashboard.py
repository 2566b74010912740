"""`watch`: the picture of queues, workers and runs, and how it follows what happens."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import workglow as wg
from workglow.cli.dashboard import draw
from workglow.cli.picture import Photographer, Picture, changes
from workglow.queue import HandlerRegistry
from workglow.testing import FakeClock

Call = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[wg.Project]:
    with wg.open(tmp_path / "notes.wg", clock=clock, handlers=HandlerRegistry()) as opened:
        yield opened


def busy(project: wg.Project, look: Callable[[], None]) -> None:
    """Call `look` while a worker runs two jobs, others wait, and nine have failed."""
    started = asyncio.Event()
    voices, books = project.queue("voices", retry=wg.Retry(attempts=1)), project.queue("books", scope={"user": "u1"})

    @wg.job(registry=project.queues.handlers)
    def fail(number: int) -> None:
        raise ValueError(f"too quiet: {number}, and more than that\n" + "so it goes " * 30)

    @wg.job(registry=project.queues.handlers)
    async def read(context: wg.JobContext) -> None:
        context.progress(0.5, "page 5 of [bold]10[/bold] \x1b[31m" + "and on " * 30 + "\nas\nbefore")
        started.set()
        await asyncio.Event().wait()

    async def scenario() -> None:
        worker = project.worker(books, voices, concurrency=2)
        running = asyncio.create_task(worker.run())
        await started.wait()
        project.file.clock.advance(1)  # pyright: ignore
        await asyncio.sleep(0)
        look()
        running.cancel()
        await asyncio.wait([running])

    voices.enqueue_many(fail, [{"number": number} for number in range(9)])
    voices.work_sync()
    for _ in range(5):
        books.enqueue(read)
    project.queue("nightly").pause()
    asyncio.run(scenario())


def lines_of(picture: Picture, width: int, height: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(draw(picture, "notes.wg", width=width, height=height))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_the_picture_shows_queues_workers_what_they_run_and_failures(project: wg.Project, width: int) -> None:
    pictures: list[Picture] = []
    busy(project, lambda: pictures.append(Photographer(project).take()))
    lines = lines_of(pictures[0], width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "1 worker, 2 jobs running, 3 pending" in lines[0]
    [books] = [line for line in lines if line.startswith("books (user=u1)")]
    assert "▓" in books
    assert "░" in books
    assert books.split()[-7:] == ["3", "2", "0", "0", "1.0", "s", "0"]
    assert "nightly, paused" in text
    assert f"{os.getpid()} on " in text
    assert "50 % page 5 of [bold]10[/bold] �[31m" in text
    assert sum("ValueError: too quiet" in line for line in lines) == 8
    assert "\x1b" not in text
    assert "before" not in text


@pytest.mark.parametrize("height", [16, 20, 40])
def test_a_low_terminal_gets_fewer_rows_and_is_told(project: wg.Project, height: int) -> None:
    pictures: list[Picture] = []
    busy(project, lambda: pictures.append(Photographer(project).take()))
    whole, low = lines_of(pictures[0], 100), lines_of(pictures[0], 100, height)
    assert len(low) <= height
    assert (low == whole) == (height == 40)
    hidden = [int(found[1]) for line in low if (found := re.match(r"… and (\d+) more", line))]
    assert len(low) - len(hidden) + sum(hidden) == len(whole)


def test_an_empty_file_says_so(project: wg.Project) -> None:
    assert lines_of(Photographer(project).take(), 80)[-1] == "No queue, no worker and no unfinished run yet."


def test_counting_takes_a_tenth_of_the_time_at_most(
    project: wg.Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, info = project.queue("voices"), project.queues.info
    photographer = Photographer(project)

    def slow() -> list[wg.QueueInfo]:
        clock.advance(2)
        return info()

    monkeypatch.setattr(project.queues, "info", slow)
    photographer.take()
    queue.enqueue("shout")
    clock.advance(19)
    assert photographer.take().queues[0].counts == {}
    clock.advance(2)
    assert photographer.take().queues[0].counts == {"pending": 1}


def test_changes_are_told_once(project: wg.Project) -> None:
    photographer = Photographer(project)
    before = photographer.take()
    assert list(changes(None, before, project)) == []
    told: list[str] = []

    def look() -> None:
        nonlocal before
        after = photographer.take()
        told.extend(changes(before, after, project))
        before = after

    busy(project, look)
    assert told[:3] == [
        "queue books (user=u1): 3 pending, 2 running", "queue nightly: empty, paused", "queue voices: 9 failed",
    ]  # fmt: skip
    assert told[3].startswith(f"worker {os.getpid()} on ")
    assert told[3].endswith("takes jobs of books, voices, 2 at a time")
    assert told[4] == "job 2 of queue voices failed: ValueError: too quiet: 1, and more than that"
    assert len(told) == 12
    told.clear()
    look()
    assert told[0] == "queue books (user=u1): 5 pending"
    assert told[1].endswith("has left")
    assert len(told) == 2
    told.clear()
    look()
    assert told == []


# ---------------------------------------------------------------------- the command


def test_once_shows_a_picture(call: Call, tmp_path: Path) -> None:
    with wg.open("notes.wg") as project:
        project.queue("voices").enqueue("shout")
    assert "voices" in call("watch", "notes.wg", "--once").stdout
    facts = json.loads(call("watch", "notes.wg", "--once", "--json").stdout)
    assert facts.keys() == {"at", "queues", "workers", "running", "failed", "runs"}
    assert facts["queues"][0]["counts"]["pending"] == 1
    assert call("watch", "other.wg").exit_code == 1


def test_each_change_is_a_line_and_ctrl_c_ends_it_well(call: Call, spawn: Spawn, single: Any, tasks: str) -> None:
    wg.open("notes.wg").close()
    call("enqueue", "notes.wg", "voices", "shout")
    with spawn("watch", "notes.wg") as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("queue voices: 1 pending\n")
        call("pause", "notes.wg", "voices")
        assert process.stdout.readline().endswith("queue voices: 1 pending, paused\n")
        with spawn("run", single("hang"), "--tasks", tasks, "--project", "notes.wg") as run:
            assert re.search(r"run \w{26}: running, 0 of 1 tasks$", process.stdout.readline())
            run.kill()
        assert re.search(r"run \w{26}: interrupted, 0 of 1 tasks$", process.stdout.readline())
        call("abort", "notes.wg", "last")
        assert re.search(r"run \w{26}: aborted$", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_json_is_a_document_for_each_change(call: Call, spawn: Spawn, tmp_path: Path) -> None:
    wg.open("notes.wg").close()
    with spawn("watch", "notes.wg", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["queues"] == []
        call("enqueue", "notes.wg", "voices", "shout")
        assert json.loads(process.stdout.readline())["queues"][0]["counts"]["pending"] == 1
        call("abort", "notes.wg", "1")
        assert json.loads(process.stdout.readline())["queues"][0]["counts"]["aborted"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_many_changes_are_five_pictures_a_second_at_most(spawn: Spawn, tmp_path: Path) -> None:
    with wg.open(tmp_path / "notes.wg") as project, spawn("watch", "notes.wg", "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun, pictures, pending = time.monotonic(), 0, 0
        for _ in range(60):
            project.queue("voices").enqueue("shout")
            project.file.sync()
        while pending < 60:
            pending = json.loads(process.stdout.readline())["queues"][0]["counts"]["pending"]
            pictures += 1
        assert 1 <= pictures <= (time.monotonic() - begun) * 5 + 1
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_a_terminal_gets_a_picture_that_moves(call: Call, tmp_path: Path) -> None:
    wg.open("notes.wg").close()
    call("enqueue", "notes.wg", "voices", "shout")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    words = [sys.executable, "-m", "workglow", "watch", "notes.wg"]
    with subprocess.Popen(words, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        drawn = b""

        def read_until(text: bytes) -> None:
            nonlocal drawn
            while text not in drawn:
                drawn += os.read(ours, 65536)

        read_until(b"1 pending")
        assert b"\x1b[?1049h" in drawn  # on a screen of its own
        call("pause", "notes.wg", "voices")
        read_until(b"voices, paused")
        process.send_signal(signal.SIGINT)
        read_until(b"\x1b[?1049l")
        assert process.wait(60) == 0
    os.close(ours)
