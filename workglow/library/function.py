"""LambdaTask: a function that is given when the task is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import TaskConfigurationError
from workglow.tasks import Ports, Task
from workglow.tasks.suspension import mode_of

if TYPE_CHECKING:
    from workglow.tasks import TaskContext

__all__ = ["LambdaTask"]


_ANYTHING = Ports(open=True)


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    execute: Callable[..., Any] | None = None
    execute_preview: Callable[..., Any] | None = Field(default=None, alias="executePreview")


class LambdaTask(Task):
    """Call `execute(inputs)` or `execute(inputs, context)` with all inputs; it returns a mapping of output ports.

    The function may be plain, async, or an async generator, and runs as one under `@task` would.  The task holds code,
    so it can be neither stored nor cached: what is to survive the process is a function under `@task`.
    """

    type: ClassVar[str] = "LambdaTask"
    title: ClassVar[str] = "Lambda Task"
    description: ClassVar[str] = "Calls a function that was given when the task was made."
    category: ClassVar[str] = "Hidden"
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    cacheable: ClassVar[bool] = False
    Config: ClassVar[type[BaseModel] | None] = _Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._calls = _calls(self.config)

    def replace(self, **changes: Any) -> Self:
        """Return a task that differs in what is given."""
        made = super().replace(**changes)
        made._calls = _calls(made.config)
        return made

    @property
    def inputs(self) -> Ports:
        """Anything."""
        return _ANYTHING

    @property
    def outputs(self) -> Ports:
        """Whatever the function returns."""
        return _ANYTHING

    @property
    def mode(self) -> str:
        """How the function has to be called."""
        return self._calls.mode

    @property
    def needs_context(self) -> bool:
        """Whether the function takes a second argument."""
        return self._calls.needs_context

    def call(self, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        """Call the function; without one there are no outputs."""
        function = self.config["execute"]
        if function is None:
            return self._nothing_to_run()
        return function(inputs, context) if self._calls.needs_context else function(inputs)

    def preview(self, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        """Call the preview function, if there is one."""
        function = self.config["execute_preview"]
        if function is None:
            return None
        return function(inputs, context) if _takes_context(function) else function(inputs)

    def _nothing_to_run(self) -> dict[str, Any]:
        raise TaskConfigurationError(f"{self._who} has only a preview and cannot be run; give it execute=….")


class _Calls(NamedTuple):
    mode: str
    needs_context: bool


def _calls(config: Mapping[str, Any]) -> _Calls:
    function = config["execute"]
    if function is None:
        if config["execute_preview"] is None:
            raise TaskConfigurationError("LambdaTask needs a function; give it execute=….")
        return _Calls("inline", False)
    return _Calls(mode_of(function, inline=False), _takes_context(function))


def _takes_context(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    places = sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    return places > 1
