"""Models as a graph describes them on the spot: in our own words, or in those of the TypeScript system.

Ours is a record; its name may be left out.  Theirs is `{"model_id", "provider": "OPENAI", "provider_config": {…}}`,
and this module alone knows what their words mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from workglow.ai.record import ModelRecord, as_record
from workglow.errors import InvalidModelError

__all__ = ["PROVIDERS", "inline_record"]

PROVIDERS: Final = {
    "HF_TRANSFORMERS_ONNX": "onnx",
    "LOCAL_LLAMACPP": "gguf",
    "TENSORFLOW_MEDIAPIPE": "mediapipe",
    "OPENAI": "openai",
    "ANTHROPIC": "anthropic",
    "GOOGLE_GEMINI": "openai",
    "OLLAMA": "openai",
    "HF_INFERENCE": "openai",
}
"""What the TypeScript system calls a provider, and who runs such models here."""

_DEFAULTS: Final[dict[str, dict[str, str]]] = {
    "GOOGLE_GEMINI": {
        "base_url": "https://generativelanguage.googleapis.com/v1beta/openai/",
        "credential": "env:GEMINI_API_KEY",
    },
    "OLLAMA": {"base_url": "http://localhost:11434/v1"},
    "HF_INFERENCE": {"base_url": "https://router.huggingface.co/v1", "credential": "env:HF_TOKEN"},
}
"""Those who speak the protocol of OpenAI, and where."""

_FIELDS: Final = {
    "model_path": "source",
    "model_name": "source",
    "credential_key": "credential",
    "base_url": "base_url",
    "native_dimensions": "dimensions",
    "context_size": "context_length",
    "max_tokens": "max_output_tokens",
    "pooling": "pooling",
    "normalize": "normalize",
    "dtype": "dtype",
    "revision": "revision",
}
"""A word of a provider_config, and the field of a record that it means.  All others are options of the provider."""

_OF_BROWSERS: Final = frozenset({"gpu", "webgpu", "wasm", "metal"})
"""Devices that say nothing here: what is best on this machine is taken."""


def inline_record(given: ModelRecord | Mapping[str, Any]) -> ModelRecord:
    """Return the record that a graph holds instead of a name; InvalidModelError names the field that is wrong."""
    if isinstance(given, ModelRecord):
        return given
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidModelError(f"Invalid model record: {given!r:.80} is neither a name nor an object.")
    if "provider_config" in given or "model_id" in given:
        given = _translated(given)
    if "name" not in given and given.get("provider") and given.get("source"):
        given = {**given, "name": f"{given['provider']}:{given['source']}"}
    return as_record(given)


def _translated(given: Mapping[str, Any]) -> dict[str, Any]:
    theirs = str(given.get("provider"))
    config = cast("object", given.get("provider_config") or {})
    if theirs not in PROVIDERS:
        raise InvalidModelError(
            f"Invalid model record: nobody here runs models of {given.get('provider')!r:.80}; known are "
            f"{', '.join(PROVIDERS)}."
        )
    if not isinstance(config, Mapping):
        raise InvalidModelError("Invalid model record: provider_config is no object.")
    record: dict[str, Any] = {"provider": PROVIDERS[theirs], **_DEFAULTS.get(theirs, {})}
    options: dict[str, Any] = {}
    for word, value in cast("Mapping[str, Any]", config).items():
        if value is None:
            continue
        if word == "device":
            record["device"] = "" if value in _OF_BROWSERS else value
        elif word == "model_url":
            record["files"] = ({"url": value},) if str(value).startswith("https://") else ()
            record.setdefault("source", str(value).removeprefix("hf:"))
        elif word in _FIELDS:
            record[_FIELDS[word]] = value
        else:
            options[word] = value
    record |= {word: given[word] for word in ("title", "description", "tasks", "metadata") if given.get(word)}
    if record.get("dtype") == "auto":
        del record["dtype"]
    if options:
        record["options"] = options
    name = str(given.get("model_id") or record.get("source") or "")
    record["name"] = name if ":" in name else f"{record['provider']}:{name}"
    return record
