"""DelayTask and WaitUntilTask: let time pass before what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from workglow.errors import TaskInputError
from workglow.graph.waiting.wait import Wait, WaitTask, milliseconds_of
from workglow.tasks import Port, Ports

__all__ = ["DelayTask", "WaitUntilTask"]

_ANYTHING = Ports(open=True)


class DelayTask(WaitTask):
    """Wait for so many `seconds`, then pass everything else on.

    The time runs from the moment at which the task's inputs are there, also while no process lives.
    """

    type: ClassVar[str] = "DelayTask"
    title: ClassVar[str] = "Delay"
    description: ClassVar[str] = "Waits for a number of seconds, then passes its inputs on."
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    inputs = Ports([Port("seconds", float)], open=True)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    outputs = _ANYTHING  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(
        self, *, seconds: float | None = None, defaults: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        given = {} if seconds is None else {"seconds": seconds}
        super().__init__(defaults={**(defaults or {}), **given}, **options)

    def wait(self, inputs: dict[str, Any], now: int) -> Wait:
        return Wait(until=now + milliseconds_of(inputs["seconds"], self._who))

    def woken(self, inputs: dict[str, Any], until: int) -> dict[str, Any]:
        return self.passed_on(inputs)

    def preview(self, inputs: dict[str, Any], context: object) -> dict[str, Any]:
        """Pass on at once what will be passed on later."""
        return self.passed_on(inputs)


class WaitUntilTask(WaitTask):
    """Wait until the time `at`, then pass everything else on; a time that is over does not wait.

    `at` is a datetime with a time zone, or one as ISO text ("2030-01-01T08:00:00+01:00").
    """

    type: ClassVar[str] = "WaitUntilTask"
    title: ClassVar[str] = "Wait until"
    description: ClassVar[str] = "Waits until a date and time, then passes its inputs on."
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    inputs = Ports([Port("at", datetime | str)], open=True)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    outputs = _ANYTHING  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(
        self, *, at: datetime | str | None = None, defaults: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        given = {} if at is None else {"at": at}
        super().__init__(defaults={**(defaults or {}), **given}, **options)
        if "at" in self.defaults:
            time_of(self.defaults["at"], self._who)

    def wait(self, inputs: dict[str, Any], now: int) -> Wait:
        return Wait(until=time_of(inputs["at"], self._who))

    def woken(self, inputs: dict[str, Any], until: int) -> dict[str, Any]:
        return self.passed_on(inputs)

    def preview(self, inputs: dict[str, Any], context: object) -> dict[str, Any]:
        """Pass on at once what will be passed on later."""
        return self.passed_on(inputs)


def time_of(value: datetime | str, who: str) -> int:
    """Return a time as milliseconds since 1970; TaskInputError when it is no ISO text or names no time zone."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise TaskInputError(f"{who}: {value!r} is no date and time in ISO 8601, such as 2030-01-01T08:00Z.") from None
    if moment.utcoffset() is None:
        raise TaskInputError(f"{who}: {value} has no time zone, so it names no moment; add one, such as Z or +01:00.")
    return round(moment.timestamp() * 1000)
