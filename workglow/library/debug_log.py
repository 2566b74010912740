"""DebugLogTask: shows what passes by."""

from __future__ import annotations

import logging
import pprint
import sys
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from workglow.tasks import Ports, Task

__all__ = ["DebugLogTask"]

_ANYTHING = Ports(open=True)
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    log_level: Literal["dir", "log", "debug", "info", "warn", "error"] = "log"


class DebugLogTask(Task):
    """Show all inputs, and pass them on unchanged.

    `log_level` "log" writes them to standard error, "dir" does so over several lines at full depth; "debug", "info",
    "warn" and "error" give them to the logger `workglow.debug_log` at that level.
    """

    type: ClassVar[str] = "DebugLogTask"
    title: ClassVar[str] = "Debug Log"
    description: ClassVar[str] = "Shows what passes by, for debugging a graph."
    category: ClassVar[str] = "Utility"
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    cacheable: ClassVar[bool] = False
    inline: ClassVar[bool] = True
    passthrough: ClassVar[bool] = True
    Config: ClassVar[type[BaseModel] | None] = _Config

    @property
    def inputs(self) -> Ports:
        """Anything."""
        return _ANYTHING

    @property
    def outputs(self) -> Ports:
        """The same."""
        return _ANYTHING

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Show the inputs and return them."""
        level: str = self.config["log_level"]
        if level == "dir":
            sys.stderr.write(f"{pprint.pformat(inputs, sort_dicts=False, width=120)}\n")
        elif level == "log":
            sys.stderr.write(f"{inputs!r}\n")
        else:
            logging.getLogger("workglow.debug_log").log(_LEVELS[level], "%r", inputs)
        return inputs

    execute_preview = execute  # pyright: ignore[reportAssignmentType]
