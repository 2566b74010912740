"""Who waits for a limiter's slot gets it in the order of asking, and waiting costs next to nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from workglow import ConcurrencyLimiter, TokenLimiter
from workglow.limits.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow import Project
    from workglow.limits import Limiter
    from workglow.testing import FakeClock


async def passing(clock: FakeClock, *tasks: asyncio.Task[Any]) -> None:
    """Let time pass until these are done."""
    while not all(task.done() for task in tasks):
        for _ in range(20):
            await asyncio.sleep(0)
        clock.advance(0.5)


def noting(limiter: Limiter, order: list[Any]) -> Callable[..., Any]:
    async def take(name: Any, cost: int = 1) -> None:
        async with limiter.slot(cost):
            order.append(name)
            await asyncio.sleep(0)

    return take


def test_slots_are_given_in_the_order_of_asking(project: Project, clock: FakeClock) -> None:
    order: list[int] = []
    take = noting(project.limiter("a", ConcurrencyLimiter(1)), order)

    async def main() -> None:
        await passing(clock, *(asyncio.create_task(take(number)) for number in range(50)))

    asyncio.run(main())
    assert order == list(range(50))


def test_a_costly_one_is_not_overtaken_by_cheap_ones(project: Project, clock: FakeClock) -> None:
    order: list[str] = []
    take = noting(project.limiter("a", TokenLimiter(100, per=60)), order)

    async def main() -> None:
        calls = [("first", 60), ("costly", 100), *((f"cheap {number}", 10) for number in range(4))]
        await passing(clock, *(asyncio.create_task(take(*call)) for call in calls))

    asyncio.run(main())
    assert order[:2] == ["first", "costly"]


def test_who_is_cancelled_leaves_the_line_and_the_next_one_has_its_turn(project: Project, clock: FakeClock) -> None:
    order: list[int] = []
    limiter = project.limiter("a", ConcurrencyLimiter(1))
    take = noting(limiter, order)

    async def main() -> None:
        held = limiter.take()
        assert held is not None
        tasks = [asyncio.create_task(take(number)) for number in range(5)]
        await asyncio.sleep(0)
        for at in (0, 3):  # the one whose turn it is, and one behind
            tasks[at].cancel()
        await asyncio.sleep(0)
        held.release()
        await passing(clock, *tasks)

    asyncio.run(main())
    assert order == [1, 2, 4]


def test_only_the_first_looks_at_the_file(project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, looks = project.queues.limits.repository, [0]
    take = repository.take

    def counted(*given: Any) -> Any:
        looks[0] += 1
        return take(*given)

    monkeypatch.setattr(repository, "take", counted)
    order: list[int] = []
    slot = noting(project.limiter("a", ConcurrencyLimiter(1)), order)

    async def main() -> None:
        await passing(clock, *(asyncio.create_task(slot(number)) for number in range(100)))

    asyncio.run(main())
    assert len(order) == 100
    assert looks[0] < 400


def test_a_thread_that_blocks_stands_in_the_same_line(project: Project) -> None:
    limiter = project.limiter("a", ConcurrencyLimiter(1))
    line = limiter.slot()._line
    order: list[str] = []
    held = limiter.take()
    assert held is not None

    def block(name: str) -> None:
        with limiter.slot():
            order.append(name)

    threads = [threading.Thread(target=block, args=(name,)) for name in ("one", "two", "three")]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while len(line) < number:  # until it has come
            pass
    held.release()
    for thread in threads:
        thread.join(20)
    assert order == ["one", "two", "three"]


def test_who_blocks_a_loop_does_not_wait_for_those_that_it_holds_up(project: Project, clock: FakeClock) -> None:
    order: list[str] = []
    limiter = project.limiter("a", ConcurrencyLimiter(1))
    take = noting(limiter, order)

    async def main() -> None:
        held = limiter.take()
        assert held is not None
        waiting = asyncio.create_task(take("waits"))
        await asyncio.sleep(0)
        releasing = threading.Timer(0.05, held.release)
        releasing.start()
        with limiter.slot():
            order.append("blocks")
        releasing.join()
        await passing(clock, waiting)

    asyncio.run(main())
    assert order == ["blocks", "waits"]


def test_a_loop_that_was_closed_around_those_who_wait_holds_nobody_up() -> None:
    line = Line()

    async def stand() -> None:
        async with line.turn():
            await asyncio.Event().wait()

    dead = asyncio.new_event_loop()
    waiting = [stand(), stand()]
    for one in waiting:
        dead.create_task(one)._log_destroy_pending = False  # type: ignore[attr-defined]
    dead.run_until_complete(asyncio.sleep(0))
    assert len(line) == 2
    dead.close()

    async def main() -> None:
        reached = asyncio.create_task(through())
        await asyncio.sleep(0)
        waiting.pop(0).close()  # as when it is forgotten
        await asyncio.wait_for(reached, 5)

    async def through() -> None:
        async with line.turn():
            pass

    asyncio.run(main())
    for one in waiting:
        one.close()
    assert len(line) == 0
