"""Edge transforms: small named steps that change a value on its way along an edge.

A transform is data in the graph (`{"id": "pick", "params": {"path": "customer.name"}}`); what it does is registered
under its id.  Each says besides what it makes of a JSON Schema, so that an edge with transforms can be judged when it
is drawn, and, if it can, when it would help between two ports that do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workglow.errors import GraphError, PortError
from workglow.graph.dataflow import Transform
from workglow.graph.naming import did_you_mean
from workglow.tasks import Ports
from workglow.tasks.compatibility import compatibility

__all__ = ["Params", "Schema", "Suggestion", "TransformDefinition", "TransformRegistry"]

Schema = Mapping[str, Any] | bool
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A transform that would make one port fit another; `score` is above 0 and at most 1, the surest."""

    score: float
    transform: Transform


@dataclass(frozen=True, slots=True)
class TransformDefinition:
    """What stands behind a transform's id.

    `apply(value, params)` gives the new value; `infer(schema, params)` the JSON Schema of the values that come out.
    `params` is the JSON Schema of the settings, of type object; None when there are none.  `suggest(source, target)`
    gives scores and settings with which it may lead from the one JSON Schema to the other.
    """

    id: str
    title: str
    apply: Callable[[Any, Params], object]
    infer: Callable[[Schema, Params], Schema]
    category: str = ""
    params: Mapping[str, Any] | None = None
    suggest: Callable[[Schema, Schema], Iterable[tuple[float, Params]]] | None = None


class TransformRegistry:
    """Transforms by id.  Only what is registered can be used on an edge.

    `built_in_transforms` is the one that graphs use when they are given none; it cannot be changed.  For transforms of
    your own take a `copy()` of it, and give that to the graph, the workflow or the project.
    """

    def __init__(self, definitions: Iterable[TransformDefinition] = (), *, fixed: bool = False) -> None:
        self._fixed = False
        self._definitions: dict[str, TransformDefinition] = {}
        for definition in definitions:
            self.register(definition)
        self._fixed = fixed

    def register(self, definition: TransformDefinition) -> TransformDefinition:
        """Let edges name this transform; GraphError when the id belongs to another one, or the registry is fixed."""
        self._check_open()
        known = self._definitions.setdefault(definition.id, definition)
        if known != definition:
            raise GraphError(f"Transform {definition.id!r} is already registered. Unregister it first to replace it.")
        return definition

    def unregister(self, name: str) -> bool:
        """Forget a transform; False when it was not registered."""
        self._check_open()
        return self._definitions.pop(name, None) is not None

    def copy(self) -> TransformRegistry:
        """Return a registry with the same transforms that can be changed on its own."""
        return TransformRegistry(self._definitions.values())

    def get(self, name: str) -> TransformDefinition:
        """Return the definition of that id; GraphError names the nearest one when there is none."""
        definition = self._definitions.get(name)
        if definition is None:
            raise GraphError(
                f"There is no transform {name!r}.{did_you_mean(name, self._definitions)} "
                f"The transforms are {', '.join(self.names())}."
            )
        return definition

    def names(self) -> list[str]:
        """Return all ids, sorted."""
        return sorted(self._definitions)

    def describe(self) -> list[dict[str, Any]]:
        """Return what an editor needs of each: `id`, `title`, `category`, and the JSON Schema of its `params`."""
        return [
            {"id": one.id, "title": one.title, "category": one.category, "params": dict(one.params or _NO_PARAMS)}
            for one in map(self.get, self.names())
        ]

    # ------------------------------------------------------------------ using them

    def check(self, transform: Transform) -> None:
        """Raise GraphError when no transform has that id, or when its params are not what it takes."""
        settings = self.get(transform.id).params or _NO_PARAMS
        known: Mapping[str, Any] = settings.get("properties", {})
        for name in transform.params:
            if name not in known and settings.get("additionalProperties") is False:
                takes = f"takes {', '.join(known)}" if known else "takes no params"
                raise GraphError(f"The transform {transform.id!r} has no param {name!r}; it {takes}.")
        try:
            Ports.from_schema(settings).check(dict(transform.params))
        except PortError as error:
            raise GraphError(f"The transform {transform.id!r} cannot be used so: param {error}") from None

    def apply(self, transform: Transform, value: object) -> object:
        """Return what the transform makes of the value; raises what the transform raises."""
        return self.get(transform.id).apply(value, transform.params)

    def infer(self, transform: Transform, schema: Schema) -> Schema:
        """Return the JSON Schema of what the transform gives for values of this one; False when it gives none."""
        return self.get(transform.id).infer(schema, transform.params)

    def suggest(self, source: Schema, target: Schema) -> list[Suggestion]:
        """Return the transforms that lead from values of one schema to another, best first; none when it fits."""
        if compatibility(source, target) == "static":
            return []
        found: list[Suggestion] = []
        for definition in self._definitions.values():
            for score, params in definition.suggest(source, target) if definition.suggest else ():
                if compatibility(definition.infer(source, params), target) != "incompatible":
                    found.append(Suggestion(score, Transform(definition.id, params)))
        return sorted(found, key=lambda suggestion: -suggestion.score)

    def _check_open(self) -> None:
        if self._fixed:
            raise GraphError(
                "The built-in transforms are those of every graph and cannot be changed. Make a registry of your own: "
                "transforms = built_in_transforms.copy(); then TaskGraph(transforms=transforms)."
            )

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._definitions)


_NO_PARAMS: Params = {"type": "object", "properties": {}, "additionalProperties": False}
