"""What counts as keeping what runs wait for, and what came for it: one suite for every place that keeps runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from workglow.errors import LeaseLostError, RunStateError
from workglow.file import File
from workglow.storage.records import Arrival, GraphRecord, GraphTaskRecord, TaskRow, WaitingRow
from workglow.storage.repositories import Repositories
from workglow.storage.sqlite import sqlite_repositories
from workglow.testing import FakeClock
from workglow.values import encode

GRAPH = GraphRecord("b" * 64, [GraphTaskRecord("ask", '{"type":"one"}')], [])
EVENT = '{"waits_for":"event","event":"paid"}'
PERSON = '{"waits_for":"person","message":"?"}'
YES, NO = encode({"approved": True}), encode({"approved": False})


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Repositories, FakeClock]]:
    clock = FakeClock()
    file = File.open(":memory:" if request.param == "memory" else tmp_path / "a.wg", clock=clock)
    yield sqlite_repositories(file), clock
    file.close()


def waiting(path: str, state: str = PERSON, *, wake_at: int | None = None, attempt: int = 1) -> TaskRow:
    row = TaskRow(path)
    row.__dict__.update(status="waiting", attempt=attempt, started_at=1, state=state, wake_at=wake_at)
    return row


def begin(kept: Repositories, *rows: TaskRow) -> Any:
    journal = kept.runs.begin(GRAPH, encode({}), options={}, versions={})
    assert journal.commit(rows, block=True) is None
    return journal


def leave(journal: Any) -> bool:
    """Park, on the spot."""
    try:
        journal.park(block=True).send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it was to wait on the spot")


def test_what_waits_is_listed(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    one, two = begin(kept, waiting("ask", wake_at=7)), begin(kept, waiting("map[3]/ask", EVENT))
    first, second = one.run.uid, two.run.uid
    assert kept.waiting.rows() == [
        WaitingRow(first, "ask", 1, 1, 7, PERSON, False),
        WaitingRow(second, "map[3]/ask", 1, 1, None, EVENT, False),
    ]
    assert [row.run for row in kept.waiting.rows(two.run)] == [second]
    two.commit((), block=True, status="aborted")
    assert [row.run for row in kept.waiting.rows()] == [first]


def test_the_first_answer_is_told_to_the_owner_and_no_other_is_kept(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    row = waiting("ask")
    journal = begin(kept, row)
    assert journal.arrivals() == []
    kept.waiting.answer(journal.run, "ask", 1, "accept", YES)
    with pytest.raises(RunStateError, match="answered already"):
        kept.waiting.answer(journal.run, "ask", 1, "decline", NO)
    assert journal.arrivals() == journal.arrivals() == [Arrival(row.row_id, "accept", YES.text)]
    assert [one.answered for one in kept.waiting.rows()] == [True]
    row.status, row.finished_at, row.output = "completed", 2, "{}"
    journal.commit([row], block=True)
    assert journal.arrivals() == []
    assert kept.waiting.rows() == []


@pytest.mark.parametrize(("path", "attempt"), [("ask", 2), ("nowhere", 1)])
def test_only_the_attempt_that_asked_is_answered(
    place: tuple[Repositories, FakeClock], path: str, attempt: int
) -> None:
    kept, _ = place
    journal = begin(kept, waiting("ask"))
    with pytest.raises(RunStateError, match="does not wait any more"):
        kept.waiting.answer(journal.run, path, attempt, "accept", YES)
    assert journal.arrivals() == []


def test_another_attempt_asks_anew(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    row = waiting("ask")
    journal = begin(kept, row)
    kept.waiting.answer(journal.run, "ask", 1, "accept", YES)
    row.attempt = 2
    journal.commit([row], block=True)
    assert journal.arrivals() == []
    kept.waiting.answer(journal.run, "ask", 2, "accept", NO)
    assert [arrival.content for arrival in journal.arrivals()] == [NO.text]


def test_of_an_answer_and_a_deadline_the_first_one_stands(place: tuple[Repositories, FakeClock]) -> None:
    kept, clock = place
    early, late = waiting("early", wake_at=clock.now() + 1000), waiting("late", wake_at=clock.now() + 1000)
    journal = begin(kept, early, late)
    kept.waiting.answer(journal.run, "early", 1, "accept", YES)
    clock.advance(1)
    with pytest.raises(RunStateError, match="deadline"):
        kept.waiting.answer(journal.run, "late", 1, "accept", YES)
    found = {arrival.row_id: arrival.action for arrival in journal.arrivals([early.row_id, late.row_id])}
    assert found == {early.row_id: "accept", late.row_id: "expired"}


def test_an_event_goes_to_all_that_wait_and_else_is_kept_in_order(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    one, two = waiting("one", EVENT), waiting("two", EVENT)
    journal, other = begin(kept, one, two), begin(kept, waiting("ask"))
    texts = [encode({"payload": number}) for number in range(3)]
    sent = [kept.waiting.send("paid", text, [journal.run, other.run]) for text in texts]
    assert sent == [[journal.run.uid, other.run.uid]] * 3
    assert {arrival.content for arrival in journal.arrivals()} == {texts[0].text}
    assert other.arrivals() == []
    late = waiting("late", EVENT)
    other.commit([late], block=True)
    assert other.arrivals() == [Arrival(late.row_id, "event", texts[0].text)]
    later = waiting("later", EVENT)
    other.commit([later], block=True)
    assert other.arrivals()[1] == Arrival(later.row_id, "event", texts[1].text)


def test_a_finished_run_gets_no_event(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    journal = begin(kept, waiting("ask", EVENT))
    journal.commit((), block=True, status="aborted")
    assert kept.waiting.send("paid", YES, [journal.run]) == []


def test_a_run_that_waits_is_driven_by_nobody(place: tuple[Repositories, FakeClock]) -> None:
    kept, clock = place
    journal = begin(kept, waiting("ask", wake_at=clock.now() + 1000))
    assert leave(journal) is True
    (run,) = kept.runs.all()
    assert (run.status, run.session_id, run.finished_at) == ("waiting", None, None)
    assert kept.runs.is_abandoned(run)
    with pytest.raises(LeaseLostError):
        journal.commit([waiting("more")], block=True)
    with pytest.raises(LeaseLostError):
        journal.arrivals([1])
    assert kept.waiting.due() == []
    clock.advance(1)
    assert kept.waiting.due() == [run.uid]
    assert kept.runs.take_over(run).run.status == "running"


def test_nobody_leaves_when_something_has_come(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    journal = begin(kept, waiting("ask"))
    kept.waiting.answer(journal.run, "ask", 1, "accept", YES)
    assert leave(journal) is False
    assert kept.runs.all()[0].status == "running"
    journal.commit([waiting("more")], block=True)
    assert kept.waiting.due() == [journal.run.uid]


def test_of_many_answers_at_the_same_time_one_wins(place: tuple[Repositories, FakeClock]) -> None:
    kept, _ = place
    journal = begin(kept, waiting("ask"))
    outcomes: list[str] = []

    def answer(number: int) -> None:
        try:
            kept.waiting.answer(journal.run, "ask", 1, "accept", encode({"number": number}))
        except RunStateError:
            outcomes.append("refused")
        else:
            outcomes.append(f'{{"number":{number}}}')

    threads = [Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 7
    (arrival,) = journal.arrivals()
    assert arrival.content in outcomes


def test_a_journal_hears_of_what_comes(place: tuple[Repositories, FakeClock]) -> None:

    kept, _ = place
    journal = begin(kept, waiting("ask"))

    async def go() -> None:
        change = asyncio.ensure_future(journal.wait_for_change())
        await asyncio.sleep(0)
        assert not change.done()
        kept.waiting.answer(journal.run, "ask", 1, "accept", YES)
        await change

    asyncio.run(go())
