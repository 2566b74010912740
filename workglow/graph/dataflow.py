"""Edges: which output of one task becomes which input of another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from workglow.errors import GraphError

__all__ = ["ALL_PORTS", "ERROR_FIELDS", "ERROR_PORT", "Dataflow", "Transform", "as_transforms"]

ALL_PORTS = "*"
"""As source port: all outputs as one object.  As target port: an object spread over the ports of its keys."""

ERROR_PORT = "[error]"
"""The source port that carries a value only when the task failed."""

ERROR_FIELDS = ("error", "errorType")
"""What travels from `[error]`: the message, and the name of the exception's class."""

_ENDS = re.compile(
    r"(?P<source>[^\[\]]+)\[(?P<source_port>\[error\]|[^\[\]]+)\] ==> "
    r"(?P<target>[^\[\]]+)\[(?P<target_port>[^\[\]]+)\]"
)


@dataclass(frozen=True, slots=True)
class Transform:
    """A step that changes a value on its way along an edge: the name of a registered transform, and its settings."""

    id: str
    params: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)


@dataclass(frozen=True, slots=True)
class Dataflow:
    """An edge from a port of one task to a port of another; `transforms` apply in order as the value passes."""

    source: str
    source_port: str
    target: str
    target_port: str
    transforms: tuple[Transform, ...] = ()

    @property
    def id(self) -> str:
        """The edge as people write it: `a[out] ==> b[in]`."""
        return f"{self.source}[{self.source_port}] ==> {self.target}[{self.target_port}]"

    @classmethod
    def parse(cls, text: str) -> Dataflow:
        """Read an edge's id back; GraphError shows the form when the text has another one."""
        ends = _ENDS.fullmatch(text.strip())
        if ends is None:
            raise GraphError(f"Invalid dataflow format: {text!r}. Write it as 'source[port] ==> target[port]'.")
        return cls(ends["source"], ends["source_port"], ends["target"], ends["target_port"])


def as_transforms(transforms: Iterable[object]) -> tuple[Transform, ...]:
    """Accept transforms as `Transform`, as a name, or as `{"id": …, "params": {…}}`."""
    return tuple(_as_transform(transform) for transform in transforms)


def _as_transform(transform: object) -> Transform:
    if isinstance(transform, Transform):
        return transform
    if isinstance(transform, str):
        return Transform(transform)
    if isinstance(transform, Mapping):
        fields = cast("Mapping[str, object]", transform)
        name, params = fields.get("id"), fields.get("params", {})
        if isinstance(name, str) and isinstance(params, Mapping) and set(fields) <= {"id", "params"}:
            return Transform(name, dict(cast("Mapping[str, object]", params)))
    raise GraphError(
        f'{transform!r} is not a transform. Give its name, or {{"id": "pick", "params": {{"path": "x"}}}}.'
    )
