"""The process of a handler: reads calls, runs functions, and says what came of it.

It has nothing of the project open.  It ends with the worker's process: the system kills it where it can do that, and
everywhere the end of the pipe says that nobody waits for an answer any more.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

from workglow.clock import SystemClock
from workglow.queue.context import JobContext, Progress
from workglow.queue.function_place import FunctionPlace, find_function
from workglow.queue.handler import Handler
from workglow.queue.messages import Begun, Call, Message, Raised, Ready, Report, Returned, read_message, write_message
from workglow.queue.parenthood import end_with
from workglow.queue.settling import judge
from workglow.values import decode, encode

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["main"]


def main(parent: int) -> None:
    """Work for the process `parent`, to its end or this one's."""
    end_with(parent)
    # What a handler prints must not come between the messages, and it shall not read them.
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, calls), daemon=True).start()
    voice = _Voice(outgoing)
    voice.say(Ready())
    while True:
        voice.say(_answer(calls.get(), voice))


def _listen(incoming: BinaryIO, calls: queue.SimpleQueue[Call]) -> None:
    """Read what the worker says; when it says no more, end, whatever the handler is doing."""
    while True:
        try:
            call = read_message(incoming)
        except (EOFError, OSError):
            os._exit(1)
        assert isinstance(call, Call)
        calls.put(call)


class _Voice:
    """Says one thing at a time, from whichever thread."""

    def __init__(self, outgoing: BinaryIO) -> None:
        self._outgoing = outgoing
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        with self._lock:
            write_message(self._outgoing, message)


_found: dict[FunctionPlace, Handler] = {}


def _answer(call: Call, voice: _Voice) -> Returned | Raised:
    handler: Handler | None = None
    try:
        place = FunctionPlace(call.module, call.name, call.path)
        handler = _found.get(place)
        if handler is None:
            handler = _found[place] = _handler(find_function(place))
        return _run(handler, call, voice)
    except BaseException as error:  # sys.exit() in a handler ends the attempt, not the process
        verdict = judge(error, handler)
        return Raised(*verdict)


def _handler(found: Any) -> Handler:
    return found if isinstance(found, Handler) else Handler(found, executor="process")


def _run(handler: Handler, call: Call, voice: _Voice) -> Returned:
    def report(progress: Progress) -> None:
        details = None if progress.details is None else dict(progress.details)
        voice.say(Report(progress.percent, progress.message, details))

    context = JobContext(
        job_id=call.job,
        queue=call.queue,
        attempt=call.attempt,
        clock=SystemClock(),
        project_uid=call.project_uid,
        on_report=report,
    )
    inputs = handler.check(decode(call.inputs, call.values.__getitem__))
    if handler.context is not None:
        inputs = {**inputs, handler.context: context}
    voice.say(Begun())
    if inspect.iscoroutinefunction(handler.function):
        result = asyncio.run(_await(handler, inputs, context))
    else:
        try:
            result = handler.function(**inputs)
        finally:
            context.dispose()
    sys.stdout.flush()
    output = encode({"output": result}, where="job")
    return Returned(output.text, list(output.blobs))


async def _await(handler: Handler, inputs: dict[str, object], context: JobContext) -> object:
    try:
        return await handler.function(**inputs)
    finally:
        await context.adispose()
