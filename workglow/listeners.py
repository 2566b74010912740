"""Whoever wants to hear of what happens, by the kind of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

__all__ = ["Listeners"]


class _OfKind(Protocol):
    @property
    def kind(self) -> str: ...


Happening = TypeVar("Happening", bound=_OfKind)
Kind = TypeVar("Kind", bound=str)


class Listeners(Generic[Happening, Kind]):
    """Callbacks for events that have a `kind`.  A kind of '*' means every kind."""

    def __init__(self) -> None:
        self._listeners: list[tuple[str, Callable[[Happening], object]]] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def on(self, kind: Kind | Literal["*"], listener: Callable[[Happening], object]) -> None:
        """Call `listener` at each event of this kind."""
        self._listeners.append((kind, listener))

    def off(self, kind: Kind | Literal["*"], listener: Callable[[Happening], object]) -> None:
        """Stop calling this listener for this kind; one that is not there is no error."""
        if (kind, listener) in self._listeners:
            self._listeners.remove((kind, listener))

    def once(self, kind: Kind | Literal["*"], listener: Callable[[Happening], object]) -> None:
        """Call `listener` at the next event of this kind, and then no more."""

        def first(event: Happening) -> object:
            self.off(kind, first)
            return listener(event)

        self.on(kind, first)

    def subscribe(self, listener: Callable[[Happening], object]) -> Callable[[], None]:
        """Call `listener` at each event; the function that comes back ends it."""
        self.on("*", listener)
        return lambda: self.off("*", listener)

    async def wait_on(self, kind: Kind | Literal["*"]) -> Happening:
        """Wait for the next event of this kind."""
        import asyncio

        happened: Future[Happening] = asyncio.get_running_loop().create_future()
        self.once(kind, lambda event: None if happened.done() else happened.set_result(event))
        return await happened

    def emit(self, event: Happening) -> None:
        """Tell every listener, even when some of them raise; then raise what they raised."""
        errors: list[Exception] = []
        for kind, listener in tuple(self._listeners):
            if kind in ("*", event.kind):
                try:
                    listener(event)
                except Exception as error:
                    errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"{len(errors)} listeners raised on {event.kind}", errors)
