"""One start after the other, while nobody else writes: what is known of the limiter is not read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from taken_turns import take

import workglow as wg
from workglow import Limiter, Project, RateLimiter
from workglow.storage.jobs import Ask
from workglow.storage.sqlite import admission
from workglow.storage.sqlite.gates import Gates
from workglow.storage.sqlite.workers import Workers
from workglow.testing import FakeClock

RULE = RateLimiter(5, per=60)


def start(limiter: Limiter) -> bool:
    return limiter.take() is not None


@pytest.fixture
def mine(project: Project) -> Limiter:
    limiter = project.limiter("api", RULE)
    assert start(limiter)
    assert start(limiter)
    return limiter


@pytest.fixture
def theirs(tmp_path: Path, clock: FakeClock, mine: Limiter) -> Iterator[Limiter]:
    with wg.open(tmp_path / "limits.wg", clock=clock) as other:
        limiter = other.limiter("api")
        assert start(mine)
        yield limiter


def test_it_is_not_read_while_nobody_else_writes(
    project: Project, mine: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = project.limiter("other", RULE)
    assert start(mine)
    monkeypatch.setattr(admission, "_LOAD", "nothing that SQLite knows")
    assert [start(mine), start(mine)] == [True, True]
    with pytest.raises(apsw.SQLError):
        start(other)


def test_what_others_start_counts(mine: Limiter, theirs: Limiter) -> None:
    assert start(theirs)
    assert [start(mine), start(mine), start(theirs)] == [True, False, False]


def test_what_others_hold_up_is_held_up(mine: Limiter, theirs: Limiter) -> None:
    theirs.hold(10)
    assert not start(mine)


@pytest.mark.parametrize("ahead", [0, 10**6])
def test_time_goes_on(project: Project, mine: Limiter, clock: FakeClock, ahead: int) -> None:
    """Also that of a file from a machine whose clock was ahead of this one's."""
    with project.file.transaction() as db:
        db.execute(
            "UPDATE limiter SET boot = 'elsewhere', shift = shift + ?1, seen = seen + ?1, state = '[]'", (ahead,)
        )
    assert [start(mine), start(mine)] == [True, True]
    assert [start(mine) for _ in range(4)] == [True] * 3 + [False]
    clock.advance(61)
    assert [start(mine), start(mine)] == [True, True]
    clock.advance(30)
    assert [start(mine) for _ in range(4)] == [True] * 3 + [False]
    clock.advance(31)
    assert [start(mine) for _ in range(3)] == [True, True, False], "those of the last half a minute still count"


def test_a_start_that_is_undone_is_none(mine: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Gates, "close", lambda *_: 1 // 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                start(mine)
    assert [start(mine) for _ in range(4)] == [True] * 3 + [False]


def test_a_turn_of_a_queue_that_is_undone_starts_nothing_either(
    project: Project, mine: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shares with others of the process what is known of the limiter."""
    queue = project.queue("work", limits=[mine])
    queue.enqueue("anything")
    jobs = project.queues.repository
    ask = Ask(jobs.begin_worker("[]", "[]", 1), [queue.row_id], (), 1)
    assert start(mine)
    with monkeypatch.context() as broken:
        broken.setattr(Workers, "keep_low_mark", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            take(jobs, ask)
    assert [start(mine) for _ in range(3)] == [True, True, False]
