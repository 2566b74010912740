"""SmolLM2-135M, a real model that a package brings, through the public tasks: what it says has to mean something."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import asked

import workglow as wg
from workglow import Workflow
from workglow.ai import Model, Models, ObjectDelta, TextEmbeddingTask, ToolCall, ToolDefinition
from workglow.ai.generation import TextGenerationTask
from workglow.graph.events import Event


@pytest.fixture(scope="module")
def real(smollm: str) -> Iterator[Model]:
    models = Models()
    record = {"name": "my:smol", "provider": "gguf", "source": smollm.partition(":")[2], "context_length": 1024}
    yield models.model({**record, "options": {"threads": 1}})
    models.close()


def test_a_prompt_is_answered_on_its_subject(real: Model) -> None:
    told = asked(real, "Write one sentence about the sea.", temperature=0, max_tokens=48)
    assert any(word in told.text.lower() for word in ("sea", "ocean", "wave", "water"))
    assert told.usage.input_tokens > 10 < told.usage.output_tokens


def test_an_object_is_filled_from_the_prompt(real: Model) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    told = asked(real, "Bob is 42 years old.", capability="structured", schema=schema, temperature=0, max_tokens=60)
    (*_, last) = (event.value for event in told.events if isinstance(event, ObjectDelta))
    assert last == {"name": "Bob", "age": 42}


def test_a_tool_is_called_with_what_was_asked_for(real: Model) -> None:
    tool = ToolDefinition(
        "weather",
        "Tells the weather of a city.",
        {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]},
    )
    told = asked(
        real,
        "What is the weather in Paris?",
        capability="call_tools",
        tools=(tool,),
        tool_choice="required",
        temperature=0,
        max_tokens=60,
    )
    (call,) = (event for event in told.events if isinstance(event, ToolCall))
    assert (call.name, call.input) == ("weather", {"city": "Paris"})


def test_marks_in_a_prompt_of_a_stranger_are_read_as_text(real: Model) -> None:
    words = real.count_tokens("<|im_end|>")
    assert words > 1


def test_vectors_of_like_sentences_are_nearer(smollm: str) -> None:
    async def vectors() -> Any:
        task = TextEmbeddingTask(defaults={"model": smollm})
        texts = [
            "The cat sleeps on the sofa.",
            "A cat is sleeping on a couch.",
            "Interest rates rose by a quarter point.",
        ]
        return (await Workflow().then(task).run({"text": texts})).outputs["vector"]

    near, like, far = np.asarray(asyncio.run(vectors()))
    assert np.linalg.norm(near) == pytest.approx(1, abs=1e-5)
    assert near @ like > near @ far


def test_a_task_streams_it_and_the_file_keeps_what_it_took(smollm: str, tmp_path: Path) -> None:
    pieces: list[str] = []

    def heard(event: Event) -> None:
        if event.kind == "task_chunk" and event.data.port == "text":
            pieces.append(event.data.data)

    with wg.open(tmp_path / "project.wg") as project:
        task = TextGenerationTask(id="write", defaults={"model": smollm, "temperature": 0, "max_tokens": 24})
        run = project.run_sync(Workflow().then(task), {"prompt": "Say hello."}, on_event=heard)
        assert run.outputs["text"] == "".join(pieces)
        assert len(pieces) > 3
        usage = run.tasks["write"].usage
        assert usage.output_tokens >= len(pieces)
        assert usage.model_seconds > 0


def test_a_task_shows_an_object_while_it_grows(smollm: str, project: wg.Project) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    grown: list[Any] = []

    def heard(event: Event) -> None:
        if event.kind == "task_chunk" and event.data.port == "object":
            grown.append(event.data.data)

    flow = Workflow().structured_generation(model=smollm, output_schema=schema, temperature=0.0, max_tokens=60)
    run = project.run_sync(flow, {"prompt": "Bob is 42 years old."}, on_event=heard)
    assert run.outputs["object"] == {"name": "Bob", "age": 42}
    assert grown[-1] == {"name": "Bob", "age": 42}
    assert any(len(piece) < 2 for piece in grown)
    known = [[name for name, value in piece.items() if value not in ("", None)] for piece in grown]
    assert known == sorted(known, key=len)


def test_a_task_stops_before_a_stop_text(smollm: str, project: wg.Project) -> None:
    flow = Workflow().text_generation(model=smollm, temperature=0.0, max_tokens=48)
    prompt = "Count from one to ten, with commas."
    whole = project.run_sync(flow, {"prompt": prompt}).outputs["text"]
    stop = whole[len(whole) // 2 :][:6]
    cut = project.run_sync(flow, {"prompt": prompt, "stop": [stop]}).outputs
    assert cut["text"] == whole[: whole.index(stop)]
    assert cut["finish_reason"] == "stop"


def test_a_task_gives_the_calls_that_the_model_wants(smollm: str, project: wg.Project) -> None:
    city = {"type": "string", "maxLength": 20}
    schema = {"type": "object", "properties": {"city": city}, "required": ["city"]}
    tool = {"name": "weather", "description": "Tells the weather of a city.", "inputSchema": schema}
    flow = Workflow().tool_calling(model=smollm, tools=[tool], tool_choice="required", temperature=0.0, max_tokens=60)
    outputs = project.run_sync(flow, {"prompt": "What is the weather in Paris?"}).outputs
    (call,) = outputs["tool_calls"]
    assert (call["name"], outputs["finish_reason"], outputs["invalid_calls"]) == ("weather", "tool_calls", [])
    assert "Paris" in call["input"]["city"]


def test_a_cancelled_run_stops_the_model_and_leaves_it_to_the_next(smollm: str, project: wg.Project) -> None:
    flow = Workflow().text_generation(model=smollm, temperature=0.0, max_tokens=2000)

    async def main() -> Any:
        begun = asyncio.Event()

        def heard(event: Event) -> None:
            if event.kind == "task_chunk":
                begun.set()

        running = asyncio.ensure_future(
            project.run(flow, {"prompt": "Count from one to a thousand, with commas."}, on_event=heard)
        )
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 5)
        return await asyncio.wait_for(project.run(flow, {"prompt": "Say hello.", "max_tokens": 8}), 20)

    assert asyncio.run(main()).outputs["text"]
