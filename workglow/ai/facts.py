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
_ROOT: Final = ("workglow.ai.provider", "Provider")


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
    about: dict[str, Any] = {}
    written: set[str] = set()
    waiting = [(module, class_name)]
    while waiting:
        found = _class(*waiting.pop(0))
        if found is None:
            continue
        home, kind = found
        own = dict(_members(kind))
        written |= own.keys()
        for attribute in _ATTRIBUTES:
            if isinstance(own.get(attribute), str | bool):
                about.setdefault(attribute, own[attribute])
        waiting += [(home, base) for base in map(_name, kind.bases)]
    defaults = {"title": "", "extra": "", "is_local": True, "credential": ""}
    return _facts(name, {**defaults, **about}, written)


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


def _class(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """Find a class where it is written, from a module that has it or imports it; None outside of workglow's own.

    The class `Provider` counts as outside: it has every method, so that others can go without.
    """
    while (module, name) != _ROOT:
        tree = _tree(module)
        if tree is None:
            return None
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return module, node
        sources = [(node.module, alias.name) for node, alias in _imports(tree) if (alias.asname or alias.name) == name]
        if not sources or sources[0][0] is None:
            return None
        module, name = sources[0][0], sources[0][1]
    return None


def _tree(module: str) -> ast.Module | None:
    """Parse a module of workglow; its packages are not imported on the way, as `find_spec` would do."""
    package, *parts = module.split(".")
    if package != "workglow":
        return None
    place = Path(__file__).parents[1].joinpath(*parts)
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else None


def _imports(tree: ast.Module) -> Iterator[tuple[ast.ImportFrom, ast.alias]]:
    return ((node, alias) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names)


def _name(base: ast.expr) -> str:
    """The name of a base class, `Remote` of `Remote[Client]`."""
    plain = base.value if isinstance(base, ast.Subscript) else base
    return plain.id if isinstance(plain, ast.Name) else ""


def _members(kind: ast.ClassDef) -> Iterator[tuple[str, object]]:
    """Yield the names that a class body binds, with the constants among their values."""
    for node in kind.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, None
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
