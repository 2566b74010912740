"""What a project keeps beside its runs: the output cache with policies and events, and named graphs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest

import workglow as wg
from workglow.errors import LeaseLostError, TaskConfigurationError, TaskFailedError
from workglow.file import doctor
from workglow.storage.sqlite.retention import collect, plan
from workglow.testing import FakeClock

calls: list[str] = []


@wg.task(output="text", name="kept_rewrite", inline=True)
def rewrite(text: str, model: str = "local:small") -> str:
    calls.append(text)
    return f"{text} by {model}"


@wg.task(output="text", name="kept_large", inline=True)
def large(text: str) -> str:
    calls.append(text)
    return text * 3000


@wg.task(output="text", name="kept_broken", inline=True)
def broken(text: str) -> str:
    raise ValueError(text)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@pytest.fixture
def project(project_path: Path, clock: FakeClock) -> wg.Project:
    project = wg.open(project_path, clock=clock)
    yield project  # type: ignore[misc]
    project.close()
    assert doctor(project_path).ok


def kept(project: wg.Project) -> list[tuple[str, str]]:
    return sorted((entry.type, entry.model) for entry in project.outputs.entries())


FLOW = wg.Workflow().then(rewrite).then(large)


def test_entries_of_runs_know_task_and_model(project: wg.Project) -> None:
    project.run_sync(FLOW, {"text": "a"})
    assert kept(project) == [("kept_large", ""), ("kept_rewrite", "local:small")]
    size = {entry.type: entry.size for entry in project.outputs.entries()}
    assert size["kept_large"] > 80
    assert size["kept_rewrite"] == len('{"text":"a by local:small"}')


def test_entries_inside_loops_know_their_task(project: wg.Project) -> None:
    body = wg.Workflow().map(wg.Workflow().then(rewrite, model="m"))
    project.run_sync(wg.Workflow().map(body), {"text": [["a", "b"], ["c"]]})
    assert kept(project) == [("kept_rewrite", "m")] * 3


def test_a_policy_is_asked_before_a_run_keeps_an_output(project: wg.Project) -> None:
    project.outputs.policies = [wg.OnlyModels("local:small")]
    run = project.run_sync(FLOW, {"text": "a"})
    assert kept(project) == [("kept_rewrite", "local:small")]
    again = project.run_sync(FLOW, {"text": "a"})
    assert calls == ["a", "a by local:small", "a by local:small"]
    assert run.outputs == again.outputs
    assert again.tasks["kept_rewrite"].cached


def test_policies_are_enforced_when_a_run_ends_and_runs_keep_their_outputs(
    project: wg.Project, clock: FakeClock
) -> None:
    project.outputs.policies = [wg.KeepLast(2)]
    runs = []
    for text in "abc":
        runs.append(project.run_sync(wg.Workflow().then(rewrite), {"text": text}))
        clock.advance(1)
    assert project.outputs.size() == 2
    project.outputs.policies = [wg.KeepLast(0)]
    project.outputs.prune()
    assert project.outputs.size() == 0
    assert [run.outputs["text"] for run in runs] == [f"{text} by local:small" for text in "abc"]
    assert [project.get(run.id).tasks["kept_rewrite"].outputs for run in runs] == [run.outputs for run in runs]
    project.outputs.policies = []
    project.run_sync(wg.Workflow().then(rewrite), {"text": "a"})
    assert calls == ["a", "b", "c", "a"]


def test_policies_are_enforced_when_a_run_fails(project: wg.Project, clock: FakeClock) -> None:
    project.run_sync(wg.Workflow().then(rewrite), {"text": "a"})
    clock.advance(10)
    project.outputs.policies = [wg.MaxAge(5)]
    with pytest.raises(TaskFailedError):
        project.run_sync(wg.Workflow().then(rewrite).then(broken), {"text": "b"})
    assert [entry.created_at for entry in project.outputs.entries()] == [clock.now()]


def test_events_of_a_run_come_when_the_output_is_committed(project: wg.Project, project_path: Path) -> None:
    told: list[tuple[str, str, str]] = []
    committed: list[int] = []

    def listen(event: wg.OutputEvent) -> None:
        told.append((event.kind, event.entry.type, event.entry.model))
        keys = project.file.reader.execute("SELECT count(*) FROM task_run WHERE cache_key = ?", (event.entry.key,))
        committed.append(keys.get)

    end = project.outputs.subscribe(listen)
    run = project.run_sync(FLOW, {"text": "a"})
    project.run_sync(FLOW, {"text": "a"})
    small, big = ("kept_rewrite", "local:small"), ("kept_large", "")
    assert told == [("saved", *small), ("saved", *big), ("found", *small), ("found", *big)]
    assert committed == [1, 1, 1, 1]
    end()
    project.fork_sync(run.id, "kept_rewrite")
    assert len(told) == 4


def test_what_a_listener_raises_ends_the_run(project: wg.Project) -> None:
    def listen(event: wg.OutputEvent) -> None:
        raise LookupError(event.kind)

    end = project.outputs.subscribe(listen)
    with pytest.raises(LookupError, match="saved"):
        project.run_sync(FLOW, {"text": "a"})
    end()
    assert project.resume_sync().status == "completed"
    assert calls.count("a") == 1


def test_a_refreshed_output_takes_the_place_of_the_old_one(project: wg.Project) -> None:
    seen: list[int] = []

    @wg.task(output="n", name="kept_counting", inline=True)
    def counting(text: str) -> int:
        seen.append(1)
        return len(seen)

    flow = wg.Workflow().then(counting)
    found = [
        project.run_sync(flow, {"text": "a"}, cache=mode).outputs["n"]  # type: ignore[arg-type]
        for mode in ("use", "use", "refresh", "use")
    ]
    assert found == [1, 1, 2, 2]


def test_an_in_memory_run_can_use_the_cache_of_a_project(project: wg.Project) -> None:
    flow = wg.Workflow().then(rewrite)
    flow.run_sync({"text": "a"}, output_cache=project.outputs)
    assert project.run_sync(flow, {"text": "a"}).tasks["kept_rewrite"].cached
    assert kept(project) == [("kept_rewrite", "local:small")]
    assert calls == ["a"]


def test_policies_are_enforced_when_a_run_in_memory_ends_well_or_not(clock: FakeClock) -> None:
    cache = wg.MemoryTaskOutputRepository(policies=[wg.KeepLast(1)], clock=clock)
    FLOW.run_sync({"text": "a"}, output_cache=cache)
    assert cache.size() == 1
    with pytest.raises(TaskFailedError):
        wg.Workflow().then(rewrite).then(broken).run_sync({"text": "b"}, output_cache=cache)
    assert [entry.type for entry in cache.entries()] == ["kept_rewrite"]


def test_entries_survive_the_runs_they_came_from(project: wg.Project) -> None:
    project.run_sync(FLOW, {"text": "a"})
    before = set(project.outputs.entries())
    collect(project.file, plan(project.file, keep_runs=0))
    assert project.runs() == []
    assert set(project.outputs.entries()) == before


def test_trouble_with_pruning_does_not_undo_a_run(project: wg.Project, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def keep(self, entries: Sequence[wg.CacheEntry], now: int) -> Sequence[wg.CacheEntry]:
            if len(entries) > 1:
                raise LeaseLostError("somewhere else")
            return entries

    project.outputs.policies = [Broken()]
    with caplog.at_level(logging.WARNING, "workglow"):
        assert project.run_sync(FLOW, {"text": "a"}).status == "completed"
    assert "could not be pruned: somewhere else" in caplog.text


def test_a_repository_is_not_a_mode_of_the_cache() -> None:
    with pytest.raises(TaskConfigurationError, match="given as output_cache"):
        FLOW.run_sync({"text": "a"}, cache=wg.MemoryTaskOutputRepository())


# ---------------------------------------------------------------------- graphs


def test_named_graphs_run_and_runs_keep_theirs(project: wg.Project) -> None:
    project.graphs.save("ingest", wg.Workflow().then(rewrite))
    run = project.run_sync(project.graphs.get("ingest"), {"text": "a"})
    project.graphs.save("ingest", FLOW, note="larger")
    project.graphs.remove("ingest")
    assert project.graph_of(run.id).to_json() == wg.Workflow().then(rewrite).to_graph().to_json()


def test_a_graph_of_the_history_is_not_collected(project: wg.Project) -> None:
    project.graphs.save("ingest", wg.Workflow().then(rewrite))
    project.graphs.save("ingest", FLOW)
    project.graphs.save("other", wg.Workflow().then(large))
    project.graphs.remove("other")
    collect(project.file, plan(project.file, keep_runs=0))
    assert project.graphs.get("ingest", 1).to_json() == wg.Workflow().then(rewrite).to_graph().to_json()
    assert project.file.reader.execute("SELECT count(*) FROM graph").get == 2


def test_a_damaged_history_is_found(project_path: Path) -> None:
    with wg.open(project_path) as project:
        project.graphs.save("ingest", wg.Workflow().then(rewrite))
        project.graphs.save("ingest", FLOW)
    db = apsw.Connection(str(project_path))
    db.execute("DELETE FROM graph_version WHERE number = 2")
    db.close()
    assert [check.name for check in doctor(project_path).failures] == ["graph_names"]


@wg.task(output="texts", name="kept_long", inline=True)
def long_texts(text: str) -> list[str]:
    calls.append(text)
    return [text * 30_000, text * 40_000]


def test_a_damaged_value_is_mended_when_its_task_has_run_again(project_path: Path) -> None:
    with wg.open(project_path) as project:
        first = project.run_sync(wg.Workflow().then(long_texts), {"text": "a"})
        with project.file.transaction() as db:
            db.execute("UPDATE value SET data = zeroblob(length(data))")
        for count in (2, 2):
            again = project.run_sync(wg.Workflow().then(long_texts), {"text": "a"})
            assert len(calls) == count
            assert again.outputs == {"texts": ["a" * 30_000, "a" * 40_000]}
        assert project.get(first.id).outputs == again.outputs  # the earlier run has its value back too
        assert doctor(project.path).ok
