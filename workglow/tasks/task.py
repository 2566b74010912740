"""Task: the immutable definition of one piece of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import cleandoc, isasyncgenfunction
from typing import TYPE_CHECKING, Any, ClassVar, cast

from workglow.errors import PortError, TaskConfigurationError, TaskInputError, TaskOutputError
from workglow.tasks.configuration import check_class, check_ports
from workglow.tasks.definition import Definition
from workglow.tasks.derived import Derived, renew
from workglow.tasks.entitlements import Entitlement, required
from workglow.tasks.fields import is_structure, make, values_of
from workglow.tasks.fit import faults_of
from workglow.tasks.method import Method, method_of, own_methods
from workglow.tasks.ports import Ports
from workglow.tasks.stream import as_stream, stream_mode
from workglow.tasks.suspension import mode_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from workglow.tasks.context import TaskContext

__all__ = ["Task"]

_DERIVED = ("inputs", "outputs", "mode", "needs_context", "version", "formats", "guarded", "_method", "_preview")


class Task(Definition):
    """One piece of work with typed inputs and outputs.  It holds no run state, so one task serves any number of runs.

    A subclass writes `execute(inputs, context)` (plain or async), or `execute_stream` (an async generator), and
    declares `Input` and `Output` as pydantic models; `Config` holds what is fixed when the task is made.
    `execute_preview` answers in under a millisecond while someone edits.  `inline=True` says that a plain `execute`
    is quick enough to be called on the loop.

    `defaults` are values for inputs that no edge feeds; they are copied, so later changes outside have no effect.
    `timeout` is in seconds.  With `queue`, a worker of that queue does it in a run that is kept.
    Raises TaskConfigurationError for what the class does not understand and
    TaskInputError for a default that does not fit its port.
    """

    category: ClassVar[str] = ""
    side_effects: ClassVar[bool] = False
    inline: ClassVar[bool] = False
    has_body: ClassVar[bool] = True  # that a worker of a queue could run
    on_interrupt: ClassVar[str] = "retry"
    continues_streams: ClassVar[bool] = False  # asks `context.earlier_text`, and goes on from there
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ()
    spends: ClassVar[bool] = False  # takes of models what a run's budget limits
    picks_queue: ClassVar[bool] = False  # has `queue_for`, which says by the inputs whose workers do it
    switches_ports: ClassVar[bool] = False  # has `inactive_ports` and `is_optional`, as ConditionalTask has
    Input: ClassVar[type[BaseModel] | None] = None
    Output: ClassVar[type[BaseModel] | None] = None

    if TYPE_CHECKING:
        _method: Method | None
        _preview: Method | None

        @property
        def outputs(self) -> Ports:
            """What comes out."""
            ...

        @property
        def mode(self) -> str:
            """How it is called: "inline", "step", "async", "thread", "stream" or "compound"."""
            ...

        @property
        def needs_context(self) -> bool:
            """Whether `call` wants a TaskContext."""
            ...

        version: ClassVar[str]
        """What the class gives as its version, else a digest of its code."""

        formats: ClassVar[frozenset[str]]
        """The formats that its ports speak of; names in them are resolved before it runs."""

        guarded: ClassVar[bool]
        """Whether it may need an entitlement, its own or that of a name that is resolved."""
    else:
        inputs = Derived()
        outputs = Derived()
        mode = Derived()
        needs_context = Derived()
        version = Derived()
        formats = Derived()
        guarded = Derived()
        _method = Derived()
        _preview = Derived()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "type" not in vars(cls):
            cls.type = cls.__name__
        if "description" not in vars(cls) and vars(cls).get("__doc__"):
            cls.description = cleandoc(cls.__doc__ or "")
        check_class(cls)
        renew(cls, _DERIVED)

    def call(self, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        """Do the work on checked inputs: the result, a coroutine or an async generator, as `mode` says."""
        method = self._method
        if method is None:
            return self._nothing_to_run()
        return self._called(method, inputs, context)

    @classmethod
    def has_preview(cls) -> bool:
        """Whether something can be said about its outputs without running it."""
        return hasattr(cls, "execute_preview")

    def preview(self, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        """Call `execute_preview` on checked inputs: its result or a coroutine; None when the task has no preview."""
        return None if self._preview is None else self._called(self._preview, inputs, context)

    def _called(self, method: Method, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        if self.inputs.streaming:
            ports = self.inputs
            read = {
                name: as_stream(inputs[name], stream_mode(ports[name].schema) or "append") for name in ports.streaming
            }
            inputs = {**inputs, **read}
        try:
            given = inputs if method.model is None else make(method.model, inputs)
        except ValueError as error:  # a validator of the author's model
            reason = faults_of(cast("Any", error)) if hasattr(error, "errors") else str(error)
            raise TaskInputError(f"{self._who}: {reason}") from error
        return method.function(self, given, context) if method.takes_context else method.function(self, given)

    def cache_identity(self, inputs: dict[str, Any], project: object) -> dict[str, Any]:
        """Return what its outputs are found again by, in place of its inputs, when these alone do not say it."""
        return inputs

    def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
        """What it must be allowed to do: with its inputs, when they are known, else in general."""
        return required(self.entitlements, inputs)

    @classmethod
    def asks_by_inputs(cls) -> bool:
        """Whether what it needs depends on its inputs, so that it is known only when it is about to run."""
        declared = (one if isinstance(one, Entitlement) else Entitlement.parse(one) for one in cls.entitlements)
        return cls.required_entitlements is not Task.required_entitlements or any(one.ports() for one in declared)

    def check_inputs(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with defaults of the ports filled in; TaskInputError names task, port and reason."""
        try:
            return self.inputs.check(values)
        except PortError as error:
            raise TaskInputError(f"{self._who}: input {error}") from None

    def to_outputs(self, result: Any) -> dict[str, Any]:
        """Return what `execute` gave as values of the output ports; TaskOutputError names task, port and reason."""
        values = {} if result is None else values_of(result)
        if values is None:
            raise TaskOutputError(
                f"{self._who}: returned {_a(result)}; return its Output, or a mapping with the ports "
                f"{', '.join(self.outputs) or '(none)'}."
            )
        return self._checked_outputs(values)

    def _checked_outputs(self, values: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.outputs.check(values)
        except PortError as error:
            raise TaskOutputError(f"{self._who}: output {error}") from None

    def _nothing_to_run(self) -> dict[str, Any]:
        if self._preview is not None:
            raise TaskConfigurationError(
                f"{self._who} implements only execute_preview and cannot be run; write execute() or execute_stream()."
            )
        own = own_methods(self.__class__, Task)
        if own or self.Input is not None or self.Output is not None:
            uncalled = f"  Its own {', '.join(f'{name}()' for name in own)} is never called." if own else ""
            raise TaskConfigurationError(
                f"{self._who} has nothing to run: write execute(self, inputs, context), or execute_stream(self, "
                f"inputs, context) as an async generator.{uncalled}"
            )
        return {}  # it takes nothing, gives nothing and says nothing: a point where edges meet

    if TYPE_CHECKING:
        execute: ClassVar[Callable[..., Any]]
        """`execute(self, inputs, context)`, written by the author: returns an `Output` or a mapping; may be async."""
        execute_stream: ClassVar[Callable[..., Any]]
        """`execute_stream(self, inputs, context)`: the same piece by piece, as an async generator."""
        execute_preview: ClassVar[Callable[..., Any]]
        """`execute_preview(self, inputs, context)`: what can be said in under a millisecond; None when nothing can."""

    @classmethod
    def _derive__method(cls) -> Method | None:
        for name in ("execute_stream", "execute"):
            if hasattr(cls, name):
                return method_of(cls, name)
        return None

    @classmethod
    def _derive__preview(cls) -> Method | None:
        return method_of(cls, "execute_preview") if hasattr(cls, "execute_preview") else None

    @classmethod
    def _derive_mode(cls) -> str:
        method: Method | None = cls._method  # pyright: ignore[reportGeneralTypeIssues]
        if method is None:
            return "inline"
        return mode_of(method.function, inline=cls.inline, reads_streams=bool(cls._derive_inputs().streaming))

    @classmethod
    def _derive_needs_context(cls) -> bool:
        method: Method | None = cls._method  # pyright: ignore[reportGeneralTypeIssues]
        return method is not None and method.takes_context

    @classmethod
    def _derive_inputs(cls) -> Ports:
        if cls.Input is not None:
            return Ports.from_model(cls.Input)
        for method in (cls._method, cls._preview):
            if method is not None and method.model is not None:
                return Ports.from_model(method.model)
        return Ports(open=cls is Task)

    @classmethod
    def _derive_outputs(cls) -> Ports:
        method = cls._method
        if cls.Output is not None:
            ports = Ports.from_model(cls.Output)
            return ports.written_as_streams() if method is not None and cls._streams(method) else ports
        if method is not None and is_structure(method.returned):
            return Ports.from_model(method.returned)
        return Ports(open=True)

    @staticmethod
    def _streams(method: Method) -> bool:
        return isasyncgenfunction(method.function)

    @classmethod
    def _derive_formats(cls) -> frozenset[str]:
        from workglow.tasks.formats import formats_of

        # Not of task types whose ports differ from task to task: they pass on what they are given.
        ports: tuple[object, ...] = (cls.inputs, cls.outputs)
        return formats_of(*ports)

    @classmethod
    def _derive_guarded(cls) -> bool:
        own = cls.required_entitlements is not Task.required_entitlements
        check_ports(cls, cls.entitlements, cls.inputs)
        return own or bool(cls.entitlements) or bool(cls.formats)

    @classmethod
    def _derive_version(cls) -> str:
        from workglow.tasks.version import code_version

        return code_version(cls)


def _a(result: object) -> str:
    return f"{result!r:.60} of type {type(result).__name__}"
