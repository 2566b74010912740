"""What is said and stored of an error."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["error_record", "error_text"]

_TRACE_LINES = 40
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ENGINE = tuple(os.path.join(_PACKAGE, room) for room in ("queue", "graph", "threads.py", "leaving.py"))
_LONGEST = 20_000  # characters of a message, and of a line


def error_record(
    error: BaseException, *, unhandled: BaseException | None = None, facts: Mapping[str, object] | None = None
) -> str:
    """The JSON that is stored for an error; `unhandled` is what it is for a run that goes on without handling it.

    `facts` are stored beside it, for programs.
    """
    lines = [_kept(line) for line in _trace(error)[-_TRACE_LINES:]]
    record: dict[str, object] = {**_said(error), "trace": lines}
    if unhandled is not None:
        record["unhandled"] = {**_said(unhandled), "trace": lines}
    if facts is not None:
        record["facts"] = facts
    return msgspec.json.encode(record).decode()


def _trace(error: BaseException) -> list[str]:
    """The lines of the trace from where somebody's code was called on: how it came to be called is no news."""
    told = traceback.TracebackException.from_exception(error)
    begins = next((n for n, frame in enumerate(told.stack) if not frame.filename.startswith(_ENGINE)), 0)
    del told.stack[:begins]
    return "".join(told.format()).splitlines()


def _said(error: BaseException) -> dict[str, object]:
    return {"type": type(error).__name__, "message": error_text(error)}


def error_text(error: BaseException) -> str:
    """The message of an error as text that can be stored, whatever it holds: names of files that are no UTF-8, say."""
    try:
        message = str(error)
    except Exception as failure:  # the error is foreign code, too
        message = f"(its message cannot be told: str() raised {type(failure).__name__})"
    return _kept(message)


def _kept(text: str) -> str:
    """The text as JSON can hold it, without half characters, and not longer than anybody reads."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
