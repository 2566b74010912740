"""What happens around a commit that another thread carries out."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path

import pytest

from workglow.file import File
from workglow.storage.records import EventRecord, GraphRecord
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
