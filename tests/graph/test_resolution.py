"""C04 through real runs: tasks are given what names stand for, and nothing that is kept ever holds it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

import workglow as wg
from workglow import MapTask, Secret, TaskContext, TaskGraph, Workflow, task
from workglow.errors import (
    TaskConfigurationError,
    TaskEntitlementError,
    TaskFailedError,
    TaskInputError,
    TaskTimeoutError,
)
from workglow.tasks import Task
from workglow.tasks.resolver import ResolverRegistry


class Engine:
    """What the names stand for: nothing that could be stored."""

    def __init__(self, name: str) -> None:
        self.name = name


def port(format: str) -> Any:
    return Annotated[Any, Field(json_schema_extra={"format": format})]


EngineName = port("engine")
resolved: list[str] = []


async def find(name: str, format: str) -> Engine:
    resolved.append(f"{format} {name}")
    await asyncio.sleep(0)
    if name == "nobody":
        raise LookupError('Tabular storage "nobody" not found')
    return Engine(name)


@pytest.fixture
def resolvers() -> ResolverRegistry:
    resolved.clear()
    registry = ResolverRegistry()
    registry.register("engine", find, lambda engine, _: getattr(engine, "name", None))
    return registry


@task(name="resolved_inline", output="said", inline=True)
def inline(engine: EngineName, word: str = "hm") -> str:
    return f"{type(engine).__name__} {engine.name} {word}"


@task(name="resolved_thread", output="said")
def threaded(engine: EngineName) -> str:
    return f"{type(engine).__name__} {engine.name}"


@task(name="resolved_step", output="said")
async def stepped(engine: EngineName) -> str:
    return f"{type(engine).__name__} {engine.name}"


@task(name="resolved_async", output="said")
async def awaiting(engine: EngineName, context: TaskContext) -> str:
    await asyncio.sleep(0)
    return f"{type(engine).__name__} {engine.name}"


@task(name="resolved_stream", output="said")
async def streaming(engine: EngineName) -> AsyncIterator[str]:
    yield f"{type(engine).__name__} "
    yield engine.name


@task(name="resolved_make", output="engine", inline=True)
def make(name: str) -> EngineName:
    return Engine(name)


@pytest.mark.parametrize("kind", [inline, threaded, stepped, awaiting, streaming])
def test_a_task_of_any_kind_is_given_what_the_name_stands_for(kind: Any, resolvers: ResolverRegistry) -> None:
    graph = TaskGraph()
    graph.add_task(kind)
    outputs = graph.run_sync({"engine": "v8"}, resolvers=resolvers).outputs
    assert outputs["said"].removesuffix(" hm") == "Engine v8"
    assert resolved == ["engine v8"]


def test_an_object_is_handed_on_as_it_is_and_names_of_no_format_stay(resolvers: ResolverRegistry) -> None:
    graph = TaskGraph()
    graph.add_task(inline)
    assert graph.run_sync({"engine": "a", "word": "engine"}, resolvers=resolvers).outputs["said"] == "Engine a engine"
    with_object = {"engine": Engine("own")}
    assert graph.run_sync(with_object, resolvers=resolvers).outputs["said"] == "Engine own hm"


def test_a_class_with_models_resolves_inside_objects_and_lists(resolvers: ResolverRegistry) -> None:
    class Many(Task):
        type = "resolved_many"
        inline = True

        class Input(BaseModel):
            model_config = ConfigDict(arbitrary_types_allowed=True)
            engines: list[EngineName]
            choice: dict[str, Any] = Field(
                json_schema_extra={"properties": {"engine": {"type": "string", "format": "engine"}}}
            )

        def execute(self, inputs: Input) -> dict[str, object]:
            return {"names": [one.name for one in inputs.engines], "chosen": inputs.choice["engine"].name}

    given = {"engines": ["a", "b"], "choice": {"engine": "c", "label": "x"}}
    graph = TaskGraph()
    graph.add_task(Many)
    assert graph.run_sync(given, resolvers=resolvers).outputs == {"names": ["a", "b"], "chosen": "c"}


def test_a_resolver_that_fails_fails_the_task_and_says_why(resolvers: ResolverRegistry) -> None:
    graph = TaskGraph()
    graph.add_task(inline)
    with pytest.raises(TaskFailedError, match='Tabular storage "nobody" not found') as caught:
        graph.run_sync({"engine": "nobody"}, resolvers=resolvers)
    assert caught.value.task == "resolved_inline"


def test_a_resolver_that_never_answers_is_bound_by_the_task_s_timeout() -> None:
    async def never(name: str, format: str) -> object:
        await asyncio.Event().wait()
        return name

    registry = ResolverRegistry()
    registry.register("engine", never)
    graph = TaskGraph()
    graph.add_task(inline.task_type(timeout=0.01))
    with pytest.raises(TaskTimeoutError):
        graph.run_sync({"engine": "x"}, resolvers=registry)


def test_what_stands_between_passes_names_on_and_each_task_resolves_its_own(resolvers: ResolverRegistry) -> None:
    body = TaskGraph()
    body.add_task(inline)
    graph = TaskGraph()
    graph.add_task(MapTask(body, id="each", max_iterations=9, iterate=("engine",)))
    drawn = TaskGraph.from_json(graph.to_json(with_boundary_nodes=True))
    for one in (graph, drawn):
        resolved.clear()
        said = one.run_sync({"engine": ["a", "b"]}, resolvers=resolvers).outputs["said"]
        assert said == ["Engine a hm", "Engine b hm"]
        assert sorted(resolved) == ["engine a", "engine b"]


# ---------------------------------------------------------------------- in a project


@pytest.fixture
def with_engines(project: wg.Project) -> wg.Project:
    resolved.clear()
    project.resolvers.register("engine", find, lambda engine, _: getattr(engine, "name", None))
    return project


def test_the_cache_knows_names_and_not_what_they_stand_for(with_engines: wg.Project) -> None:
    first = with_engines.run_sync(inline, {"engine": "v8"})
    again = with_engines.run_sync(inline, {"engine": Engine("v8")})
    assert (again.outputs, again.usage["cached"]) == (first.outputs, 1)
    assert resolved == ["engine v8"]
    assert with_engines.run_sync(inline, {"engine": "other"}).usage["cached"] == 0


def test_an_object_that_is_given_or_returned_is_kept_as_its_name(with_engines: wg.Project) -> None:
    run = with_engines.run_sync(Workflow().then(make).then(inline), {"name": "v8"})
    assert run.tasks["resolved_make"].outputs == {"engine": "v8"}
    assert run.outputs["said"] == "Engine v8 hm"
    run = with_engines.run_sync(make, {"name": "v9"})
    assert run.outputs == {"engine": "v9"}
    begun = with_engines.begin(inline, {"engine": Engine("v10")})
    assert with_engines.resume_sync(begun.id).outputs["said"] == "Engine v10 hm"
    forked = with_engines.fork_sync(begun.id, inputs={"engine": Engine("v11")})
    assert forked.outputs["said"] == "Engine v11 hm"


def test_a_resolver_is_of_one_project(project: wg.Project, tmp_path: Path) -> None:
    project.resolvers.register("engine", find)
    with wg.open(tmp_path / "other.wg") as other:
        with pytest.raises(TaskFailedError):  # the name stays a text there
            other.run_sync(inline, {"engine": "v8"})
        other.resolvers.register("engine", find)
        assert other.run_sync(inline, {"engine": "v8"}).status == "completed"
    with pytest.raises(TaskConfigurationError, match="has a resolver already"):
        project.resolvers.register("credential", find)


PROGRAM = """
import os, sys
from typing import Annotated, Any
from pydantic import Field
import workglow as wg

@wg.task(name="resolved_after_crash", output="said", version="1")
def use(engine: Annotated[Any, Field(json_schema_extra={"format": "engine"})]) -> str:
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), 9)
    return f"{engine} at attempt"

with wg.open(sys.argv[1]) as project:
    project.resolvers.register("engine", lambda name, format: f"{sys.argv[2]} {name}")
    run = project.run_sync(use, {"engine": "v8"}) if sys.argv[2] == "kill" else project.resume_sync()
    print(run.outputs["said"], run.tasks["resolved_after_crash"].attempt)
"""


def test_after_a_crash_names_are_resolved_again(project_path: Path) -> None:
    def call(word: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", PROGRAM, str(project_path), word]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert call("kill").returncode == -9
    resumed = call("resumed")
    assert resumed.stdout == "resumed v8 at attempt 2\n", resumed.stderr


# ---------------------------------------------------------------------- the ones that ship


@task(name="resolved_key", output="length", inline=True, cache=False)
def use_key(key: port("credential")) -> int:  # pyright: ignore
    assert isinstance(key, Secret)
    return len(key.reveal())


@task(name="resolved_leak", inline=True, cache=False)
def leak(key: port("credential")) -> Any:  # pyright: ignore
    return key


@task(name="resolved_types", output="titles", inline=True)
def titles(tools: list[port("tasks")]) -> list[str]:  # pyright: ignore
    return [tool.type for tool in tools]


def test_a_credential_is_read_from_the_environment_and_is_nowhere_in_the_file(
    project_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESOLVED_KEY", "s3cr3t-s3cr3t")
    with wg.open(project_path) as project:
        assert project.run_sync(use_key, {"key": "env:RESOLVED_KEY"}).outputs["length"] == 13
        with pytest.raises(wg.WorkglowError, match=r"[Ss]ecret"):
            project.run_sync(leak, {"key": "env:RESOLVED_KEY"})
    assert b"s3cr3t" not in project_path.read_bytes()
    assert b"env:RESOLVED_KEY" in project_path.read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("env:RESOLVED_MISSING", "set the environment variable RESOLVED_MISSING"),
        ("env:", "by reference"),
        ("sk-12345", "by reference"),
    ],
)
def test_a_credential_that_is_not_there_is_an_error_and_never_its_own_name(name: str, reason: str) -> None:
    graph = TaskGraph()
    graph.add_task(use_key)
    with pytest.raises(TaskInputError, match=reason) as caught:
        graph.run_sync({"key": name})
    assert "sk-12345" not in str(caught.value)


def test_data_gets_no_credential_that_was_not_granted(project: wg.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESOLVED_KEY", "s3cr3t")
    monkeypatch.setenv("RESOLVED_OTHER", "s3cr3t")
    graph = TaskGraph()
    graph.add_task(use_key, key="env:RESOLVED_KEY")
    read_back = TaskGraph.from_json(graph.to_json())
    for run in (read_back.run_sync, lambda **rights: project.run_sync(read_back, **rights)):
        for rights in ({}, {"entitlements": ["credential=env:RESOLVED_OTHER"]}):
            with pytest.raises(TaskEntitlementError, match="credential=env:RESOLVED_KEY for 'resolved_key'"):
                run(**rights)  # pyright: ignore
        assert run(entitlements=["credential=env:RESOLVED_KEY"]).outputs["length"] == 6


def test_what_was_computed_with_a_credential_is_not_found_in_the_cache_without_it(
    project: wg.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESOLVED_KEY", "s3cr3t")

    @task(name="resolved_choose", output="key", inline=True)
    def choose(name: str) -> port("credential"):  # pyright: ignore
        return f"env:{name}"

    @task(name="resolved_cached", output="length", inline=True)
    def cached(key: port("credential")) -> int:  # pyright: ignore
        return len(key.reveal())

    graph = TaskGraph()
    graph.add_task(choose, id="choose")
    graph.add_task(cached, id="cached")
    graph.add_dataflow("choose", "key", "cached", "key")
    assert project.run_sync(graph, {"name": "RESOLVED_KEY"}).outputs["length"] == 6
    with pytest.raises(TaskEntitlementError, match="credential=env:RESOLVED_KEY for 'cached'"):
        project.run_sync(
            TaskGraph.from_json(graph.to_json()),
            {"name": "RESOLVED_KEY"},
            entitlements=["credential=env:RESOLVED_OTHER"],
        )


def test_a_credential_that_turns_up_in_what_a_name_gives_needs_the_grant_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESOLVED_KEY", "s3cr3t")
    from workglow.tasks.standard_resolvers import standard_resolvers

    registry = standard_resolvers(wg.task_registry)
    registry.register("record", lambda name, _: {"key": "env:RESOLVED_KEY"})

    @task(name="resolved_record", inline=True, output="kind")
    def use(
        record: Annotated[
            Any,
            Field(
                json_schema_extra={
                    "format": "record",
                    "properties": {"key": {"type": "string", "format": "credential"}},
                }
            ),
        ],
    ) -> str:
        return type(record["key"]).__name__

    graph = TaskGraph()
    graph.add_task(use)
    assert graph.run_sync({"record": "r"}, resolvers=registry).outputs == {"kind": "Secret"}
    read_back = TaskGraph.from_json(graph.to_json())
    with pytest.raises(TaskEntitlementError, match="credential=env:RESOLVED_KEY"):
        read_back.run_sync({"record": "r"}, resolvers=registry, entitlements=["credential=env:OTHER"])
    granted = read_back.run_sync({"record": "r"}, resolvers=registry, entitlements=["credential=env:RESOLVED_KEY"])
    assert granted.outputs == {"kind": "Secret"}


def test_task_types_are_those_of_the_registry(project: wg.Project) -> None:
    assert project.run_sync(titles, {"tools": ["resolved_key", "DebugLogTask"]}).outputs["titles"] == [
        "resolved_key",
        "DebugLogTask",
    ]
    with pytest.raises(wg.WorkglowError, match='"Nope" is not registered'):
        project.run_sync(titles, {"tools": ["Nope"]})


def test_tasks_without_formats_are_not_looked_at() -> None:
    @dataclass
    class Point:
        x: int
        others: list[Point]  # a name that nobody finds: the class lives in this function

    @task(name="resolved_nothing", inline=True)
    def move(point: Point, names: dict[str, list[str]] | None = None) -> int:
        return point.x

    assert move.task_type.formats == frozenset()
    assert not move.task_type.guarded


def test_formats_are_found_in_structures_and_unions_but_not_in_arrays() -> None:
    import numpy as np
    from numpy.typing import NDArray

    class Inner(BaseModel):
        model: Annotated[str, Field(json_schema_extra={"format": "model:TextEmbedding"})]

    @task(name="resolved_formats")
    def shapes(one: Inner | None, many: list[EngineName], vector: NDArray[np.float32]) -> None: ...

    assert shapes.task_type.formats == {"model:TextEmbedding", "engine"}
