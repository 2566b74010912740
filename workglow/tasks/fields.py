"""The fields of a structure: pydantic model, dataclass, TypedDict, NamedTuple or msgspec.Struct."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final, NamedTuple, cast, get_args, get_origin, get_type_hints

from workglow.errors import TaskConfigurationError

__all__ = ["MISSING", "Field", "bare", "fields_of", "is_open", "is_structure", "is_typed_dict", "make", "values_of"]


class _Missing(Enum):
    MISSING = "no default"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final[Any] = _Missing.MISSING


class Field(NamedTuple):
    """One field of a structure; `default` is MISSING when there is none."""

    name: str
    annotation: Any
    default: Any
    required: bool


def bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type without `Annotated` and without the names of type aliases, and the annotations it carried."""
    metadata: tuple[Any, ...] = ()
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *notes = get_args(annotation)
            annotation, metadata = inner, (*notes, *metadata)
        elif hasattr(origin, "__value__"):  # `type Name[T] = …`, as numpy's NDArray is from Python 3.12 on
            annotation = origin.__value__[get_args(annotation)]
        elif hasattr(annotation, "__value__") and origin is None:
            annotation = annotation.__value__
        else:
            return annotation, metadata


def is_typed_dict(kind: Any) -> bool:
    """Whether the type is a TypedDict."""
    return isinstance(kind, type) and issubclass(cast("type[object]", kind), dict) and hasattr(kind, "__total__")


def is_structure(kind: Any) -> bool:
    """Whether the type has named, typed fields."""
    known = cast("type[object]", kind)
    if not isinstance(kind, type):
        return False
    return (
        hasattr(known, "__pydantic_fields__")
        or hasattr(known, "__struct_fields__")
        or dataclasses.is_dataclass(known)
        or is_typed_dict(known)
        or (_is_named_tuple(known))
    )


def _is_named_tuple(kind: Any) -> bool:
    return issubclass(kind, tuple) and hasattr(cast("object", kind), "_fields")


def is_open(kind: Any) -> bool:
    """Whether the structure keeps fields that it does not declare."""
    configuration: dict[str, Any] = getattr(kind, "model_config", {})
    return configuration.get("extra") == "allow"


def fields_of(kind: Any) -> list[Field] | None:
    """Return the fields in order; None when the type is not a structure."""
    if not is_structure(kind):
        return None
    if hasattr(kind, "model_fields"):
        return [_model_field(name, field) for name, field in kind.model_fields.items()]
    hints = _hints(kind)
    if is_typed_dict(kind):
        required: frozenset[str] = kind.__required_keys__
        return [_key(name, hint, name in required) for name, hint in hints.items()]
    defaults = _defaults(kind)
    return [
        Field(name, hints.get(name, Any), defaults.get(name, MISSING), name not in defaults) for name in _names(kind)
    ]


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise TaskConfigurationError(
            f"A field of {kind.__qualname__} is annotated {error.name!r}, which cannot be found at run time; define it "
            f"at the top level of a module and import it outside of `if TYPE_CHECKING`."
        ) from None


def _model_field(name: str, field: Any) -> Field:
    if field.is_required():
        return Field(name, _annotated(field), MISSING, True)
    return Field(name, _annotated(field), field.get_default(call_default_factory=True, validated_data={}), False)


def _annotated(field: Any) -> Any:
    """The field's type with its limits, title and description; its default is told elsewhere."""
    from pydantic.fields import FieldInfo

    elsewhere = {"annotation", "default", "default_factory", "alias", "alias_priority", "validation_alias"}
    said = {key: value for key, value in field._attributes_set.items() if key not in elsewhere}
    if not said and not field.metadata:
        return field.annotation
    note = FieldInfo(**said)
    more = (item for item in field.metadata if item not in note.metadata)
    return Annotated[(field.annotation, *more, note)]  # pyright: ignore[reportReturnType]


def _names(kind: Any) -> list[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.init]
    return list(getattr(kind, "__struct_fields__", None) or kind._fields)


def _defaults(kind: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        given: dict[str, Any] = {}
        for field in dataclasses.fields(kind):
            if field.default is not dataclasses.MISSING:
                given[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                given[field.name] = field.default_factory()
        return given
    if hasattr(kind, "__struct_defaults__"):
        names, values = kind.__struct_fields__, kind.__struct_defaults__
        pairs = zip(names[len(names) - len(values) :], values, strict=True)
        return {name: value for name, value in pairs if type(value).__module__ != "msgspec._core"}
    return dict(kind._field_defaults)


def _key(name: str, hint: Any, required: bool) -> Field:
    """A key of a TypedDict; what its annotation says goes before what Python noted, which cannot read texts."""
    word = getattr(get_origin(hint), "_name", "")
    if word in ("Required", "NotRequired"):
        return Field(name, get_args(hint)[0], MISSING, word == "Required")
    return Field(name, hint, MISSING, required)


def make(kind: Any, values: Mapping[str, Any]) -> Any:
    """Build the structure from values that have been checked field by field; its own validators run."""
    if hasattr(kind, "model_fields"):
        return kind.model_validate(values, by_name=True, by_alias=False)
    return kind(**values)


def values_of(result: Any) -> dict[str, Any] | None:
    """Return the fields of a structure or mapping by name; None for anything else."""
    if isinstance(result, Mapping):
        return dict(cast("Mapping[str, Any]", result))
    kind = cast("Any", type(result))
    if not is_structure(kind):
        return None
    if hasattr(kind, "model_fields"):
        return {**{name: getattr(result, name) for name in kind.model_fields}, **(result.model_extra or {})}
    return {name: getattr(result, name) for name in _names(kind)}
