"""What a model can do, by what its config.json says; nothing is loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from workglow.errors import InvalidModelError
from workglow.providers.encoders.languages import KNOWN_LANGUAGES

if TYPE_CHECKING:
    from workglow.providers.encoders.folder import ModelFolder

__all__ = ["PIPELINES", "capabilities_of_folder", "capabilities_of_pipeline", "is_about_images"]

PIPELINES: Final[dict[str, tuple[str, ...]]] = {
    "feature-extraction": ("embed",),
    "sentence-similarity": ("embed",),
    "text-generation": ("generate", "chat"),
    "text2text-generation": ("generate", "rewrite", "summarise", "translate"),
    "summarization": ("summarise",),
    "translation": ("translate",),
    "question-answering": ("answer",),
    "text-classification": ("classify",),
    "sentiment-analysis": ("classify",),
    "zero-shot-classification": ("classify_freely",),
    "fill-mask": ("fill_mask",),
    "token-classification": ("recognise_entities",),
    "ner": ("recognise_entities",),
    "image-classification": ("classify_image",),
    "zero-shot-image-classification": ("classify_image_freely", "embed_image", "embed"),
    "image-feature-extraction": ("embed_image",),
    "image-to-text": ("describe_image",),
    "image-text-to-text": ("describe_image",),
    "object-detection": ("detect_objects",),
    "image-segmentation": ("segment_image",),
}
"""What the hub calls a model's task → what that is here; a record's `options["pipeline"]` takes these names."""

_TRANSLATORS: Final = {"marian", "m2m_100", "mbart", "fsmt", "nllb-moe", "seamless_m4t"}
_SUMMARISERS: Final = {"pegasus", "pegasus_x", "bart", "led", "bigbird_pegasus", "prophetnet"}
_TWO_SIDED: Final = {"clip", "siglip", "siglip2", "chinese_clip", "align", "altclip", "metaclip_2"}
_IMAGES: Final = {
    "vit", "deit", "dinov2", "dinov3_vit", "swin", "swinv2", "convnext", "convnextv2", "resnet", "beit", "mobilevit",
    "mobilenet_v1", "mobilenet_v2", "efficientnet", "regnet", "levit", "poolformer", "cvt", "pvt", "hiera", "ijepa",
}  # fmt: skip
_SOUND: Final = {"whisper", "wav2vec2", "speech_to_text", "hubert", "moonshine"}
_WITHOUT_TEXT: Final = {"classify_image", "embed_image", "detect_objects", "segment_image"}
_HEADS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("ForQuestionAnswering", ("answer",)),
    ("ForTokenClassification", ("recognise_entities",)),
    ("ForImageClassification", ("classify_image",)),
    ("ForObjectDetection", ("detect_objects",)),
    ("ForSemanticSegmentation", ("segment_image",)),
    ("ForUniversalSegmentation", ("segment_image",)),
    ("ForInstanceSegmentation", ("segment_image",)),
    ("VisionEncoderDecoderModel", ("describe_image",)),
    ("ForMaskedLM", ("fill_mask", "embed")),
    ("ForPreTraining", ("fill_mask", "embed")),
)


def capabilities_of_folder(folder: ModelFolder) -> frozenset[str]:
    """Return what the architecture is for."""
    kind, architecture = folder.model_type, folder.architecture
    if kind in _SOUND:
        return frozenset()
    found = _of_architecture(folder, kind, architecture)
    if folder.is_sentence_model and not is_about_images(folder):
        found |= {"embed"}
    return found | {"count_tokens"} if found - _WITHOUT_TEXT else found


def _of_architecture(folder: ModelFolder, kind: str, architecture: str) -> frozenset[str]:
    for suffix, capabilities in _HEADS:
        if architecture.endswith(suffix):
            return frozenset(capabilities)
    if architecture.endswith("ForSequenceClassification"):
        return _of_classes(folder)
    if kind in _TWO_SIDED:
        return frozenset(PIPELINES["zero-shot-image-classification"])
    if "vision_config" in folder.config or kind in ("git", "vision-encoder-decoder"):
        return frozenset({"describe_image"})
    if folder.config.get("is_encoder_decoder"):
        return _of_sequences(kind)
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return frozenset({"generate", "chat"} if folder.has_chat_template else {"generate"})
    if architecture.endswith("Model") or not architecture:
        return frozenset({"embed_image"} if kind in _IMAGES else {"embed"})
    return frozenset()


def _of_classes(folder: ModelFolder) -> frozenset[str]:
    labels = [label.lower() for label in folder.labels]
    found = {"classify"}
    if any(label.startswith("entail") for label in labels):
        found.add("classify_freely")
    codes = sum(re.split("[-_]", label)[0] in KNOWN_LANGUAGES for label in labels)
    if codes * 2 > len(labels):
        found.add("detect_language")
    return frozenset(found)


def _of_sequences(kind: str) -> frozenset[str]:
    if kind in _TRANSLATORS:
        return frozenset({"translate"})
    if kind in _SUMMARISERS:
        return frozenset({"summarise"})
    return frozenset(PIPELINES["text2text-generation"])


def capabilities_of_pipeline(name: object) -> frozenset[str]:
    """Return what a task of the hub is here; InvalidModelError lists those that are known."""
    found = PIPELINES.get(str(name))
    if found is None:
        raise InvalidModelError(
            f"Invalid model record: options.pipeline is {name!r:.60}; known are {', '.join(PIPELINES)}."
        )
    return frozenset((*found, "count_tokens") if set(found) - _WITHOUT_TEXT else found)


def is_about_images(folder: ModelFolder) -> bool:
    """Whether the model reads images."""
    return folder.model_type in _IMAGES | _TWO_SIDED or "vision_config" in folder.config
