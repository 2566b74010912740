"""Open connections to services, one client for each address, credential and event loop.

A client's sockets belong to the loop on which they were opened, and runs have loops of their own.  So each loop has its
own clients, and they are closed before it is: a loop that shuts down closes the asynchronous generators that were begun
on it, and one of these is kept for each loop to close its clients at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import Any, Final, Generic, Protocol, TypeVar

__all__ = ["Connections"]

_PATIENCE: Final = 2.0
"""Seconds to wait for another thread's loop to close its clients."""


class _Closable(Protocol):
    async def close(self) -> None: ...


Client = TypeVar("Client", bound=_Closable)


class Connections(Generic[Client]):
    """Clients that are made when they are first wanted, and used again by every call on the same loop."""

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, tuple[dict[Hashable, Client], AsyncGenerator[None]]] = {}
        self._lock = threading.Lock()

    async def client(self, key: Hashable, make: Callable[[], Client]) -> Client:
        """Return the running loop's client for a key."""
        loop = asyncio.get_running_loop()
        held = self._loops.get(loop)
        if held is None:
            held = await self._begin(loop)
        clients = held[0]
        found = clients.get(key)
        if found is None:
            found = clients[key] = make()
        return found

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> tuple[dict[Hashable, Client], AsyncGenerator[None]]:
        clients: dict[Hashable, Client] = {}
        keeper = self._keep(loop, clients)
        with self._lock:
            for other in [other for other in self._loops if other.is_closed()]:
                del self._loops[other]  # closed without shutting down: nothing can be done on it any more
            held = self._loops.setdefault(loop, (clients, keeper))
        if held[1] is keeper:
            await anext(keeper)
        return held

    async def _keep(self, loop: asyncio.AbstractEventLoop, clients: dict[Hashable, Client]) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._loops.pop(loop, None)
            for client in clients.values():
                with contextlib.suppress(Exception):  # the sockets are gone either way
                    await client.close()
            clients.clear()

    def close(self) -> None:
        """Close all clients; those of the loop that is running here, as soon as it goes on."""
        with self._lock:
            loops, self._loops = self._loops, {}
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        for loop, (_, keeper) in loops.items():
            if loop.is_closed():
                continue
            if loop is here:
                _remembered(loop.create_task(keeper.aclose()))  # pyright: ignore[reportArgumentType]
            elif loop.is_running():
                with contextlib.suppress(Exception):
                    asyncio.run_coroutine_threadsafe(keeper.aclose(), loop).result(_PATIENCE)  # pyright: ignore[reportArgumentType]
            elif here is None:
                loop.run_until_complete(keeper.aclose())


_closing: set[asyncio.Task[Any]] = set()


def _remembered(task: asyncio.Task[Any]) -> None:
    """A loop holds its tasks only weakly."""
    _closing.add(task)
    task.add_done_callback(_closing.discard)
