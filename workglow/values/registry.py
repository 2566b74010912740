"""The classes whose instances may be stored, known by name.  Reading resolves names here and nowhere else."""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import Any, TypeVar, cast

import msgspec

from workglow.errors import InvalidValueError
from workglow.values.refusal import Refusal, checked_text

__all__ = ["ValueTypes", "fields_of", "member_of", "rebuild", "rebuild_member", "value_types"]

_NAME = re.compile(r"[\w.:/\-]{1,200}", re.ASCII)
_Class = TypeVar("_Class", bound=type[Any])


class ValueTypes:
    """The dataclasses, msgspec structs, pydantic models, named tuples and enums that values may be made of.

    Only registered classes are ever stored, and reading a file never imports the class that a value names.  What is
    stored are the fields (and a model's extra fields); private attributes of a model come back with their defaults.
    """

    def __init__(self) -> None:
        self._classes: dict[str, type[Any]] = {}
        self._names: dict[type[Any], str] = {}

    def register(self, cls: _Class, name: str | None = None) -> _Class:
        """Allow instances of `cls`; returns it, so this works as a decorator.

        `name` is what the file calls it, by default the class's own.  A class may have several names: the first is
        written, all are read, so a renamed class still reads old files.  A later definition of the same class (a
        notebook cell run again) replaces the earlier one.  A class of another sort, or a name that another class has,
        is an InvalidValueError.
        """
        _refuse_unfit(cls)
        name = cls.__name__ if name is None else name
        if not _NAME.fullmatch(name):
            raise InvalidValueError(f"{name!r} cannot name a class: use letters, digits and _ . : / -")
        taken = self._classes.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InvalidValueError(
                f"The name {name!r} belongs to {taken.__module__}.{taken.__qualname__}: give another one, "
                f"register({cls.__qualname__}, name=…)."
            )
        self._classes[name] = cls
        self._names.setdefault(cls, name)
        return cls

    def name_of(self, cls: type[Any]) -> str | None:
        """Return the name under which instances of exactly this class are stored."""
        return self._names.get(cls)

    def get(self, name: str) -> type[Any] | None:
        """Return the class of that name."""
        return self._classes.get(name)

    def names(self) -> list[str]:
        """Return every name, sorted."""
        return sorted(self._classes)


value_types = ValueTypes()
"""The registry that `encode`, `decode`, `canonical` and `fingerprint` use unless they are given another."""


def _refuse_unfit(cls: type[Any]) -> None:
    # A caller without a type checker may give anything.
    fits = isinstance(cls, type) and (  # pyright: ignore[reportUnnecessaryIsInstance]
        dataclasses.is_dataclass(cls)
        or issubclass(cls, enum.Enum | msgspec.Struct)
        or _is_model(cls)
        or _is_record(cls)
    )
    if not fits:
        raise InvalidValueError(
            f"{cls!r} cannot be registered: it is neither a dataclass, msgspec struct, pydantic model, named tuple nor "
            "enum. Make it one of these."
        )


def _is_model(cls: type[Any]) -> bool:
    # Known by its mark, because importing pydantic costs more than all the rest of a start.
    return hasattr(cls, "__pydantic_fields__") and not dataclasses.is_dataclass(cls)


def _is_record(cls: type[Any]) -> bool:
    return hasattr(cls, "_fields") and issubclass(cls, tuple)


def fields_of(value: object) -> dict[str, object]:
    """Take an instance of a registered class apart: names of fields → values, in the order of definition."""
    cls = type(value)
    fields: dict[str, object] = {}
    for name in _field_names(cls):
        try:
            fields[name] = getattr(value, name)
        except AttributeError:
            raise Refusal(f"is a {cls.__qualname__} with no value in its field {name!r}", "set the field") from None
    if _is_model(cls):
        fields.update(getattr(value, "__pydantic_extra__", None) or {})
    return fields


def _field_names(cls: type[Any]) -> tuple[str, ...]:
    if _is_model(cls):
        return tuple(cls.__pydantic_fields__)
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if _is_record(cls):
        return cast("tuple[str, ...]", cls._fields)
    return tuple(field.name for field in dataclasses.fields(cls))


def rebuild(cls: type[Any], fields: dict[str, object]) -> object:
    """Put an instance together from what `fields_of` gave.

    Dataclasses and models are restored as they were: neither `__init__`, `__post_init__` nor validators run.  A field
    that the class has gained since is given its default; one that it has lost is a ValueError.
    """
    if _is_model(cls):
        return _rebuild_model(cls, fields)
    known = _field_names(cls)
    if unknown := [name for name in fields if name not in known]:
        raise ValueError(f"the class {cls.__qualname__} has no field {unknown[0]!r} any more")
    if not dataclasses.is_dataclass(cls):
        return cls(**fields)
    instance = _blank(cls)
    for field in dataclasses.fields(cls):
        object.__setattr__(instance, field.name, fields[field.name] if field.name in fields else _default(cls, field))
    return instance


def _blank(cls: Any) -> Any:
    return cls.__new__(cls)


def _default(cls: type[Any], field: dataclasses.Field[Any]) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise ValueError(f"the field {field.name!r} of {cls.__qualname__} is missing: give it a default in the class")


def _rebuild_model(cls: type[Any], fields: dict[str, object]) -> object:
    model = _blank(cls)
    own: dict[str, object] = {}
    for name, field in cls.__pydantic_fields__.items():
        if name in fields:
            own[name] = fields[name]
        elif field.is_required():
            raise ValueError(f"the field {name!r} of {cls.__qualname__} is missing: give it a default in the class")
        else:
            own[name] = field.get_default(call_default_factory=True, validated_data=own)
    extra = {name: value for name, value in fields.items() if name not in own}
    allows_extra = cls.model_config.get("extra") == "allow"
    if extra and not allows_extra:
        raise ValueError(f"the class {cls.__qualname__} has no field {next(iter(extra))!r} any more")
    # What pydantic itself does when it unpickles or copies a model.
    model.__setstate__(
        {
            "__dict__": own,
            "__pydantic_fields_set__": set(fields),
            "__pydantic_extra__": extra if allows_extra else None,
            "__pydantic_private__": _private(cls, own),
        }
    )
    return model


def _private(cls: type[Any], own: dict[str, object]) -> dict[str, object] | None:
    """Return the private attributes of a model as they are in a new one."""
    if not cls.__private_attributes__:
        return None
    from pydantic_core import PydanticUndefined

    private: dict[str, object] = {}
    for name, attribute in cls.__private_attributes__.items():
        factory = attribute.default_factory
        if factory is None:
            value = attribute.get_default()
        elif getattr(attribute, "default_factory_takes_validated_data", False):  # not every pydantic has it
            value = factory({**own, **private})
        else:
            value = factory()
        if value is not PydanticUndefined:
            private[name] = value
    return private


def member_of(member: enum.Enum) -> str | int:
    """Return what tells an enum member: its name, or for flags, which combine, the number."""
    if isinstance(member, enum.Flag):
        return member.value
    checked_text(member.name)
    return member.name


def rebuild_member(cls: type[Any], member: object) -> object:
    """Return the member that `member_of` told; one that the enum has lost is a ValueError."""
    if issubclass(cls, enum.Flag):
        if type(member) is not int:
            raise ValueError(f"a member of {cls.__qualname__} must be told by its number")
        return cls(member)
    members: dict[str, object] = dict(cls.__members__)
    if not isinstance(member, str) or member not in members:
        raise ValueError(f"the enum {cls.__qualname__} has no member {member!r} any more")
    return members[member]
