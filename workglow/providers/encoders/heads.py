"""What the numbers of models that read a whole text mean: classes, answers, names, words for gaps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workglow.errors import InvalidModelError, InvalidValueError

if TYPE_CHECKING:
    from workglow.ai.results import Entity, Filling, FoundAnswer, Label
    from workglow.providers.encoders.encoder import TextEncoder

__all__ = ["answer", "classify", "classify_freely", "fill_mask", "labelled", "recognise_entities", "softmax"]

_ANSWER_TOKENS: Final = 30
_CANDIDATES: Final = 20
_PREFIX: Final = re.compile(r"(?:(?P<mark>[BIESUL])[-_])?(?P<kind>.+)")


def classify(encoder: TextEncoder, text: str) -> list[Label]:
    """Return all classes of the model, the likeliest first."""
    ((logits,),) = encoder.run_all([encoder.encode(text)], "logits")
    one_by_one = encoder.several_labels or len(logits) == 1
    return labelled(encoder.labels, 1 / (1 + np.exp(-logits)) if one_by_one else softmax(logits))


def classify_freely(encoder: TextEncoder, text: str, labels: Sequence[str], template: str) -> list[Label]:
    """Return the given labels by how much the text entails that it is about them, the likeliest first."""
    entails = [at for at, name in enumerate(encoder.labels) if name.lower().startswith("entail")]
    if not entails:
        raise InvalidModelError(f"{encoder.name!r} was not trained for inference: none of its classes is 'entailment'.")
    if not labels:
        raise InvalidValueError("There are no labels to choose from; give at least one.")
    said = encoder.run_all([encoder.encode(text, template.format(label)) for label in labels], "logits")
    logits = np.array([one[0][entails[0]] for one in said])
    if len(labels) == 1:
        return labelled(labels, softmax(said[0][0])[entails])
    return labelled(labels, softmax(logits))


def labelled(labels: Sequence[str], scores: NDArray[Any]) -> list[Label]:
    """Put names to scores, the highest first."""
    order = np.argsort(-scores, kind="stable")
    return [{"label": labels[int(at)], "score": float(scores[at])} for at in order]


def answer(encoder: TextEncoder, question: str, context: str) -> FoundAnswer | None:
    """Return the part of the context that answers the question; None when 'no answer' is likelier than any."""
    windows = encoder.windows(context, before=question)
    nothing, best, found = np.inf, -np.inf, None
    for window, said in zip(windows, encoder.run_all(windows, "start_logits", "end_logits"), strict=True):
        starts, ends = said[0][: len(window.ids)], said[1][: len(window.ids)]
        nothing = min(nothing, float(starts[0] + ends[0]))
        inside = np.array([one == 1 for one in window.sequence_ids])
        chances = softmax(np.where(inside, starts, -np.inf)), softmax(np.where(inside, ends, -np.inf))
        if not inside.any():
            continue
        first, last = _best_span(*chances)
        if starts[first] + ends[last] > best:
            best = float(starts[first] + ends[last])
            begin, end = window.offsets[first][0], window.offsets[last][1]
            score = float(chances[0][first] * chances[1][last])
            found = (begin, end, score)
    if found is None or nothing > best:
        return None
    start, end = _trimmed(context, found[0], found[1])
    return {"text": context[start:end], "score": found[2], "start": start, "end": end}


def _best_span(starts: NDArray[Any], ends: NDArray[Any]) -> tuple[int, int]:
    """Return the likeliest first and last token, in this order and not far apart."""
    firsts = np.argsort(-starts)[:_CANDIDATES]
    spans = [(int(first), int(first + np.argmax(ends[first : first + _ANSWER_TOKENS]))) for first in firsts]
    return max(spans, key=lambda span: float(starts[span[0]] * ends[span[1]]))


def recognise_entities(encoder: TextEncoder, text: str) -> list[Entity]:
    """Return what has a name, in the order of the text; the pieces of a name are joined."""
    words = _words(encoder, text)
    found: list[tuple[str, int, int, list[float]]] = []
    open_kind = ""
    for start, end, chances in words:
        at = int(np.argmax(chances))
        match = _PREFIX.fullmatch(encoder.labels[at])
        mark, kind = (match["mark"], match["kind"]) if match else (None, encoder.labels[at])
        if kind == "O":
            open_kind = ""
            continue
        if kind == open_kind and mark not in ("B", "S", "U"):
            name = found[-1]
            found[-1] = (kind, name[1], end, [*name[3], float(chances[at])])
        else:
            found.append((kind, start, end, [float(chances[at])]))
        open_kind = "" if mark in ("E", "S", "U", "L") else kind
    return [
        {"entity": kind, "word": text[start:end], "score": sum(scores) / len(scores), "start": start, "end": end}
        for kind, start, end, scores in found
    ]


def _words(encoder: TextEncoder, text: str) -> list[tuple[int, int, NDArray[Any]]]:
    """Return the words of a text with the chances of their labels, each from the window that shows most around it."""
    windows = encoder.windows(text)
    tokens: dict[tuple[int, int], tuple[int, Any, NDArray[Any]]] = {}
    for window, (logits,) in zip(windows, encoder.run_all(windows, "logits"), strict=True):
        size = len(window.ids)
        for at, (word, offsets) in enumerate(zip(window.word_ids, window.offsets, strict=True)):
            around = min(at, size - 1 - at)
            if word is not None and (offsets not in tokens or tokens[offsets][0] < around):
                tokens[offsets] = around, word, softmax(logits[at])
    words: list[tuple[int, int, NDArray[Any]]] = []
    for _, pieces in groupby(sorted(tokens.items()), key=lambda token: token[1][1]):
        parts = list(pieces)
        start, end = _trimmed(text, parts[0][0][0], parts[-1][0][1])
        if end > start:
            words.append((start, end, np.mean([chances for _, (_, _, chances) in parts], axis=0)))
    return words


def fill_mask(encoder: TextEncoder, text: str, limit: int) -> list[Filling]:
    """Return words for the gap, the likeliest first."""
    sign = encoder.mask_token
    whole = text.replace("[MASK]", sign)
    number = encoder.tokenizer.token_to_id(sign)
    encoded = encoder.encode(whole)
    gaps = [at for at, token in enumerate(encoded.ids) if token == number]
    if whole.count(sign) != 1 or len(gaps) != 1:
        raise InvalidValueError(
            f"The text has {whole.count(sign)} gaps of which the model sees {len(gaps)}; write one, as {sign}."
        )
    ((logits,),) = encoder.run_all([encoded], "logits")
    chances = softmax(logits[gaps[0]])
    best = np.argsort(-chances)[:limit]
    words = [(encoder.tokenizer.decode([int(token)]).strip(), float(chances[token])) for token in best]
    return [{"entity": word, "score": score, "sequence": whole.replace(sign, word)} for word, score in words]


def softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    """Turn numbers into chances that add up to 1, along the last axis."""
    highest = logits.max(axis=-1, keepdims=True)
    if not np.isfinite(highest).all():
        return np.zeros_like(logits)
    powers = np.exp(logits - highest)
    return powers / powers.sum(axis=-1, keepdims=True)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out the white space around a part of a text."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
