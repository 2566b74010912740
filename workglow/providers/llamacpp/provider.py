"""Models in GGUF files, run by llama.cpp in this process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from workglow.ai.flat_messages import with_prompted_tools
from workglow.ai.hub import hub_host
from workglow.ai.hub_search import models_on_hub
from workglow.ai.messages import text_of
from workglow.ai.model import report_usage
from workglow.ai.provider import Provider
from workglow.ai.record import ModelRecord
from workglow.errors import ContextTooLongError, InvalidModelError, UnknownModelError
from workglow.providers.llamacpp.contexts import POOLING
from workglow.providers.llamacpp.conversation import knows_tools, prompt_of, with_instruction
from workglow.providers.llamacpp.files import can_be_fetched, file_of, identity_of, size_of
from workglow.providers.llamacpp.loaded import LoadedModel
from workglow.providers.llamacpp.options import options_of
from workglow.providers.llamacpp.sampling import Sampling
from workglow.providers.llamacpp.shapes import (
    call_schema,
    calls_in_text,
    grammar_for,
    object_instruction,
    objects,
    only_call,
)
from workglow.providers.llamacpp.weights import Weights
from workglow.providers.llamacpp.writing import AbortableAnswer, Answer, write

if TYPE_CHECKING:
    from workglow.ai.events import ModelEvent
    from workglow.ai.provider import Purpose, Vectors
    from workglow.ai.request import GenerationRequest, ToolDefinition
    from workglow.providers.llamacpp.options import LlamaOptions

__all__ = ["LlamaCppProvider"]

_CONTEXT: Final = 4096
"""Tokens of context of a model whose record does not say; many could take far more, and with it much memory."""


class LlamaCppProvider(Provider):
    """Runs 'gguf:/path/to/file.gguf', 'gguf:PACKAGE' and 'gguf:OWNER/NAME'."""

    name = "gguf"
    title = "llama.cpp"
    extra = "llamacpp"

    def capabilities_of(self, model: ModelRecord) -> frozenset[str]:
        """What the record says, else what the file does: a model without a chat template only goes on with texts."""
        if model.capabilities:
            return frozenset(model.capabilities)
        can = self.capabilities()
        try:
            words = _words_of(model)
        except UnknownModelError:
            return can  # it may be brought here yet
        if words.metadata(f"{words.metadata('general.architecture')}.attention.causal") == "false":
            return can & {"embed", "count_tokens", "info", "unload"}
        return can if self._template(model, words) else can - {"chat", "call_tools"}

    def record(self, name: str) -> ModelRecord:
        """Return the record of a model by what its file says; one that can be downloaded need not be here yet."""
        plain = ModelRecord(name=name, provider=self.name, source=name.partition(":")[2], continues=True)
        try:
            file, words = file_of(plain), _words_of(plain)
        except UnknownModelError:
            if can_be_fetched(plain):
                return plain
            raise
        return msgspec.structs.replace(
            plain,
            title=words.metadata("general.name") or file.stem,
            context_length=_room(plain, words),
            dimensions=words.number("embedding_length"),
            license=words.metadata("general.license"),
            memory_bytes=size_of(file),
            fingerprint=identity_of(file),
        )

    def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say what the file says of its model."""
        try:
            file, words = file_of(model), _words_of(model)
        except UnknownModelError:
            if can_be_fetched(model):
                return {"is_cached": False, "is_loaded": False}
            raise
        return {
            "is_cached": True,
            "file": str(file),
            "size": size_of(file),
            "architecture": words.metadata("general.architecture"),
            "title": words.metadata("general.name"),
            "license": words.metadata("general.license"),
            "context_length": words.number("context_length"),
            "dimensions": words.number("embedding_length"),
            "chat_template": self._template(model, words),
            "is_loaded": self._key(model, file) in self.residents.loaded(),
        }

    def hosts_asked(self) -> tuple[str, ...]:
        """The hub."""
        return (hub_host(),)

    async def search(self, query: str, *, limit: int) -> list[ModelRecord]:
        """Find repositories of the hub with GGUF files, the most downloaded first."""
        return await models_on_hub(query, provider=self.name, tag="gguf", limit=limit)

    def unload(self, model: ModelRecord) -> None:
        """Take the model out of memory, as soon as nobody uses it."""
        with suppress(UnknownModelError):  # without a file it is not in memory
            self.residents.unload(self._key(model, file_of(model)))

    # ------------------------------------------------------------------ texts

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text, without what the model wants before one; the weights are not loaded."""
        return len(_words_of(model).tokens(text))

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Embed texts; the pooling is the record's, or the file's, or the mean."""
        with self._use(model) as loaded:
            context = loaded.vectors
            tokens = [loaded.weights.tokens(text, begins=True) for text in texts]
            longest = max(map(len, tokens), default=0)
            if longest > context.size:
                raise ContextTooLongError(
                    f"A text of {longest} tokens is longer than the {context.size} that {model.name!r} reads at once.  "
                    "Cut it into smaller chunks, or give the model's record a larger context_length."
                )
            vectors = context.embed(tokens)
        report_usage(input_tokens=sum(map(len, tokens)))
        return vectors

    def generate(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Go on with the text of the messages, as it stands."""
        return self._writing(model, request, lambda weights: "\n\n".join(map(text_of, request.messages)))

    def chat(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Write the assistant's next message, by the template of the file."""
        return self._writing(model, request, lambda weights: self._prompt(model, weights, request))

    def structured(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Write an object.  What does not fit the schema cannot be written, but the room may end before the object."""
        schema = request.schema or {"type": "object"}
        told = replace(request, messages=with_instruction(request.messages, object_instruction(schema)))
        return self._writing(
            model,
            request,
            lambda weights: self._prompt(model, weights, told),
            grammar=grammar_for(schema),
            read=objects,
        )

    def call_tools(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Write the assistant's next message; when a tool has to be called, nothing but a call can be written."""
        if not request.tools or request.tool_choice == "none":
            return self.chat(model, request)

        def prompt(weights: Weights) -> str:
            if knows_tools(self._template(model, weights)):
                return self._prompt(model, weights, request, request.tools)
            return self._prompt(model, weights, with_prompted_tools(request))

        if request.tool_choice == "auto":
            return self._writing(
                model, request, prompt, read=lambda events: calls_in_text(events, request.tools), marks=True
            )
        grammar = grammar_for(call_schema(request.tools, request.tool_choice))
        return self._writing(model, request, prompt, grammar=grammar, read=only_call)

    # ------------------------------------------------------------------ what they have in common

    def _writing(
        self,
        model: ModelRecord,
        request: GenerationRequest,
        prompt: Callable[[Weights], str],
        *,
        grammar: str = "",
        marks: bool = False,
        read: Callable[[Iterator[ModelEvent]], Iterator[ModelEvent]] | None = None,
    ) -> AbortableAnswer:
        def events(writing: AbortableAnswer) -> Iterator[ModelEvent]:
            with self._use(model) as loaded:
                if writing.is_cancelled:
                    return
                weights = loaded.weights
                text = prompt(weights)
                begins = not (bos := weights.mark("bos")) or not text.startswith(bos)
                tokens = weights.tokens(text, begins=begins, marks=True)
                whole = weights.tokens(text + request.written, begins=begins, marks=True) if request.written else tokens
                answer = Answer(
                    whole,
                    _sampling(loaded.options, request),
                    written=max(0, len(whole) - len(tokens)),
                    limit=request.max_tokens or model.max_output_tokens,
                    stop=request.stop,
                    grammar=grammar,
                    marks=marks,
                )
                yield from write(loaded, answer, writing)

        return AbortableAnswer(events if read is None else lambda writing: read(events(writing)))

    def _prompt(
        self,
        model: ModelRecord,
        weights: Weights,
        request: GenerationRequest,
        tools: Sequence[ToolDefinition] = (),
    ) -> str:
        template = self._template(model, weights)
        if not template:
            return "\n\n".join(map(text_of, request.messages)) + "\n\n"
        return prompt_of(template, request.messages, tools, bos=weights.mark("bos"), eos=weights.mark("eos"))

    def _template(self, model: ModelRecord, weights: Weights) -> str:
        return options_of(model).chat_template or weights.template

    def _use(self, model: ModelRecord) -> AbstractContextManager[LoadedModel]:
        options, file = options_of(model), file_of(model)
        size = _room(model, _words_of(model))
        pooling = model.pooling or ""
        if pooling not in POOLING:
            known = ", ".join(filter(None, POOLING))
            raise InvalidModelError(f"The model {model.name!r}: the pooling is {pooling!r}; llama.cpp has {known}.")
        return self.residents.use(
            self._key(model, file),
            lambda: LoadedModel(file, size, pooling, options),
            size=model.memory_bytes or size_of(file),
        )

    def _key(self, model: ModelRecord, file: Path) -> tuple[object, ...]:
        return (self.name, str(file), identity_of(file), model.context_length, model.pooling, options_of(model))


def _room(model: ModelRecord, words: Weights) -> int:
    """How many tokens a model reads at once; InvalidModelError when it never learned so many places for them."""
    trained = words.number("context_length")
    if model.context_length is None:
        return min(trained or _CONTEXT, _CONTEXT)
    if trained is not None and model.context_length > trained and not words.turns_places:
        raise InvalidModelError(
            f"The model {model.name!r} has learned {trained} places for tokens, and its record's context_length is "
            f"{model.context_length}.  Give at most {trained}."
        )
    return model.context_length


def _sampling(options: LlamaOptions, request: GenerationRequest) -> Sampling:
    seed = options.seed if request.seed is None else request.seed
    return Sampling(
        seed=random.getrandbits(32) if seed is None else seed,
        temperature=options.temperature if request.temperature is None else request.temperature,
        top_k=options.top_k,
        top_p=options.top_p if request.top_p is None else request.top_p,
        min_p=options.min_p,
        repeat_penalty=options.repeat_penalty,
        frequency_penalty=request.frequency_penalty or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
    )


def _words_of(model: ModelRecord) -> Weights:
    file = file_of(model)
    return _words(file, identity_of(file))


# Not state but memory of a pure function: its result depends on nothing but the file.
@lru_cache(maxsize=4)
def _words(file: Path, _identity: str) -> Weights:
    return Weights(file, words_only=True)
