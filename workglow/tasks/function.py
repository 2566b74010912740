"""`@task`: a function becomes a task and stays a function."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, TypeVar, overload

from workglow.errors import TaskConfigurationError, TaskOutputError
from workglow.tasks.derived import Derived
from workglow.tasks.fields import values_of
from workglow.tasks.ports import Ports
from workglow.tasks.registry import task_registry
from workglow.tasks.signature import Signature, names_around, output_ports, signature_of
from workglow.tasks.stream import as_stream, stream_mode
from workglow.tasks.suspension import mode_of
from workglow.tasks.task import Task

if TYPE_CHECKING:
    from workglow.retry import Retry
    from workglow.tasks.context import TaskContext
    from workglow.tasks.entitlements import Entitlement

__all__ = ["FunctionTask", "TaskFunction", "task"]

_OPTIONS = (
    *("name", "output", "inline", "version", "cache", "side_effects", "timeout", "retry", "queue", "on_interrupt"),
    *("title", "description", "category", "entitlements", "preview"),
)
_NOT_IN_PORTS = re.compile(r"[\[\]*]|==>")

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class FunctionTask(Task):
    """The task of a function; each function has a subclass of its own."""

    function: ClassVar[Callable[..., Any]]
    output: ClassVar[str | None] = None
    previewer: ClassVar[Callable[..., Any] | None] = None
    _known: ClassVar[dict[str, Any]] = {}
    _signature: ClassVar[Signature]
    _returns: ClassVar[tuple[Ports, str | None]]
    _single: ClassVar[tuple[str, frozenset[type]]]
    _called_plainly: ClassVar[bool]

    def call(self, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        if self._called_plainly:
            return self.function(**inputs)
        signature = self._signature
        named = dict(inputs)
        for name in signature.inputs.streaming:
            named[name] = as_stream(named[name], stream_mode(signature.inputs[name].schema) or "append")
        if signature.context is not None:
            named[signature.context] = context
        return self.function(*[named.pop(name) for name in signature.positional], **named)

    def preview(self, inputs: dict[str, Any], context: TaskContext | None) -> Any:
        if self.previewer is None:
            return None
        own = self.previewer is self.function
        result = self.call(inputs, context) if own else self.previewer(**inputs)
        if inspect.isawaitable(result):
            return self._previewed(result)
        return None if result is None and not own else self.to_outputs(result)

    async def _previewed(self, result: Awaitable[Any]) -> dict[str, Any]:
        return self.to_outputs(await result)

    @classmethod
    def has_preview(cls) -> bool:
        return cls.previewer is not None

    def to_outputs(self, result: Any) -> dict[str, Any]:
        name, fitting = self._single
        if type(result) in fitting:  # the way that nearly every result goes; anything else is looked at closely
            return {name: result}
        if name:
            return self._checked_outputs({name: result})
        values = {} if result is None else values_of(result)
        if values is None:
            kind = type(result).__name__
            raise TaskOutputError(f"{self._who}: returned {kind} {result!r:.60}, but {self._promise()}.")
        return self._checked_outputs(values)

    def _promise(self) -> str:
        names = ", ".join(self.outputs)
        return f"declares the ports {names}" if names else "declares `-> None`; change the annotation"

    @classmethod
    def _derive__signature(cls) -> Signature:
        return signature_of(cls.function, cls._known)

    @classmethod
    def _derive__returns(cls) -> tuple[Ports, str | None]:
        return output_ports(cls._signature.returned, cls.output, stream=cls._derive_mode() == "stream")

    @classmethod
    def _derive__single(cls) -> tuple[str, frozenset[type]]:
        ports, name = cls._returns
        return (name or "", ports.fitting(name) if name else frozenset())

    @classmethod
    def _derive__called_plainly(cls) -> bool:
        signature = cls._signature
        return signature.context is None and not signature.positional and not signature.inputs.streaming

    @classmethod
    def _derive_inputs(cls) -> Ports:
        return cls._signature.inputs

    @classmethod
    def _derive_outputs(cls) -> Ports:
        return cls._returns[0]

    @classmethod
    def _derive_mode(cls) -> str:
        return mode_of(cls.function, inline=cls.inline, reads_streams=bool(cls._signature.inputs.streaming))

    @classmethod
    def _derive_needs_context(cls) -> bool:
        return cls._signature.context is not None

    @classmethod
    def _derive_version(cls) -> str:
        from workglow.tasks.version import code_version

        return code_version(cls.function)


class TaskFunction(Generic[Parameters, Result]):
    """A function under `@task`: call it as before, or use it in a graph.

    `task_type` is its class of tasks; `task(id=…, text="…")` makes one, with values for some of its inputs.
    """

    task_type: type[FunctionTask]

    def __init__(self, function: Callable[Parameters, Result], task_type: type[FunctionTask]) -> None:
        self._function = function
        self.task_type = task_type
        update_wrapper(self, function)

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return self._function(*args, **kwargs)

    def task(self, *, id: str | None = None, **defaults: Any) -> FunctionTask:
        """Return a task of this function; a parameter that is itself called `id` goes into `task_type(defaults=…)`."""
        return self.task_type(id=id, defaults=defaults) if defaults else self.task_type(id=id)

    def __repr__(self) -> str:
        return f"<task {self.task_type.type}>"


@overload
def task(function: Callable[Parameters, Result], /) -> TaskFunction[Parameters, Result]: ...
@overload
def task(
    *,
    name: str | None = None,
    output: str | None = None,
    inline: bool = False,
    version: str | None = None,
    cache: bool | None = None,
    side_effects: bool = False,
    timeout: float | None = None,
    retry: Retry | None = None,
    queue: str | None = None,
    on_interrupt: str = "retry",
    title: str | None = None,
    description: str | None = None,
    category: str | None = None,
    entitlements: tuple[str | Entitlement, ...] = (),
    preview: bool | Callable[..., Any] = False,
) -> Callable[[Callable[Parameters, Result]], TaskFunction[Parameters, Result]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function: its parameters are the inputs, what it returns is the output.

    A parameter annotated `TaskContext` is given the context; one annotated `Stream[str]` or `AsyncIterator[str]` is
    read while the task before still writes it.  An async generator streams what it yields.  A returned dataclass,
    TypedDict, NamedTuple, pydantic model or msgspec.Struct gives a port for each field; anything else one port, called
    `output` or as `output=` says.

    `inline=True`: a plain function quick enough to be called on the loop; otherwise it runs in a thread.
    `side_effects=True`: never cached, and `on_interrupt` ("retry", "ask", "fail") says what happens after a crash in
    the middle of it.  `version` stands in for the digest of the code.  `timeout` is in seconds.
    `queue`: in a run that is kept, a worker of that queue does it, in whatever process.
    `preview=True`: quick and without effects, so the function is its own preview; or a function of the same inputs that
    gives one, or None when nothing can be said.

    Raises TaskConfigurationError for options that make no sense and for a name that another function has.
    """
    if function is None:
        return lambda decorated: task_function(decorated, register=True, **options)  # pyright: ignore
    return task_function(function, register=True, **options)


def task_function(function: Any, *, register: bool, name: str | None = None, **options: Any) -> TaskFunction[..., Any]:
    """Wrap a function, and register its type when it is one that data may name."""
    if not callable(function) or inspect.isclass(function):
        raise TaskConfigurationError(f"@task needs a function; for {function!r} write a class that inherits Task.")
    own_name = getattr(function, "__name__", type(function).__name__)
    task_type = _task_type(function, name or own_name, options)
    if register:
        task_registry.register(task_type)
    return TaskFunction(function, task_type)


def _check_options(name: str, options: dict[str, Any]) -> None:
    for option in options:
        if option not in _OPTIONS:
            near = difflib.get_close_matches(option, _OPTIONS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" The options are {', '.join(_OPTIONS)}."
            raise TaskConfigurationError(f"@task {name}: {option!r} is not known.{hint}")
    output = options.get("output")
    if output is not None and not (isinstance(output, str) and output and not _NOT_IN_PORTS.search(output)):
        raise TaskConfigurationError(f"@task {name}: output={output!r}; give the name of a port, such as 'text'.")


def _task_type(function: Any, name: str, options: dict[str, Any]) -> type[FunctionTask]:
    _check_options(name, options)
    given = {key: value for key, value in options.items() if value is not None}
    if "cache" in given:
        given["cacheable"] = given.pop("cache")
    if given.get("side_effects") and given.get("cacheable"):
        raise TaskConfigurationError(f"@task {name}: a task with side effects is never cached; leave out cache=True.")
    preview = given.pop("preview", False)
    if preview is True and (given.get("side_effects") or inspect.isasyncgenfunction(function)):
        raise TaskConfigurationError(
            f"@task {name}: a stream, or what has side effects, cannot be its own preview; give preview=a function."
        )
    previewer = function if preview is True else preview or None
    namespace: dict[str, Any] = {
        "previewer": None if previewer is None else staticmethod(previewer),
        "description": inspect.getdoc(function) or "",
        **given,
        "__doc__": function.__doc__,
        "__module__": getattr(function, "__module__", "__main__"),
        "__qualname__": getattr(function, "__qualname__", name),
        "type": name,
        "function": staticmethod(function),
        "_known": names_around(function),
        "_signature": Derived(),
        "_returns": Derived(),
        "_single": Derived(),
        "_called_plainly": Derived(),
    }
    task_type = type(name, (FunctionTask,), namespace)
    mode_of(function, inline=task_type.inline)  # refuses a plain generator where it is decorated
    return task_type
