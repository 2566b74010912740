"""The conformance suite, run on providers that ship, and on providers that break it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from cloud_service import anthropic_events, openai_chunks, record_of, service_running, stream
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from workglow.ai import Finish, GenerationRequest, ModelEvent, ModelRecord, Provider, TextDelta, provider_registry
from workglow.errors import AuthenticationError, ModelUnavailableError
from workglow.testing import ProviderConformance, ScriptedProvider

PERSON = '{"name": "Ada", "age": 36}'


@pytest.mark.extra("local")
@pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama: pip install 'workglow[local]'")
class TestStatic(ProviderConformance):
    capabilities = ("embed", "count_tokens")
    model = "local:wordllama"


class TestScripted(ProviderConformance):
    capabilities = ("chat", "call_tools")
    model = "scripted:m"
    reports_usage = False

    @pytest.fixture(autouse=True)
    def script(self, request: pytest.FixtureRequest) -> Iterator[None]:
        from workglow.ai import ToolCall

        call = [ToolCall("1", "get_weather", {"location": "San Francisco"}), Finish("tool_calls")]
        answers: list[object] = [call] if "must_be_called" in request.node.name else ["Hello"] * 5
        with ScriptedProvider(answers=answers):
            yield


# ---------------------------------------------------------------------- OpenAI and Anthropic, on this machine


def openai_answer(request: Request) -> Response:
    asked = request.json
    if request.headers.get("Authorization") == "Bearer wrong":
        return Response('{"error": {"message": "no"}}', status=401, content_type="application/json")
    if asked.get("response_format"):
        return stream(openai_chunks(PERSON[:9], PERSON[9:]))
    if asked.get("tool_choice") == "required":
        call = {"index": 0, "id": "call_7", "type": "function"}
        parts = [
            call | {"function": {"name": "get_weather", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"location": "San'}},
            {"index": 0, "function": {"arguments": ' Francisco"}'}},
        ]
        return stream(openai_chunks(calls=parts, reason="tool_calls"))
    return stream(openai_chunks("It", " is", " sunny."))


def openai_vectors(request: Request) -> Response:
    rows = [{"index": at, "embedding": [len(text), 2, 3]} for at, text in enumerate(request.json["input"])]
    return Response(json.dumps({"data": rows, "usage": {"prompt_tokens": 1}}), content_type="application/json")


def anthropic_answer(request: Request) -> Response:
    asked = request.json
    if request.headers.get("Authorization") == "Bearer wrong" or request.headers.get("x-api-key") == "wrong":
        error = {"type": "error", "error": {"type": "authentication_error", "message": "no"}}
        return Response(json.dumps(error), status=401, content_type="application/json")
    choice = asked.get("tool_choice", {})
    if choice.get("name") == "structured_output":
        return stream(anthropic_events(calls=[("1", "structured_output", [PERSON[:9], PERSON[9:]])], reason="tool_use"))
    if choice.get("type") == "any":
        call = ("toolu_7", "get_weather", ["", '{"location": "San', ' Francisco"}'])
        return stream(anthropic_events("I will ask.", calls=[call], reason="tool_use"))
    return stream(anthropic_events("It", " is", " sunny."))


def anthropic_count(request: Request) -> Response:
    words = sum(len(message["content"].split()) for message in request.json["messages"])
    return Response(json.dumps({"input_tokens": words}), content_type="application/json")


@pytest.fixture(scope="module")
def service() -> Iterator[HTTPServer]:
    with service_running() as service:
        service.expect_request("/v1/chat/completions").respond_with_handler(openai_answer)
        service.expect_request("/v1/embeddings").respond_with_handler(openai_vectors)
        service.expect_request("/v1/messages").respond_with_handler(anthropic_answer)
        service.expect_request("/v1/messages/count_tokens").respond_with_handler(anthropic_count)
        yield service


class _Remote(ProviderConformance):
    provider = ""

    @pytest.fixture(autouse=True)
    def where(self, service: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WRONG_KEY", "wrong")
        self.model = record_of(self.provider, service.url_for(""))
        self.failures = [
            (record_of(self.provider, "http://127.0.0.1:1"), ModelUnavailableError),
            (self.model | {"credential": "env:NO_SUCH_KEY"}, AuthenticationError),
        ]
        if self.provider == "anthropic":
            self.failures.append((self.model | {"credential": "env:WRONG_KEY"}, AuthenticationError))


@pytest.mark.extra("openai")
@pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'")
class TestOpenAI(_Remote):
    capabilities = ("embed", "chat", "call_tools", "structured", "describe_image", "count_tokens")
    provider = "openai"


@pytest.mark.extra("anthropic")
@pytest.mark.skipif(find_spec("anthropic") is None, reason="needs anthropic: pip install 'workglow[anthropic]'")
class TestAnthropic(_Remote):
    capabilities = ("chat", "call_tools", "structured", "describe_image", "count_tokens")
    provider = "anthropic"


# ---------------------------------------------------------------------- the suite finds what is wrong


class _Broken(Provider):
    name = "broken"

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        yield TextDelta("a")
        yield Finish()
        yield Finish()

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> Any:
        return np.asarray([[len(texts), 1.0] for _ in texts], np.float32)

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        return -len(text)


class _Suite(ProviderConformance):
    capabilities = ("embed", "chat", "count_tokens", "call_tools")
    model = "broken:m"
    failures = (("broken:m", ModelUnavailableError),)


@pytest.mark.parametrize(
    "check",
    [
        "test_the_model_can_do_what_is_said_of_it",
        "test_a_stream_ends_with_exactly_one_finish",
        "test_what_a_call_took_is_told",
        "test_a_text_has_the_same_vector_alone_and_among_others",
        "test_longer_texts_have_more_tokens",
        "test_failures_have_their_types",
    ],
)
def test_a_broken_provider_is_found_out(check: str) -> None:
    provider_registry.register(_Broken)
    try:
        with pytest.raises(AssertionError):
            getattr(_Suite(), check)()
    finally:
        provider_registry.unregister("broken")


def test_checks_of_what_a_model_cannot_do_are_left_out() -> None:
    assert TestStatic.test_an_object_fits_its_schema is None
    assert callable(_Suite.test_longer_texts_have_more_tokens)
