"""What a running task may ask of the run around it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from workglow.clock import Clock, SystemClock
from workglow.errors import InvalidValueError, TaskConfigurationError
from workglow.tasks.signal import CancelSignal
from workglow.tasks.usage import Usage
from workglow.telemetry import span

if TYPE_CHECKING:
    from workglow.tasks.answer import Answer

__all__ = ["TaskContext"]

Resource = TypeVar("Resource")

_CLOCK = SystemClock()


class TaskContext:
    """Given to a task that asks for it: who it is, whether to stop, and where to report progress.

    `run_id` and `path` name the run and the task in it (`map[3]/summary`); both are empty outside a run.
    `attempt` counts from 1.  `clock` is the project's; `registry` is the task registry
    of the run, `project` the open project; both may be None.
    """

    __slots__ = (
        "_allows",
        "_asks",
        "_earlier",
        "_fraction",
        "_key",
        "_on_progress",
        "_on_usage",
        "_project_uid",
        "_resources",
        "attempt",
        "clock",
        "path",
        "project",
        "registry",
        "run_id",
        "signal",
    )

    def __init__(
        self,
        *,
        run_id: str = "",
        path: str = "",
        attempt: int = 1,
        signal: CancelSignal | None = None,
        clock: Clock = _CLOCK,
        registry: Any = None,
        project: Any = None,
        project_uid: str = "",
        idempotency_key: str | None = None,
        on_progress: Callable[[float, str], None] | None = None,
        on_usage: Callable[[str, Usage], None] | None = None,
        is_allowed: Callable[..., bool] | None = None,
        asks: Callable[..., Awaitable[Answer]] | None = None,
        earlier: Callable[[str], str] | None = None,
    ) -> None:
        self.run_id = run_id
        self.path = path
        self.attempt = attempt
        self.signal = CancelSignal() if signal is None else signal
        self.clock = clock
        self.registry = registry
        self.project = project
        self._project_uid = project_uid
        self._key = idempotency_key
        self._on_progress = on_progress
        self._on_usage = on_usage
        self._allows = is_allowed
        self._asks = asks
        self._earlier = earlier
        self._fraction = 0.0
        self._resources: list[object] | None = None

    @property
    def idempotency_key(self) -> str:
        """64 hex digits that are the same for every attempt of this task in this run, and for no other.

        Give it to a payment or mail service, so that a repeat after a crash has no second effect.
        """
        if self._key is None:
            identity = "\n".join((self._project_uid, self.run_id, self.path))
            self._key = hashlib.sha256(identity.encode()).hexdigest()
        return self._key

    def is_allowed(self, entitlement: str, *resources: str) -> bool:
        """Say whether the run may do something, for a task that can do without it or learns late what it needs.

        `context.is_allowed("network", "example.com")`; without resources: any of them.
        """
        return self._allows is None or self._allows(entitlement, *resources)

    def progress(self, fraction: float, message: str = "") -> None:
        """Report how much is done, from 0 to 1.  Progress never goes back: a smaller figure counts as no advance."""
        self._fraction = max(self._fraction, min(float(fraction), 1.0))  # in this order NaN changes nothing
        if self._on_progress is not None:
            self._on_progress(self._fraction, message)

    def earlier_text(self, port: str) -> str:
        """Return what an attempt that a crash cut off had streamed from this port; '' when there is nothing of it.

        Only for a task whose class says `continues_streams`.  It is then the beginning of the value: the task has to
        yield what comes behind it, and whoever follows hears of no restart.  A task that cannot go on from there does
        not call this.  Raises TaskConfigurationError when the task has yielded something already.
        """
        return "" if self._earlier is None else self._earlier(port)

    def record_usage(
        self,
        model: str = "",
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        model_seconds: float = 0.0,
        cost: float = 0.0,
    ) -> None:
        """Add to what this attempt took of a model; it counts also when the attempt fails.

        It is kept with the task, and added up for the task, the model and the run.  `cost` is in a currency of your
        choice, the same everywhere.  May be called from any thread; raises InvalidValueError for what is no amount.
        """
        if not isinstance(model, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidValueError(f"model is {model!r}; a usage takes the name of a model.")
        usage = Usage.checked(input_tokens, output_tokens, model_seconds, cost)
        if self._on_usage is not None:
            self._on_usage(model, usage)

    def span(self, name: str, **attributes: str | int | float | bool) -> AbstractContextManager[None]:
        """Trace a part of the work: `with context.span("tokenize", words=300):`.  Without a tracer nothing happens."""
        return span(name, attributes)

    async def ask(
        self,
        message: str,
        schema: Mapping[str, Any] | type | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        target: str = "default",
        timeout: float | None = None,
        default: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Ask a person, and wait for the answer; a task may do so any number of times.

        `schema` is the JSON Schema of the answer, an object, or a model; without one the answer is a text called
        `answer`.  `data` is shown with the message, `target` names who is asked.  After `timeout` seconds the answer is
        `default`, with the action "default"; without a default a TaskTimeoutError is raised.  The task's own timeout
        stands still meanwhile.

        The process may end while it waits.  Whoever goes on with the run calls the task anew, and each question that
        was answered has its answer at once; so a task has to ask the same questions in the same order, and what stands
        between them is done again.  Raises QuestionChangedError when a turn asks something else than what was answered,
        and TaskConfigurationError in a task that cannot wait: only an `async def` that a graph runs can, unless it
        streams.
        """
        if self._asks is None:
            raise TaskConfigurationError(
                f"{f'Task {self.path!r}' if self.path else 'This task'} cannot ask: write it as `async def` without "
                "streams, and run it in a graph."
            )
        return await self._asks(message, schema, data=data or {}, target=target, timeout=timeout, default=default)

    def own(self, resource: Resource) -> Resource:
        """Keep a resource until the task ends, then release it, once; the last one owned is released first.

        A resource is released by the first of these that it has: `__aexit__`, `__exit__`, `aclose()`, `close()`.
        A context manager must have been entered already.
        """
        if _release_of(resource) is None:
            raise TypeError(
                f"own() was given {type(resource).__name__}, which has neither __exit__, __aexit__, close nor aclose."
            )
        if self._resources is None:
            self._resources = []
        if not any(owned is resource for owned in self._resources):
            self._resources.append(resource)
        return resource

    def dispose(self) -> None:
        """Release what is owned.  All are tried; errors are raised together at the end as an ExceptionGroup."""
        errors: list[Exception] = []
        for resource in self._take():
            try:
                released = _release(resource, synchronous=True)
                if inspect.iscoroutine(released):
                    released.close()
                    raise TypeError(f"{type(resource).__name__} can be released only by `await adispose()`.")
            except Exception as error:
                errors.append(error)
        _raise_together(errors)

    async def adispose(self) -> None:
        """Release what is owned, awaiting the asynchronous ones; errors as in `dispose`."""
        errors: list[Exception] = []
        for resource in self._take():
            try:
                released = _release(resource, synchronous=False)
                if inspect.isawaitable(released):
                    await released
            except Exception as error:
                errors.append(error)
        _raise_together(errors)

    @property
    def owns(self) -> bool:
        """Whether anything has to be released."""
        return bool(self._resources)

    def _take(self) -> list[object]:
        resources, self._resources = self._resources or [], None
        return resources[::-1]


_ASYNC_RELEASES = ("__aexit__", "aclose")
_RELEASES = ("__aexit__", "__exit__", "aclose", "close")


def _release_of(resource: object, *, synchronous: bool = False) -> str | None:
    found = [name for name in _RELEASES if callable(getattr(resource, name, None))]
    if synchronous:
        found.sort(key=lambda name: name in _ASYNC_RELEASES)  # stable: a synchronous way first, when there is one
    return found[0] if found else None


def _release(resource: object, *, synchronous: bool) -> object:
    name = _release_of(resource, synchronous=synchronous) or "close"
    arguments = (None, None, None) if name.endswith("exit__") else ()
    return getattr(resource, name)(*arguments)


def _raise_together(errors: list[Exception]) -> None:
    if errors:
        raise ExceptionGroup("Resources of the task could not be released", errors)
