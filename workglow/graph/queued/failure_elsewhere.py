"""Errors that were raised in another process, made anew of what was stored of them."""

from __future__ import annotations

import builtins
from typing import Any

from workglow import errors

__all__ = ["failure_from", "was_lost"]

_LOST = "WorkerLostError"


def was_lost(record: dict[str, Any]) -> bool:
    """Whether a job failed because its worker was gone."""
    return record.get("type") == _LOST


def failure_from(record: dict[str, Any]) -> Exception:
    """Return an exception with the name and the message of the one that was raised; its trace is a note.

    Those of workglow and of Python are of their own class, any other is of a class made here.  Its `worth_a_retry` says
    what whoever had the exception itself found.
    """
    name, message = str(record.get("type") or "Exception"), str(record.get("message") or "")
    error = _made(getattr(errors, name, None) or getattr(builtins, name, None), message)
    if error is None:
        error = type(name, (Exception,), {"__module__": __name__})(message)
    if trace := record.get("trace"):
        error.add_note("Where it was raised:\n" + "\n".join(trace))
    facts: dict[str, Any] = record.get("facts") or {}
    error.__dict__["worth_a_retry"] = bool(facts.get("again", False))
    return error


def _made(kind: Any, message: str) -> Exception | None:
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        error = kind(message)
    except TypeError:
        return None
    return error if str(error) == message else None
