"""The models of OpenAI, and of servers that speak its protocol: Ollama, llama.cpp, vLLM, and others by `base_url`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import numpy as np

from workglow.ai.model import report_usage
from workglow.ai.record import ModelRecord
from workglow.ai.request import GenerationRequest
from workglow.errors import InvalidModelError, MissingExtraError, ModelUnavailableError
from workglow.providers.openai.completions import chat_body, chat_events, completion_body, usage_of
from workglow.providers.openai.embeddings import DIMENSIONS, batches, vectors_of
from workglow.providers.openai.responses import response_body, response_events
from workglow.providers.openai.tokens import count_tokens
from workglow.providers.remote.failures import from_code, from_status
from workglow.providers.remote.images import image_message
from workglow.providers.remote.pace import paced
from workglow.providers.remote.provider import RemoteProvider

try:
    import openai
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"Models of OpenAI need {error.name}, which is not installed: pip install 'workglow[openai]'."
    ) from error

if TYPE_CHECKING:
    from workglow.ai.events import ModelEvent
    from workglow.ai.provider import Purpose, Vectors
    from workglow.values import Secret

__all__ = ["OpenAIProvider"]

_NO_KEY: Final = "none"
"""What the client sends to servers that want no key; it takes no empty one."""

_TEXTS_AT_ONCE: Final = 512


class OpenAIProvider(RemoteProvider["openai.AsyncOpenAI"]):
    """Runs 'openai:gpt-5-mini', and whatever a record with a `base_url` names.

    Options of a record: `timeout`, `connect_timeout` and `stall_timeout` in seconds; `api`, 'chat' or 'responses';
    `structured`, 'json_schema' or 'json_object'; `length_name`, how the service calls max_tokens; `batch_size` of
    embeddings; `stream_usage`, False for servers that refuse to be asked for it; `parameters`, added to each request.
    """

    name = "openai"
    title = "OpenAI"
    extra = "openai"
    credential = "env:OPENAI_API_KEY"
    address: ClassVar[str] = "https://api.openai.com/v1"
    address_variable: ClassVar[str] = "OPENAI_BASE_URL"
    options: ClassVar[frozenset[str]] = RemoteProvider.options | {
        "api",
        "structured",
        "length_name",
        "batch_size",
        "stream_usage",
    }

    def record(self, name: str) -> ModelRecord:
        """Return the record of a model; whether there is one is not asked."""
        record = super().record(name)
        return ModelRecord(
            name=name,
            provider=self.name,
            source=record.source,
            dimensions=DIMENSIONS.get(record.source),
            context_length=8191 if record.source in DIMENSIONS else None,
        )

    def capabilities_of(self, model: ModelRecord) -> frozenset[str]:
        """What a model can do: OpenAI's own are known by name, those of other servers are taken to do everything."""
        if model.capabilities or not self.is_original(model):
            return super().capabilities_of(model)
        able = self.capabilities()
        if model.source.startswith("text-embedding"):
            return frozenset({"embed", "count_tokens", "info", "search"}) & able
        legacy = model.source.startswith(("davinci", "babbage")) or model.source.endswith("-instruct")
        chat = {"chat", "call_tools", "structured", "describe_image"}
        return able - {"embed"} - (chat if legacy else {"generate"})

    # ------------------------------------------------------------------ writing

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        """Write the assistant's next message."""
        client: Any = await self.client(model)
        api = _choice(model, "api", "chat", "responses")
        who, structured = self.who(model), request.schema is not None
        with self.explained(model):
            if api == "responses":
                sent = self._sent(model) | response_body(request)
                sent.pop("stream_options", None)
                answer: Any = await client.responses.create(**sent)
                async with self._streaming(answer, model):
                    async for event in response_events(self._paced(answer, model), who, structured=structured):
                        yield event
                return
            named = _choice(model, "structured", "json_schema", "json_object")
            sent = self._sent(model) | chat_body(request, self._length_name(model), named)
            chunks: Any = await client.chat.completions.create(**sent)
            async with self._streaming(chunks, model):
                async for event in chat_events(self._paced(chunks, model), who, structured=structured):
                    yield event

    call_tools = chat
    structured = chat

    async def generate(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        """Go on with a text, on servers that still offer it."""
        client: Any = await self.client(model)
        sent = self._sent(model) | completion_body(request)
        with self.explained(model):
            chunks: Any = await client.completions.create(**sent)
            async with self._streaming(chunks, model):
                async for event in chat_events(self._paced(chunks, model), self.who(model)):
                    yield event

    def describe_image(
        self, model: ModelRecord, image: Any, *, prompt: str, max_tokens: int | None
    ) -> AsyncIterator[ModelEvent]:
        """Say what the image shows."""
        request = GenerationRequest((image_message(image, prompt),), max_tokens=max_tokens)
        return self.chat(model, request)

    def _sent(self, model: ModelRecord) -> dict[str, Any]:
        pace = self.pace(model)
        sent: dict[str, Any] = {
            "model": model.source,
            "stream": True,
            "timeout": openai.Timeout(pace.read, connect=pace.connect),
        }
        if model.options.get("stream_usage", True):
            sent["stream_options"] = {"include_usage": True}
        if added := self.parameters(model):
            sent["extra_body"] = added
        return sent

    def _streaming(self, answer: Any, model: ModelRecord) -> Any:
        if not hasattr(answer, "__aiter__"):  # the client hands on what is no stream
            raise ModelUnavailableError(f"{self.who(model)} answered with no stream.")
        return answer

    def _paced(self, chunks: Any, model: ModelRecord) -> AsyncIterable[Any]:
        return paced(chunks, self.pace(model).stall, self.who(model))

    def _length_name(self, model: ModelRecord) -> str:
        default = "max_completion_tokens" if self.is_original(model) else "max_tokens"
        return str(model.options.get("length_name", default))

    # ------------------------------------------------------------------ embedding and counting

    async def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Embed texts, as many at once as a request may have; an empty text has a row of zeros."""
        known = [text for text in texts if text]
        vectors = [await self._embedded(model, batch) for batch in batches(known, _batch_size(model))]
        width = vectors[0].shape[1] if vectors else model.dimensions
        if width is None:
            width = (await self._embedded(model, [" "])).shape[1]  # nobody else says how long they would be
        whole = np.zeros((len(texts), width), np.float32)
        if vectors:
            whole[[at for at, text in enumerate(texts) if text]] = np.concatenate(vectors)
        return whole

    async def _embedded(self, model: ModelRecord, texts: list[str]) -> Vectors:
        client: Any = await self.client(model)
        sent = self._sent(model)
        del sent["stream"]
        sent.pop("stream_options", None)
        native = DIMENSIONS.get(model.source)
        if native is not None and model.dimensions not in (None, native):
            sent["dimensions"] = model.dimensions
        with self.explained(model):
            answer = await client.embeddings.create(input=texts, encoding_format="base64", **sent)
        report = usage_of(getattr(answer, "usage", None))
        if report is not None:
            report_usage(report.input_tokens)
        return vectors_of(answer, len(texts), self.who(model))

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text: by tiktoken where it is installed and knows the model, else an estimate."""
        return count_tokens(model.source if self.is_original(model) else "", text)

    # ------------------------------------------------------------------ the models themselves

    async def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say what the service says of the model."""
        client: Any = await self.client(model)
        with self.explained(model):
            found = await client.models.retrieve(model.source, timeout=self.pace(model).read)
        if not isinstance(found, openai.BaseModel):
            raise self.missing("what it knows of the model", model)
        return found.to_dict()

    async def search(self, query: str, *, limit: int) -> list[ModelRecord]:
        """List the models of the account whose id has the words of the query."""
        anyone = self.anyone()
        client: Any = await self.client(anyone)
        with self.explained(anyone):
            try:
                page = await client.models.list(timeout=self.pace(anyone).read)
            except AttributeError:  # what the client itself raises for what is no list
                raise self.missing("a list of models", anyone) from None
        if not isinstance(getattr(page, "data", None), list):
            raise self.missing("a list of models", anyone)
        words = query.lower().split()
        ids = sorted(model.id for model in page.data if all(word in model.id.lower() for word in words))
        return [self.record(f"{self.name}:{id}") for id in ids[:limit]]

    # ------------------------------------------------------------------ connections

    def connect(self, address: str, secret: Secret | None) -> openai.AsyncOpenAI:
        """Make a client; the account that the environment names is told to nobody but its own service."""
        is_own = address in (self.address, os.environ.get(self.address_variable))
        account = {} if is_own else {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}
        return openai.AsyncOpenAI(
            api_key=_NO_KEY if secret is None else secret.reveal(),
            base_url=address,
            max_retries=0,
            default_headers=cast("Any", account),
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    @property
    def client_errors(self) -> tuple[type[Exception], ...]:
        """What the client raises."""
        return (openai.OpenAIError,)

    def failure(self, error: Exception, model: ModelRecord) -> Exception:
        """Return what an error of the client means."""
        who = self.who(model)
        if isinstance(error, openai.APIStatusError):
            codes = frozenset(str(code) for code in (error.code, error.type) if code)
            headers = error.response.headers
            return from_status(who, _words(error), status=error.status_code, headers=headers, codes=codes)
        if isinstance(error, openai.APITimeoutError):
            return ModelUnavailableError(f"{who} did not answer in time.")
        if isinstance(error, openai.APIConnectionError):
            return ModelUnavailableError(f"{who} could not be reached, or the connection broke ({_cause(error)}).")
        if isinstance(error, openai.APIError):
            return from_code(who, error.message, frozenset(str(code) for code in (error.code, error.type) if code))
        return InvalidModelError(f"{who}: {type(error).__name__}: {error}")


def _words(error: openai.APIStatusError) -> str:
    body: Any = error.body
    said: Any = body.get("message") if isinstance(body, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return said if isinstance(said, str) else type(error).__name__


def _cause(error: BaseException) -> str:
    return type(error.__cause__ or error).__name__


def _choice(model: ModelRecord, option: str, *choices: str) -> str:
    given = model.options.get(option, choices[0])
    if given not in choices:
        raise InvalidModelError(
            f"Invalid model record: the option {option} of {model.name!r} is {given!r}; "
            f"it is {' or '.join(map(repr, choices))}."
        )
    return str(given)


def _batch_size(model: ModelRecord) -> int:
    given = model.options.get("batch_size", _TEXTS_AT_ONCE)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InvalidModelError(f"Invalid model record: the option batch_size of {model.name!r} is {given!r}.")
    return given
