"""What happens around a commit that another thread carries out."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path

import pytest

from workglow.file import File
from workglow.storage.records import EventRecord, GraphRecord, TaskRow
from workglow.storage.sqlite import sqlite_repositories
from workglow.values import encode


def test_what_is_noted_during_a_commit_is_written_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = EventRecord(1, "a", "retried"), EventRecord(2, "b", "retried")
    with File.open(tmp_path / "a.wg") as file:
        runs = sqlite_repositories(file).runs
        journal = runs.begin(GraphRecord("a" * 64, [], []), encode({}), options={}, versions={})

        def write_and_note(work: object, *, sync: bool = False) -> Future[object]:
            done: Future[object] = Future()
            with file.transaction(sync=sync) as db:
                done.set_result(work(db))  # type: ignore[operator]
            journal.note(second)  # written by then, and not yet known to be committed
            return done

        async def commit() -> None:
            waiting = journal.commit([], sync=True)
            assert waiting is not None
            await waiting

        journal.note(first)
        monkeypatch.setattr(file, "submit", write_and_note)
        asyncio.run(commit())
        assert runs.events(runs.all()[0]) == [first]
        journal.commit([], block=True)
        assert runs.events(runs.all()[0]) == [first, second]


def test_what_changes_during_a_commit_is_written_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = TaskRow("a")
    row.status, row.attempt, row.started_at = "running", 1, 5
    with File.open(tmp_path / "a.wg") as file:
        runs = sqlite_repositories(file).runs
        journal = runs.begin(GraphRecord("a" * 64, [], []), encode({}), options={}, versions={})

        def change_and_write(work: object, *, sync: bool = False) -> Future[object]:
            row.status = "aborted"  # half of a change: its time is still missing
            done: Future[object] = Future()
            with file.transaction(sync=sync) as db:
                done.set_result(work(db))  # type: ignore[operator]
            return done

        async def commit() -> None:
            waiting = journal.commit([row], sync=True)
            assert waiting is not None
            await waiting

        monkeypatch.setattr(file, "submit", change_and_write)
        asyncio.run(commit())
        (run,) = runs.all()
        assert [found.status for found in runs.rows(run)] == ["running"]
        row.finished_at = 9
        journal.commit([row], block=True)
        assert [(found.status, found.finished_at) for found in runs.rows(run)] == [("aborted", 9)]
