"""Models that run elsewhere, through the tasks and the real clients: what each answer of a service leads to."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator
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
from workglow import Retry, Workflow  # noqa: E402
from workglow.ai import Models, TextEmbeddingTask  # noqa: E402
from workglow.ai.generation import TextGenerationTask  # noqa: E402
from workglow.errors import (  # noqa: E402
    AuthenticationError,
    ContextTooLongError,
    IncompleteStreamError,
    InvalidModelError,
    ModelCallError,
    ModelOutputError,
    ModelUnavailableError,
    RateLimitedError,
    WorkglowError,
)

KEY = "sk-canary-5f2c9a"
ONCE = Retry(1)

pytestmark = [
    pytest.mark.extra("openai"),
    pytest.mark.extra("anthropic"),
    pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'"),
    pytest.mark.skipif(find_spec("anthropic") is None, reason="needs anthropic: pip install 'workglow[anthropic]'"),
]
both = pytest.mark.parametrize("provider", ["openai", "anthropic"])


@pytest.fixture(scope="module")
def running() -> Iterator[HTTPServer]:
    with service_running() as service:
        yield service


@pytest.fixture
def service(running: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    monkeypatch.setenv("TEST_KEY", KEY)
    yield running
    running.clear()


def model_of(provider: str, service: HTTPServer, **more: Any) -> dict[str, Any]:
    return record_of(provider, service.url_for(""), credential="env:TEST_KEY", **more)


def asked(model: Any, **inputs: Any) -> Any:
    """Ask once, in a run that is kept nowhere."""
    workflow = Workflow().then(TextGenerationTask(id="ask", retry=ONCE))
    return workflow.run_sync({"prompt": "Hello?", "model": model, **inputs})


def failed(model: dict[str, Any], **inputs: Any) -> BaseException:
    """Ask once, and return what the call itself raised."""
    with pytest.raises(WorkglowError) as caught:
        asked(model, **inputs)
    found: BaseException = caught.value
    while found.__cause__ is not None:
        found = found.__cause__
    return found


def refusal(provider: str, status: int, code: str, **headers: str) -> Response:
    if provider == "openai":
        body: Any = {"error": {"message": f"no: {KEY}", "type": code, "code": code}}
    else:
        body = {"type": "error", "error": {"type": code, "message": f"no: {KEY}"}}
    return Response(json.dumps(body), status=status, headers=headers, content_type="application/json")


# ---------------------------------------------------------------------- what goes well


@both
def test_a_stream_arrives_piece_by_piece_with_what_it_took(provider: str, service: HTTPServer) -> None:
    answers(service, provider, stream(texts_of(provider, "Hel", "lo")))
    prices = {"input": 1.0, "output": 10.0, "cached_input": 0.5}
    pieces: list[str] = []

    def on_event(event: wg.Event) -> None:
        if event.kind == "task_chunk":
            pieces.append(str(event.data))

    workflow = Workflow().then(TextGenerationTask(id="ask"))
    run = workflow.run_sync(
        {"prompt": "Hello?", "model": model_of(provider, service, prices=prices)}, on_event=on_event
    )
    assert run.outputs == {"text": "Hello", "finish_reason": "stop"}
    assert len(pieces) >= 2
    usage = run.usage
    assert (usage["input_tokens"], usage["output_tokens"]) == (30, 2)
    assert usage["cost"] == pytest.approx((20 * 1.0 + 10 * 0.5 + 2 * 10.0) / 1e6)


@both
def test_settings_reach_the_service_under_its_names(provider: str, service: HTTPServer) -> None:
    answers(service, provider, stream(texts_of(provider, "x")))
    model = model_of(provider, service, options={"parameters": {"service_tier": "auto"}})
    asked(model, system="Be brief.", max_tokens=7, temperature=0.5, top_p=0.9, stop=["\n\n"])
    sent = service.log[0][0].json
    assert (sent["model"], sent["stream"], sent["temperature"], sent["top_p"]) == ("m", True, 0.5, 0.9)
    assert sent["max_tokens"] == 7
    assert sent["service_tier"] == "auto"
    if provider == "openai":
        assert sent["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ]
        assert sent["stop"] == ["\n\n"]
    else:
        assert sent["system"] == "Be brief."
        assert sent["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hello?"}]}]
        assert sent["stop_sequences"] == ["\n\n"]


def test_openai_itself_is_told_of_max_completion_tokens() -> None:
    provider = Models().provider("openai")
    assert provider._length_name(provider.record("openai:gpt-5-mini")) == "max_completion_tokens"  # type: ignore[attr-defined]


def test_what_a_protocol_lacks_is_said_and_not_dropped(service: HTTPServer) -> None:
    error = failed(model_of("anthropic", service), seed=3)
    assert isinstance(error, ModelCallError)
    assert "seed" in str(error)
    error = failed(model_of("openai", service, options={"api": "responses"}), seed=3)
    assert isinstance(error, ModelCallError)
    assert "seed" in str(error)
    assert not service.log


@both
def test_a_huge_answer_is_whole(provider: str, service: HTTPServer) -> None:
    pieces = [f"{number:09d}" * 100 for number in range(500)]
    answers(service, provider, stream(texts_of(provider, *pieces)))
    assert asked(model_of(provider, service)).outputs["text"] == "".join(pieces)


@both
def test_a_single_huge_piece_is_whole(provider: str, service: HTTPServer) -> None:
    answers(service, provider, stream(texts_of(provider, "ä" * 3_000_000)))
    assert asked(model_of(provider, service)).outputs["text"] == "ä" * 3_000_000


# ---------------------------------------------------------------------- what another try may mend


@both
@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
def test_429_says_how_long_to_wait_and_what_is_left(provider: str, form: str, service: HTTPServer) -> None:
    headers = {
        "seconds": {"retry-after": "7"},
        "date": {"retry-after": formatdate(time.time() + 7.9, usegmt=True)},
        "milliseconds": {"retry-after-ms": "7000", "retry-after": "99"},
    }[form]
    limits = (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s"}
        if provider == "openai"
        else {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 62)),
        }
    )
    code = "rate_limit_exceeded" if provider == "openai" else "rate_limit_error"
    answers(service, provider, refusal(provider, 429, code, **headers, **limits))
    error = failed(model_of(provider, service))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == pytest.approx(7, abs=1.1)
    assert error.limits["requests"]["remaining"] == 0
    assert error.limits["requests"]["reset"] == pytest.approx(62, abs=3)
    assert len(service.log) == 1  # the client tried once


@both
@pytest.mark.parametrize(("status", "code"), [(500, "api_error"), (502, ""), (503, ""), (529, "overloaded_error")])
def test_a_service_that_fails_is_one_that_may_recover(
    provider: str, status: int, code: str, service: HTTPServer
) -> None:
    answers(service, provider, refusal(provider, status, code, **{"retry-after": "3"}))
    error = failed(model_of(provider, service))
    assert type(error) is ModelUnavailableError
    assert error.after == 3
    assert len(service.log) == 1


@both
def test_a_stream_without_its_end_is_no_answer(provider: str, service: HTTPServer) -> None:
    answers(service, provider, stream(texts_of(provider, "Hel", cut=True)))
    error = failed(model_of(provider, service))
    assert isinstance(error, IncompleteStreamError)


@both
def test_a_connection_that_breaks_in_the_middle_is_no_answer(provider: str) -> None:
    with RawService(STREAM_HEAD, chunked(texts_of(provider, "Hel", cut=True)), resets=True) as raw:
        error = failed(record_of(provider, raw.address))
    assert type(error) is ModelUnavailableError
    assert raw.requests == 1


@both
def test_a_connection_that_is_closed_without_an_answer(provider: str) -> None:
    with RawService(resets=True) as raw:
        error = failed(record_of(provider, raw.address))
    assert type(error) is ModelUnavailableError


@both
def test_nobody_there(provider: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = failed(record_of(provider, f"http://127.0.0.1:{port}"))
    assert type(error) is ModelUnavailableError
    assert "127.0.0.1" in str(error)


@both
def test_a_service_that_never_answers_is_given_up(provider: str) -> None:
    with RawService() as raw:
        error = failed(record_of(provider, raw.address, options={"timeout": 0.2}))
        assert raw.closed.wait(5)
    assert type(error) is ModelUnavailableError
    assert "in time" in str(error)


@both
@pytest.mark.parametrize("option", ["timeout", "stall_timeout"])
def test_a_stream_that_stalls_is_given_up(provider: str, option: str) -> None:
    with RawService(STREAM_HEAD, chunked(texts_of(provider, "Hel", cut=True))) as raw:
        error = failed(record_of(provider, raw.address, options={option: 0.2}))
        assert raw.closed.wait(5)
    assert type(error) is ModelUnavailableError


@both
@pytest.mark.parametrize("data", [b"data: {not json\n\n", b"data: \xff\xfe\n\n"])
def test_what_is_no_json_is_no_answer(provider: str, data: bytes, service: HTTPServer) -> None:
    event = b"event: content_block_delta\n" + data
    answers(service, provider, stream([*texts_of(provider, "Hel", cut=True), event]))
    error = failed(model_of(provider, service))
    assert isinstance(error, ModelUnavailableError | ModelOutputError)


@both
@pytest.mark.parametrize("data", ["[]", '"text"', "7", "{}", '{"choices": "x", "type": "content_block_delta"}'])
def test_json_of_another_shape_is_no_answer(provider: str, data: str, service: HTTPServer) -> None:
    event = f"event: content_block_delta\ndata: {data}\n\n".encode()
    answers(service, provider, stream([event]))
    assert isinstance(failed(model_of(provider, service)), ModelUnavailableError)


@both
def test_a_page_in_the_place_of_a_stream_is_no_answer(provider: str, service: HTTPServer) -> None:
    answers(service, provider, Response("<html>Welcome</html>", content_type="text/html"))
    assert isinstance(failed(model_of(provider, service)), ModelUnavailableError)


@pytest.mark.parametrize(
    ("provider", "event", "kind"),
    [
        ("openai", {"error": {"message": "x", "type": "server_error", "code": None}}, ModelUnavailableError),
        ("openai", {"error": {"message": "x", "code": "rate_limit_exceeded"}}, RateLimitedError),
        ("openai", {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextTooLongError),
        ("openai", {"error": {"message": "x", "code": 502}}, ModelUnavailableError),
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, ModelUnavailableError),
        ("anthropic", {"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, RateLimitedError),
        ("anthropic", {"type": "error", "error": {"type": "invalid_request_error", "message": "x"}}, ModelCallError),
    ],
)
def test_an_error_in_the_middle_of_an_answer_is_known_by_its_code(
    provider: str, event: dict[str, Any], kind: type[Exception], service: HTTPServer
) -> None:
    answers(service, provider, stream([*texts_of(provider, "Hel", cut=True), event]))
    error = failed(model_of(provider, service))
    assert type(error) is kind


# ---------------------------------------------------------------------- what no other try will mend


@both
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request_error", ModelCallError),
        (401, "authentication_error", AuthenticationError),
        (403, "permission_error", AuthenticationError),
        (404, "not_found_error", ModelCallError),
        (413, "request_too_large", ContextTooLongError),
        (422, "", ModelCallError),
        (307, "", ModelCallError),
    ],
)
def test_a_refusal_is_final(provider: str, status: int, code: str, kind: type[Exception], service: HTTPServer) -> None:
    answers(service, provider, refusal(provider, status, code, location="http://127.0.0.1:1/elsewhere"))
    error = failed(model_of(provider, service))
    assert type(error) is kind
    assert len(service.log) == 1


@pytest.mark.parametrize(
    ("provider", "status", "code", "kind"),
    [
        ("openai", 400, "context_length_exceeded", ContextTooLongError),
        ("openai", 429, "insufficient_quota", ModelCallError),
        ("anthropic", 402, "billing_error", ModelCallError),
    ],
)
def test_codes_go_before_statuses(
    provider: str, status: int, code: str, kind: type[Exception], service: HTTPServer
) -> None:
    answers(service, provider, refusal(provider, status, code))
    assert type(failed(model_of(provider, service))) is kind


def test_what_a_content_filter_stops_is_refused(service: HTTPServer) -> None:
    answers(service, "openai", stream(cloud_service.openai_chunks("Well", reason="content_filter")))
    assert asked(model_of("openai", service)).outputs == {"text": "Well", "finish_reason": "refused"}
    answers(service, "openai", stream(cloud_service.openai_chunks(refusal="I cannot.")))
    assert asked(model_of("openai", service)).outputs == {"text": "I cannot.", "finish_reason": "refused"}
    answers(service, "anthropic", stream(cloud_service.anthropic_events("Well", reason="refusal")))
    assert asked(model_of("anthropic", service)).outputs == {"text": "Well", "finish_reason": "refused"}


@both
def test_an_answer_that_had_no_more_room_says_so(provider: str, service: HTTPServer) -> None:
    events = (
        cloud_service.openai_chunks("Once", reason="length")
        if provider == "openai"
        else cloud_service.anthropic_events("Once", reason="max_tokens")
    )
    answers(service, provider, stream(events))
    assert asked(model_of(provider, service)).outputs == {"text": "Once", "finish_reason": "length"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"options": {"temprature": 1}}, "no option 'temprature'"),
        ({"options": {"timeout": -1}}, "timeout"),
        ({"options": {"api": "assistants"}}, "'chat' or 'responses'"),
        ({"options": {"parameters": []}}, "parameters"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://me:secret@x/v1"}, "base_url"),
    ],
)
def test_a_record_that_is_wrong_is_named(more: dict[str, Any], reason: str, service: HTTPServer) -> None:
    error = failed({**model_of("openai", service), **more})
    assert isinstance(error, InvalidModelError)
    assert reason in str(error)


# ---------------------------------------------------------------------- tries and waits are rows


@both
def test_tries_and_their_waits_are_kept_in_the_file(provider: str, service: HTTPServer, project_path: Any) -> None:
    code = "rate_limit_exceeded" if provider == "openai" else "rate_limit_error"
    answers(
        service,
        provider,
        refusal(provider, 429, code, **{"retry-after-ms": "300"}),
        refusal(provider, 500, "api_error"),
        stream(texts_of(provider, "Hel", cut=True)),
        stream(texts_of(provider, "Hello")),
    )
    retry = Retry(5, delay=0.01)
    workflow = Workflow().then(TextGenerationTask(id="ask", retry=retry))
    begun = time.monotonic()
    with wg.open(project_path) as project:
        run = project.run_sync(workflow, {"prompt": "Hello?", "model": model_of(provider, service)})
        assert run.outputs["text"] == "Hello"
        assert run.usage["attempts"] == 4
        assert run.usage["input_tokens"] >= 30  # what failed took something, too
    assert time.monotonic() - begun >= 0.3  # as long as the service asked for
    assert len(service.log) == 4
    with wg.open(project_path) as project:
        assert [kept.usage["attempts"] for kept in project.runs()] == [4]


# ---------------------------------------------------------------------- cancelling


@both
def test_who_is_cancelled_closes_the_connection(provider: str) -> None:
    with RawService(STREAM_HEAD, chunked(texts_of(provider, "Hel", cut=True))) as raw:

        async def main() -> None:
            workflow = Workflow().then(TextGenerationTask(id="ask"))
            running = asyncio.ensure_future(
                workflow.run({"prompt": "Hello?", "model": record_of(provider, raw.address)})
            )
            await asyncio.to_thread(raw.sent.wait, 5)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert await asyncio.to_thread(raw.closed.wait, 2)

        asyncio.run(main())
    assert raw.requests == 1


@both
def test_who_stops_reading_closes_the_connection(provider: str) -> None:
    from workglow.ai import GenerationRequest
    from workglow.ai.messages import as_messages

    with RawService(STREAM_HEAD, chunked(texts_of(provider, "Hel", cut=True))) as raw:

        async def main() -> None:
            models = Models()
            events = models.model(record_of(provider, raw.address)).stream("chat", GenerationRequest(as_messages("?")))
            async for _ in events:
                break
            await events.aclose()  # type: ignore[attr-defined]
            assert await asyncio.to_thread(raw.closed.wait, 2)
            models.close()

        asyncio.run(main())


# ---------------------------------------------------------------------- credentials


@both
def test_the_key_is_sent_and_seen_nowhere_else(
    provider: str, service: HTTPServer, project_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answers(service, provider, refusal(provider, 401, "authentication_error"))
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    with wg.open(project_path) as project:
        with pytest.raises(WorkglowError) as caught:
            project.run_sync(
                Workflow().then(TextGenerationTask(id="ask")), {"prompt": "?", "model": model_of(provider, service)}
            )
        error: BaseException | None = caught.value
        while error is not None:
            shown += [str(error), repr(error), str(error.args)]
            error = error.__cause__ or error.__context__
        shown += [repr(project.models.provider(provider)), repr(vars(project.models.provider(provider)))]
    headers = service.log[0][0].headers
    assert KEY in (headers.get("Authorization", "") + headers.get("x-api-key", ""))
    shown += [caplog.text, project_path.read_bytes().decode("latin-1")]
    assert not [text for text in shown if KEY in text]


@both
def test_the_services_own_key_goes_to_nobody_else(
    provider: str, service: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, KEY)
    answers(service, provider, stream(texts_of(provider, "x")))
    asked(record_of(provider, service.url_for("")))
    assert KEY not in str(service.log[0][0].headers)


@both
def test_a_key_that_is_not_there_is_named(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"{provider.upper()}_API_KEY"
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(AuthenticationError, match=variable):
        Workflow().then(TextGenerationTask(id="ask", retry=ONCE)).run_sync({"prompt": "?", "model": f"{provider}:m"})


@both
def test_an_address_in_the_environment_is_the_users_own(
    provider: str, service: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = record_of(provider, service.url_for(""))["base_url"]
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", address)
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", KEY)
    answers(service, provider, stream(texts_of(provider, "x")))
    asked(f"{provider}:m")
    assert KEY in str(service.log[0][0].headers)


# ---------------------------------------------------------------------- connections


@both
def test_a_client_is_used_again_and_closed_with_its_loop(provider: str, service: HTTPServer) -> None:
    handler = service.expect_request(cloud_service.PATHS[provider])
    handler.respond_with_handler(lambda _: stream(texts_of(provider, "x")))
    models = Models()
    model = models.model(model_of(provider, service))
    kept: list[Any] = []

    async def twice() -> None:
        from workglow.ai import GenerationRequest
        from workglow.ai.messages import as_messages

        for _ in range(2):
            async for _event in model.stream("chat", GenerationRequest(as_messages("?"))):
                pass
        kept.append(await model.provider.client(model.record))  # type: ignore[attr-defined]
        assert not kept[-1].is_closed()

    asyncio.run(twice())
    assert kept[0].is_closed()
    asyncio.run(twice())
    assert kept[0] is not kept[1]
    models.close()


def test_a_project_that_closes_in_a_running_loop_closes_its_connections(service: HTTPServer, project_path: Any) -> None:
    answers(service, "openai", stream(texts_of("openai", "x")))

    async def main() -> None:
        with wg.open(project_path) as project:
            workflow = Workflow().then(TextGenerationTask(id="ask"))
            model = project.models.find(model_of("openai", service))
            await project.run(workflow, {"prompt": "?", "model": model_of("openai", service)})
            client = await project.models.provider("openai").client(model)  # type: ignore[attr-defined]
        for _ in range(20):
            await asyncio.sleep(0)
        assert client.is_closed()

    asyncio.run(main())


# ---------------------------------------------------------------------- embeddings


def embedding(request: Request, *, as_text: bool = False) -> Response:
    import base64
    import struct

    rows: list[Any] = []
    for at, text in enumerate(request.json["input"]):
        row: Any = [float(len(text)), 3.0, 4.0]
        if as_text and request.json.get("encoding_format") == "base64":
            row = base64.b64encode(struct.pack("<3f", *row)).decode()
        rows.insert(0, {"object": "embedding", "index": at, "embedding": row})  # in any order
    usage = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
    body = {"object": "list", "model": "m", "data": rows, "usage": usage}
    return Response(json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("as_text", [False, True])
def test_texts_become_vectors_in_their_order(service: HTTPServer, as_text: bool) -> None:
    service.expect_request("/v1/embeddings").respond_with_handler(lambda request: embedding(request, as_text=as_text))
    texts = ["a", "", "ccc", "bb"]
    model = model_of("openai", service, options={"batch_size": 2}, prices={"input": 1.0})
    run = Workflow().then(TextEmbeddingTask(id="embed")).run_sync({"text": texts, "model": model})
    vectors = run.outputs["vector"]
    assert vectors.shape == (4, 3)
    assert not vectors[1].any()
    assert [round(float(row[0] / row[1] * 3)) for row in vectors[[0, 2, 3]]] == [1, 3, 2]
    assert [request.json["input"] for request, _ in service.log] == [["a", "ccc"], ["bb"]]
    assert run.usage["input_tokens"] == 3


def test_an_empty_text_has_a_row_of_zeros_also_alone(service: HTTPServer) -> None:
    service.expect_request("/v1/embeddings").respond_with_handler(embedding)
    outputs = (
        Workflow().then(TextEmbeddingTask(id="embed")).run_sync({"text": "", "model": model_of("openai", service)})
    ).outputs
    assert outputs["vector"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": "%%%"}]},
        {"data": [{"index": 5, "embedding": [1, 2]}]},
        {"data": [{"index": 0, "embedding": [[1], [2]]}]},
        {"data": "x"},
        {"object": "list"},
    ],
)
def test_an_answer_without_the_vectors_is_named(service: HTTPServer, body: Any) -> None:
    service.expect_request("/v1/embeddings").respond_with_json(body)
    with pytest.raises(ModelOutputError, match="vector"):
        Workflow().then(TextEmbeddingTask(id="embed", retry=ONCE)).run_sync(
            {"text": "a", "model": model_of("openai", service)}
        )


@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimitedError), (500, ModelUnavailableError), (401, AuthenticationError)]
)
def test_embedding_fails_as_writing_does(service: HTTPServer, status: int, kind: type[Exception]) -> None:
    service.expect_request("/v1/embeddings").respond_with_response(refusal("openai", status, ""))
    with pytest.raises(kind):
        Workflow().then(TextEmbeddingTask(id="embed", retry=ONCE)).run_sync(
            {"text": "a", "model": model_of("openai", service)}
        )


def test_fewer_dimensions_are_asked_for(service: HTTPServer) -> None:
    service.expect_request("/v1/embeddings").respond_with_handler(embedding)
    model = model_of("openai", service, dimensions=3) | {"source": "text-embedding-3-small"}
    Workflow().then(TextEmbeddingTask(id="embed")).run_sync({"text": "a", "model": model})
    assert service.log[0][0].json["dimensions"] == 3
