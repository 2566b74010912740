"""WaitForEventTask: goes on when somebody sends an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from workglow.errors import TaskInputError, TaskTimeoutError
from workglow.graph.waiting.wait import Wait, WaitTask, moment
from workglow.tasks import Port, Ports

__all__ = ["WaitForEventTask"]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: Any = None


class WaitForEventTask(WaitTask):
    """Wait for the event of this name, give what was sent with it as `payload`, and pass everything else on.

    `project.send_event(name, payload)` sends it.  When `timeout` seconds pass without it, `payload` is the `default`,
    or the task fails with a TaskTimeoutError when there is none.
    """

    type: ClassVar[str] = "WaitForEventTask"
    title: ClassVar[str] = "Wait for an event"
    description: ClassVar[str] = "Waits until an event is sent, then passes its inputs and the event's payload on."
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    Config: ClassVar[type[BaseModel] | None] = _Config
    inputs = Ports([Port("event", str)], open=True)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    outputs = Ports([Port("payload", Any)], open=True)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self, *, event: str | None = None, defaults: Mapping[str, Any] | None = None, **options: Any) -> None:
        given = {} if event is None else {"event": event}
        super().__init__(defaults={**(defaults or {}), **given}, **options)

    def wait(self, inputs: dict[str, Any], now: int) -> Wait:
        event: str = inputs["event"]
        if not event or len(event) > 1000:
            raise TaskInputError(f"{self._who}: an event has a name of 1 to 1000 characters.")
        return Wait(event=event)

    def answered(self, inputs: dict[str, Any], action: str, content: dict[str, Any]) -> dict[str, Any]:
        return {**self.passed_on(inputs), "payload": content["payload"]}

    def woken(self, inputs: dict[str, Any], until: int) -> dict[str, Any]:
        if self.config["default"] is None:
            raise TaskTimeoutError(f"{self._who}: the event '{inputs['event']}' did not come by {moment(until)}.")
        return {**self.passed_on(inputs), "payload": self.config["default"]}
