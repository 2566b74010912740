"""What is stored of an error."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["error_record"]

_TRACE_LINES = 40
_LONGEST = 20_000  # characters of a message, and of a line


def error_record(
    error: BaseException, *, unhandled: BaseException | None = None, facts: Mapping[str, object] | None = None
) -> str:
    """The JSON that is stored for an error; `unhandled` is what it is for a run that goes on without handling it.

    `facts` are stored beside it, for programs.
    """
    lines = [_kept(line) for line in "".join(traceback.format_exception(error)).splitlines()[-_TRACE_LINES:]]
    record: dict[str, object] = {**_said(error), "trace": lines}
    if unhandled is not None:
        record["unhandled"] = {**_said(unhandled), "trace": lines}
    if facts is not None:
        record["facts"] = facts
    return msgspec.json.encode(record).decode()


def _said(error: BaseException) -> dict[str, object]:
    try:
        message = str(error)
    except Exception as failure:  # the error is foreign code, too
        message = f"(its message cannot be told: str() raised {type(failure).__name__})"
    return {"type": type(error).__name__, "message": _kept(message)}


def _kept(text: str) -> str:
    """The text as JSON can hold it, without half characters, and not longer than anybody reads."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
