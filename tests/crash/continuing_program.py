"""`continuing_program.py PROJECT`: drives the last run of a project to its end, unless it is killed before."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from pydantic import BaseModel

import workglow as wg
from workglow import Stream, Task, TaskContext
from workglow.errors import RetryableJobError
from workglow.retry import Retry
from workglow.tasks import task, task_registry

PIECES = [f"{number:03} " for number in range(40)]
CUT, FAILS = 25, 30


class _Input(BaseModel):
    behaviour: str


class _Output(BaseModel):
    text: str


class ReciteTask(Task):
    """Recites, and hangs at first, so that it can be killed; then it goes on, fails once, or begins anew."""

    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    continues_streams: ClassVar[bool] = True
    retry: ClassVar[Retry | None] = Retry(5, on=(RetryableJobError,))
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        behaviour, begin = inputs["behaviour"], 0
        if behaviour != "begins anew":
            begin = len(context.earlier_text("text")) // len(PIECES[0])
            assert begin == (CUT if context.attempt == 2 else 0)
        for number in range(begin, len(PIECES)):
            if context.attempt == 1 and number == CUT:
                await asyncio.Event().wait()
            if context.attempt == 2 and number == FAILS and behaviour == "fails":
                raise RetryableJobError("the second attempt fails")
            yield {"text": PIECES[number]}


@task(name="continuing_listen", output="whole", cache=False)
async def listen(text: Stream[str]) -> str:
    return await text.whole()


task_registry.register(ReciteTask)

if __name__ == "__main__":
    with wg.open(sys.argv[1]) as opened:
        opened.resume_sync()
