"""JavaScript without a way out: evaluated in a helper process, within limits of time and memory.

A script has the language and nothing else: no files, no network, no modules, no timers, no Python.  What it is given
and what it gives is JSON.  The helper processes stay, up to a few, for the next script; each script has an engine of
its own, and a process that had to be stopped is replaced.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from importlib import metadata, util
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from workglow.errors import MissingExtraError, ResourceLimitError, ScriptError, TaskAbortedError, TaskInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.tasks import CancelSignal

__all__ = ["MEMORY_LIMIT", "TIME_LIMIT", "evaluate"]

MEMORY_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that a script may use unless the caller says otherwise."""

TIME_LIMIT: Final = 1.0
"""Seconds that a script may take unless the caller says otherwise."""

_EXACT: Final = 2**53
_KEPT = 4
_PROGRAM = str(Path(__file__).with_name("javascript_process.py"))
_LIMITS = {
    "time": "needed more than its {time_limit:g} s; make it do less, or raise time_limit",
    "memory": "needed more than its {memory_limit:,} bytes; make it keep less, or raise memory_limit",
    "depth": "called itself too deeply; write it as a loop",
}


def evaluate(
    code: str,
    inputs: Mapping[str, object] | None = None,
    *,
    time_limit: float = TIME_LIMIT,
    memory_limit: int = MEMORY_LIMIT,
    signal: CancelSignal | None = None,
) -> object:
    """Run a script with `inputs` as its global variables, and return the value of its last expression.

    Inputs and result are what JSON has; a promise is waited for; `undefined` becomes None.  `time_limit` is in seconds
    (a script that cannot be interrupted is stopped a quarter of a second later), `memory_limit` in bytes.

    Raises TaskInputError for an input that JSON cannot hold, ScriptError when the script throws or gives what JSON has
    not, ResourceLimitError when it reaches a limit, TaskAbortedError when `signal` is set meanwhile, and
    MissingExtraError without quickjs-ng.
    """
    script = json.dumps({"code": code, "inputs": _given(inputs or {})})
    request = {"script": script, "time_limit": time_limit, "memory_limit": memory_limit}
    answer = _ask(json.dumps(request).encode(), signal)
    if "limit" in answer:
        reason = _LIMITS[answer["limit"]].format(time_limit=time_limit, memory_limit=memory_limit)
        raise ResourceLimitError(f"The script {reason}.")
    if "error" in answer:
        place = f" ({answer['place']})" if answer.get("place") else ""
        raise ScriptError(f"The script failed: {answer['error']}{place}.")
    return _decoded(answer["result"])


def _given(inputs: Mapping[str, object]) -> dict[str, object]:
    try:
        return {name: _json_form(value, name) for name, value in inputs.items()}
    except RecursionError:
        raise TaskInputError("An input of the script is nested too deeply, or holds itself.") from None


def _json_form(value: Any, place: str) -> object:
    """The value as JavaScript will see it: what it cannot hold exactly is refused."""
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, list | tuple):
        return [_json_form(item, f"{place}[{number}]") for number, item in enumerate(cast("list[Any]", value))]
    if isinstance(value, dict) and all(type(key) is str for key in cast("dict[Any, Any]", value)):
        return {key: _json_form(item, f"{place}.{key}") for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, float) and isfinite(value):
        return value
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return value
    reason = "is no number that JavaScript holds exactly" if isinstance(value, int | float) else "is not what JSON has"
    raise TaskInputError(f"Input {place!r} of the script {reason}: {value!r:.60}.  Give it as a text.")


def _decoded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"The script's result cannot be read: {error}.") from None


class _Process:
    """One helper."""

    def __init__(self) -> None:
        words = [sys.executable, "-I", "-S", _PROGRAM, _engine_folder()]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, cwd="/")

    def ask(self, request: bytes) -> dict[str, str] | None:
        """Return the answer; None when the process ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(len(request).to_bytes(4) + request)
            self._process.stdin.flush()
        except OSError:
            return None
        size = self._process.stdout.read(4)
        text = self._process.stdout.read(int.from_bytes(size))
        return json.loads(text) if len(size) == 4 and len(text) == int.from_bytes(size) else None

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()

    def bury(self) -> int:
        """Wait for its end and return how it ended: minus the signal, or its exit code."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what it never read cannot be written any more
                    pipe.close()
        return self._process.wait()


class _Processes:
    """The helpers that wait for work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []

    def take(self) -> tuple[_Process, bool]:
        """Return a helper, and whether it has worked before."""
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        return _Process(), False

    def give_back(self, process: _Process) -> None:
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(process)
                return
        process.bury()

    def end(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.bury()

    def forget(self) -> None:
        """In a forked process: the helpers belong to the parent, whose conversation must not be disturbed."""
        self.__init__()


_processes = _Processes()
atexit.register(_processes.end)
os.register_at_fork(after_in_child=_processes.forget)


def _ask(request: bytes, cancelled: CancelSignal | None) -> dict[str, str]:
    if cancelled is not None:
        cancelled.raise_if_cancelled()
    process, used = _processes.take()
    asked = [process]

    def stop() -> None:
        for one in asked:
            one.kill()

    if cancelled is not None:
        cancelled.on_cancel(stop)
    answer = process.ask(request)
    asked.clear()  # a late signal must not end the next script
    if cancelled is not None and cancelled.cancelled:
        process.bury()
        raise TaskAbortedError(cancelled.reason)
    if answer is not None:
        _processes.give_back(process)
        return answer
    ended = process.bury()
    if ended == -signal.SIGALRM:
        return {"limit": "time"}
    return _ask(request, cancelled) if used else _lost(ended)  # one that waited may have died before


def _lost(ended: int) -> NoReturn:
    raise ScriptError(f"The process that ran the script ended unexpectedly ({ended}).  Run it again, or simplify it.")


@cache
def _engine_folder() -> str:
    """Where the engine's package is; the helper looks there and nowhere else."""
    try:
        metadata.version("quickjs-ng")  # `quickjs` has a module of the same name, which a regular expression can hang
    except metadata.PackageNotFoundError:
        raise MissingExtraError("JavaScript needs quickjs-ng: pip install 'workglow[javascript]'.") from None
    found = cast("Any", util.find_spec("quickjs"))
    return str(Path(found.origin).parents[1])
