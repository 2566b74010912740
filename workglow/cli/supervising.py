"""Several worker processes of one command: started, kept alive, told to stop, and ended with it.

Policy.  A process that ended by itself is not started again: it was told to stop, found nothing more to do, or stopped
with an error that the next one would meet as well; such an error stops the others too.  One that was killed or crashed
is started again, after a pause that doubles each time up to half a minute and is short again after a minute of health.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from workglow.cli.service import keep_alive, notify
from workglow.cli.stopping import on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.cli.screen import Screen

__all__ = ["SUPERVISOR", "Supervisor"]

SUPERVISOR: Final = "WORKGLOW_SUPERVISOR"
"""The variable that tells a worker the number of the process that supervises it."""

_SHORTEST: Final = 1.0  # seconds
_LONGEST: Final = 30.0
_HEALTHY: Final = 60.0


class Supervisor:
    """Runs a command in `count` processes at once."""

    def __init__(self, words: Sequence[str], count: int, screen: Screen) -> None:
        self._words = [sys.executable, "-m", "workglow", *words]
        self._count = count
        self._screen = screen
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping: asyncio.Event | None = None
        self._code = 0

    async def run(self) -> int:
        """Work until all processes have ended; the exit code."""
        self._stopping = asyncio.Event()
        watchdog = asyncio.create_task(keep_alive())
        with on_signals(self._stop):
            notify("READY=1")
            await asyncio.gather(*(self._keep(number, self._stopping) for number in range(self._count)))
        watchdog.cancel()
        return self._code

    def _stop(self) -> None:
        """Pass a signal on: the first drains the workers, the second has them hand back."""
        assert self._stopping is not None
        if self._stopping.is_set():
            self._signal(signal.SIGINT)  # the kernel makes one of two signals of a kind that come at once
            return
        notify("STOPPING=1")
        self._screen.line("Finishing what runs; once more hands it back.")
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def _stop_others(self) -> None:
        """Drain the other workers after the error of one, which it has told itself."""
        assert self._stopping is not None
        notify("STOPPING=1")
        self._stopping.set()
        if self._signal(signal.SIGTERM):
            self._screen.line(("A worker process ended with an error, so the others are told to stop.", "yellow"))

    def _signal(self, which: signal.Signals) -> int:
        """Tell the processes that still run to stop; how many those are."""
        running = [process for process in self._processes.values() if process.returncode is None]
        for process in running:
            process.send_signal(which)
        return len(running)

    async def _keep(self, number: int, stopping: asyncio.Event) -> None:
        pause = _SHORTEST
        while not stopping.is_set():
            begun = time.monotonic()
            code = await self._run_one(number)
            if code >= 0 and code in (0, 1, 2, 130):
                self._code = max(self._code, code)
                if code in (1, 2) and not stopping.is_set():
                    self._stop_others()
                return
            if stopping.is_set():
                self._code = max(self._code, 1)
                return
            if time.monotonic() - begun > _HEALTHY:
                pause = _SHORTEST
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._screen.line((f"A worker process {how}; another is started in {pause:g} s.", "yellow"))
            try:
                await asyncio.wait_for(stopping.wait(), pause)
            except TimeoutError:
                pause = min(2 * pause, _LONGEST)

    async def _run_one(self, number: int) -> int:
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        process = self._processes[number] = await asyncio.create_subprocess_exec(
            *self._words,
            stdin=asyncio.subprocess.DEVNULL,
            env={**environment, SUPERVISOR: str(os.getpid())},
            start_new_session=True,  # Ctrl-C at the terminal reaches them through us, once
        )
        return await process.wait()
