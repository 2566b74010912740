"""Running handlers in processes of their own.

Policy.  A child is a fresh interpreter, never a fork: it has no connection, lock or thread of this process.  It imports
the handler's module at its first call and is used again for later jobs, so that is paid once; a child that had nothing
to do for `IDLE` seconds ends.  It runs one job at a time.  There is no way to stop a function but to kill its process,
and that is what happens at a timeout, an abort, a lost claim, and at the end of the worker; whatever the function has
started goes with it.  A child that dies has failed that one job.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec

from workglow.errors import ProcessDiedError
from workglow.queue.messages import Begun, Call, Message, Raised, Ready, Report, Returned, read_message, write_message
from workglow.queue.settling import HandlerFailedError, Verdict
from workglow.values import Blob, Encoded, decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from workglow.clock import Clock, Timer
    from workglow.queue.context import JobContext
    from workglow.queue.handler import Handler
    from workglow.storage.jobs import ClaimedJob

__all__ = ["IDLE", "Leash", "Processes", "call_for"]

IDLE: Final = 60.0  # seconds
_START: Final = 60.0  # seconds a new process has until it listens

_ENTRY: Final = (
    "import json, sys; parent = int(sys.argv[1]); sys.path[:], sys.argv[:] = json.loads(sys.argv[2]); "
    "from workglow.queue.process_child import main; main(parent)"
)


def call_for(job: ClaimedJob, handler: Handler, context: JobContext, uid: str, load: Any) -> Call:
    """Write down what another process needs in order to run a job."""
    values: dict[bytes, tuple[str, str, bytes]] = {}

    def note(key: bytes) -> tuple[str, str, bytes]:
        found = values[key] = load(key)
        return found

    decode(job.input, note)
    assert handler.place is not None
    return Call(*handler.place, job.id, context.queue, job.attempt, uid, job.input, values)


class Leash:
    """Holds the process that runs one job; `cut` kills it, also when it has not started yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._cut = False

    def hold(self, child: _Child | None) -> None:
        with self._lock:
            self._child = child
            if self._cut and child is not None:
                child.kill()

    def cut(self) -> None:
        """Kill the process, now or as soon as there is one."""
        with self._lock:
            self._cut = True
            if self._child is not None:
                self._child.kill()


class Processes:
    """The processes of one worker.  `run` is called in threads, the rest on the event loop."""

    def __init__(self, clock: Clock, *, idle: float = IDLE, start: float = _START) -> None:
        self._clock = clock
        self._idle = idle
        self._start = start
        self._lock = threading.Lock()
        self._free: list[_Child] = []
        self._timer: Timer | None = None
        self._closed = False

    def run(self, call: Call, leash: Leash, begun: Callable[[], None], report: Callable[[Report], None]) -> Encoded:
        """Run a handler and return its output; ProcessDiedError, or HandlerFailedError with what it raised."""
        child = self._take()
        while True:
            leash.hold(child)
            try:
                answer = child.run(call, begun, report)
            except ProcessDiedError:
                used = child.used
                child.kill()
                if not used or child.began:
                    raise
                child = _Child(self._start)  # it had died while nobody needed it
                continue
            except BaseException:
                child.kill()
                raise
            break
        leash.hold(None)
        self._give_back(child)
        if isinstance(answer, Raised):
            raise HandlerFailedError(Verdict._make(msgspec.structs.astuple(answer)))
        return Encoded(answer.output, tuple(Blob(*value) for value in answer.values))

    def _take(self) -> _Child:
        with self._lock:
            if self._free:
                return self._free.pop()
        return _Child(self._start)

    def _give_back(self, child: _Child) -> None:
        child.free_since = self._clock.monotonic()
        with self._lock:
            if not self._closed:
                self._free.append(child)
                return
        child.kill()

    def rest(self) -> None:
        """See to it that processes without work end some time."""
        if self._timer is None and self._free and self._idle:
            self._timer = self._clock.call_later(self._idle, self._reap)

    def _reap(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        with self._lock:
            old = [child for child in self._free if now - child.free_since >= self._idle]
            self._free = [child for child in self._free if child not in old]
        for child in old:
            child.kill()
        self.rest()

    def close(self) -> None:
        """Kill the processes that are free; those that run something are killed by their leashes."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for child in free:
            child.kill()


class _Child:
    """One process, used by one thread at a time; `kill` may be called by any."""

    def __init__(self, start: float) -> None:
        self.used = False
        self.began = False
        self.free_since = 0.0
        self._lock = threading.Lock()
        self._killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ENTRY, str(os.getpid()), json.dumps((sys.path, sys.argv))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C at the terminal is the worker's affair, and everything that a handler starts can be killed with it.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._calls: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._answers: BinaryIO = self._process.stdout  # type: ignore[assignment]
        slow = threading.Timer(start, self.kill)
        slow.daemon = True
        slow.start()
        try:
            ready = self._hear(f"before it was ready, for which it has {start:g} s")
        finally:
            slow.cancel()
        assert isinstance(ready, Ready)

    def run(self, call: Call, begun: Callable[[], None], report: Callable[[Report], None]) -> Returned | Raised:
        self.began = False
        where = f"while it ran job {call.job} ({call.name})"
        with contextlib.suppress(OSError):  # why it cannot be written is told by the end of the answers
            write_message(self._calls, call)
        while True:
            message = self._hear(where)
            if isinstance(message, Begun):
                self.began = True
                begun()
            elif isinstance(message, Report):
                report(message)
            else:
                assert isinstance(message, Returned | Raised)
                self.used = True
                return message

    def _hear(self, where: str) -> Message:
        try:
            return read_message(self._answers)
        except (EOFError, OSError):
            self.kill()
            raise ProcessDiedError(f"The process of a handler {_ending(self._process.returncode)} {where}.") from None

    def kill(self) -> None:
        """Kill the process with everything that it has started, and wait for its end."""
        with self._lock:
            if self._killed:
                return
            self._killed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
                else:
                    self._process.kill()
            self._process.wait()
            for pipe in (self._calls, self._answers):
                with contextlib.suppress(OSError):
                    pipe.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
