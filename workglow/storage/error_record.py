"""What is said and stored of an error."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["error_record", "error_text"]

_TRACE_LINES = 40


def error_text(error: BaseException) -> str:
    """The message of an error as text that can be stored, whatever it holds: names of files that are no UTF-8, say."""
    try:
        message = str(error)
    except Exception as broken:
        message = f"its message cannot be made: {type(broken).__name__}"
    return _storable(message)


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def error_record(
    error: BaseException, *, unhandled: BaseException | None = None, facts: Mapping[str, object] | None = None
) -> str:
    """The JSON that is stored for an error; `unhandled` is what it is for a run that goes on without handling it.

    `facts` are stored beside it, for programs.
    """
    lines = _storable("".join(traceback.format_exception(error))).splitlines()[-_TRACE_LINES:]
    record: dict[str, object] = {"type": type(error).__name__, "message": error_text(error), "trace": lines}
    if unhandled is not None:
        record["unhandled"] = {"type": type(unhandled).__name__, "message": error_text(unhandled), "trace": lines}
    if facts is not None:
        record["facts"] = facts
    return msgspec.json.encode(record).decode()
