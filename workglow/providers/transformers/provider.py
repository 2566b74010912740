"""Who runs models of transformers: 'hf:organisation/repository' from the hub's cache, or 'hf:/path/to/a/folder'."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workglow.ai.answer import ModelAnswer
from workglow.ai.messages import text_of
from workglow.ai.residents import SupportsClose
from workglow.errors import MissingExtraError
from workglow.providers.encoders.provider import EncoderProvider

if TYPE_CHECKING:
    from workglow.ai.events import ModelEvent
    from workglow.ai.provider import Vectors
    from workglow.ai.record import ModelRecord
    from workglow.ai.request import GenerationRequest
    from workglow.ai.results import Label, LanguageGuess
    from workglow.ai.results_of_images import DetectedObject, Segment
    from workglow.providers.encoders.folder import ModelFolder
    from workglow.providers.transformers.encoders import TorchEncoder
    from workglow.providers.transformers.loading import LoadedModel

for _library in ("torch", "transformers"):
    if find_spec(_library) is None:
        raise MissingExtraError(
            f"Models of transformers need {_library}, which is not installed: pip install 'workglow[transformers]'."
        )

__all__ = ["TransformersProvider"]

_WEIGHTS: Final = (("*.safetensors",), ("pytorch_model*.bin",))
_LOADED: Final = ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin")
"""The files that transformers reads, the first sort that there is."""

Loaded = TypeVar("Loaded", bound=SupportsClose)


class TransformersProvider(EncoderProvider):
    """Runs models of the transformers library with torch."""

    name = "hf"
    title = "Hugging Face Transformers"
    extra = "transformers"
    settings = frozenset(("pipeline", "hypothesis", "seed"))
    hub_tag = "transformers"

    # ------------------------------------------------------------------ reading

    def encoder(self, model: ModelRecord, capability: str) -> AbstractContextManager[TorchEncoder]:
        """Have the model for a call; it is loaded when it is not in memory."""
        from workglow.providers.transformers import encoders, loading

        folder = self.folder(model)
        kind = loading.class_for(folder, capability)

        def load() -> TorchEncoder:
            weights = loading.load_model(model, folder, kind)
            return encoders.TorchEncoder(model, folder, weights, loading.load_tokenizer(model, folder))

        return self._from_weights(model, folder, ("encoder", kind, model.context_length), load)

    def detect_language(self, model: ModelRecord, text: str) -> list[LanguageGuess]:
        """Tell languages, by a model whose classes are languages."""
        return [{"language": one["label"], "score": one["score"]} for one in self.classify(model, text)]

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text, with those that the model wants around it; the weights are not loaded."""
        from workglow.providers.transformers import loading

        return len(loading.counting_tokenizer(model, self.folder(model))(text)["input_ids"])

    # ------------------------------------------------------------------ writing

    def chat(self, model: ModelRecord, request: GenerationRequest) -> ModelAnswer:
        """Write the assistant's next message, by the model's own template."""
        from workglow.providers.transformers.conversation import conversation_inputs

        return self._answer(
            model,
            "chat",
            lambda loaded: self._answered(loaded, model, request, conversation_inputs(loaded, request)),
        )

    def generate(self, model: ModelRecord, request: GenerationRequest) -> ModelAnswer:
        """Go on with the text of the messages; a model of pairs of texts writes what belongs to it."""
        from workglow.providers.transformers.conversation import text_inputs

        text = "\n\n".join(text_of(message) for message in request.messages) + request.written
        return self._answer(
            model,
            "generate",
            lambda loaded: self._answered(loaded, model, request, text_inputs(loaded, text)),
        )

    def rewrite(self, model: ModelRecord, text: str, *, prompt: str) -> ModelAnswer:
        """Rewrite a text as an instruction before it says."""
        whole = f"{prompt.rstrip(': ')}: {text}"
        return self._answer(model, "rewrite", lambda loaded: self._paired(loaded, model, whole))

    def summarise(self, model: ModelRecord, text: str, *, max_tokens: int | None) -> ModelAnswer:
        """Summarise a text that the model can read at once; ContextTooLongError for a longer one."""
        from workglow.providers.transformers.pairs import summary_text

        return self._answer(
            model,
            "summarise",
            lambda loaded: self._paired(loaded, model, summary_text(loaded, text), max_tokens),
        )

    def translate(self, model: ModelRecord, text: str, *, source: str, target: str) -> ModelAnswer:
        """Translate a text that the model can read at once; ContextTooLongError for a longer one."""
        from workglow.providers.transformers.generation import write
        from workglow.providers.transformers.pairs import translation_inputs

        def events(loaded: LoadedModel) -> Iterator[ModelEvent]:
            inputs, forced = translation_inputs(loaded, text, source, target)
            limit, context = model.max_output_tokens, _context(model, loaded)
            return write(loaded, inputs, max_tokens=limit, context=context, forced=forced)

        return self._answer(model, "translate", events)

    def _paired(
        self, loaded: LoadedModel, model: ModelRecord, text: str, max_tokens: int | None = None
    ) -> Iterator[ModelEvent]:
        from workglow.providers.transformers.conversation import text_inputs
        from workglow.providers.transformers.generation import write

        limit = max_tokens or model.max_output_tokens
        return write(loaded, text_inputs(loaded, text), max_tokens=limit, context=_context(model, loaded))

    def _answered(
        self, loaded: LoadedModel, model: ModelRecord, request: GenerationRequest, inputs: dict[str, Any]
    ) -> Iterator[ModelEvent]:
        from workglow.providers.transformers.generation import write
        from workglow.providers.transformers.sampling import chosen

        seed = request.seed if request.seed is not None else model.options.get("seed")
        choice = chosen(replace(request, seed=seed), loaded.model.generation_config)
        return write(
            loaded,
            inputs,
            max_tokens=request.max_tokens or model.max_output_tokens,
            context=_context(model, loaded),
            choice=choice,
            stop=request.stop,
        )

    def _answer(
        self, model: ModelRecord, capability: str, write: Callable[[LoadedModel], Iterator[ModelEvent]]
    ) -> ModelAnswer:
        """Have something written by a model that stays until it is."""

        def events(answer: ModelAnswer) -> Iterator[ModelEvent]:
            with self._use(model, capability) as loaded:
                if not answer.is_cancelled:
                    yield from write(loaded)

        return ModelAnswer(events)

    # ------------------------------------------------------------------ images

    def describe_image(self, model: ModelRecord, image: Any, *, prompt: str, max_tokens: int | None) -> ModelAnswer:
        """Say what an image shows; models that converse also answer questions about it."""
        from workglow.providers.transformers import images

        limit = max_tokens or model.max_output_tokens
        return self._answer(model, "describe_image", lambda loaded: images.describe(loaded, image, prompt, limit))

    def classify_image(self, model: ModelRecord, image: Any) -> list[Label]:
        """Sort an image into the model's classes."""
        from workglow.providers.transformers import images

        with self._use(model, "classify_image") as loaded:
            return images.classify(loaded, image)

    def classify_image_freely(self, model: ModelRecord, image: Any, *, labels: Sequence[str]) -> list[Label]:
        """Sort an image into any classes; `options["hypothesis"]` is the sentence that may fit to it."""
        from workglow.providers.transformers import images

        template = str(model.options.get("hypothesis", "This is a photo of {}."))
        with self._use(model, "classify_image_freely") as loaded:
            return images.classify_freely(loaded, image, labels, template)

    def embed_image(self, model: ModelRecord, images: Sequence[Any]) -> Vectors:
        """Turn images into vectors; those of CLIP and its kin lie in one space with those of texts."""
        from workglow.providers.transformers import images as seeing

        with self._use(model, "embed_image") as loaded:
            return seeing.embed(loaded, images)

    def detect_objects(
        self, model: ModelRecord, image: Any, *, labels: Sequence[str], threshold: float
    ) -> list[DetectedObject]:
        """Find objects that the model knows, the surest first."""
        from workglow.providers.transformers import images

        with self._use(model, "detect_objects") as loaded:
            found = images.detect(loaded, image, threshold)
        return [one for one in found if not labels or one["label"] in labels]

    def segment_image(
        self, model: ModelRecord, image: Any, *, threshold: float, mask_threshold: float
    ) -> list[Segment]:
        """Tell the parts of an image apart."""
        from workglow.providers.transformers import images

        with self._use(model, "segment_image") as loaded:
            return images.segment(loaded, image, threshold, mask_threshold)

    # ------------------------------------------------------------------ the models themselves

    def weights(self, model: ModelRecord) -> Sequence[Sequence[str]]:
        """Return safetensors, or else what older models have."""
        return _WEIGHTS

    def _use(self, model: ModelRecord, capability: str) -> AbstractContextManager[LoadedModel]:
        """Have a model that writes or sees for a call."""
        from workglow.providers.transformers import loading

        folder = self.folder(model)
        kind = loading.class_for(folder, capability)
        prepare = loading.load_processor if "image" in capability or "objects" in capability else loading.load_tokenizer

        def load() -> LoadedModel:
            weights = loading.load_model(model, folder, kind)
            return loading.LoadedModel(model.name, weights, prepare(model, folder), folder)

        return self._from_weights(model, folder, (kind, prepare.__name__), load)

    def _from_weights(
        self, model: ModelRecord, folder: ModelFolder, what: Hashable, load: Callable[[], Loaded]
    ) -> AbstractContextManager[Loaded]:
        from workglow.providers.transformers import loading

        sorts = [sorted(folder.path.glob(pattern)) for pattern in _LOADED]
        files = next(filter(None, sorts), sorts[0])
        return self.kept(model, files, what, load, growth=loading.growth(model, folder))


def _context(model: ModelRecord, loaded: LoadedModel) -> int | None:
    return model.context_length or loaded.folder.max_tokens
