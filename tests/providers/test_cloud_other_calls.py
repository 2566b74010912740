"""Calls of cloud models beside writing: images, counting, searching, embedding; and calls that are stopped early."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from importlib.util import find_spec
from typing import Any

import pytest

cloud_service = pytest.importorskip("cloud_service", reason="needs pytest-httpserver")

from cloud_service import (  # noqa: E402
    STREAM_HEAD,
    RawService,
    answers,
    chunked,
    record_of,
    service_running,
    stream,
    texts_of,
)
from pytest_httpserver import HTTPServer  # noqa: E402
from werkzeug import Request, Response  # noqa: E402

import workglow as wg  # noqa: E402
from workglow import Retry, TaskGraph, Workflow  # noqa: E402
from workglow.ai import Models, TextEmbeddingTask  # noqa: E402
from workglow.ai.generation import TextGenerationTask  # noqa: E402
from workglow.ai.management import ModelInfoTask, ModelSearchTask  # noqa: E402
from workglow.ai.structured import StructuredGenerationTask  # noqa: E402
from workglow.ai.token_counting import CountTokensTask  # noqa: E402
from workglow.ai.vision.image_to_text import ImageToTextTask  # noqa: E402
from workglow.errors import (  # noqa: E402
    AuthenticationError,
    IncompleteStreamError,
    ModelOutputError,
    ModelUnavailableError,
    RateLimitedError,
    TaskEntitlementError,
    TaskTimeoutError,
    WorkglowError,
)
from workglow.testing import FakeClock  # noqa: E402

ONCE = Retry(1)
KEY = "sk-canary-5f2c9a"

pytestmark = [
    pytest.mark.extra("openai"),
    pytest.mark.extra("anthropic"),
    pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'"),
    pytest.mark.skipif(find_spec("anthropic") is None, reason="needs anthropic: pip install 'workglow[anthropic]'"),
]
both = pytest.mark.parametrize("provider", ["openai", "anthropic"])
with_images = [
    pytest.mark.extra("images"),
    pytest.mark.skipif(find_spec("PIL") is None, reason="needs Pillow: pip install 'workglow[images]'"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[HTTPServer]:
    with service_running() as service:
        yield service


@pytest.fixture
def service(running: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", running.url_for("/v1"))
    monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url_for("").rstrip("/"))
    yield running
    running.clear()


def answered(task: Any, **inputs: Any) -> Any:
    return Workflow().then(task).run_sync(inputs).outputs


def failed(task: Any, **inputs: Any) -> BaseException:
    """Return what the call itself raised."""
    with pytest.raises(WorkglowError) as caught:
        answered(task, **inputs)
    found: BaseException = caught.value
    while found.__cause__ is not None:
        found = found.__cause__
    return found


def plain(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(body), status=status, headers=headers, content_type="application/json")


# ---------------------------------------------------------------------- images in


def red_square() -> Any:
    from PIL import Image

    return Image.new("RGB", (8, 6), (200, 10, 10))


def shown(provider: str, sent: Any) -> tuple[Any, str]:
    """Return the picture that a request shows, and what is asked about it."""
    from PIL import Image

    image, text = sent["messages"][-1]["content"]
    if provider == "openai":
        head, _, data = image["image_url"]["url"].partition(",")
        assert head == "data:image/png;base64"
    else:
        data = image["source"]["data"]
        assert (image["source"]["type"], image["source"]["media_type"]) == ("base64", "image/png")
    return Image.open(io.BytesIO(base64.b64decode(data))), text["text"]


class TestImages:
    pytestmark = with_images

    @both
    def test_an_image_is_sent_and_described_piece_by_piece(self, provider: str, service: HTTPServer) -> None:
        answers(service, provider, stream(texts_of(provider, "A red ", "square.")))
        pieces: list[Any] = []

        def on_event(event: wg.Event) -> None:
            if event.kind == "task_chunk":
                pieces.append(event.data.data)

        run = (
            Workflow()
            .then(ImageToTextTask(id="see", retry=ONCE))
            .run_sync(
                {"image": red_square(), "model": f"{provider}:m", "prompt": "Which colour?", "max_tokens": 9},
                on_event=on_event,
            )
        )
        assert run.outputs["text"] == "A red square."
        assert len(pieces) >= 2
        assert run.usage["input_tokens"] == 30
        sent = service.log[0][0].json
        image, question = shown(provider, sent)
        assert (image.size, image.convert("RGB").getpixel((3, 3))) == ((8, 6), (200, 10, 10))
        assert question == "Which colour?"
        assert 9 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))

    def test_the_responses_api_sees_images_too(self, service: HTTPServer) -> None:
        done = {
            "type": "response.completed",
            "sequence_number": 1,
            "response": {"id": "r", "object": "response", "status": "completed", "output": []},
        }
        service.expect_ordered_request("/v1/responses").respond_with_response(stream([part("Red."), done]))
        task = ImageToTextTask(id="see", retry=ONCE)
        assert answered(task, image=red_square(), model=RESPONSES)["text"] == "Red."
        image = service.log[0][0].json["input"][-1]["content"][0]
        assert image["type"] == "input_image"
        assert image["image_url"].startswith("data:image/png;base64,")

    @both
    def test_a_description_that_broke_off_is_none(self, provider: str, service: HTTPServer) -> None:
        answers(service, provider, stream(texts_of(provider, "A r", cut=True)))
        task = ImageToTextTask(id="see", retry=ONCE)
        assert isinstance(failed(task, image=red_square(), model=f"{provider}:m"), IncompleteStreamError)


# ---------------------------------------------------------------------- counting tokens

COUNTING = "/v1/messages/count_tokens"


def test_anthropics_service_counts_the_tokens_of_its_models(service: HTTPServer) -> None:
    service.expect_request(COUNTING).respond_with_handler(
        lambda request: plain({"input_tokens": len(request.json["messages"][0]["content"].split())})
    )
    task = CountTokensTask(id="count", retry=ONCE)
    assert answered(task, text="one two three", model="anthropic:m")["count"] == 3
    assert answered(task, text=["one", "", "one two"], model="anthropic:m")["count"] == [1, 0, 2]
    assert [request.json["model"] for request, _ in service.log] == ["m", "m", "m"]  # nothing is asked about ''
    assert KEY in str(service.log[0][0].headers)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (plain({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, 529), ModelUnavailableError),
        (plain({"type": "error", "error": {"type": "authentication_error", "message": "x"}}, 401), AuthenticationError),
        (Response("<html>", content_type="text/html"), ModelOutputError),
        (Response("{", content_type="application/json"), ModelUnavailableError),
        (plain({}), ModelOutputError),
        (plain({"input_tokens": "many"}), ModelOutputError),
        (plain({"input_tokens": -1}), ModelOutputError),
        (plain([]), ModelOutputError),
    ],
)
def test_a_count_that_fails_has_its_kind(answer: Response, kind: type[Exception], service: HTTPServer) -> None:
    service.expect_request(COUNTING).respond_with_response(answer)
    assert type(failed(CountTokensTask(id="count", retry=ONCE), text="one", model="anthropic:m")) is kind
    assert len(service.log) == 1


def test_a_count_that_comes_too_soon_says_how_long_to_wait(service: HTTPServer) -> None:
    headers = {"retry-after": formatdate(time.time() + 9.9, usegmt=True)}
    body = {"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}
    service.expect_request(COUNTING).respond_with_response(plain(body, 429, **headers))
    error = failed(CountTokensTask(id="count", retry=ONCE), text="one", model="anthropic:m")
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == pytest.approx(9, abs=1.1)


def test_tokens_of_openais_models_are_counted_by_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    tiktoken: Any = pytest.importorskip("tiktoken", reason="needs tiktoken: pip install 'workglow[openai]'")
    from tiktoken import registry

    from workglow.providers.openai import tokens

    letters = {bytes([code]): code for code in range(256)}
    table = tiktoken.Encoding("o200k_base", pat_str=r"\w+|\W", mergeable_ranks=letters, special_tokens={})
    monkeypatch.setitem(registry.ENCODINGS, "o200k_base", table)  # the real one is fetched from the network
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    tokens._encoding.cache_clear()
    assert answered(CountTokensTask(id="count"), text="a zebra <|endoftext|>", model="openai:gpt-4o")["count"] == 21
    tokens._encoding.cache_clear()


def test_without_a_table_the_count_is_an_estimate_rather_too_high() -> None:
    model = {"name": "mine:m", "provider": "openai", "source": "llama", "base_url": "http://localhost:1/v1"}
    assert answered(CountTokensTask(id="count"), text="some words of a text", model=model)["count"] == 7
    assert answered(CountTokensTask(id="count"), text="", model=model)["count"] == 0


# ---------------------------------------------------------------------- what the service has

LISTED = {
    "openai": {
        "object": "list",
        "data": [{"id": id, "object": "model", "created": 1, "owned_by": "x"} for id in ("gpt-b", "gpt-a", "tts")],
    },
    "anthropic": {
        "data": [
            {"id": id, "type": "model", "display_name": title, "created_at": "2026-01-01T00:00:00Z"}
            for id, title in (("claude-a", "Claude A"), ("claude-b", "Claude B"))
        ],
        "has_more": False,
        "first_id": "claude-a",
        "last_id": "claude-b",
    },
}


@both
def test_the_models_of_an_account_are_found(provider: str, service: HTTPServer, project: wg.Project) -> None:
    service.expect_request("/v1/models").respond_with_json(LISTED[provider])
    word = "gpt" if provider == "openai" else "claude b"
    found = project.run_sync(Workflow().model_search(provider=provider, query=word)).outputs["results"]
    ids = ["openai:gpt-a", "openai:gpt-b"] if provider == "openai" else ["anthropic:claude-b"]
    assert [one["id"] for one in found] == ids
    project.models.add(found[0]["record"])
    assert project.models.find(ids[0]).provider == provider


@both
def test_a_graph_from_data_may_not_ask_a_service_for_its_models(provider: str, service: HTTPServer) -> None:
    service.expect_request("/v1/models").respond_with_json(LISTED[provider])
    graph = TaskGraph.from_json(
        Workflow().then(ModelSearchTask(id="find", defaults={"provider": provider})).graph.to_json()
    )
    with pytest.raises(TaskEntitlementError, match="network="):
        graph.run_sync({}, entitlements=[])
    assert not service.log
    host = service.url_for("").split("/")[2].split(":")[0]
    assert graph.run_sync({}, entitlements=[f"network={host}"]).outputs["results"]


@both
def test_what_the_service_says_of_a_model(provider: str, service: HTTPServer) -> None:
    service.expect_request("/v1/models/m").respond_with_json({**LISTED[provider]["data"][0], "id": "m"})
    info = answered(ModelInfoTask(id="info", retry=ONCE), model=f"{provider}:m")
    assert (info["is_remote"], info["is_local"]) == (True, False)
    assert "chat" in info["capabilities"]
    assert len(service.log) == 1


@both
def test_a_model_that_the_service_lacks_is_named(provider: str, service: HTTPServer) -> None:
    body = {"type": "error", "error": {"type": "not_found_error", "message": "no model m", "code": "model_not_found"}}
    service.expect_request("/v1/models/m").respond_with_response(plain(body, 404))
    error = failed(ModelInfoTask(id="info", retry=ONCE), model=f"{provider}:m")
    assert "no model m" in str(error)
    assert f"{provider}:m" in str(error)


@both
@pytest.mark.parametrize("body", ["<html>", "[]", "{", '{"data": 3}'])
def test_a_list_of_models_that_is_none_is_told(provider: str, body: str, service: HTTPServer) -> None:
    kind = "text/html" if body == "<html>" else "application/json"
    for path in ("/v1/models", "/v1/models/m"):
        service.expect_request(path).respond_with_response(Response(body, content_type=kind))
    error = failed(ModelSearchTask(id="find", retry=ONCE), provider=provider)
    assert isinstance(error, ModelOutputError | ModelUnavailableError)
    if body != '{"data": 3}':
        error = failed(ModelInfoTask(id="info", retry=ONCE), model=f"{provider}:m")
        assert isinstance(error, ModelOutputError | ModelUnavailableError)


@pytest.mark.parametrize(
    ("provider", "task", "inputs"),
    [
        ("openai", ModelInfoTask, {}),
        ("anthropic", ModelInfoTask, {}),
        ("anthropic", CountTokensTask, {"text": "a"}),
    ],
)
def test_a_question_about_a_model_that_is_not_answered_is_given_up(
    provider: str, task: Any, inputs: dict[str, Any]
) -> None:
    with RawService() as raw:
        model = record_of(provider, raw.address, options={"timeout": 0.2})
        assert type(failed(task(id="ask", retry=ONCE), model=model, **inputs)) is ModelUnavailableError
        assert raw.closed.wait(2)
    assert raw.requests == 1


# ---------------------------------------------------------------------- embeddings that go wrong


def embedded(service: HTTPServer, answer: Response | Callable[[Request], Response]) -> BaseException:
    handler = service.expect_request("/v1/embeddings")
    if isinstance(answer, Response):
        handler.respond_with_response(answer)
    else:
        handler.respond_with_handler(answer)
    error = failed(TextEmbeddingTask(id="embed", retry=ONCE), text="a", model="openai:m")
    assert len(service.log) == 1
    return error


@pytest.mark.parametrize(
    "answer",
    [
        Response('{"data": [', content_type="application/json"),
        Response("<html>", content_type="text/html"),
        Response(b"\xff\xfe", content_type="application/json"),
    ],
)
def test_an_answer_that_is_no_json_has_no_vectors(answer: Response, service: HTTPServer) -> None:
    assert isinstance(embedded(service, answer), ModelUnavailableError | ModelOutputError)


def test_vectors_that_are_no_numbers_are_refused(service: HTTPServer) -> None:
    body = '{"object": "list", "model": "m", "data": [{"index": 0, "embedding": [NaN, 1]}]}'
    assert isinstance(embedded(service, Response(body, content_type="application/json")), ModelOutputError)


def embedding_at(raw: RawService, **options: Any) -> BaseException:
    return failed(
        TextEmbeddingTask(id="embed", retry=ONCE), text="a", model=record_of("openai", raw.address, options=options)
    )


JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n"


def test_an_answer_that_breaks_off_has_no_vectors() -> None:
    with RawService(JSON_HEAD, b'{"data": [', resets=True) as raw:
        assert type(embedding_at(raw)) is ModelUnavailableError
    assert raw.requests == 1


def test_an_answer_that_stalls_is_given_up() -> None:
    with RawService(JSON_HEAD, b'{"data": [') as raw:
        assert type(embedding_at(raw, timeout=0.2)) is ModelUnavailableError
        assert raw.closed.wait(2)
    assert raw.requests == 1


# ---------------------------------------------------------------------- stopped before there is an answer

TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "generation": (TextGenerationTask, {"prompt": "?"}),
    "structured": (StructuredGenerationTask, {"prompt": "?", "output_schema": {"type": "object"}}),
    "embedding": (TextEmbeddingTask, {"text": "a"}),
    "counting": (CountTokensTask, {"text": "a"}),
}
CALLS = [
    ("openai", "generation"),
    ("openai", "structured"),
    ("openai", "embedding"),
    ("anthropic", "generation"),
    ("anthropic", "structured"),
    ("anthropic", "counting"),
]


@pytest.mark.parametrize(("provider", "kind"), CALLS)
def test_who_is_cancelled_before_the_answer_begins_closes_the_connection(provider: str, kind: str) -> None:
    task, inputs = TASKS[kind]
    with RawService() as raw:  # it takes the call and says nothing

        async def main() -> None:
            workflow = Workflow().then(task(id="ask"))
            running = asyncio.ensure_future(workflow.run({**inputs, "model": record_of(provider, raw.address)}))
            assert await asyncio.to_thread(raw.sent.wait, 5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert await asyncio.to_thread(raw.closed.wait, 2)

        asyncio.run(main())
    assert raw.requests == 1


@both
def test_a_task_that_is_out_of_time_closes_the_connection(provider: str) -> None:
    with RawService() as raw:
        task = TextGenerationTask(id="ask", retry=ONCE, timeout=0.3)
        error = failed(task, prompt="?", model=record_of(provider, raw.address))
        assert isinstance(error, TaskTimeoutError)
        assert raw.closed.wait(2)
    assert raw.requests == 1


@both
def test_another_call_of_a_model_goes_on_when_one_is_cancelled(provider: str, service: HTTPServer) -> None:
    """Both use one client; what is cancelled closes its own connection and not the other's."""
    entered: list[Request] = []

    def answer(request: Request) -> Response:
        entered.append(request)
        return stream(texts_of(provider, *"abcdefgh"), before=lambda _: time.sleep(0.03))

    service.expect_request(cloud_service.PATHS[provider]).respond_with_handler(answer)

    async def main() -> str:
        from workglow.ai import GenerationRequest
        from workglow.ai.messages import as_messages

        models = Models()
        model = models.model(f"{provider}:m")

        async def told(most: int) -> str:
            text = ""
            events = model.stream("chat", GenerationRequest(as_messages("?")))
            async for event in events:
                text += getattr(event, "text", "")
                if len(text) == most:
                    break
            await events.aclose()
            return text

        stopped, whole = await asyncio.gather(told(2), told(99))
        models.close()
        assert stopped == "ab"
        return whole

    assert asyncio.run(main()) == "abcdefgh"
    assert len(entered) == 2


# ---------------------------------------------------------------------- what a refusal says binds everybody


@both
def test_what_the_headers_of_a_refusal_say_is_kept_in_the_file_for_every_process(
    provider: str, service: HTTPServer, project_path: Any
) -> None:
    clock = FakeClock()
    limits = (
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30s"}
        if provider == "openai"
        else {
            "anthropic-ratelimit-output-tokens-remaining": "0",
            "anthropic-ratelimit-output-tokens-reset": time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90)
            ),
        }
    )
    answers(service, provider, plain({"error": {"message": "x"}}, 429, **{"retry-after": "7"}, **limits))
    with wg.open(project_path, clock=clock) as project:
        with pytest.raises(RateLimitedError):
            project.run_sync(
                Workflow().then(TextGenerationTask(id="ask", retry=ONCE)), {"prompt": "?", "model": f"{provider}:m"}
            )
    with wg.open(project_path, clock=clock) as project:
        until = project.limiter(provider).next_at()
        assert until is not None
        assert (until - clock.now()) / 1000 == pytest.approx(90, abs=2)


# ---------------------------------------------------------------------- the Responses API goes wrong as chats do

RESPONSES = {"name": "openai:m", "provider": "openai", "source": "m", "options": {"api": "responses"}}


def part(text: str) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "delta": text,
        "item_id": "i",
        "output_index": 0,
        "content_index": 0,
        "sequence_number": 0,
        "logprobs": [],
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: stream([part("Hel")]), IncompleteStreamError),
        (lambda: stream([part("Hel"), b"data: {broken\n\n"]), ModelUnavailableError),
        (lambda: Response("<html>", content_type="text/html"), IncompleteStreamError),
        (lambda: plain({"error": {"message": "x"}}, 500), ModelUnavailableError),
        (lambda: plain({"error": {"message": "x"}}, 429, **{"retry-after": "7"}), RateLimitedError),
        (lambda: plain({"error": {"message": "x"}}, 401), AuthenticationError),
    ],
)
def test_responses_that_go_wrong(answer: Callable[[], Response], kind: type[Exception], service: HTTPServer) -> None:
    service.expect_request("/v1/responses").respond_with_response(answer())
    error = failed(TextGenerationTask(id="ask", retry=ONCE), prompt="?", model=RESPONSES)
    assert type(error) is kind
    assert getattr(error, "retry_after", 7) == 7
    assert len(service.log) == 1


def test_who_is_cancelled_closes_the_connection_of_responses() -> None:
    with RawService(STREAM_HEAD, chunked([part("Hel")])) as raw:

        async def main() -> None:
            record = record_of("openai", raw.address, options={"api": "responses"})
            workflow = Workflow().then(TextGenerationTask(id="ask"))
            running = asyncio.ensure_future(workflow.run({"prompt": "?", "model": record}))
            assert await asyncio.to_thread(raw.sent.wait, 5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert await asyncio.to_thread(raw.closed.wait, 2)

        asyncio.run(main())
    assert raw.requests == 1
