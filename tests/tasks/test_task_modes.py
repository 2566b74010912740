"""How a function has to be called, judged by its bytecode."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from workglow.errors import TaskConfigurationError
from workglow.tasks.suspension import mode_of


async def empty() -> None: ...
async def loops(n: int) -> int:
    return sum(i for i in range(n) if i)


async def tries(n: int) -> list[int]:  # fmt: skip
    try:
        with memoryview(bytes(n)) as view:
            return [byte for byte in view if byte]
    except ValueError:
        return []


async def defines(n: int) -> Any:  # fmt: skip
    async def inner() -> None:
        await asyncio.sleep(0)

    return inner


async def awaits() -> None:
    await asyncio.sleep(0)


async def awaits_seldom(n: int) -> None:  # fmt: skip
    if n > 1_000_000:
        await asyncio.sleep(0)


async def iterates(source: Any) -> None:  # fmt: skip
    async for _ in source:
        pass


async def comprehends(source: Any) -> list[int]:  # fmt: skip
    return [item async for item in source]


async def enters(source: AbstractAsyncContextManager[None]) -> None:  # fmt: skip
    async with source:
        pass


async def streams() -> Any:
    yield 1


def plain() -> None: ...
def generates() -> Any:
    yield 1


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def wrapping_plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@types.coroutine
def old_style() -> Any:
    yield


class Works:
    async def step(self) -> None: ...
    async def waits(self) -> None:
        await asyncio.sleep(0)

    @staticmethod
    async def static() -> None: ...

    async def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "mode"),
    [
        (empty, "step"), (loops, "step"), (tries, "step"), (defines, "step"),
        (awaits, "async"), (awaits_seldom, "async"), (iterates, "async"), (comprehends, "async"), (enters, "async"),
        (old_style, "async"), (streams, "stream"), (plain, "thread"),
        (functools.partial(empty), "step"), (functools.partial(awaits), "async"), (functools.partial(plain), "thread"),
        (wrapping(empty), "async"), (wrapping_plainly(empty), "thread"),
        (Works().step, "step"), (Works().waits, "async"), (Works.static, "step"), (Works(), "step"),
        (len, "thread"), (functools.lru_cache(plain), "thread"),
    ],
)  # fmt: skip
def test_the_mode(function: Callable[..., Any], mode: str) -> None:
    assert mode_of(function, inline=False) == mode


def test_inline_is_for_plain_functions() -> None:
    assert mode_of(plain, inline=True) == "inline"
    assert mode_of(awaits, inline=True) == "async"
    assert mode_of(empty, inline=True) == "step"


def test_what_is_stepped_ends_at_its_first_step() -> None:
    for coroutine in (empty(), loops(5), tries(1), defines(1), Works().step()):
        with pytest.raises(StopIteration):
            coroutine.send(None)


def test_a_plain_generator_is_refused() -> None:
    with pytest.raises(TaskConfigurationError, match="generates is a generator; write `async def`"):
        mode_of(generates, inline=False)
