"""The tasks that random graphs are made of, all over small whole numbers, and all to be found by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from workglow import (
    Collect,
    DelayTask,
    HumanApprovalTask,
    HumanInputTask,
    Retry,
    Stream,
    TaskContext,
    TaskRegistry,
    WaitForEventTask,
)
from workglow.library.subgraph import JsonTask
from workglow.tasks import task

_MODULUS = 1009
run_count: dict[str, int] = {}
"""How often each path has begun, for whoever clears it first."""


@task(name="rg_add", output="value", cache=False, inline=True)
def add(value: int, context: TaskContext, by: int = 1) -> int:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    return (value + by) % _MODULUS


@task(name="rg_wait", output="value", cache=False)
async def wait(value: int, context: TaskContext, by: int = 3) -> int:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    await asyncio.sleep(0)
    return value * by % _MODULUS


@task(name="rg_picky", output="value", cache=False, inline=True)
def picky(value: int, context: TaskContext, of: int = 3) -> int:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    if value % of:
        raise ValueError(f"{value} is not divisible by {of}")
    return value // of + 1


@task(name="rg_slow_picky", output="value", cache=False)
async def slow_picky(value: int, of: int = 3) -> int:
    await asyncio.sleep(0)
    if value % of:
        raise ValueError(f"{value} is not divisible by {of}")
    return value // of


@task(name="rg_comfort", output="value", cache=False, inline=True)
def comfort(error: str) -> int:
    return len(error) % 7


@task(name="rg_join", output="value", cache=False, inline=True)
def join(values: Collect[int]) -> int:
    return sum(values) % _MODULUS


@task(name="rg_spread", output="items", cache=False, inline=True)
def spread(value: int, count: int = 3) -> list[int]:
    return [(value + number) % _MODULUS for number in range(count)]


@task(name="rg_fold", output="accumulator", cache=False, inline=True)
def fold(accumulator: int, value: int, iteration_index: int = 0) -> int:
    return (3 * accumulator + value + iteration_index) % _MODULUS


@task(name="rg_total", output="value", cache=False, inline=True)
def total(items: list[Any]) -> int:
    return sum(_number(item) for item in items) % _MODULUS


@task(name="rg_pass", output="value", cache=False, inline=True)
def pass_on(value: int = 5) -> int:
    return value


@task(name="rg_rescue", output="value", cache=False, inline=True)
def rescue(errorType: str) -> int:
    return len(errorType) % 7


@task(name="rg_say", output="text", cache=False)
async def say(value: int, context: TaskContext) -> AsyncIterator[str]:
    run_count[context.path] = run_count.get(context.path, 0) + 1
    for number in range(value % 5 + 1):
        if number % 2:
            await asyncio.sleep(0)
        yield f"{value}.{number} "


@task(name="rg_repeat", output="text", cache=False)
async def repeat(text: Stream[str]) -> AsyncIterator[str]:
    async for piece in text:
        yield "".join(letter + letter for letter in piece)  # whatever the pieces are, the text is the same


@task(name="rg_stumble", output="text", cache=False)
async def stumble(text: Stream[str], of: int = 3) -> AsyncIterator[str]:
    """Repeats what it reads, and fails at the end of some texts."""
    size = 0
    async for piece in text:
        size += len(piece)
        yield piece
    if size % of:
        raise ValueError(f"{size} letters are not divisible by {of}")


@task(name="rg_falter", output="text", cache=False, retry=Retry(attempts=2))
async def falter(text: Stream[str], context: TaskContext, after: int = 4) -> AsyncIterator[str]:
    """Repeats what it reads, but gives up once in the middle of longer texts."""
    size = 0
    async for piece in text:
        size += len(piece)
        yield piece
        if size > after and context.attempt == 1:
            raise ValueError("told to")


@task(name="rg_head", output="text", cache=False)
async def head(text: Stream[str]) -> str:
    said = ""
    async for piece in text:
        said += piece
        if len(said) >= 6:
            break
    return said[:6]


@task(name="rg_hear", output="value", cache=False)
async def hear(text: Stream[str]) -> int:
    heard = 0
    async for piece in text:
        heard = sum(map(ord, piece), heard)
    return heard % _MODULUS


@task(name="rg_read", output="value", cache=False, inline=True)
def read(text: str) -> int:
    return sum(map(ord, text)) % _MODULUS


@task(name="rg_take", output="value", cache=False, inline=True)
def take(output: dict[str, Any]) -> int:
    return _number(output["value"])


@task(name="rg_told", output="value", cache=False, inline=True)
def told(value: int, payload: int = 0, number: int = 0, approved: bool = True) -> int:
    return (value + payload + number + approved) % _MODULUS


def _number(item: Any) -> int:
    if isinstance(item, dict):
        return _number(item["data"]["value"])
    return item or 0


TASKS = (
    *(add, wait, picky, slow_picky, comfort, join, spread, fold, total, pass_on),
    *(rescue, say, repeat, stumble, falter, head, hear, read, take, told),
)
SHIPPED = (DelayTask, WaitForEventTask, HumanInputTask, HumanApprovalTask, JsonTask)


def registry() -> TaskRegistry:
    """The tasks that the graphs are made of."""
    return TaskRegistry([*(made.task_type for made in TASKS), *SHIPPED])
