"""What a task was given when it was made, and that it cannot be changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from workglow.errors import PortError, TaskInputError
from workglow.tasks.clone import clone, is_mutable
from workglow.tasks.configuration import check_config, check_option, freeze

if TYPE_CHECKING:
    from pydantic import BaseModel

    from workglow.retry import Retry
    from workglow.tasks.ports import Ports

__all__ = ["Definition"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_FIXED = frozenset(
    {"id", "title", "description", "defaults", "config", "extras", "timeout", "retry", "queue", "cacheable", "type"}
)


class Definition:
    """The part of a task that is said once: an instance keeps only what differs from its class."""

    type: ClassVar[str] = "Task"
    title: ClassVar[str] = ""
    description: ClassVar[str] = ""
    timeout: ClassVar[float | None] = None
    retry: ClassVar[Retry | None] = None
    queue: ClassVar[str | None] = None
    cacheable: ClassVar[bool] = True
    Config: ClassVar[type[BaseModel] | None] = None

    id: str = ""
    config: Mapping[str, Any] = _EMPTY
    extras: Mapping[str, Any] = _EMPTY
    from_data: bool = False  # read from a file or from JSON, rather than made by the program

    has_defaults: bool = False
    _defaults: Mapping[str, Any] = _EMPTY
    _copies_defaults = False

    if TYPE_CHECKING:

        @property
        def inputs(self) -> Ports:
            """What goes in."""
            ...

    def __init__(
        self,
        *,
        id: str | None = None,
        title: str | None = None,
        description: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        extras: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        queue: str | None = None,
        cache: bool | None = None,
        **config: Any,
    ) -> None:
        if id is not None:
            check_option(self.__class__, "id", id)
            self.__dict__["id"] = id
        if config or self.Config is not None:
            self.__dict__["config"] = check_config(self.__class__, self.Config, config)
        if title is not None or description is not None or extras is not None or cache is not None:
            self._set(title=title, description=description, extras=extras, cache=cache)
        if timeout is not None or retry is not None or queue is not None:
            self._set(timeout=timeout, retry=retry, queue=queue)
        if defaults:
            self._set_defaults(defaults)
        self.check_definition()

    def check_definition(self) -> None:
        """Refuse a configuration whose parts do not fit together, with a TaskConfigurationError.

        It is called when a task is made and when its configuration is replaced.
        """

    def replace(
        self,
        *,
        id: str | None = None,
        title: str | None = None,
        description: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        extras: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        queue: str | None = None,
        cache: bool | None = None,
        **config: Any,
    ) -> Self:
        """Return a task that differs in what is given.  `defaults` take the place of all earlier ones."""
        changed = object.__new__(self.__class__)
        changed.__dict__.update(self.__dict__)
        if id is not None:
            check_option(self.__class__, "id", id)
            changed.__dict__["id"] = id
        if config:
            changed.__dict__["config"] = check_config(self.__class__, self.Config, config, self.config)
        if title is not None or description is not None or extras is not None or cache is not None:
            changed._set(title=title, description=description, extras=extras, cache=cache)
        if timeout is not None or retry is not None or queue is not None:
            changed._set(timeout=timeout, retry=retry, queue=queue)
        if defaults is not None:
            changed._set_defaults(defaults)
        if config or retry is not None or queue is not None:
            changed.check_definition()
        return changed

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The values given for inputs.  What is read is the reader's own: no list in it is shared."""
        if self._copies_defaults:
            return MappingProxyType({name: _private(value) for name, value in self._defaults.items()})
        return self._defaults

    def _set(self, **options: Any) -> None:
        for name, value in options.items():
            if value is not None:
                check_option(self.__class__, name, value)
                kept = MappingProxyType(freeze(value)) if name == "extras" else value
                self.__dict__["cacheable" if name == "cache" else name] = kept

    def _set_defaults(self, defaults: Mapping[str, Any]) -> None:
        check_option(self.__class__, "defaults", defaults)
        try:
            checked = self.inputs.check_given(freeze(defaults))
        except PortError as error:
            raise TaskInputError(f"{self._who}: default {error}") from None
        self.__dict__["_defaults"] = MappingProxyType(checked)
        self.__dict__["has_defaults"] = bool(checked)
        self.__dict__["_copies_defaults"] = any(
            is_mutable(value) and not _is_frozen(value) for value in checked.values()
        )

    def __setattr__(self, name: str, value: object) -> None:
        if name in _FIXED:
            raise AttributeError(f"{self._who} cannot be changed; use task.replace({name}=…), which gives a new task.")
        object.__setattr__(self, name, value)

    @property
    def _who(self) -> str:
        return f"Task {self.id!r} ({self.type})" if self.id else f"Task {self.type}"

    def __repr__(self) -> str:
        return f"<{self.type} {self.id!r}>" if self.id else f"<{self.type}>"


def _is_frozen(value: Any) -> bool:
    return hasattr(value, "setflags")  # an array, which `freeze` made read-only


def _private(value: Any) -> Any:
    return value if _is_frozen(value) else clone(value)
