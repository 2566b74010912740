"""AI case 4: what a model says goes through as it is said, and only what came to its end is a result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of, run_until

from workglow.ai import Finish, GenerationRequest, ModelEvent, ModelRecord, Provider, TextDelta, provider_registry
from workglow.ai.events import UsageReport
from workglow.ai.generation import TextGenerationTask
from workglow.ai.models import Models
from workglow.errors import IncompleteStreamError, ModelCallError, TaskAbortedError, TaskFailedError, WorkglowError
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.retry import Retry
from workglow.testing import ScriptedProvider


def generation() -> Any:
    task = TextGenerationTask(id="g", defaults={"model": "scripted:a"}, retry=Retry(1))
    return graph_of(task)


async def heard(*answer: object) -> list[ModelEvent]:
    with ScriptedProvider(answers=[list(answer)]):
        model = Models().model("scripted:a")
        return [event async for event in model.stream("chat", GenerationRequest(()))]


def test_ai04_events_come_in_order_and_one_finish_is_the_last() -> None:
    assert asyncio.run(heard("Hello", " ", UsageReport(1, 2), "world", Finish())) == [
        TextDelta("Hello"),
        TextDelta(" "),
        TextDelta("world"),
        Finish(),
    ]


def run_with(*answer: object) -> tuple[BaseException | None, list[Event], Any]:
    events: list[Event] = []
    with ScriptedProvider(answers=[list(answer)]):
        try:
            run = run_in_memory_sync(generation(), {"prompt": "x"}, on_event=events.append)
        except WorkglowError as error:
            return error.__cause__ or error, events, error.run  # type: ignore[attr-defined]
    return None, events, run


def test_ai04_a_failure_in_the_middle_is_the_end_and_no_finish() -> None:
    error, events, run = run_with("par", ModelCallError("The model is gone."))
    assert isinstance(error, ModelCallError)
    kinds = [event.kind for event in events if event.path == "g"]
    assert "task_completed" not in kinds
    assert kinds[-1] == "task_failed"
    assert [event.data.data for event in events if event.kind == "task_chunk"] == ["par"]
    assert run.tasks["g"].status == "failed"


def test_ai04_a_stream_without_its_finish_was_cut() -> None:
    error, _, run = run_with("Hello")
    assert isinstance(error, IncompleteStreamError)
    assert run.tasks["g"].status == "failed"


class _Endless(Provider):
    name = "endless"
    closed: ClassVar[list[str]] = []

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        try:
            yield TextDelta("Hello")
            await asyncio.Event().wait()
        finally:
            self.closed.append("closed")


def test_ai04_who_stops_the_run_stops_the_model() -> None:
    provider_registry.register(_Endless)
    try:
        graph = graph_of(TextGenerationTask(id="g", defaults={"model": "endless:a", "prompt": "x"}))
        _, error, events = run_until(graph, "task_chunk", "g")
    finally:
        provider_registry.unregister("endless")
    assert isinstance(error, TaskAbortedError | TaskFailedError)
    assert [event.data.data for event in events if event.kind == "task_chunk"] == ["Hello"]
    assert _Endless.closed == ["closed"]


class _Plain(Provider):
    """Gives a result in one piece, from a plain function."""

    name = "plain"

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        return len(text)


def test_ai04_what_is_not_written_comes_at_once() -> None:
    from workglow.ai.token_counting import CountTokensTask

    events: list[Event] = []
    provider_registry.register(_Plain)
    try:
        run = run_in_memory_sync(
            graph_of(CountTokensTask(id="c", defaults={"model": "plain:a"})), {"text": "abc"}, on_event=events.append
        )
    finally:
        provider_registry.unregister("plain")
    assert run.outputs == {"count": 3}
    assert not [event for event in events if event.kind == "task_chunk"]


def test_ai04_what_a_failed_stream_took_is_counted(project: Any) -> None:
    with ScriptedProvider(answers=[[UsageReport(7, 1), "par", ModelCallError("gone")]]):
        with pytest.raises(WorkglowError) as caught:
            project.run_sync(generation(), {"prompt": "x"})
    assert caught.value.run.usage["input_tokens"] == 7  # type: ignore[attr-defined]
