"""Who runs models of transformers: 'hf:organisation/repository' from the hub's cache, or 'hf:/path/to/a/folder'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.messages import text_of
from workglow.errors import MissingExtraError
from workglow.providers.encoder_provider import EncoderProvider
from workglow.providers.residents import Residents

if TYPE_CHECKING:
    from workglow.ai.events import ModelEvent
    from workglow.ai.provider import Vectors
    from workglow.ai.record import ModelRecord
    from workglow.ai.request import GenerationRequest
    from workglow.ai.results import Label, LanguageGuess
    from workglow.ai.results_of_images import DetectedObject, Segment
    from workglow.providers.transformers.encoders import TorchEncoder
    from workglow.providers.transformers.loading import LoadedModel

for _library in ("torch", "transformers"):
    if find_spec(_library) is None:
        raise MissingExtraError(
            f"Models of transformers need {_library}, which is not installed: pip install 'workglow[transformers]'."
        )

__all__ = ["TransformersProvider"]

_TOKENIZER: Final = ("tokenizer",)
_WEIGHTS: Final = (("*.safetensors",), ("pytorch_model*.bin",))

# Not state but memory of what files hold, as the system keeps pages of a file that many processes read.
_residents: Final = Residents()


class TransformersProvider(EncoderProvider):
    """Runs models of the transformers library with torch, each loaded once in a process."""

    name = "hf"
    title = "Hugging Face Transformers"
    extra = "transformers"
    hosts = ("huggingface.co",)
    settings = frozenset(("pipeline", "hypothesis", "seed"))
    hub_tag = "transformers"

    # ------------------------------------------------------------------ reading

    def encoder(self, model: ModelRecord, capability: str) -> TorchEncoder:
        """Return the model, loaded once in this process."""
        from workglow.providers.transformers import encoders, loading

        folder = self.folder(model)
        kind = loading.class_for(folder, capability)

        def load() -> TorchEncoder:
            weights = loading.load_model(model, folder, kind)
            return encoders.TorchEncoder(model, folder, weights, loading.load_tokenizer(model, folder))

        return _residents.get((*_key(model), "encoder", kind, model.context_length), load, self)

    def detect_language(self, model: ModelRecord, text: str) -> list[LanguageGuess]:
        """Tell languages, by a model whose classes are languages."""
        return [{"language": one["label"], "score": one["score"]} for one in self.classify(model, text)]

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text, with those that the model wants around it; the weights are not loaded."""
        from workglow.providers.transformers import loading

        folder = self.folder(model)
        key = (*_key(model), *_TOKENIZER)
        tokenizer = _residents.get(key, lambda: loading.load_tokenizer(model, folder), self)
        return len(tokenizer(text)["input_ids"])

    # ------------------------------------------------------------------ writing

    def chat(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Write the assistant's next message, by the model's own template."""
        from workglow.providers.transformers.conversation import conversation_inputs

        loaded = self._loaded(model, "chat")
        yield from self._written(loaded, model, request, conversation_inputs(loaded, request))

    def generate(self, model: ModelRecord, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Go on with the text of the messages; a model of pairs of texts writes what belongs to it."""
        from workglow.providers.transformers.conversation import text_inputs

        loaded = self._loaded(model, "generate")
        text = "\n\n".join(text_of(message) for message in request.messages) + request.written
        yield from self._written(loaded, model, request, text_inputs(loaded, text))

    def rewrite(self, model: ModelRecord, text: str, *, prompt: str) -> Iterator[ModelEvent]:
        """Rewrite a text as an instruction before it says."""
        return self._paired(model, "rewrite", f"{prompt.rstrip(': ')}: {text}")

    def summarise(self, model: ModelRecord, text: str, *, max_tokens: int | None) -> Iterator[ModelEvent]:
        """Summarise a text that the model can read at once; ContextTooLongError for a longer one."""
        from workglow.providers.transformers.pairs import summary_text

        whole = summary_text(self._loaded(model, "summarise"), text)
        yield from self._paired(model, "summarise", whole, max_tokens)

    def translate(self, model: ModelRecord, text: str, *, source: str, target: str) -> Iterator[ModelEvent]:
        """Translate a text that the model can read at once; ContextTooLongError for a longer one."""
        from workglow.providers.transformers.generation import write
        from workglow.providers.transformers.pairs import translation_inputs

        loaded = self._loaded(model, "translate")
        inputs, forced = translation_inputs(loaded, text, source, target)
        limit, context = model.max_output_tokens, _context(model, loaded)
        yield from write(loaded, inputs, max_tokens=limit, context=context, forced=forced)

    def _paired(
        self, model: ModelRecord, capability: str, text: str, max_tokens: int | None = None
    ) -> Iterator[ModelEvent]:
        from workglow.providers.transformers.conversation import text_inputs
        from workglow.providers.transformers.generation import write

        loaded = self._loaded(model, capability)
        limit = max_tokens or model.max_output_tokens
        yield from write(loaded, text_inputs(loaded, text), max_tokens=limit, context=_context(model, loaded))

    def _written(
        self, loaded: LoadedModel, model: ModelRecord, request: GenerationRequest, inputs: dict[str, Any]
    ) -> Iterator[ModelEvent]:
        from workglow.providers.transformers.generation import write
        from workglow.providers.transformers.sampling import chosen

        seed = request.seed if request.seed is not None else model.options.get("seed")
        choice = chosen(replace(request, seed=seed), loaded.model.generation_config)
        yield from write(
            loaded,
            inputs,
            max_tokens=request.max_tokens or model.max_output_tokens,
            context=_context(model, loaded),
            choice=choice,
            stop=request.stop,
        )

    # ------------------------------------------------------------------ images

    def describe_image(
        self, model: ModelRecord, image: Any, *, prompt: str, max_tokens: int | None
    ) -> Iterator[ModelEvent]:
        """Say what an image shows; models that converse also answer questions about it."""
        from workglow.providers.transformers import images

        limit = max_tokens or model.max_output_tokens
        yield from images.describe(self._loaded(model, "describe_image"), image, prompt, limit)

    def classify_image(self, model: ModelRecord, image: Any) -> list[Label]:
        """Sort an image into the model's classes."""
        from workglow.providers.transformers import images

        return images.classify(self._loaded(model, "classify_image"), image)

    def classify_image_freely(self, model: ModelRecord, image: Any, *, labels: Sequence[str]) -> list[Label]:
        """Sort an image into any classes; `options["hypothesis"]` is the sentence that may fit to it."""
        from workglow.providers.transformers import images

        template = str(model.options.get("hypothesis", "This is a photo of {}."))
        return images.classify_freely(self._loaded(model, "classify_image_freely"), image, labels, template)

    def embed_image(self, model: ModelRecord, images: Sequence[Any]) -> Vectors:
        """Turn images into vectors; those of CLIP and its kin lie in one space with those of texts."""
        from workglow.providers.transformers import images as seeing

        return seeing.embed(self._loaded(model, "embed_image"), images)

    def detect_objects(
        self, model: ModelRecord, image: Any, *, labels: Sequence[str], threshold: float
    ) -> list[DetectedObject]:
        """Find objects that the model knows, the surest first."""
        from workglow.providers.transformers import images

        found = images.detect(self._loaded(model, "detect_objects"), image, threshold)
        return [one for one in found if not labels or one["label"] in labels]

    def segment_image(
        self, model: ModelRecord, image: Any, *, threshold: float, mask_threshold: float
    ) -> list[Segment]:
        """Tell the parts of an image apart."""
        from workglow.providers.transformers import images

        return images.segment(self._loaded(model, "segment_image"), image, threshold, mask_threshold)

    # ------------------------------------------------------------------ the models themselves

    def weights(self, model: ModelRecord) -> Sequence[Sequence[str]]:
        """Return safetensors, or else what older models have."""
        return _WEIGHTS

    def is_loaded(self, model: ModelRecord) -> bool:
        """Whether the model's weights are in memory."""
        return _residents.has(lambda key: key[:4] == _key(model) and key[4:] != _TOKENIZER)

    def unload(self, model: ModelRecord) -> None:
        """Take the model out of memory."""
        _residents.drop(lambda key: key[:4] == _key(model))

    def close(self) -> None:
        """Let go of the models that only this provider holds."""
        _residents.release(self)

    def _loaded(self, model: ModelRecord, capability: str) -> LoadedModel:
        from workglow.providers.transformers import loading

        folder = self.folder(model)
        kind = loading.class_for(folder, capability)
        prepare = loading.load_processor if "image" in capability or "objects" in capability else loading.load_tokenizer

        def load() -> LoadedModel:
            weights = loading.load_model(model, folder, kind)
            return loading.LoadedModel(model.name, weights, prepare(model, folder), folder)

        return _residents.get((*_key(model), kind, prepare.__name__), load, self)


def _key(model: ModelRecord) -> tuple[str, str, str, str]:
    return model.source, model.revision, model.device, model.dtype


def _context(model: ModelRecord, loaded: LoadedModel) -> int | None:
    return model.context_length or loaded.folder.max_tokens
