"""Models that see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from workglow.errors import InvalidValueError
from workglow.providers.encoders.heads import labelled
from workglow.providers.transformers.encoders import features
from workglow.providers.transformers.generation import write
from workglow.providers.transformers.runtime import memory_checked, torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workglow.ai.events import ModelEvent
    from workglow.ai.results import Label
    from workglow.ai.results_of_images import Box, DetectedObject, Segment
    from workglow.providers.transformers.loading import LoadedModel

__all__ = ["classify", "classify_freely", "describe", "detect", "embed", "segment"]

_IMAGES_AT_ONCE = 16


def classify(loaded: LoadedModel, image: Any) -> list[Label]:
    """Return all classes of the model, the likeliest first."""
    with torch.inference_mode(), memory_checked(loaded.name):
        logits = loaded.model(**_prepared(loaded, [image])).logits[0].float()
        scores = logits.sigmoid() if len(logits) == 1 else logits.softmax(-1)
    return labelled(loaded.folder.labels, scores.cpu().numpy())


def classify_freely(loaded: LoadedModel, image: Any, labels: Sequence[str], template: str) -> list[Label]:
    """Return the given labels by how near they are to the image, the likeliest first."""
    if not labels:
        raise InvalidValueError("There are no labels to choose from; give at least one.")
    texts = [template.format(label) for label in labels]
    with torch.inference_mode(), memory_checked(loaded.name):
        logits = loaded.model(**_prepared(loaded, [image], text=texts, padding=True)).logits_per_image[0].float()
        scores = logits.sigmoid() if "siglip" in loaded.folder.model_type else logits.softmax(-1)
    return labelled(labels, scores.cpu().numpy())


def embed(loaded: LoadedModel, images: Sequence[Any]) -> NDArray[np.float32]:
    """Return float32 of shape (number of images, dimensions)."""
    found: list[Any] = []
    with torch.inference_mode(), memory_checked(loaded.name):
        for at in range(0, len(images), _IMAGES_AT_ONCE):
            inputs = _prepared(loaded, images[at : at + _IMAGES_AT_ONCE])
            if hasattr(loaded.model, "get_image_features"):
                vectors = features(loaded.model.get_image_features(**inputs))
            else:
                hidden = loaded.model(**inputs).last_hidden_state
                vectors = hidden[:, 0] if hidden.ndim == 3 else hidden.mean((2, 3))  # a class token, or a map
            found.append(vectors.float().cpu())
    return torch.cat(found).numpy()


def describe(loaded: LoadedModel, image: Any, prompt: str, max_tokens: int | None) -> Iterator[ModelEvent]:
    """Say what an image shows, or answer a question about it where the model can."""
    processor = loaded.prepare
    if loaded.folder.has_chat_template:
        parts = [{"type": "image", "image": image}, {"type": "text", "text": prompt or "Describe the image."}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": parts}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
    elif prompt and hasattr(processor, "tokenizer"):
        inputs = processor(images=_whole(image), text=prompt, return_tensors="pt")
    else:
        inputs = processor(images=_whole(image), return_tensors="pt")
    given = {name: tensor.to(loaded.device) for name, tensor in inputs.items()}
    yield from write(loaded, given, max_tokens=max_tokens, context=None)


def detect(loaded: LoadedModel, image: Any, threshold: float) -> list[DetectedObject]:
    """Return each object with its box, in pixels."""
    image = _whole(image)
    with torch.inference_mode(), memory_checked(loaded.name):
        said = loaded.model(**_prepared(loaded, [image]))
    sizes = torch.tensor([[image.height, image.width]])
    (found,) = loaded.prepare.post_process_object_detection(said, threshold=threshold, target_sizes=sizes)
    detections: list[DetectedObject] = []
    for score, label, box in zip(*(found[name].tolist() for name in ("scores", "labels", "boxes")), strict=True):
        left, top, right, bottom = box
        place: Box = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        detections.append({"label": loaded.folder.labels[label], "score": score, "box": place})
    return sorted(detections, key=lambda one: -one["score"])


def segment(loaded: LoadedModel, image: Any, threshold: float, mask_threshold: float) -> list[Segment]:
    """Return each part of an image with a black and white image of where it is."""
    from PIL import Image

    image = _whole(image)
    size = [(image.height, image.width)]
    with torch.inference_mode(), memory_checked(loaded.name):
        said = loaded.model(**_prepared(loaded, [image]))
    if loaded.folder.architecture.endswith("ForSemanticSegmentation"):
        (whole,) = loaded.prepare.post_process_semantic_segmentation(said, target_sizes=size)
        parts = [(int(label), 1.0, whole == label) for label in whole.unique()]
    else:
        (told,) = loaded.prepare.post_process_panoptic_segmentation(
            said, threshold=threshold, mask_threshold=mask_threshold, target_sizes=size
        )
        parts = [(one["label_id"], one["score"], told["segmentation"] == one["id"]) for one in told["segments_info"]]
    return [
        {
            "label": loaded.folder.labels[label],
            "score": float(score),
            "mask": Image.fromarray((mask.cpu().numpy() * 255).astype("uint8")),
        }
        for label, score, mask in parts
    ]


def _prepared(loaded: LoadedModel, images: Sequence[Any], **more: Any) -> dict[str, Any]:
    inputs = loaded.prepare(images=[_whole(image) for image in images], return_tensors="pt", **more)
    given = {name: tensor.to(loaded.device) for name, tensor in inputs.items()}
    dtype = loaded.model.dtype
    return {name: one.to(dtype) if one.is_floating_point() else one for name, one in given.items()}


def _whole(image: Any) -> Any:
    """Return the image with three colours; models were trained on no other."""
    return image if image.mode == "RGB" else image.convert("RGB")
