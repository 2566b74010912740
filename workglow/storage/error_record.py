"""What is stored of an error."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["error_record"]

_TRACE_LINES = 40


def error_record(
    error: BaseException, *, unhandled: BaseException | None = None, facts: Mapping[str, object] | None = None
) -> str:
    """The JSON that is stored for an error; `unhandled` is what it is for a run that goes on without handling it.

    `facts` are stored beside it, for programs.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()[-_TRACE_LINES:]
    record: dict[str, object] = {"type": type(error).__name__, "message": str(error), "trace": lines}
    if unhandled is not None:
        record["unhandled"] = {"type": type(unhandled).__name__, "message": str(unhandled), "trace": lines}
    if facts is not None:
        record["facts"] = facts
    return msgspec.json.encode(record).decode()
