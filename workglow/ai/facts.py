"""What is known of providers without loading them, for torch takes seconds, and what is not installed cannot be loaded.

What a provider that ships can do is read from its source: which of the methods of `Provider` its class writes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.capability import CAPABILITIES, MANAGEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workglow.ai.provider import Provider

__all__ = ["LIBRARIES", "ProviderFacts", "facts_of_class", "facts_of_source"]

LIBRARIES: Final = {
    "local": ("numpy", "tokenizers", "safetensors"),
    "hf": ("torch", "transformers"),
    "onnx": ("onnxruntime", "tokenizers"),
    "gguf": ("llama_cpp",),
    "mediapipe": ("mediapipe",),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
}
"""What each provider that ships imports when it is used."""

_ATTRIBUTES: Final = ("title", "extra", "is_local", "credential")


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A provider: what its models' names begin with, what it can do, and which of its libraries are `missing`.

    `extra` is the extra of workglow that brings them; `manages` is what it does with models beside calling them.
    """

    name: str
    title: str
    extra: str
    is_local: bool
    credential: str
    capabilities: tuple[str, ...]
    manages: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether its models can be called."""
        return not self.missing


def facts_of_class(provider: type[Provider]) -> ProviderFacts:
    """Return what a class says of itself."""
    about = {name: getattr(provider, name) for name in _ATTRIBUTES}
    return _facts(provider.name, about, provider.capabilities())


@cache
def facts_of_source(name: str, module: str, class_name: str) -> ProviderFacts:
    """Return what the source of a module of workglow says of a provider in it; the module is not imported."""
    classes = {node.name: node for file in _files(module) for node in _classes(file)}
    about: dict[str, Any] = {"title": "", "extra": "", "is_local": True, "credential": ""}
    written: set[str] = set()
    waiting, seen = [class_name], set[str]()
    while waiting:
        wanted = waiting.pop(0)
        if wanted in seen or wanted not in classes:
            continue
        seen.add(wanted)
        own = dict(_members(classes[wanted]))
        about |= {key: own[key] for key in _ATTRIBUTES if isinstance(own.get(key), str | bool) and len(seen) == 1}
        written |= own.keys()
        waiting += [base.id for base in classes[wanted].bases if isinstance(base, ast.Name)]
    return _facts(name, about, written)


def _facts(name: str, about: dict[str, Any], can: set[str] | frozenset[str]) -> ProviderFacts:
    return ProviderFacts(
        name,
        about["title"] or name,
        about["extra"],
        about["is_local"],
        about["credential"],
        tuple(one for one in CAPABILITIES if one in can),
        tuple(one for one in MANAGEMENT if one in can),
        tuple(library for library in LIBRARIES.get(name, ()) if find_spec(library) is None),
    )


def _files(module: str) -> list[Path]:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return []
    folders = spec.submodule_search_locations
    return sorted(Path(folders[0]).glob("*.py")) if folders else [Path(spec.origin)]


def _classes(file: Path) -> Iterator[ast.ClassDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return (node for node in tree.body if isinstance(node, ast.ClassDef))


def _members(kind: ast.ClassDef) -> Iterator[tuple[str, object]]:
    """Yield the names that a class body binds, with the constants among their values."""
    for node in kind.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, None
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
