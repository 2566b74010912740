"""Anthropic's models, by its messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from workglow.ai.record import ModelRecord
from workglow.ai.request import GenerationRequest
from workglow.errors import InvalidModelError, MissingExtraError, ModelUnavailableError
from workglow.providers.anthropic.conversation import message_body, object_schema
from workglow.providers.anthropic.streaming import message_events
from workglow.providers.remote.failures import from_code, from_status
from workglow.providers.remote.images import image_message
from workglow.providers.remote.pace import paced
from workglow.providers.remote.provider import RemoteProvider

try:
    import anthropic
    import httpx2
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"Models of Anthropic need {error.name}, which is not installed: pip install 'workglow[anthropic]'."
    ) from error

if TYPE_CHECKING:
    from workglow.ai.events import ModelEvent
    from workglow.values import Secret

__all__ = ["AnthropicProvider"]

_NO_KEY: Final = "none"
_MAX_TOKENS: Final = 4096
"""How long an answer may become when nobody says: the service wants to be told."""


class AnthropicProvider(RemoteProvider["anthropic.AsyncAnthropic"]):
    """Runs 'anthropic:claude-sonnet-5'.

    Options of a record: `timeout`, `connect_timeout` and `stall_timeout` in seconds; `cache`, true to have the service
    keep the conversation up to its last message for the next call; `parameters`, added to each request.
    """

    name = "anthropic"
    title = "Anthropic"
    extra = "anthropic"
    credential = "env:ANTHROPIC_API_KEY"
    address: ClassVar[str] = "https://api.anthropic.com"
    address_variable: ClassVar[str] = "ANTHROPIC_BASE_URL"
    options: ClassVar[frozenset[str]] = RemoteProvider.options | {"cache"}

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        """Write the assistant's next message."""
        client: Any = await self.client(model)
        who, pace = self.who(model), self.pace(model)
        room = request.max_tokens or model.max_output_tokens or _MAX_TOKENS
        sent: dict[str, Any] = {"model": model.source, "stream": True, **message_body(request, room)}
        sent["timeout"] = httpx2.Timeout(pace.read, connect=pace.connect)
        if model.options.get("cache"):
            sent["cache_control"] = {"type": "ephemeral"}
        # The client has no names for these any more; models that take them still do.
        sampled = {name: sent.pop(name) for name in ("temperature", "top_p") if name in sent}
        if added := sampled | self.parameters(model):
            sent["extra_body"] = added
        wrapped = request.schema is not None and object_schema(request.schema)[1]
        with self.explained(model):
            answer: Any = await client.messages.create(**sent)
            if not hasattr(answer, "__aiter__"):  # the client hands on what is no stream
                raise ModelUnavailableError(f"{who} answered with no stream.")
            async with answer:
                events = paced(answer, pace.stall, who)
                structured = request.schema is not None
                async for event in message_events(events, who, structured=structured, wrapped=wrapped):
                    yield event

    call_tools = chat
    structured = chat

    def describe_image(
        self, model: ModelRecord, image: Any, *, prompt: str, max_tokens: int | None
    ) -> AsyncIterator[ModelEvent]:
        """Say what the image shows."""
        request = GenerationRequest((image_message(image, prompt),), max_tokens=max_tokens)
        return self.chat(model, request)

    async def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Ask the service how many tokens a message with the text has; an empty one has none."""
        if not text.strip():
            return 0
        client: Any = await self.client(model)
        with self.explained(model):
            counted = await client.messages.count_tokens(
                model=model.source,
                messages=[{"role": "user", "content": text}],
                timeout=self.pace(model).read,
            )
        count: Any = getattr(counted, "input_tokens", None)
        if not isinstance(count, int) or count < 0:
            raise self.missing("a count of tokens", model)
        return count

    async def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say what the service says of the model."""
        client: Any = await self.client(model)
        with self.explained(model):
            found = await client.models.retrieve(model.source, timeout=self.pace(model).read)
        if not isinstance(found, anthropic.BaseModel):
            raise self.missing("what it knows of the model", model)
        return found.to_dict()

    async def search(self, query: str, *, limit: int) -> list[ModelRecord]:
        """List the models of the account whose id or title has the words of the query."""
        anyone = self.anyone()
        client: Any = await self.client(anyone)
        words = query.lower().split()
        found: list[ModelRecord] = []
        with self.explained(anyone):
            try:
                page = await client.models.list(limit=100, timeout=self.pace(anyone).read)
            except AttributeError:  # what the client itself raises for what is no list
                raise self.missing("a list of models", anyone) from None
            if not isinstance(getattr(page, "data", None), list):
                raise self.missing("a list of models", anyone)
            async for model in page:
                said = f"{model.id} {model.display_name}".lower()
                if all(word in said for word in words):
                    found.append(
                        ModelRecord(
                            name=f"{self.name}:{model.id}",
                            provider=self.name,
                            source=model.id,
                            title=model.display_name,
                            context_length=getattr(model, "max_input_tokens", None) or None,
                            max_output_tokens=getattr(model, "max_tokens", None) or None,
                        )
                    )
                if len(found) == limit:
                    break
        return found

    # ------------------------------------------------------------------ connections

    def connect(self, address: str, secret: Secret | None) -> anthropic.AsyncAnthropic:
        """Make a client."""
        return anthropic.AsyncAnthropic(
            api_key=_NO_KEY if secret is None else secret.reveal(),
            base_url=address,
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    @property
    def client_errors(self) -> tuple[type[Exception], ...]:
        """What the client raises; a connection that breaks while an answer is read shows as it is."""
        return anthropic.AnthropicError, httpx2.HTTPError

    def failure(self, error: Exception, model: ModelRecord) -> Exception:
        """Return what an error of the client means."""
        who = self.who(model)
        if isinstance(error, anthropic.APIStatusError):
            codes = frozenset(code for code in (error.type, error.error_code) if isinstance(code, str))
            words = error.api_message or type(error).__name__
            if error.status_code < 300:  # an error that is told of in the middle of an answer
                return from_code(who, words, codes)
            return from_status(who, words, status=error.status_code, headers=error.response.headers, codes=codes)
        if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
            return ModelUnavailableError(f"{who} did not answer in time.")
        if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
            cause = type(error.__cause__ or error).__name__
            return ModelUnavailableError(f"{who} could not be reached, or the connection broke ({cause}).")
        return InvalidModelError(f"{who}: {type(error).__name__}: {error}")
