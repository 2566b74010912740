"""Tools for testing your own tasks and graphs: a clock you move, models that say what you tell them, crash points."""

from __future__ import annotations

import heapq
import itertools
import os
import re
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec

from workglow.ai import Finish, ModelRecord, ObjectDelta, Provider, ProviderRegistry, TextDelta, provider_registry
from workglow.ai.conformance import ProviderConformance
from workglow.errors import ModelError, TaskConfigurationError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence

    from workglow.ai import GenerationRequest, ModelEvent
    from workglow.ai.provider import Purpose, Vectors
    from workglow.storage.records import TaskRow

__all__ = [
    "CRASH_VARIABLE",
    "FakeClock",
    "ProviderConformance",
    "ScriptedProvider",
    "forbid_model_calls",
    "install_crash_points",
]


# ---------------------------------------------------------------------- time


class _FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """A clock that stands still until a test advances it; timers fire in the order of their time, on the way.

    `jump` sets the wall clock, as people and time servers do: `now` changes, `monotonic` does not.
    """

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._milliseconds = now
        self._begun = now
        self._set_by = 0
        self._timers: list[tuple[float, int, _FakeTimer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._milliseconds + self._set_by

    def monotonic(self) -> float:
        """Seconds since a moment before the clock was made, as on a machine that was just started."""
        return 1 + (self._milliseconds - self._begun) / 1000

    def call_later(self, delay: float, callback: Callable[[], None]) -> _FakeTimer:
        """Call back when the clock has been advanced by `delay` seconds."""
        timer = _FakeTimer(callback)
        heapq.heappush(self._timers, (self._milliseconds + delay * 1000, next(self._order), timer))
        return timer

    def waiting(self) -> int:
        """How many timers have neither fired nor been cancelled."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back; no time passes, so no timer fires."""
        self._set_by += round(seconds * 1000)

    def advance(self, seconds: float) -> None:
        """Move the time forward, calling back what falls due on the way."""
        end = self._milliseconds + seconds * 1000
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._milliseconds = max(self._milliseconds, round(due))
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._milliseconds = round(end)


# ---------------------------------------------------------------------- crashes

CRASH_VARIABLE = "WORKGLOW_CRASH"
"""Names a moment, as in `complete.inside:3`: the process kills itself there the third time it gets there."""

_POINT = re.compile(r"(?P<kind>\w+)\.(?P<moment>before|halfway|inside|after):(?P<count>\d+)")


def install_crash_points(point: str | None = None) -> None:
    """Let this process kill itself with SIGKILL at a moment of a transition; call it first in a test's child process.

    `point` is `kind.moment:n`, by default from the environment variable WORKGLOW_CRASH; without either nothing happens.
    Kinds: begin (a run), start, complete, reuse (a cached output), fail, retry, wait, open (a loop's items), disable,
    finish (a run, or leaving it to wait); of job queues enqueue, claim, settle, take_over (jobs of a dead worker).
    Moments: before the transaction; halfway through it, with half of the rows written; inside it, with everything
    written but the commit; and after it.
    """
    point = point or os.environ.get(CRASH_VARIABLE)
    if not point:
        return
    match = _POINT.fullmatch(point)
    if match is None:
        raise TaskConfigurationError(f"{point!r} is no crash point; write kind.moment:n, as in 'complete.inside:3'.")
    from workglow.storage.sqlite.journal import SqliteJournal

    reached = itertools.count(1)
    write, commit = SqliteJournal._write, SqliteJournal.commit  # pyright: ignore[reportPrivateUsage]

    def is_here(moment: str, kinds: set[str]) -> bool:
        return moment == match["moment"] and match["kind"] in kinds and next(reached) == int(match["count"])

    def at(moment: str, kinds: set[str]) -> None:
        if is_here(moment, kinds):
            os.kill(os.getpid(), signal.SIGKILL)

    def crashing_write(
        self: SqliteJournal, db: Any, rows: Sequence[TaskRow], status: str | None, *rest: Any, **more: Any
    ) -> None:
        kinds = _kinds(self, rows, status)
        at("before", kinds)
        if is_here("halfway", kinds):
            write(self, db, rows[: (len(rows) + 1) // 2], None, *rest, **more)
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, db, rows, status, *rest, **more)
        at("inside", kinds)

    def crashing_commit(self: SqliteJournal, rows: Sequence[TaskRow], **options: Any) -> Any:
        kinds = _kinds(self, rows, options.get("status"))
        waiting = commit(self, rows, **options)
        if waiting is None:
            at("after", kinds)
            return None

        async def wait() -> None:
            await waiting
            at("after", kinds)

        return wait()

    _crash_in_turns(at)
    _crash_while_enqueueing(at)
    SqliteJournal._write = crashing_write  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    SqliteJournal.commit = crashing_commit


def _crash_in_turns(at: Callable[[str, set[str]], None]) -> None:
    """Call `at` at the moments of the transactions of a queue's workers."""
    from workglow.storage.sqlite import takeover
    from workglow.storage.sqlite.claims import Claims

    patched: Any = Claims
    claim, settle = patched._claim, patched._settle
    reclaim: Any = takeover.reclaim
    turn, committed = patched.turn, patched.committed
    written: set[str] = set()  # by the transaction under way

    def crashing_claim(self: Any, execute: Any, worker: Any, queues: Any, limit: int, **rest: Any) -> Any:
        at("before", {"claim"})
        claimed = claim(self, execute, worker, queues, (limit + 1) // 2, **rest)
        if not claimed:
            return claimed
        written.add("claim")
        at("halfway", {"claim"})
        return claimed + claim(self, execute, worker, queues, limit - len(claimed), **rest) if limit > 1 else claimed

    def crashing_settle(self: Any, execute: Any, worker: Any, settled: Sequence[Any], now: int) -> Any:
        written.add("settle")
        halves = _in_halves("settle", settled, lambda some: settle(self, execute, worker, some, now), at)
        return tuple(first + second for first, second in zip(*halves, strict=True))

    def crashing_reclaim(*place: Any, **now: int) -> None:
        *some, ids, outcome = place
        if outcome == "crashed":
            written.add("take_over")
            _in_halves("take_over", list(ids), lambda half: reclaim(*some, half, outcome, **now), at)
        else:
            reclaim(*place, **now)

    def crashing_turn(self: Any, db: Any, ask: Any) -> Any:
        written.clear()
        done = turn(self, db, ask)
        at("inside", written)
        return done

    def crashing_committed(self: Any, ask: Any, turn: Any) -> None:
        at("after", written)
        committed(self, ask, turn)

    patched._claim, patched._settle, takeover.reclaim = crashing_claim, crashing_settle, crashing_reclaim
    patched.turn, patched.committed = crashing_turn, crashing_committed


def _crash_while_enqueueing(at: Callable[[str, set[str]], None]) -> None:
    """Call `at` at the moments of the transactions of those who enqueue."""
    from workglow.storage.sqlite.enqueueing import Enqueuer
    from workglow.storage.sqlite.jobs import SqliteJobs

    inside: Any = Enqueuer
    around: Any = SqliteJobs

    def crashing(add: Any) -> Any:
        def add_in_halves(self: Any, db: Any, queue_id: int, *rest: Any) -> list[int]:
            *alike, items, now = rest
            items = items if not alike else _lists_of_one(items)
            ids = _in_halves("enqueue", items, lambda some: add(self, db, queue_id, *alike, some, now), at)
            at("inside", {"enqueue"})
            return [*ids[0], *ids[1]]

        return add_in_halves

    def crashing_after(add: Any) -> Any:
        def add_and_crash(*what: Any) -> Any:
            ids = add(*what)
            at("after", {"enqueue"})
            return ids

        return add_and_crash

    inside.add, inside.add_alike = crashing(inside.add), crashing(inside.add_alike)
    around.add, around.add_alike = crashing_after(around.add), crashing_after(around.add_alike)


def _lists_of_one(lists: Sequence[str]) -> list[str]:
    """The same items as JSON lists of one item each, so that the half of them can be taken."""
    return [f"[{bytes(item).decode()}]" for each in lists for item in msgspec.json.decode(each, type=list[msgspec.Raw])]


def _in_halves(
    kind: str, items: Sequence[Any], write: Callable[[Sequence[Any]], Any], at: Callable[[str, set[str]], None]
) -> tuple[Any, Any]:
    half = (len(items) + 1) // 2
    at("before", {kind})
    first = write(items[:half])
    at("halfway", {kind})
    return first, write(items[half:])


def _kinds(journal: Any, rows: Sequence[TaskRow], status: str | None) -> set[str]:
    kinds = {"begin"} if journal._begin is not None else set[str]()
    for row in rows:
        if row.attempt > (row.status == "running") and row.status in ("pending", "running"):
            kinds.add("retry")
        if row.status == "running":
            kinds.add("open" if row.holds_others else "start")
        elif row.status == "waiting":
            kinds.add("wait")
        elif row.status == "completed":
            kinds.add("reuse" if row.source_id else "complete")
        elif row.status == "failed":
            kinds.add("fail")
        elif row.status == "disabled":
            kinds.add("disable")
    if status is not None:
        kinds.add("finish")
    return kinds


# ---------------------------------------------------------------------- models


class ScriptedProvider:
    """Models that say what the test wrote down, and that remember what they were asked.

    `script` maps texts to vectors of `dimensions` numbers; a text that is not in it is an error.  `answers` are what
    the model writes, one for each call, in order: a text, an object, or a list of events, the last being `Finish()`
    unless it is to break off; an exception among them is raised.  `asked` holds the texts, `requests` the requests.
    Its models are called 'scripted:…' while it is used as a context manager.
    """

    name = "scripted"

    def __init__(
        self,
        script: Mapping[str, Sequence[float]] | None = None,
        *,
        dimensions: int | None = None,
        answers: Sequence[object] = (),
    ) -> None:
        self.script = dict(script or {})
        self.dimensions = dimensions
        self.answers = list(answers)
        self.asked: list[str] = []
        self.requests: list[GenerationRequest] = []

    def __enter__(self) -> ScriptedProvider:
        written = self

        class Scripted(_ScriptedModels):
            script = written

        provider_registry.register(Scripted)
        return self

    def __exit__(self, *_: object) -> None:
        provider_registry.unregister(self.name)

    def next_events(self, request: GenerationRequest) -> Iterator[ModelEvent]:
        """Yield the next answer."""
        self.requests.append(request)
        if not self.answers:
            raise ModelError("The script has no answer left; write one down for each call.")
        answer = self.answers.pop(0)
        events = cast("list[object]", answer) if isinstance(answer, list) else [answer, Finish()]
        for event in events:
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, str):
                yield TextDelta(event)
            elif isinstance(event, dict):
                yield ObjectDelta(event)
            else:
                yield cast("ModelEvent", event)


class _ScriptedModels(Provider):
    name = ScriptedProvider.name
    title = "Scripted"
    script: ClassVar[ScriptedProvider]

    def record(self, name: str) -> ModelRecord:
        return ModelRecord(name=name, provider=self.name, dimensions=self.script.dimensions)

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        import numpy as np

        self.script.asked.extend(texts)
        unknown = [text for text in texts if text not in self.script.script]
        if unknown:
            raise ModelError(f"The script has no vector for {unknown[0]!r}; write one down, or correct the text.")
        return np.asarray([self.script.script[text] for text in texts], dtype=np.float32)

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        return len(text.split())

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        for event in self.script.next_events(request):
            yield event

    call_tools = chat
    structured = chat


@contextmanager
def forbid_model_calls() -> Generator[None]:
    """Refuse every model but scripted ones, so that a test suite cannot reach a real one by accident."""
    before = ProviderRegistry.get

    def get(self: ProviderRegistry, name: str) -> type[Provider]:
        if name != ScriptedProvider.name:
            raise UnknownModelError(
                f"A model of {name!r} was asked for inside forbid_model_calls(); use a scripted one."
            )
        return before(self, name)

    ProviderRegistry.get = get
    try:
        yield
    finally:
        ProviderRegistry.get = before
