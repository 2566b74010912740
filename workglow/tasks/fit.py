"""Whether a value fits an annotation.

A value fits when it is an instance of the type, or the type's own JSON form: an ISO text for a datetime, a list for a
tuple, a dict for a dataclass.  Nothing else is converted: "3" is no int, True is no int, a datetime is no text.
Plain types, classes, and lists and dicts of them are judged here by their exact types, and handed on as they are; only
what is left over costs an import of pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args, get_origin

from workglow.tasks.fields import bare, is_typed_dict
from workglow.tasks.schema import array_dtype, is_array

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["accepted_types", "faults_of", "fit", "is_json"]

_PLAIN: dict[Any, frozenset[type]] = {float: frozenset({float, int}), None: frozenset({NoneType})}
_FINAL = frozenset({int, float, str, bool, bytes, list, dict, NoneType})
_LIMITING = ("__get_pydantic_core_schema__", "__is_annotated_types_grouped_metadata__")
_STRINGS = frozenset({str})
_NONE_EXACT: frozenset[type] = frozenset()


def accepted_types(annotation: Any) -> frozenset[type] | None:
    """Return exact types all of whose instances fit; None when every value fits.

    A value of another type may fit too: `fit` has the last word.
    """
    annotation = _undescribed(annotation)
    if annotation is Any or annotation is object:
        return None
    if annotation is float or annotation is None:
        return _PLAIN[annotation]
    if get_origin(annotation) in (Union, UnionType):
        members = [accepted_types(member) for member in get_args(annotation)]
        known = [member for member in members if member is not None]
        return _NONE_EXACT.union(*known) if len(known) == len(members) else None
    return frozenset({annotation}) if _is_class(annotation) else _NONE_EXACT


def _undescribed(annotation: Any) -> Any:
    """The annotation without notes that only describe it, such as a title; with its notes when one limits values."""
    if get_origin(annotation) is Annotated:
        inner, notes = bare(annotation)
        if all(map(_only_describes, notes)):
            return inner
    return annotation


def _only_describes(note: Any) -> bool:
    library = type(note).__module__.partition(".")[0]
    if library == "pydantic":
        return type(note).__name__ == "FieldInfo" and not note.metadata and note.discriminator is None
    return library != "annotated_types" and not any(hasattr(note, mark) for mark in _LIMITING)


def _is_class(annotation: Any) -> bool:
    """Whether isinstance says all there is to say."""
    return isinstance(annotation, type) and not get_args(annotation) and not is_typed_dict(annotation)


def fit(annotation: Any, value: object) -> object:
    """Return the value as the annotated type; raise ValueError with the reason when it does not fit."""
    if _is_instance(annotation, value):
        return value
    annotation = _undescribed(annotation)
    inner, metadata = bare(annotation)
    if is_array(inner) and not metadata:
        return _fit_array(inner, value)
    if _is_class(annotation) and isinstance(value, annotation) and type(value) is not bool:
        return value
    if _is_class(annotation) and annotation in _FINAL:
        raise ValueError(f"expected {_named(annotation)}, got {_got(value)}.")
    return _fit_by_adapter(annotation, value)


def _is_instance(annotation: Any, value: Any) -> bool:
    """Whether exact types alone say that the value fits, at every depth of its lists and dicts."""
    types = accepted_types(annotation)
    if types is None or type(value) in types:
        return True
    annotation = _undescribed(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list and type(value) is list:
        return _are_instances(arguments[0], cast("list[Any]", value))
    if origin is dict and type(value) is dict and arguments[0] is str:
        entries = cast("dict[Any, Any]", value)
        return _STRINGS.issuperset(map(type, entries)) and _are_instances(arguments[1], entries.values())
    return origin in (Union, UnionType) and any(_is_instance(member, value) for member in arguments)


def _are_instances(annotation: Any, values: Collection[Any]) -> bool:
    types = accepted_types(annotation)
    if types is None or types.issuperset(map(type, values)):
        return True
    return all(_is_instance(annotation, value) for value in values)


def _fit_array(annotation: Any, value: object) -> object:
    if not any(is_array(kind) for kind in type(value).__mro__):
        raise ValueError(f"expected an array, got {_got(value)}.")
    wanted, actual = array_dtype(annotation), str(getattr(value, "dtype", ""))
    if wanted and wanted != actual:
        raise ValueError(f"expected an array of {wanted}, got one of {actual}; convert it with astype.")
    return value


def _fit_by_adapter(annotation: Any, value: object) -> object:
    from pydantic import ValidationError

    from workglow.tasks.adapter import adapter_of

    adapter = adapter_of(annotation)
    if adapter is None:
        raise ValueError(f"expected {_named(annotation)}, got {_got(value)}.")
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        refusal = error
    if is_json(value):
        try:
            return adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            refusal = error
    raise ValueError(f"expected {_named(annotation)}, got {_got(value)}: {_first(refusal)}.")


def is_json(value: Any) -> bool:
    """Whether the value is made of nothing but what JSON has; only that may be read as another type's JSON form."""
    kind = cast("Any", type(value))
    if kind is list:
        return all(is_json(item) for item in value)
    if kind is dict:
        return all(type(key) is str and is_json(item) for key, item in value.items())
    return value is None or kind in (str, int, float, bool)


def faults_of(refusal: ValidationError) -> str:
    """Return what pydantic found wrong, field by field, on one line."""
    found: list[str] = []
    for fault in refusal.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(map(str, fault["loc"]))
        found.append(f"{where}: {fault['msg']}" if where else fault["msg"])
    return "; ".join(found)


def _first(refusal: ValidationError) -> str:
    details = refusal.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(str(part) for part in details[0]["loc"])
    place = f" at {where}" if where else ""
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{details[0]['msg']}{place}{more}"


def _got(value: object) -> str:
    if value is None:
        return "None"
    if type(value) not in _FINAL | {tuple}:
        return f"a {type(value).__name__}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _named(annotation: Any) -> str:
    """The annotation as its author would write it."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
