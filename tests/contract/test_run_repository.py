"""What counts as keeping runs, graphs, values and outputs: one suite for every place that keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workglow.errors import CorruptValueError, LeaseLostError, RunStateError, UnknownRunError, UnknownTaskError
from workglow.file import File
from workglow.storage.records import ChunkRecord, DataflowRecord, EventRecord, GraphRecord, GraphTaskRecord, TaskRow
from workglow.storage.repositories import Repositories
from workglow.storage.sqlite import sqlite_repositories
from workglow.testing import FakeClock
from workglow.values import encode

GRAPH = GraphRecord(
    "a" * 64,
    [GraphTaskRecord("first", '{"type":"one"}'), GraphTaskRecord("second", '{"type":"two"}')],
    [DataflowRecord("first", "value", "second", "value", '[{"id":"pick"}]')],
    '{"format":"workglow/1"}',
)
INPUT = encode({"text": "x" * 5000, "number": 1})


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Repositories, FakeClock]]:
    clock = FakeClock()
    file = File.open(":memory:" if request.param == "memory" else tmp_path / "a.wg", clock=clock)
    yield sqlite_repositories(file), clock
    file.close()


@pytest.fixture
def kept(place: tuple[Repositories, FakeClock]) -> Repositories:
    return place[0]


def row(path: str, **fields: object) -> TaskRow:
    made = TaskRow(path)
    made.__dict__.update(fields)
    return made


def commit(journal: object, rows: list[TaskRow], **options: object) -> None:
    waiting = journal.commit(rows, block=True, **options)  # type: ignore[attr-defined]
    assert waiting is None


def begin(kept: Repositories) -> object:
    return kept.runs.begin(GRAPH, INPUT, options={"concurrency": 2}, versions={"one": "1"}, rows=[row("first")])


def test_a_run_exists_from_its_first_commit_on(kept: Repositories) -> None:
    journal = begin(kept)
    assert kept.runs.all() == []
    commit(journal, [])
    (run,) = kept.runs.all()
    assert (run.status, run.options, run.versions, run.forked_from) == (
        "running",
        {"concurrency": 2},
        {"one": "1"},
        None,
    )
    assert run.input == INPUT.text
    assert kept.values.load(INPUT.blobs[0].hash)[0] == "text"
    assert [found.path for found in kept.runs.rows(run)] == ["first"]
    assert kept.runs.get(run.uid[:20]) == run


def test_rows_come_back_as_they_were_written(kept: Repositories) -> None:
    journal = begin(kept)
    written = row(
        "map[3]/second", status="completed", attempt=2, started_at=5, finished_at=9, output='{"value":1}',
        error='{"type":"E"}', state='{"opened":4}', usage='{"seconds":1}', cache_key=b"k", wake_at=None,
    )  # fmt: skip
    commit(journal, [written])
    (run,) = kept.runs.all()
    found = kept.runs.row(run, "map[3]/second")
    assert found is not None
    assert {name: getattr(written, name) for name in found.__dict__} == found.__dict__
    assert kept.runs.row(run, "nowhere") is None
    assert kept.runs.count(run) == {"completed": 1, "pending": 1}


def test_what_is_open_is_told_oldest_first_and_without_what_is_finished(kept: Repositories) -> None:
    journal = begin(kept)
    many = [row(f"t{number}", status="running", attempt=1, started_at=1) for number in range(700)]
    commit(journal, many)
    for done in many[:600]:
        done.status, done.finished_at, done.output = "completed", 2, "{}"
    commit(journal, many[:600])
    commit(journal, [row("late", status="pending")])
    journal.release()  # type: ignore[attr-defined]
    (run,) = kept.runs.all()
    again = kept.runs.take_over(run)
    assert [found.path for found in again.open_rows()] == ["first", *(f"t{n}" for n in range(600, 700)), "late"]


def complete(journal: object, rows: list[TaskRow]) -> None:
    for done in rows:
        done.status, done.finished_at, done.output = "completed", 2, "{}"
    commit(journal, rows)


def test_what_comes_while_open_rows_are_read_hides_none_that_is_read_later(kept: Repositories) -> None:
    journal = begin(kept)
    commit(journal, [row(f"t{number}", status="running", attempt=1, started_at=1) for number in range(100)])
    journal.release()  # type: ignore[attr-defined]
    again = kept.runs.take_over(kept.runs.all()[0])
    reading = iter(again.open_rows())
    early = [next(reading) for _ in range(10)]
    commit(again, [row("meanwhile")])
    late = list(reading)
    complete(again, [*early, *late[:-1]])
    complete(again, many := [row(f"more{number}", status="running", attempt=1, started_at=1) for number in range(600)])
    complete(again, many)
    again.release()
    third = kept.runs.take_over(kept.runs.all()[0])
    assert [found.path for found in third.open_rows()] == [late[-1].path, "meanwhile"]


def test_a_loop_whose_last_turn_ends_while_open_rows_are_read_is_told_itself(kept: Repositories) -> None:
    journal = begin(kept)
    commit(journal, [])
    journal.release()  # type: ignore[attr-defined]
    journal = kept.runs.take_over(kept.runs.all()[0])
    (first,) = journal.open_rows()
    loop = row("loop", status="running", attempt=1, started_at=1)
    loop.holds_others = True
    turns = [row(f"loop[{number}]/turn", status="running", attempt=1, started_at=1) for number in range(600)]
    complete(journal, [first])
    commit(journal, [loop])
    for some in (turns[:300], turns[300:]):
        commit(journal, some)
        complete(journal, some[:-1])
    complete(journal, [turns[299]])
    commit(journal, [row("beside")])
    journal.release()
    again = kept.runs.take_over(kept.runs.all()[0])
    reading = iter(again.open_rows())
    last = next(reading)
    assert last.path == turns[-1].path
    found = again.row("loop")
    assert found is not None
    again.keep_open(found)
    complete(again, [last])
    again.release()
    third = kept.runs.take_over(kept.runs.all()[0])
    assert [found.path for found in third.open_rows()] == ["loop", "beside"]


def test_an_old_epoch_writes_nothing(kept: Repositories) -> None:
    old = begin(kept)
    commit(old, [])
    old.release()  # type: ignore[attr-defined]
    (run,) = kept.runs.all()
    new = kept.runs.take_over(run)
    assert new.run.epoch == run.epoch + 1
    with pytest.raises(LeaseLostError):
        commit(old, [row("second", status="running", attempt=1, started_at=1)])
    assert kept.runs.row(run, "second") is None
    commit(new, [row("second", status="running", attempt=1, started_at=1)])
    assert kept.runs.row(run, "second") is not None


def test_a_run_that_somebody_drives_is_not_given_away(kept: Repositories) -> None:
    commit(begin(kept), [])
    (run,) = kept.runs.all()
    with pytest.raises(RunStateError, match="is being run by process"):
        kept.runs.take_over(run)
    assert not kept.runs.is_abandoned(run)


def test_a_finished_run_has_no_owner_and_no_open_rows(kept: Repositories) -> None:
    journal = begin(kept)
    commit(journal, [], status="failed", error='{"message":"no"}')
    (run,) = kept.runs.all()
    assert (run.status, run.session_id, run.error) == ("failed", None, '{"message":"no"}')
    assert [found.status for found in kept.runs.rows(run)] == ["aborted"]
    assert kept.runs.all(open_only=True) == []
    with pytest.raises(RunStateError, match="already failed"):
        kept.runs.take_over(run)


def test_events_are_committed_with_the_rows(kept: Repositories) -> None:
    journal = begin(kept)
    event = EventRecord(7, "first", "retried", {"attempt": 1})
    journal.note(event)  # type: ignore[attr-defined]
    assert kept.runs.all() == []
    commit(journal, [])
    assert kept.runs.events(kept.runs.all()[0]) == [event]


def test_a_commit_may_also_be_awaited(kept: Repositories) -> None:
    async def go() -> None:
        waiting = begin(kept).commit([], sync=True)  # type: ignore[attr-defined]
        if waiting is not None:
            await waiting

    asyncio.run(go())
    assert len(kept.runs.all()) == 1


def test_taking_over_can_replace_rows(kept: Repositories) -> None:
    journal = begin(kept)
    stays, goes = row("stays", status="completed", finished_at=1, output="{}"), row("goes")
    commit(journal, [stays, goes])
    journal.release()  # type: ignore[attr-defined]
    (run,) = kept.runs.all()
    kept.runs.take_over(run, versions={"one": "2"}, keep=[stays], add=[row("new")], reason="code_changed_rerun")
    assert [found.path for found in kept.runs.rows(run)] == ["stays", "new"]
    assert kept.runs.all()[0].versions == {"one": "2"}
    assert kept.runs.events(run)[-1].kind == "code_changed_rerun"


def test_unknown_runs_are_named(kept: Repositories) -> None:
    for wrong in ("nothing", ""):
        with pytest.raises(UnknownRunError, match="workglow runs"):
            kept.runs.get(wrong)


def test_graphs_are_kept_once_and_read_in_parts(kept: Repositories) -> None:
    first, second = kept.graphs.save(GRAPH), kept.graphs.save(GRAPH)
    assert first == second
    assert kept.graphs.load(first) == GRAPH
    assert kept.graphs.task(first, "second") == GRAPH.tasks[1]
    assert kept.graphs.task(first, "third") is None
    assert list(kept.graphs.incoming(first, "second")) == list(GRAPH.dataflows)
    assert list(kept.graphs.outgoing(first, "first")) == list(GRAPH.dataflows)
    assert kept.graphs.extra(first) == GRAPH.extra
    with pytest.raises(UnknownTaskError):
        kept.graphs.load(99)


def test_values_are_kept_once(kept: Repositories) -> None:
    kept.values.save(INPUT.blobs)
    kept.values.save(INPUT.blobs)
    kind, encoding, data = kept.values.load(INPUT.blobs[0].hash)
    assert (kind, encoding, data) == ("text", INPUT.blobs[0].encoding, INPUT.blobs[0].data)
    with pytest.raises(CorruptValueError, match="does not hold it"):
        kept.values.load(b"\0" * 32)


def test_outputs_are_found_whether_a_run_or_somebody_else_left_them(place: tuple[Repositories, FakeClock]) -> None:
    kept, clock = place
    kept.outputs.save(b"saved", "one", {"value": [1, 2]})
    made = row("second", status="completed", attempt=1, finished_at=clock.now(), output='{"value":3}', cache_key=b"ran")
    commit(begin(kept), [made])
    saved, ran = kept.outputs.find(b"saved"), kept.outputs.find(b"ran")
    assert saved is not None
    assert ran is not None
    assert (saved.outputs, saved.source_id) == ({"value": [1, 2]}, 0)
    assert (ran.outputs, ran.source_id) == ({"value": 3}, made.row_id)
    assert kept.outputs.find(b"never") is None
    assert kept.outputs.size() == 2
    clock.advance(10)
    kept.outputs.save(b"new", "one", {})
    assert kept.outputs.clear_older_than(5000) == 2
    assert kept.outputs.size() == 1
    kept.outputs.clear()
    assert kept.outputs.size() == 0


def chunk(seq: int, path: str, attempt: int = 1) -> ChunkRecord:
    return ChunkRecord(seq, path, attempt, "text", "append", '{"text":"x"}', 7)


def test_what_is_streamed_is_kept_until_the_task_is_over(kept: Repositories) -> None:
    journal: Any = begin(kept)
    first, second = row("one", status="running", attempt=1, has_chunks=True), row("two", status="running", attempt=1)
    commit(journal, [first, second])
    (run,) = kept.runs.all()
    for seq, task_row in ((1, first), (2, second), (3, first), (4, first)):
        journal.note_chunk(task_row, chunk(seq, task_row.path))
    assert kept.runs.chunks(run, from_seq=0, limit=9) == []
    commit(journal, [first])
    assert kept.runs.chunks(run, from_seq=0, limit=9) == [
        chunk(1, "one"),
        chunk(2, "two"),
        chunk(3, "one"),
        chunk(4, "one"),
    ]
    assert kept.runs.chunks(run, from_seq=2, path="one", limit=1) == [chunk(3, "one")]
    first.attempt = 2
    journal.note_chunk(first, chunk(5, "one", 2))  # what the first attempt said came to nothing
    commit(journal, [first])
    assert kept.runs.chunks(run, from_seq=0, path="one", limit=9) == [chunk(5, "one", 2)]
    journal.note_chunk(first, chunk(6, "one", 2))
    first.status, first.finished_at, first.output, first.state = "completed", 9, "{}", '{"streamed":7}'
    commit(journal, [first])
    assert kept.runs.chunks(run, from_seq=0, limit=9) == [chunk(2, "two")]
    assert [found.path for found in kept.runs.streamed(run)] == ["one"]
    commit(journal, [], status="failed")
    assert kept.runs.chunks(run, from_seq=0, limit=9) == []


def test_usages_are_those_of_one_run_in_the_order_of_its_tasks(kept: Repositories) -> None:
    first, second = begin(kept), begin(kept)
    commit(
        first, [row("b", status="running", attempt=1, started_at=1), row("a", status="running", usage='{"parts":[]}')]
    )
    commit(second, [row("a", status="running", usage='{"cost":1,"parts":[]}')])
    commit(first, [row("c", status="failed", error="{}", finished_at=2, usage='{"cost":2,"parts":[]}')])
    one, two = kept.runs.all()
    assert kept.runs.usages(one) == [("a", '{"parts":[]}'), ("c", '{"cost":2,"parts":[]}')]
    assert kept.runs.usages(two) == [("a", '{"cost":1,"parts":[]}')]
