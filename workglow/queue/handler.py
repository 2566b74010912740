"""Handlers: the functions that jobs name, and the registry that says which name means which function."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, overload

from workglow.errors import JobInputError, PortError, TaskConfigurationError, UnknownHandlerError
from workglow.queue.function_place import place_of_function
from workglow.queue.settings import is_seconds
from workglow.retry import Retry
from workglow.tasks.signature import names_around, signature_of
from workglow.tasks.suspension import mode_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from workglow.values import Columns

__all__ = ["Executor", "Handler", "HandlerRegistry", "Judgement", "handler_registry", "job"]

Executor = Literal["process"]


class Judgement(NamedTuple):
    """What is kept of a failure: the exception, facts for programs, and whether the job is tried again."""

    error: BaseException
    facts: Mapping[str, object] | None = None
    again: bool = False


class Handler:
    """A function that jobs can name.  Calling it calls the function.

    `retry` and `timeout` (seconds) hold for its jobs unless the job says otherwise; None means what the queue says.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        inline: bool = False,
        executor: Executor | None = None,
        judge: Callable[[BaseException], Judgement] | None = None,
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", "")
        if not self.name or self.name == "<lambda>":
            raise TaskConfigurationError(f"{function!r} has no name that a job could keep; give @job(name=…).")
        if not isinstance(cast("object", retry), Retry | None):
            raise TaskConfigurationError(f"{self.name}: retry={retry!r:.60}: give a Retry: Retry(attempts=5, delay=1).")
        if timeout is not None and (not is_seconds(timeout) or timeout == 0):
            raise TaskConfigurationError(f"{self.name}: timeout={timeout!r:.60}: give seconds, more than 0.")
        if executor not in (None, "process"):
            raise TaskConfigurationError(f"{self.name}: executor={executor!r:.60}: 'process', or None.")
        self.retry = retry
        self.timeout = timeout
        self.executor = executor
        self.judge = judge
        """Says what is kept of a failure, in the place of the queue's own judgement."""
        self.mode = "process" if executor == "process" else mode_of(function, inline=inline)
        if self.mode == "stream":
            raise TaskConfigurationError(f"{self.name} is a generator; a job has one result, so return a list.")
        self.place = place_of_function(function, self.name) if executor == "process" else None
        self._signature = signature_of(function, names_around(function))
        self._check = self._signature.inputs.check
        self.context = self._signature.context
        self.at_once = self.mode in ("step", "inline")
        """Whether it is over when the call returns."""
        if self._signature.positional:
            raise TaskConfigurationError(
                f"{self.name}: inputs are given by name, so {', '.join(self._signature.positional)} must not be "
                "positional only."
            )
        self.__name__ = self.name
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.function(*args, **keywords)

    def __repr__(self) -> str:
        return f"<handler {self.name}>"

    def check(self, inputs: dict[str, object], number: int | None = None) -> dict[str, object]:
        """Return the inputs, each as its parameter's type; JobInputError when the function does not take them.

        `number` says which of many inputs these are.
        """
        try:
            return self._check(inputs)
        except PortError as error:
            place = "" if number is None else f", inputs[{number}]"
            raise JobInputError(f"Job {self.name!r}{place}: input {error}") from error

    def all_fit(self, columns: Columns) -> bool:
        """Say whether `check` would return many inputs as they are."""
        return self._signature.inputs.all_fit(columns)


class HandlerRegistry:
    """Which name in a file means which function: an allow-list, never an import path."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def register(self, handler: Handler) -> Handler:
        """Let jobs name this handler.  A name that means another function already is a TaskConfigurationError."""
        known = self._handlers.get(handler.name)
        if known is not None and not _same(known.function, handler.function):
            raise TaskConfigurationError(
                f"There is a handler {handler.name!r} already: {known.function!r}.  Give this one another name: "
                "@job(name=…)."
            )
        self._handlers[handler.name] = handler
        return handler

    def find(self, name: str) -> Handler | None:
        """Return a handler, or None when no handler has this name."""
        return self._handlers.get(name)

    def get(self, name: str) -> Handler:
        """Return a handler, or raise UnknownHandlerError, which has the nearest names."""
        handler = self.find(name)
        if handler is None:
            near = difflib.get_close_matches(name, tuple(self), n=3)
            hint = f"Did you mean {', '.join(near)}?" if near else "Import the module that defines it."
            raise UnknownHandlerError(f"No handler {name!r} is registered.  {hint}")
        return handler

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._handlers)

    def __len__(self) -> int:
        return len(self._handlers)


def _same(one: Any, other: Any) -> bool:
    """Whether a module that was loaded again registers what it had registered."""
    names = [(getattr(each, "__module__", None), getattr(each, "__qualname__", None)) for each in (one, other)]
    return one is other or (names[0] == names[1] and "<locals>" not in str(names[0][1]))


handler_registry = HandlerRegistry()
"""The registry that `@job` fills."""


@overload
def job(function: Callable[..., Any], /) -> Handler: ...


@overload
def job(
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    inline: bool = False,
    executor: Executor | None = None,
    registry: HandlerRegistry = handler_registry,
) -> Callable[[Callable[..., Any]], Handler]: ...


def job(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
    inline: bool = False,
    executor: Executor | None = None,
    registry: HandlerRegistry = handler_registry,
) -> Handler | Callable[[Callable[..., Any]], Handler]:
    """Let jobs name this function: `@job`, or `@job(name="embed", retry=Retry(5, delay=1), timeout=30)`.

    An `async def` runs on the worker's event loop, a plain function in a thread, or in place with `inline=True`, or
    with `executor="process"` in a process of its own, which is killed at a timeout or an abort.
    """

    def register(function: Callable[..., Any]) -> Handler:
        return registry.register(
            Handler(function, name=name, retry=retry, timeout=timeout, inline=inline, executor=executor)
        )

    return register if function is None else register(function)
