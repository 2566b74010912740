"""Promise: copy the file, in any state, with `workglow copy` or after a clean close, and the run goes on elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crash_nursery import HERE, Nursery, wait
from crash_tasks import EXPECTED, ITEMS, build

import workglow as wg
from workglow.errors import FileFullError, HalfCopyError
from workglow.file import copy, doctor

_RESUME = """
import asyncio, os, sys
import crash_tasks, workglow as wg, workglow.project
crash_tasks.LEDGER = "/dev/null"
with wg.open(":memory:") as project:  # imports all there is, for the interpreter may be where that user cannot read
    project.run_sync(crash_tasks.build(), {"count": 1})
crash_tasks.LEDGER = sys.argv[2]
if len(sys.argv) > 3:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[3]))
with wg.open(sys.argv[1]) as project:
    run = project.resume_sync()
    print(run.status, run.outputs["value"])
"""


def half_done(tmp_path: Path, nursery: Nursery) -> Path:
    """A project that was killed in the middle of its run: main file and log."""
    project = tmp_path / "here" / "project.wg"
    project.parent.mkdir()
    with wg.open(project) as opened:
        opened.begin(build(), {"count": ITEMS})
    wait(nursery.fork(project, point="complete.after:60"))
    assert Path(f"{project}-wal").stat().st_size > 0
    return project


def resume_elsewhere(project: Path, tmp_path: Path, user: int | None = None) -> str:
    """Resume in another folder, time zone, language and hash seed, with nothing else of the first process."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": f"{HERE}:{HERE.parents[1]}", "HOME": str(home),
        "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    if user is not None:
        for path in (project.parent, project, home):
            os.chown(path, user, user)
    done = subprocess.run(
        [sys.executable, "-c", _RESUME, str(project), str(home / "ledger"), *([] if user is None else [str(user)])],
        cwd=home, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_crashed_project_is_copied_and_resumed_elsewhere(tmp_path: Path, nursery: Nursery) -> None:
    project = half_done(tmp_path, nursery)
    there = tmp_path / "there" / "moved.wg"
    there.parent.mkdir()
    copy(project, there)
    assert resume_elsewhere(there, tmp_path) == f"completed {EXPECTED}"
    assert doctor(there).ok
    with wg.open(project) as original:
        assert original.runs()[0].finished_at is None


def test_a_closed_project_is_one_file_that_resumes_elsewhere(tmp_path: Path, nursery: Nursery) -> None:
    project = half_done(tmp_path, nursery)
    with wg.open(project):
        pass
    assert sorted(path.name for path in project.parent.iterdir()) == ["project.wg"]
    there = tmp_path / "there.wg"
    shutil.copyfile(project, there)
    assert resume_elsewhere(there, tmp_path) == f"completed {EXPECTED}"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_resumes_it(tmp_path: Path, nursery: Nursery) -> None:
    project = half_done(tmp_path, nursery)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    there = tmp_path / "there" / "moved.wg"
    there.parent.mkdir()
    copy(project, there)
    assert resume_elsewhere(there, tmp_path, user=65534) == f"completed {EXPECTED}"


def test_the_main_file_alone_is_refused(tmp_path: Path, nursery: Nursery) -> None:
    project = half_done(tmp_path, nursery)
    alone = tmp_path / "alone.wg"
    shutil.copyfile(project, alone)
    with pytest.raises(HalfCopyError, match="workglow copy"):
        wg.open(alone)


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import crash_tasks

    monkeypatch.setattr(crash_tasks, "LEDGER", str(tmp_path / "ledger"))
    with wg.open(tmp_path / "a.wg") as project:
        whole, left = project.file.transaction, [20]

        def until_full(**options: bool) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise FileFullError("the disk is full")
            return whole(**options)

        monkeypatch.setattr(project.file, "transaction", until_full)
        with pytest.raises(FileFullError):
            project.run_sync(build(), {"count": ITEMS})
        monkeypatch.setattr(project.file, "transaction", whole)
        (run,) = project.runs()
        assert run.status == "running"
        done = {path for path, task in run.tasks.items() if task.status == "completed"}
        assert done
        resumed = project.resume_sync(run.id)
        assert resumed.outputs["value"] == EXPECTED
        assert {path for path in done if resumed.tasks[path].attempt > run.tasks[path].attempt} == set()
