"""Promise: calls of models elsewhere that were recorded are never repeated after SIGKILL, and limits hold across it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import apsw
import pytest

pytest.importorskip("cloud_service", reason="needs pytest-httpserver")

from cloud_ledger import (
    Answer,
    Kill,
    Record,
    Request,
    Service,
    asked_after,
    asked_twice,
    early,
    most_at_once,
    most_within,
    started_in_hold,
    unbacked,
)
from cloud_program import MODEL, build, prompts
from crash_nursery import completed, kill

import workglow as wg
from workglow import ConcurrencyLimiter, RateLimiter, TaskResult
from workglow.ai import ModelRecord
from workglow.ai.record import Prices
from workglow.file import doctor

pytestmark = [
    pytest.mark.extra("openai"),
    pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'"),
]

PROGRAM = Path(__file__).with_name("cloud_program.py")
PROMPTS = 500
MOST, STARTS, WINDOW = 8, 80, 2.0
LATE = 2.0
"""Seconds that a refusal may need from the service into the file, and a request from there to the service."""


def plan(prompt: int, request: int, before: int) -> Answer:
    """Refuse a request now and then, and fail with some prompts when they are asked for the first time."""
    seconds = random.Random(prompt).uniform(0.02, 0.06)
    if request % 120 == 100:
        return Answer(
            seconds, 429, retry_after=3 if request == 100 else 1.2
        )  # 3: a successor is there before it is over
    if before == 0 and prompt % 31 == 7:
        return Answer(seconds, 500)
    return Answer(seconds)


class Place:
    """A project file, the service that its model is at, and processes that work on it."""

    def __init__(self, folder: Path, service: Service) -> None:
        self.project = folder / "project.wg"
        self.service = service
        self.kills: list[Kill] = []
        self._processes: list[subprocess.Popen[str]] = []

    def set_up(self, *, limited: bool = True, queue: str = "") -> None:
        """Make the file, with the model and its limits."""
        prices = Prices(input=1.0, output=10.0)
        record = ModelRecord(
            name=MODEL, provider="openai", source="m", base_url=self.service.address, prices=prices, queue=queue
        )
        with wg.open(self.project) as project:
            project.models.add(record)
            if limited:
                project.limiter("openai", RateLimiter(STARTS, per=WINDOW))
                project.limiter(MODEL, ConcurrencyLimiter(MOST))

    def prepare(self, command: str, count: int = PROMPTS) -> subprocess.Popen[str]:
        """Start a process that waits for the word to begin."""
        return self.start(sys.executable, str(PROGRAM), command, str(self.project), str(count))

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def release(self, process: subprocess.Popen[str]) -> None:
        """Let it begin."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()

    def kill(self, process: subprocess.Popen[str]) -> None:
        at = time.monotonic_ns()
        kill(process.pid)
        held = self.is_held()
        done = [path for _, path in completed(self.project) if path.endswith("/ask")]
        recorded = frozenset(int(path[len("map[") : -len("]/ask")]) for path in done)
        self.kills.append(Kill(at, time.monotonic_ns(), recorded, held))  # others may have gone on since

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def is_held(self) -> bool:
        """Whether the file says that the provider has refused calls."""
        db = apsw.Connection(str(self.project), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(10_000)
        try:
            return bool(db.execute("SELECT count(*) FROM limiter WHERE hold_until > seen").get)
        finally:
            db.close()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(plan) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, service: Service) -> Iterator[Place]:
    made = Place(tmp_path, service)
    yield made
    made.end()


def wait_for(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.002)


def arrivals(requests: Sequence[Request]) -> list[int]:
    return [request.begun for request in requests]


def check(place: Place, record: Record) -> None:
    """Everything is answered, nothing recorded was asked again, and no limit was ever exceeded.

    The service sees a request some time after its start, by which the window is counted: so each that it sees must have
    been noted before it came, and what was noted must keep the window and every hold.
    """
    requests, kills, starts = place.service.requests, place.kills, record.starts()
    assert not asked_after(requests, kills)
    assert asked_twice(requests).total() <= MOST * len(kills)
    assert most_at_once(requests) <= MOST
    assert most_within(starts, round(WINDOW * 1000)) <= STARTS
    assert not unbacked(requests, starts)
    assert record.holds
    assert not started_in_hold(starts, record.holds)
    assert not early(requests, kills, LATE)
    with wg.open(place.project, read_only=True) as project:
        (run,) = project.runs()
        assert run.status == "completed"
        assert run.outputs["text"] == [f"answer to {number}" for number in range(PROMPTS)]
        check_usage([run.tasks[f"map[{number}]/ask"] for number in range(PROMPTS)], run.usage, requests)
    assert doctor(place.project).ok


def check_usage(tasks: Sequence[TaskResult], whole: Mapping[str, float], requests: Sequence[Request]) -> None:
    """Each answer counts once: those that are kept, and those that were paid for just before a kill, where known."""
    parts = [part for task in tasks for part in task.usage_parts if part.usage.input_tokens]
    assert {(part.input_tokens, part.output_tokens) for part in parts} == {(30, 2)}
    assert all(any(part.attempt == task.attempt for part in task.usage_parts) for task in tasks)
    assert PROMPTS <= len(parts) <= sum(request.outcome == "answered" for request in requests)
    assert whole["input_tokens"] == 30 * len(parts)
    assert whole["cost"] == pytest.approx(len(parts) * (30 * 1.0 + 2 * 10.0) / 1e6)


def seeded() -> random.Random:
    return random.Random(int(os.environ.get("WORKGLOW_SEED", "7")))


def test_five_hundred_calls_killed_again_and_again_repeat_none_that_was_recorded_and_keep_their_limits(
    place: Place,
) -> None:
    place.set_up()
    moments, requests = seeded(), place.service.requests
    with Record(place.project, "openai") as record:
        working = place.prepare("run")
        place.release(working)
        for share in range(5):
            successor = place.prepare("resume")
            if share == 1:  # while everybody keeps still because of a refusal
                wait_for(lambda: len(requests) > 100 and place.is_held())
            else:
                wanted = 90 * share + moments.randrange(20, 80)
                wait_for(lambda: len(requests) >= wanted)  # noqa: B023
            time.sleep(moments.uniform(0, 0.03))  # the moment of the kill; nothing waits for it
            place.kill(working)
            place.release(successor)
            working = successor
        assert working.communicate()[0].strip() == "completed"
        assert any(kill.held for kill in place.kills)
        check(place, record)


def test_five_hundred_calls_of_two_workers_of_which_one_is_killed_again_and_again(place: Place) -> None:
    place.set_up(queue="auto")
    with wg.open(place.project) as project:
        run = project.submit(build(), prompts(PROMPTS), queue="openai", cache="off").id
    moments, requests = seeded(), place.service.requests
    command = (
        sys.executable,
        "-m",
        "workglow",
        "worker",
        str(place.project),
        "--queue",
        "openai",
        "--concurrency",
        "9",
    )
    with Record(place.project, "openai") as record:
        working = [place.start(*command) for _ in range(2)]
        for share in range(3):
            wanted = 130 * share + moments.randrange(30, 120)
            wait_for(lambda: len(requests) >= wanted)  # noqa: B023
            place.kill(working.pop(moments.randrange(2)))
            working.append(place.start(*command))
        with wg.open(place.project) as project:
            assert project.wait_sync(run).status == "completed"
        place.end()
        check(place, record)


def test_without_its_limits_the_service_would_have_seen_more(place: Place) -> None:
    place.set_up(limited=False)
    working = place.prepare("run", 200)
    place.release(working)
    assert working.communicate()[0].strip() == "completed"
    assert most_at_once(place.service.requests) > MOST
    assert most_within(arrivals(place.service.requests), round(WINDOW * 1e9)) > STARTS


def test_a_run_that_began_anew_would_have_repeated_what_was_recorded(place: Place) -> None:
    place.set_up()
    working, successor = place.prepare("run", 60), place.prepare("run", 60)
    place.release(working)
    wait_for(lambda: len(place.service.requests) >= 40)
    place.kill(working)
    place.release(successor)
    assert successor.communicate()[0].strip() == "completed"
    assert asked_after(place.service.requests, place.kills)
    assert asked_twice(place.service.requests).total() > MOST


def test_limits_that_were_forgotten_at_a_kill_would_have_let_calls_come_too_early(place: Place) -> None:
    place.service.plan = lambda prompt, request, before: Answer(0.04, 429, 60) if request == 50 else Answer(0.04)
    place.set_up()
    many = 50 + 3 * STARTS  # so that the window itself keeps some of them until well after the refusal
    working, successor = place.prepare("run", many), place.prepare("resume", many)
    with Record(place.project, "openai") as record:
        place.release(working)
        wait_for(place.is_held)
        wait_for(lambda: record.holds)
        place.kill(working)
        with wg.open(place.project) as project:
            project.limiter("openai").clear()
            project.limiter(MODEL).clear()
        place.release(successor)
        wait_for(lambda: len(early(place.service.requests, place.kills, LATE)) > MOST)
        assert started_in_hold(record.starts(), record.holds)
