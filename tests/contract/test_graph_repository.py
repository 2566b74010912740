"""What counts as keeping graphs by name: one suite for every place that keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow.errors import GraphError, TaskSerializationError, UnknownGraphError, UnknownTaskTypeError
from workglow.file import File, doctor
from workglow.library import LambdaTask
from workglow.storage.sqlite import sqlite_repositories
from workglow.tasks import TaskRegistry
from workglow.testing import FakeClock


@wg.task(output="text", name="kept_tidy")
def tidy(text: str) -> str:
    return " ".join(text.split())


@wg.task(output="text", name="kept_shout")
def shout(text: str, mark: str = "!") -> str:
    return text.upper() + mark


FIRST = wg.Workflow().then(tidy)
SECOND = wg.Workflow().then(tidy).then(shout, mark="?")
THIRD = wg.Workflow().map(wg.Workflow().then(shout))
AWKWARD = ["ingest", "Ingest 2/pdf", "été", "a.history", ".hidden", "100%", "..", "con:1", "名" * 26, "x.json", "%2E"]


@pytest.fixture(params=["memory", "folder", ":memory:", "file"])
def graphs(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[wg.TaskGraphRepository]:
    if request.param == "memory":
        yield wg.MemoryTaskGraphRepository(clock=clock)
    elif request.param == "folder":
        yield wg.FolderTaskGraphRepository(tmp_path / "graphs", clock=clock)
    else:
        path = ":memory:" if request.param == ":memory:" else tmp_path / "a.wg"
        with File.open(path, clock=clock) as file:
            yield wg.TaskGraphRepository(sqlite_repositories(file).named)
        if path != ":memory:":
            assert doctor(path).ok


def hash_of(workflow: wg.Workflow) -> str:
    return workflow.to_graph().content_hash()


def test_a_graph_comes_back_equal(graphs: wg.TaskGraphRepository) -> None:
    for name, workflow in (("first", FIRST), ("second", SECOND), ("third", THIRD)):
        graphs.save(name, workflow)
        assert graphs.get(name).to_json() == workflow.to_graph().to_json()
    assert graphs.list() == list(graphs) == ["first", "second", "third"]
    assert "second" in graphs
    assert "fourth" not in graphs
    assert len(graphs) == 3
    assert graphs.get("second").run_sync({"text": " so  it "}).outputs == {"text": "SO IT?"}


def test_every_version_can_be_had_again(graphs: wg.TaskGraphRepository, clock: FakeClock) -> None:
    began = clock.now()
    for workflow, note in ((FIRST, ""), (SECOND, "louder"), (THIRD, "many")):
        graphs.save("ingest", workflow, note=note)
        clock.advance(1)
    assert graphs.history("ingest") == [
        wg.GraphVersion("ingest", 1, hash_of(FIRST), "", began),
        wg.GraphVersion("ingest", 2, hash_of(SECOND), "louder", began + 1000),
        wg.GraphVersion("ingest", 3, hash_of(THIRD), "many", began + 2000),
    ]
    assert [graphs.get("ingest", number).content_hash() for number in (1, 2, 3)] == [
        hash_of(FIRST), hash_of(SECOND), hash_of(THIRD),
    ]  # fmt: skip
    assert graphs.get("ingest").content_hash() == hash_of(THIRD)
    with pytest.raises(UnknownGraphError, match="no version 4; it has 1, 2, 3"):
        graphs.get("ingest", 4)


def test_an_old_version_can_be_the_newest_again(graphs: wg.TaskGraphRepository) -> None:
    graphs.save("ingest", FIRST)
    graphs.save("ingest", SECOND)
    assert graphs.restore("ingest", 1).number == 3
    assert graphs.get("ingest").content_hash() == hash_of(FIRST)
    assert [(version.number, version.note) for version in graphs.history("ingest")] == [
        (1, ""), (2, ""), (3, "version 1 again"),
    ]  # fmt: skip
    assert graphs.restore("ingest", 2, note="it was better").note == "it was better"
    with pytest.raises(UnknownGraphError, match="no version 9"):
        graphs.restore("ingest", 9)


def test_what_is_the_newest_already_is_not_saved_again(graphs: wg.TaskGraphRepository) -> None:
    first = graphs.save("ingest", FIRST, note="mine")
    assert graphs.save("ingest", FIRST) == first
    assert graphs.save("ingest", FIRST, note="mine") == first
    assert graphs.save("ingest", FIRST, note="yours").number == 2
    graphs.save("ingest", SECOND)
    assert graphs.save("ingest", FIRST).number == 4


def test_a_name_can_change_and_takes_its_history_along(graphs: wg.TaskGraphRepository) -> None:
    graphs.save("old", FIRST)
    graphs.save("old", SECOND, note="second")
    graphs.save("other", THIRD)
    graphs.rename("old", "new")
    assert graphs.list() == ["new", "other"]
    assert [(one.name, one.number, one.note) for one in graphs.history("new")] == [("new", 1, ""), ("new", 2, "second")]
    assert graphs.get("new", 1).content_hash() == hash_of(FIRST)
    assert graphs.save("new", THIRD).number == 3
    graphs.rename("new", "new")
    with pytest.raises(GraphError, match="'other' already"):
        graphs.rename("new", "other")
    with pytest.raises(UnknownGraphError, match="'old'"):
        graphs.rename("old", "newer")
    with pytest.raises(UnknownGraphError, match="'old'"):
        graphs.rename("old", "other")
    assert graphs.list() == ["new", "other"]


def test_a_removed_name_is_gone_with_its_history(graphs: wg.TaskGraphRepository) -> None:
    graphs.save("ingest", FIRST)
    graphs.save("ingest", SECOND)
    graphs.remove("ingest")
    assert graphs.list() == []
    for ask in (graphs.get, graphs.history, graphs.remove):
        with pytest.raises(UnknownGraphError, match="no graph called 'ingest'; there are: none"):
            ask("ingest")
    assert graphs.save("ingest", THIRD).number == 1
    assert graphs.get("ingest").content_hash() == hash_of(THIRD)


def test_an_unknown_name_is_told_with_the_nearest_one(graphs: wg.TaskGraphRepository) -> None:
    graphs.save("ingest", FIRST)
    with pytest.raises(UnknownGraphError, match=r"there are: ingest\. Did you mean 'ingest'\?"):
        graphs.get("ingets")


def test_awkward_names_are_names_like_others(graphs: wg.TaskGraphRepository) -> None:
    for number, name in enumerate(AWKWARD):
        graphs.save(name, wg.Workflow().then(shout, mark=str(number)))
        graphs.save(name, FIRST)
    assert graphs.list() == sorted(AWKWARD)
    for number, name in enumerate(AWKWARD):
        assert graphs.get(name, 1).tasks["kept_shout"].defaults == {"mark": str(number)}
        assert len(graphs.history(name)) == 2


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "a\0b", "x" * 81, "\u200b", 5])
def test_names_that_nobody_could_type_are_refused(graphs: wg.TaskGraphRepository, name: str) -> None:
    with pytest.raises(GraphError, match="cannot name a graph"):
        graphs.save(name, FIRST)
    graphs.save("fine", FIRST)
    with pytest.raises(GraphError, match="cannot name a graph"):
        graphs.rename("fine", name)
    assert graphs.list() == ["fine"]


def test_what_holds_code_cannot_be_saved(graphs: wg.TaskGraphRepository) -> None:
    graph = wg.TaskGraph()
    graph.add_task(LambdaTask(execute=lambda text: {"text": text}, id="code"))
    with pytest.raises(TaskSerializationError):
        graphs.save("code", graph)
    assert graphs.list() == []


def test_only_registered_tasks_are_made(graphs: wg.TaskGraphRepository) -> None:
    graphs.save("ingest", FIRST)
    stranger = wg.TaskGraphRepository(graphs._store, registry=TaskRegistry())
    with pytest.raises(UnknownTaskTypeError):
        stranger.get("ingest")
    assert stranger.list() == ["ingest"]
