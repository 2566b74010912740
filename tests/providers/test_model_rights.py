"""Graphs that were read from data call models elsewhere only where that was granted."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from cloud_service import openai_chunks, record_of, service_running, stream
from pytest_httpserver import HTTPServer

import workglow as wg
from workglow import TaskGraph, Workflow
from workglow.ai import TextEmbeddingTask
from workglow.ai.generation import TextGenerationTask
from workglow.errors import TaskEntitlementError, WorkglowError

pytestmark = [
    pytest.mark.extra("openai"),
    pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'"),
]


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    with service_running() as service:
        service.expect_request("/v1/chat/completions").respond_with_handler(lambda _: stream(openai_chunks("Hi")))
        yield service


def from_data(task: Any) -> TaskGraph:
    return TaskGraph.from_json(Workflow().then(task).graph.to_json())


def cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@pytest.mark.parametrize("as_default", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_a_graph_from_data_needs_the_host_of_its_model(
    service: HTTPServer, project: wg.Project, as_default: bool, stored: bool
) -> None:
    model = record_of("openai", service.url_for(""))
    defaults = {"model": model} if as_default else {}
    inputs = {"prompt": "?"} | ({} if as_default else {"model": model})
    graph = from_data(TextGenerationTask(id="ask", defaults=defaults))

    def run(**rights: Any) -> Any:
        return project.run_sync(graph, inputs, **rights) if stored else graph.run_sync(inputs, **rights)

    for granted in ([], ["network=api.openai.com"]):
        with pytest.raises(TaskEntitlementError, match=r"network=127\.0\.0\.1"):
            run(entitlements=granted)
    assert not service.log
    assert run(entitlements=["network=127.0.0.1"]).outputs["text"] == "Hi"
    with pytest.raises(TaskEntitlementError, match="denied"):
        run(entitlements=["network"], deny=["network=127.0.0.1"])


def test_a_graph_of_the_program_needs_nothing(service: HTTPServer) -> None:
    workflow = Workflow().then(TextGenerationTask(id="ask"))
    run = workflow.run_sync({"prompt": "?", "model": record_of("openai", service.url_for(""))})
    assert run.outputs["text"] == "Hi"


def test_a_name_stands_for_the_services_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    graph = from_data(TextGenerationTask(id="ask", defaults={"model": "openai:gpt-5-mini"}))
    with pytest.raises(TaskEntitlementError, match=r"network=api\.openai\.com"):
        graph.run_sync({"prompt": "?"}, entitlements=[])


def test_a_credential_that_the_graph_names_is_granted_by_name(
    service: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANK_PASSWORD", "1234")
    model = record_of("openai", service.url_for(""), credential="env:BANK_PASSWORD")
    graph = from_data(TextGenerationTask(id="ask"))
    with pytest.raises(TaskEntitlementError, match="credential=env:BANK_PASSWORD"):
        graph.run_sync({"prompt": "?", "model": model}, entitlements=["network"])
    assert not service.log
    graph.run_sync({"prompt": "?", "model": model}, entitlements=["network", "credential=env:BANK_PASSWORD"])


def test_somebody_may_be_asked_before_anything_runs(service: HTTPServer) -> None:
    asked: list[str] = []

    def answer(request: wg.EntitlementRequest) -> Any:
        asked.append(str(request.entitlement))
        return "once"

    graph = from_data(TextGenerationTask(id="ask"))
    model = record_of("openai", service.url_for(""))
    run = graph.run_sync({"prompt": "?", "model": model}, on_entitlement=answer)
    assert run.outputs["text"] == "Hi"
    assert asked == ["network=127.0.0.1"]


def test_a_name_that_a_catalogue_gives_another_meaning_is_looked_at_again(service: HTTPServer) -> None:
    """The record is found only when the task runs; what it needs is checked before it is called."""
    from workglow.ai import Models
    from workglow.ai.rights import check_rights
    from workglow.tasks import TaskContext

    model = Models().model(record_of("openai", service.url_for("")) | {"name": "local:harmless"})
    context = TaskContext(path="ask", is_allowed=lambda *_: False)
    with pytest.raises(TaskEntitlementError, match=r"network=127\.0\.0\.1"):
        check_rights(model, context)


@pytest.mark.extra("local")
@pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama: pip install 'workglow[local]'")
def test_a_model_in_this_process_needs_nothing() -> None:
    graph = from_data(TextEmbeddingTask(id="embed"))
    assert graph.run_sync({"text": "word"}, entitlements=[]).outputs["vector"].any()


def test_a_model_that_nobody_knows_is_the_tasks_own_error() -> None:
    graph = from_data(TextGenerationTask(id="ask"))
    with pytest.raises(WorkglowError) as caught:
        graph.run_sync({"prompt": "?", "model": "nowhere:x"}, entitlements=[])
    assert "nowhere" in str(cause(caught.value))
