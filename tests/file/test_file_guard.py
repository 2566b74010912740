"""A database that is open in this process is known, also while another thread works with it."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from workglow.file import File
from workglow.file.guard import is_open_database


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_an_open_project_is_known_and_a_closed_one_is_not(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "project.wg"
    file = File.open(path)
    assert is_open_database(f"{path}{ending}")
    file.close()
    assert not is_open_database(f"{path}{ending}")


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "somebody else's"])
def test_a_connection_that_works_in_another_thread_is_no_obstacle(tmp_path: Path, ours: bool) -> None:
    path = str(tmp_path / "busy.db")
    busy, go_on = threading.Event(), threading.Event()
    if ours:
        file = File.open(path)
        db = file.reader
    else:
        db = apsw.Connection(path)

    def wait(*_: object) -> int:
        busy.set()
        go_on.wait(10)
        return 1

    db.create_scalar_function("wait", wait, 0)
    worker = threading.Thread(target=lambda: db.execute("SELECT wait()").fetchall())
    worker.start()
    busy.wait(10)
    if not ours:  # it is asked until it has a moment
        threading.Timer(0.05, go_on.set).start()
    assert is_open_database(path)
    go_on.set()
    worker.join()
