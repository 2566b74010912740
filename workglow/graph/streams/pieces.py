"""Whether a piece can become part of its port's value, asked when it is said.

The policy.  What the whole value has to be is checked when it is whole.  A piece is checked for what no later piece can
mend: text is added to text, and a list of fitting items to a list; what takes the place of a value is of its plain
type; an object is a mapping or a structure, and a list that is merged holds such.  An object may still lack fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from workglow.errors import PortError, TaskOutputError
from workglow.tasks.fields import bare, values_of
from workglow.tasks.fit import accepted_types, fit
from workglow.tasks.stream import stream_mode

if TYPE_CHECKING:
    from workglow.graph.streams.chunks import StreamChunk
    from workglow.tasks import Port, StreamMode, Task

__all__ = ["PieceCheck"]

_PLAIN = (str, int, float, bool, bytes, list, dict)


class PieceCheck:
    """Checks the pieces that one task streams."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._ports = task.outputs
        self._kinds = {name: bare(port.annotation)[0] for name, port in self._ports.items()}
        # What needs no closer look: by port and kind the types that fit, and by port those of items to append.
        self._fitting: dict[tuple[str, StreamMode], frozenset[type]] = {}
        self._items: dict[str, frozenset[type]] = {}
        for name, kind in self._kinds.items():
            plain = _plain(kind)
            if plain in (str, None):
                self._fitting[name, "append"] = frozenset({str})
            if plain is not None:
                self._fitting[name, "replace"] = frozenset({plain})
            if plain is not list:
                self._fitting[name, "object"] = frozenset({dict})
            elif get_args(kind):
                self._items[name] = accepted_types(get_args(kind)[0]) or frozenset()

    def takes_text(self, port: str) -> bool:
        """Whether every text can be added to this port's value."""
        return (port, "append") in self._fitting

    def check(self, chunk: StreamChunk) -> None:
        """Raise TaskOutputError, which names task, port and reason, when the piece does not fit its port."""
        name, data, kind = chunk.port, cast("Any", chunk.data), chunk.kind
        fitting = self._fitting.get((name, kind))
        if fitting is not None and type(data) in fitting:
            return
        if kind == "append" and type(data) is list:
            items = self._items.get(name)
            if items and items.issuperset(map(type, cast("list[object]", data))):
                return
        try:
            port = self._ports.get(name)
            if port is None:
                self._ports.check_given({name: chunk.data})  # says which ports there are
            else:
                self._check(port, data, kind)
        except PortError as error:
            raise TaskOutputError(f"Task '{self._task.id}': output {error}") from None

    def _check(self, port: Port, data: Any, kind: StreamMode) -> None:
        whole = self._kinds[port.name]
        plain = _plain(whole)
        if kind == "object":
            _check_object(port.name, plain, data)
        elif kind == "append" and _adds_up(data):
            _check_fit(port.name, "cannot be added to by this piece", whole if plain is list else plain, data)
        elif kind == "append" and stream_mode(port.schema) == "append":
            expected = "text or a list" if plain is None else plain.__name__
            raise PortError(port.name, f"cannot be added to by this piece: expected {expected}, got {_got(data)}.")
        else:
            _check_fit(port.name, "cannot be replaced by this piece", plain, data)


def _adds_up(data: object) -> bool:
    return isinstance(data, str | list)


def _plain(annotation: Any) -> type | None:
    """The plain type that all values of an annotation are of; None when it takes others too."""
    kind = get_origin(annotation) or annotation
    return kind if kind in _PLAIN else None


def _check_fit(port: str, trouble: str, expected: Any, data: object) -> None:
    if expected is None:
        return
    try:
        fit(expected, data)
    except ValueError as error:
        raise PortError(port, f"{trouble}: {error}") from None


def _check_object(port: str, plain: type | None, data: Any) -> None:
    if isinstance(data, list) and plain is not dict:
        unfit: list[object] = [item for item in cast("list[object]", data) if values_of(item) is None]
        expected = "a list of objects"
    else:
        unfit = [data] if plain is list or values_of(data) is None else []
        expected = "a list of objects" if plain is list else "an object"
    if unfit:
        raise PortError(port, f"takes objects as pieces: expected {expected}, got {_got(unfit[0])}.")


def _got(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
