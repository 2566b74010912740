"""What runs of a project were granted: kept over a crash, worth nothing in a file from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import workglow as wg
from workglow import MapTask, TaskGraph, task
from workglow.errors import ResumeError, TaskConfigurationError, TaskEntitlementError
from workglow.file import copy

HERE = Path(__file__).parents[2]
broken: set[str] = set()


@pytest.fixture(autouse=True)
def nothing_is_broken() -> None:
    broken.clear()


@task(name="granted_read", output="text", inline=True, cache=False, version="1", entitlements=("files:read={path}",))
def read(path: str) -> str:
    if path in broken:
        raise ValueError(f"{path} is broken")
    return f"text of {path}"


@task(name="granted_count", output="count", inline=True, version="1")
def count(text: str) -> int:
    if text in broken:
        raise ValueError(f"{text} is broken")
    return len(text)


def reading() -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(read, id="read")
    graph.add_task(count, id="count")
    graph.add_dataflow("read", "text", "count", "text")
    return graph


def looping() -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(MapTask(reading(), id="each", max_iterations=9, iterate=("path",)))
    return graph


def from_data(graph: TaskGraph) -> TaskGraph:
    return TaskGraph.from_json(graph.to_json())


@pytest.fixture
def elsewhere(project_path: Path, tmp_path: Path) -> Iterator[Callable[[], wg.Project]]:
    """Open a copy of the project file."""
    opened: list[wg.Project] = []

    def open_copy() -> wg.Project:
        place = tmp_path / f"copy-{len(opened)}.wg"
        copy(str(project_path), place)
        opened.append(wg.open(place))
        return opened[-1]

    yield open_copy
    for one in opened:
        one.close()


def refused(call: Callable[..., object], *words: object, **rights: Any) -> str:
    with pytest.raises(TaskEntitlementError) as caught:
        call(*words, **rights)
    return str(caught.value)


# ---------------------------------------------------------------------- runs


def test_a_begun_run_of_the_program_s_own_graph_goes_on_here_and_not_in_a_copy(
    project: wg.Project, elsewhere: Callable[[], wg.Project]
) -> None:
    run = project.begin(reading(), {"path": "/data/a"})
    other = elsewhere()
    assert "files:read=/data/a for 'read'" in refused(other.resume_sync, run.id)
    assert other.get(run.id).status == "pending"  # nothing was taken over
    assert other.resume_sync(run.id, entitlements=["files:read=/data"]).status == "completed"
    assert project.resume_sync(run.id).status == "completed"


def test_a_begun_run_of_data_goes_on_nowhere_until_it_is_granted(project: wg.Project) -> None:
    run = project.begin(from_data(reading()), {"path": "/data/a"})
    assert "files:read" in refused(project.resume_sync)
    with pytest.raises(ResumeError, match=r"TaskEntitlementError: .*files:read"):
        project.resume_all_sync()
    assert project.resume_sync(run.id, entitlements=["files:read=/data"]).status == "completed"
    begun = project.begin(from_data(reading()), {"path": "/data/a"}, entitlements=["files:read=/data"])
    assert project.resume_sync(begun.id).status == "completed"


def test_a_denied_graph_leaves_no_run_behind(project: wg.Project) -> None:
    assert "files:read" in refused(project.run_sync, from_data(reading()), {"path": "a"})
    assert project.runs() == []


def test_a_deny_stays_with_its_run_wherever_it_goes(project: wg.Project, elsewhere: Callable[[], wg.Project]) -> None:
    run = project.begin(reading(), {"path": "/etc/a"}, deny=["files:read=/etc"])
    assert "denied by rule" in refused(project.resume_sync, run.id)
    assert "denied by rule" in refused(elsewhere().resume_sync, run.id, entitlements=["*"])


def test_forks_and_reruns_may_do_what_their_origin_might(
    project: wg.Project, elsewhere: Callable[[], wg.Project]
) -> None:
    broken.add("text of /data/a")
    with pytest.raises(wg.WorkglowError, match="broken"):
        project.run_sync(reading(), {"path": "/data/a"})
    (failed,) = project.runs()
    broken.clear()
    assert project.rerun_failed_sync(failed.id).status == "completed"
    done = project.fork_sync(failed.id, "read")
    assert project.fork_sync(done.id, "read").status == "completed"  # the fork is granted what its origin was
    other = elsewhere()
    assert "files:read=/data/a for 'read'" in refused(other.fork_sync, done.id, "read")
    assert "/data/b" in refused(
        other.fork_sync, done.id, None, {"path": "/data/b"}, entitlements=["files:read=/data/a"]
    )
    assert other.fork_sync(done.id, "read", entitlements=["files:read=/data"]).status == "completed"
    # What stands does not run again, so nobody has to be allowed to run it.
    assert other.rerun_failed_sync(failed.id).status == "completed"
    assert other.fork_sync(done.id, "count").status == "completed"


def test_every_iteration_of_a_loop_is_looked_at_after_a_resume_too(
    project: wg.Project, elsewhere: Callable[[], wg.Project]
) -> None:
    run = project.begin(looping(), {"path": ["/data/a", "/etc/b"]})
    other = elsewhere()
    assert "files:read for 'each/read'" in refused(other.resume_sync, run.id)
    assert "/etc/b for 'each[1]/read'" in refused(other.resume_sync, run.id, entitlements=["files:read=/data"])
    assert other.get(run.id).status == "failed"
    assert project.resume_sync(run.id).outputs["count"] == [15, 14]


def test_a_rerun_inside_a_loop_needs_what_runs_again(project: wg.Project, elsewhere: Callable[[], wg.Project]) -> None:
    broken.add("/data/b")
    with pytest.raises(wg.WorkglowError):
        project.run_sync(looping(), {"path": ["/data/a", "/data/b"]})
    (failed,) = project.runs()
    broken.clear()
    other = elsewhere()
    assert "files:read" in refused(other.rerun_failed_sync, failed.id)
    assert "/data/b" in refused(other.rerun_failed_sync, failed.id, entitlements=["files:read=/data/a"])
    assert other.rerun_failed_sync(failed.id, entitlements=["files:read=/data/b"]).status == "completed"


def test_a_named_graph_is_data(project: wg.Project) -> None:
    project.graphs.save("reading", reading())
    assert "files:read" in refused(project.run_sync, project.graphs.get("reading"), {"path": "/data/a"})
    run = project.run_sync(project.graphs.get("reading"), {"path": "/data/a"}, entitlements=["files:read=/data"])
    assert "files:read" in refused(project.run_sync, project.graph_of(run.id), {"path": "/data/a"})


def test_events_of_a_run_are_those_of_a_run_that_is_granted(project: wg.Project) -> None:
    import asyncio

    async def kinds(**rights: Any) -> list[str]:
        return [event.kind async for event in project.stream(from_data(reading()), {"path": "/data/a"}, **rights)]

    assert asyncio.run(kinds(entitlements=["files:read=/data"]))[-1] == "run_finished"
    with pytest.raises(TaskEntitlementError):
        asyncio.run(kinds())


def test_a_run_that_needs_nothing_stores_nothing_about_it(project: wg.Project, project_path: Path) -> None:
    project.run_sync(count, {"text": "a"})
    project.run_sync(reading(), {"path": "a"})
    project.close()
    first, second = asked(project_path, "SELECT options FROM run ORDER BY id")
    assert first == ("{}",)
    assert json.loads(second[0])["entitlements"]["grant"] == ["*"]


# ---------------------------------------------------------------------- after kill -9

PROGRAM = """
import os, sys
import workglow as wg

@wg.task(name="granted_killed", version="1", entitlements=("files:read={path}",))
def read(path: str) -> str:
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), 9)
    return path

with wg.open(sys.argv[1]) as project:
    if sys.argv[2] == "kill":
        project.run_sync(read, {"path": "/data/a"})
    print(project.resume_sync().status)
"""


def in_a_process(path: Path, word: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), word],
        env={**os.environ, "PYTHONPATH": str(HERE), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_after_kill_9_a_run_goes_on_without_being_granted_again(project_path: Path) -> None:
    assert in_a_process(project_path, "kill").returncode == -signal.SIGKILL
    assert in_a_process(project_path, "resume").stdout == "completed\n"


def test_another_user_and_a_user_without_a_folder_have_to_grant_it(project_path: Path, tmp_path: Path) -> None:
    assert in_a_process(project_path, "kill").returncode == -signal.SIGKILL
    (tmp_path / "no-folder").write_text("")
    for name in ("another-user", "no-folder"):
        done = in_a_process(project_path, "resume", XDG_CONFIG_HOME=str(tmp_path / name))
        assert "Denied entitlements: files:read=/data/a" in done.stderr
    assert in_a_process(project_path, "resume").stdout == "completed\n"


def test_a_run_begun_where_no_key_can_be_kept_has_to_be_granted_again(project_path: Path, tmp_path: Path) -> None:
    (tmp_path / "no-folder").write_text("")
    killed = in_a_process(project_path, "kill", XDG_CONFIG_HOME=str(tmp_path / "no-folder"))
    assert killed.returncode == -signal.SIGKILL
    assert "Denied entitlements" in in_a_process(project_path, "resume").stderr


def test_the_key_is_the_user_s_own(project: wg.Project, user_folder: Path) -> None:
    project.grant("network")
    key = user_folder / "workglow" / "key"
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, 32)
    assert list(key.parent.iterdir()) == [key]


# ---------------------------------------------------------------------- projects


def test_a_project_is_granted_something_for_all_its_runs(
    project: wg.Project, project_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project.grant("files:read=docs", "network")
    here = os.path.realpath(tmp_path)
    assert project.grants == [f"files:read={here}/docs", "network"]
    assert project.run_sync(from_data(reading()), {"path": "docs/a"}).status == "completed"
    assert "secret" in refused(project.run_sync, from_data(reading()), {"path": "docs/../secret"})
    assert "denied by rule" in refused(project.run_sync, from_data(reading()), {"path": "docs/a"}, deny=["files"])
    project.close()
    with wg.open(project_path) as again:
        assert len(again.grants) == 2
        again.revoke("files:read=docs")
        assert again.grants == ["network"]
        assert "docs/a" in refused(again.run_sync, from_data(reading()), {"path": "docs/a"})
        with pytest.raises(
            TaskConfigurationError, match="was not granted, so it cannot be taken back; granted is: network"
        ):
            again.revoke("files:read=docs")
        again.revoke("network")
        assert again.grants == []


def test_a_grant_of_a_project_does_not_travel(project: wg.Project, elsewhere: Callable[[], wg.Project]) -> None:
    project.grant("files:read")
    other = elsewhere()
    assert other.grants == []
    assert "files:read" in refused(other.run_sync, from_data(reading()), {"path": "a"})


def test_always_is_kept_by_the_project_and_once_is_not(project: wg.Project) -> None:
    graph = from_data(reading())
    project.run_sync(graph, {"path": "/data/a"}, on_entitlement=lambda _: "once")
    assert project.grants == []
    project.run_sync(graph, {"path": "/data/a"}, on_entitlement=lambda _: "always")
    assert project.grants == ["files:read=/data/a"]
    assert project.run_sync(graph, {"path": "/data/a"}).status == "completed"


def test_once_holds_for_the_run_also_when_it_goes_on(project: wg.Project) -> None:
    broken.add("text of /data/a")
    with pytest.raises(wg.WorkglowError, match="broken"):
        project.run_sync(from_data(reading()), {"path": "/data/a"}, on_entitlement=lambda _: "once")
    broken.clear()
    (failed,) = project.runs()
    assert project.fork_sync(failed.id, "read").status == "completed"


def test_a_project_in_memory_knows_its_own_grants() -> None:
    with wg.open(":memory:") as project, wg.open(":memory:") as other:
        project.grant("files:read")
        assert (project.grants, other.grants) == (["files:read"], [])
        run = project.begin(reading(), {"path": "a"})
        assert project.resume_sync(run.id).status == "completed"


# ---------------------------------------------------------------------- files that lie


def asked(path: Path, sql: str, *values: object) -> list[Any]:
    db = apsw.Connection(str(path))
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def forged(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite what a file says of the grants of its newest run."""
    ((options,),) = asked(path, "SELECT options FROM run ORDER BY id DESC LIMIT 1")
    known = json.loads(options)
    known["entitlements"] = change(known.get("entitlements", {}))
    asked(path, "UPDATE run SET options = ? WHERE id = (SELECT max(id) FROM run)", json.dumps(known))


@pytest.mark.parametrize(
    "change",
    [
        lambda known: {**known, "grant": ["*"]},
        lambda known: {"grant": ["*"]},
        lambda known: {"grant": ["*"], "seal": ""},
        lambda known: {"grant": ["*"], "seal": None},
        lambda known: {"grant": ["*"], "seal": "é"},
        lambda known: {"grant": ["*"], "seal": "0" * 64},
        lambda known: {"grant": "*", "seal": known.get("seal")},
        lambda known: {"grant": ["files:read=/data", "*"], "seal": known.get("seal")},
        lambda known: {"grant": [["*"]], "seal": known.get("seal")},
        lambda known: ["*"],
        lambda known: "*",
    ],
)
def test_a_file_that_grants_itself_something_is_not_believed(
    project: wg.Project, project_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    project.begin(from_data(reading()), {"path": "/etc/passwd"}, entitlements=["files:read=/data"])
    project.close()
    forged(project_path, change)
    with wg.open(project_path) as again:
        assert "files:read=/etc/passwd" in refused(again.resume_sync)


def test_a_seal_of_one_run_is_none_for_another(project: wg.Project, project_path: Path) -> None:
    project.run_sync(reading(), {"path": "/data/a"})
    project.begin(from_data(reading()), {"path": "/etc/passwd"})
    project.close()
    ((trusted,),) = asked(project_path, "SELECT options FROM run WHERE id = 1")
    forged(project_path, lambda _: json.loads(trusted)["entitlements"])
    with wg.open(project_path) as again:
        assert "files:read=/etc/passwd" in refused(again.resume_sync)


def test_a_seal_of_a_run_is_none_for_the_project(project: wg.Project, project_path: Path) -> None:
    project.run_sync(reading(), {"path": "/data/a"})
    project.close()
    asked(
        project_path,
        "UPDATE project SET settings = "
        "(SELECT json_object('entitlements', json(options -> '$.entitlements')) FROM run)",
    )
    with wg.open(project_path) as again:
        assert again.grants == []


def test_a_file_that_takes_the_place_of_another_is_not_that_file(project: wg.Project, project_path: Path) -> None:
    run = project.begin(reading(), {"path": "/etc/passwd"})
    project.grant("network")
    project.close()
    content = project_path.read_bytes()
    for _ in range(5):  # the number of the inode is likely to be the same
        project_path.unlink()
        project_path.write_bytes(content)
        with wg.open(project_path) as again:
            assert again.grants == []
            assert "files:read=/etc/passwd" in refused(again.resume_sync, run.id)


def test_a_file_that_is_moved_is_still_that_file(project: wg.Project, project_path: Path, tmp_path: Path) -> None:
    run = project.begin(reading(), {"path": "/etc/passwd"})
    project.close()
    (tmp_path / "folder").mkdir()
    moved = project_path.rename(tmp_path / "folder" / "moved.wg")
    with wg.open(moved) as again:
        assert again.resume_sync(run.id).status == "completed"


@pytest.mark.parametrize("settings", ["[]", '{"entitlements": ["*"]}', '{"entitlements": {"grant": ["*"]}}', "3"])
def test_settings_that_grant_without_a_seal_are_not_believed(
    project: wg.Project, project_path: Path, settings: str
) -> None:
    project.close()
    asked(project_path, "UPDATE project SET settings = ?", settings)
    with wg.open(project_path) as again:
        assert again.grants == []
        assert "files:read" in refused(again.run_sync, from_data(reading()), {"path": "a"})
        again.grant("files:read")
        assert again.run_sync(from_data(reading()), {"path": "a"}).status == "completed"


def test_a_file_that_hides_its_task_types_is_stopped_where_the_task_begins(
    project: wg.Project, project_path: Path, tmp_path: Path
) -> None:
    run = project.begin(reading(), {"path": "/etc/passwd"})
    project.close()
    stranger = tmp_path / "stranger.wg"
    shutil.copyfile(project_path, stranger)
    asked(stranger, "UPDATE run SET versions = '{}'")
    with wg.open(stranger) as opened:
        assert "files:read=/etc/passwd for 'read'" in refused(opened.resume_sync, run.id)
        assert opened.get(run.id).tasks["read"].status == "failed"
