"""Promise: a reader who comes late, or after a crash, still sees the whole stream."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from crash_nursery import HERE
from crash_streams import PIECES, SAID_AT_CRASH, WHOLE, build, build_in_groups, name_of

import workglow as wg
from workglow import TaskGraph
from workglow.file import doctor


def start(what: str, project: Path, told: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(HERE / "crash_streams.py"), what, str(project), str(told)])


def query(project: Path, text: str) -> list[tuple[Any, ...]]:
    db = apsw.Connection(str(project), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(10_000)
    try:
        return db.execute(text).fetchall()
    finally:
        db.close()


def kill_and_resume(project: Path, told: Path) -> None:
    """Let the first driver die, look at what is left, and let a second one finish."""
    with start("drive", project, told) as first:
        assert first.wait() == -9
    # a reader who comes now finds what was said
    rows = query(
        project,
        "SELECT data FROM stream_chunk JOIN task_run ON id = task_run_id WHERE path LIKE '%write' ORDER BY seq",
    )
    assert len(rows) >= 2
    assert "".join(json.loads(data)["text"] for (data,) in rows) == SAID_AT_CRASH
    statuses = query(project, "SELECT path, status FROM task_run")
    assert {path.rpartition("/")[2] for path, _ in statuses} >= {"write", "shout", "first", "count"}
    assert {status for _, status in statuses} == {"running"}
    assert doctor(project).ok
    with start("drive", project, told) as second:
        assert second.wait() == 0


@pytest.mark.parametrize("made", [build, build_in_groups])
def test_a_follower_sees_the_prefix_the_restart_and_the_whole(tmp_path: Path, made: Callable[[], TaskGraph]) -> None:
    project, told = tmp_path / "stream.wg", tmp_path / "heard"
    with wg.open(project) as opened:
        opened.begin(made(), {"follower": str(told)})
    with start("follow", project, told) as follower:
        try:
            kill_and_resume(project, told)
        except BaseException:
            follower.kill()
            raise
        assert follower.wait() == 0

    lines = [json.loads(line) for line in told.read_text().splitlines()]
    for path, said in (("write", SAID_AT_CRASH), ("shout", SAID_AT_CRASH.replace(" ", "!"))):
        mine = [line for line in lines if name_of(line) == path]
        kinds = [line["kind"] for line in mine]
        restart = kinds.index("restarted")
        assert "".join(line["data"] for line in mine[:restart]) == said
        assert {line["attempt"] for line in mine[:restart]} == {1}
        assert (mine[restart]["attempt"], kinds.count("restarted")) == (2, 1)
        whole = mine[-1]
        assert (whole["kind"], whole["attempt"]) == ("value", 2)
        assert whole["data"] == {"text": WHOLE if path == "write" else WHOLE.replace(" ", "!")}
    assert [line["seq"] for line in lines if line["kind"] == "append"] == sorted(
        {line["seq"] for line in lines if line["kind"] == "append"}
    )

    with wg.open(project) as opened:
        run = opened.runs()[-1]
        assert (run.status, run.outputs) == ("completed", {"first": ["0"], "count": [len(PIECES)]})
        (attempt,) = [task.attempt for path, task in run.tasks.items() if path.endswith("write")]
        assert attempt == 2
    assert query(project, "SELECT count(*) FROM stream_chunk") == [(0,)]
    assert doctor(project).ok
