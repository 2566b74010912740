"""How a function has to be called: in place, stepped, on the loop, in a thread, or as a stream.

Policy.  An `async def` whose own bytecode holds no instruction that can hand control to the loop runs from start to
end in one step; so it is stepped in place, without an `asyncio.Task`.  The judgement is about the code that is really
called: a wrapper is judged by its own code, not by what it wraps.  Whoever is not certain goes the safe way.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from opcode import opmap
from types import CodeType
from typing import Any, cast

from workglow.errors import TaskConfigurationError

__all__ = ["mode_of", "never_suspends"]

_SUSPENDING = frozenset(
    opmap[name]
    for name in ("GET_AWAITABLE", "GET_AITER", "GET_ANEXT", "BEFORE_ASYNC_WITH", "YIELD_VALUE", "SEND")
    if name in opmap
)


def _code_of(function: Any) -> CodeType | None:
    """Return the code that a call of the function runs first; None when it is not Python code."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__code__") and not inspect.isclass(function):
        kind = cast("Any", type(function))
        function = function.__func__ if hasattr(function, "__func__") else kind.__call__
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def never_suspends(code: CodeType) -> bool:
    """Whether a coroutine of this code ends at its first step."""
    return bool(code.co_flags & inspect.CO_COROUTINE) and _SUSPENDING.isdisjoint(code.co_code[::2])


def mode_of(function: Callable[..., object], *, inline: bool, reads_streams: bool = False) -> str:
    """Return "inline", "step", "async", "thread" or "stream"; refuse plain generators, and plain readers of streams."""
    code = _code_of(function)
    flags = code.co_flags if code is not None else 0
    if flags & inspect.CO_ASYNC_GENERATOR:
        return "stream"
    if code is not None and never_suspends(code) and not reads_streams:
        return "step"
    if flags & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE) or inspect.iscoroutinefunction(function):
        return "async"
    if flags & inspect.CO_GENERATOR:
        raise TaskConfigurationError(
            f"{getattr(function, '__qualname__', function)} is a generator; write `async def` with yield to stream, "
            f"or return a list."
        )
    if reads_streams:
        raise TaskConfigurationError(
            f"{getattr(function, '__qualname__', function)} takes a stream, which only `async for` can read; write "
            f"`async def`, or take the whole value."
        )
    return "inline" if inline else "thread"
