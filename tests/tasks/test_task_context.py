"""What a running task may ask: to stop, to report, to be recognised, to clean up after it."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.errors import TaskAbortedError
from workglow.tasks import CancelSignal, TaskContext


def test_progress_stays_between_0_and_1_and_never_goes_back() -> None:
    seen: list[tuple[float, str]] = []
    context = TaskContext(on_progress=lambda fraction, message: seen.append((fraction, message)))
    for fraction in (-3, 0.5, 0.2, math.nan, 250):
        context.progress(fraction, "m")
    assert seen == [(0.0, "m"), (0.5, "m"), (0.5, "m"), (0.5, "m"), (1.0, "m")]
    TaskContext().progress(0.5)


@given(st.lists(st.floats()))
def test_progress_is_monotone_whatever_is_reported(fractions: list[float]) -> None:
    seen: list[float] = []
    context = TaskContext(on_progress=lambda fraction, message: seen.append(fraction))
    for fraction in fractions:
        context.progress(fraction)
    assert seen == sorted(seen)
    assert all(0 <= fraction <= 1 for fraction in seen)


def test_the_idempotency_key_is_of_project_run_and_path() -> None:
    def key(project: str, run: str, path: str, attempt: int = 1) -> str:
        return TaskContext(project_uid=project, run_id=run, path=path, attempt=attempt).idempotency_key

    assert key("p", "r", "a") == key("p", "r", "a", attempt=7)
    assert len({key("p", "r", "a"), key("q", "r", "a"), key("p", "s", "a"), key("p", "r", "b")}) == 4
    assert len(key("p", "r", "a")) == 64
    assert int(key("p", "r", "a"), 16)
    assert TaskContext(idempotency_key="mine").idempotency_key == "mine"


def test_a_signal_is_set_once_and_tells_everybody() -> None:
    signal = CancelSignal()
    told: list[str] = []
    signal.on_cancel(lambda: told.append("first"))
    signal.raise_if_cancelled()
    assert not signal.cancelled
    signal.cancel("timed out")
    signal.cancel("something else")
    signal.on_cancel(lambda: told.append("late"))
    assert told == ["first", "late"]
    assert (signal.cancelled, signal.reason) == (True, "timed out")
    with pytest.raises(TaskAbortedError, match="timed out"):
        signal.raise_if_cancelled()


class Closing:
    def __init__(self, log: list[str], name: str, error: Exception | None = None) -> None:
        self.log, self.name, self.error = log, name, error

    def close(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error


class Leaving(Closing):
    def __enter__(self) -> Leaving:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.log.append(f"exit {self.name}")


class AsyncClosing:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.log.append(f"async {self.name}")


class BothWays(AsyncClosing):
    def close(self) -> None:
        self.log.append(f"plain {self.name}")


def test_what_is_owned_is_released_in_reverse_order() -> None:
    log: list[str] = []
    context = TaskContext()
    assert not context.owns
    first = context.own(Closing(log, "first"))
    assert isinstance(first, Closing)
    with context.own(Leaving(log, "second")):
        pass
    log.clear()
    assert context.owns
    context.dispose()
    assert log == ["exit second", "first"]
    context.dispose()
    assert len(log) == 2


def test_async_resources_are_awaited() -> None:
    log: list[str] = []
    context = TaskContext()
    context.own(Closing(log, "a"))
    context.own(AsyncClosing(log, "b"))
    context.own(BothWays(log, "c"))
    asyncio.run(context.adispose())
    assert log == ["async c", "async b", "a"]


def test_without_a_loop_the_plain_way_is_taken_and_a_missing_one_is_an_error() -> None:
    log: list[str] = []
    context = TaskContext()
    context.own(BothWays(log, "c"))
    context.own(AsyncClosing(log, "b"))
    with pytest.raises(ExceptionGroup) as caught:
        context.dispose()
    assert log == ["plain c"]
    assert "await adispose" in str(caught.value.exceptions[0])


def test_errors_of_release_are_collected_and_the_rest_is_released() -> None:
    log: list[str] = []
    for release in (TaskContext.dispose, lambda context: asyncio.run(context.adispose())):
        log.clear()
        context = TaskContext()
        context.own(Closing(log, "a", ValueError("one")))
        context.own(Closing(log, "b"))
        context.own(Closing(log, "c", OSError("two")))
        with pytest.raises(ExceptionGroup) as caught:
            release(context)
        assert log == ["c", "b", "a"]
        assert [str(error) for error in caught.value.exceptions] == ["two", "one"]


def test_what_cannot_be_released_is_refused() -> None:
    with pytest.raises(TypeError, match="was given int, which has neither"):
        TaskContext().own(3)
