"""What a place that keeps runs must be able to do.  SQLite is one; the contract tests say what counts as keeping.

Every method is one transaction.  `Journal.commit` is the only one on the hot path: it may finish at once, or give back
something to await when the place is slow, busy, or has to reach the disk first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from workglow.storage.records import (
        Arrival,
        ChunkRecord,
        DataflowRecord,
        EventRecord,
        GraphRecord,
        GraphTaskRecord,
        GraphVersion,
        RunRecord,
        TaskRow,
        TurnRecord,
        WaitingRow,
    )
    from workglow.values import Blob, Encoded

__all__ = [
    "GraphRepository",
    "GraphStore",
    "Journal",
    "RunRepository",
    "SettingsRepository",
    "ValueRepository",
    "WaitingRepository",
]


class ValueRepository(Protocol):
    """Values over the inline limit, each stored once and known by the hash of its content."""

    def load(self, hash: bytes) -> tuple[str, str, bytes]:
        """Return kind, encoding and data; a hash that is not there is a CorruptValueError."""
        ...

    def save(self, blobs: Iterable[Blob]) -> None:
        """Keep the values that are not there yet."""
        ...


class GraphRepository(Protocol):
    """Graphs, immutable and known by their content, read only as far as a run needs."""

    def save(self, graph: GraphRecord) -> int:
        """Keep a graph (once), and return its key."""
        ...

    def load(self, graph_id: int) -> GraphRecord: ...

    def task(self, graph_id: int, task_id: str) -> GraphTaskRecord | None: ...

    def incoming(self, graph_id: int, task_id: str) -> Sequence[DataflowRecord]: ...

    def outgoing(self, graph_id: int, task_id: str) -> Sequence[DataflowRecord]: ...

    def extra(self, graph_id: int) -> str: ...


class GraphStore(Protocol):
    """Graphs by name, each with every version it had.  Implement it to keep graphs in a place of your own.

    The names that arrive here are checked.  A version's number is 1 more than the one before, also after a rename.
    """

    def save(self, name: str, graph: GraphRecord, note: str) -> GraphVersion:
        """Make this graph the newest version of that name."""
        ...

    def load(self, name: str, number: int | None = None) -> GraphRecord | None:
        """Return a version, the newest without a number; None when there is none; CorruptValueError for damage."""
        ...

    def history(self, name: str) -> list[GraphVersion]:
        """Return what is known of the versions, oldest first; nothing for a name that is not there."""
        ...

    def names(self) -> list[str]:
        """Return the names, sorted."""
        ...

    def remove(self, name: str) -> bool:
        """Forget a name and its versions; False when it is not there."""
        ...

    def rename(self, name: str, to: str) -> bool:
        """Give a name and its versions another name; False when it is not there, or the other one is."""
        ...


class Journal(Protocol):
    """The state of one run, written by the one process that owns it.

    After another process took the run over, every method that writes raises LeaseLostError and changes nothing.
    """

    @property
    def run(self) -> RunRecord: ...

    def commit(
        self,
        rows: Sequence[TaskRow],
        *,
        sync: bool = False,
        block: bool = False,
        status: str | None = None,
        output: Encoded | None = None,
        error: str | None = None,
    ) -> Awaitable[None] | None:
        """Write the rows, and the run's own end when `status` is final, in one transaction.

        None: it is committed.  Otherwise it is committed when the awaitable is done.  `sync` also waits for the disk;
        `block` allows waiting on the spot, for a caller that has nothing else to do.
        """
        ...

    def note(self, event: EventRecord) -> None:
        """Add an event to the next commit."""
        ...

    def note_chunk(self, row: TaskRow, chunk: ChunkRecord) -> None:
        """Add what a running task streamed to the next commit; it is forgotten with the commit that ends the task."""
        ...

    def chunks(self, path: str) -> list[ChunkRecord]:
        """What the task at this path has streamed, and has not been given up, in order."""
        ...

    def row(self, path: str) -> TaskRow | None: ...

    def unhandled(self) -> str | None:
        """What the first failure that the run went on without is for the run, as it was stored; None without one."""
        ...

    def open_rows(self) -> Iterable[TaskRow]:
        """What is ready, in flight or waiting, oldest first, without reading what is finished.

        A compound task may be left out, since whatever is open inside it names it.
        """
        ...

    def keep_open(self, row: TaskRow) -> None:
        """From the next commit on, let `open_rows` name this compound task itself, until all of them have been read.

        Meanwhile the last task that was open inside it may end, and nothing else may have begun there.
        """
        ...

    def release(self) -> None:
        """Give the run up as it is, for anyone to resume."""
        ...

    def arrivals(self, expired: Sequence[int] = ()) -> list[Arrival]:
        """What has come for the waiting tasks; for those whose deadline is over (by `row_id`), that, unless an answer
        came before.  What is told once stays so, and no later answer is accepted."""
        ...

    def progress(self) -> list[tuple[int, str]]:
        """What workers tell of the waiting tasks that they do (JSON), by `row_id`."""
        ...

    async def wait_for_change(self) -> None:
        """Return when somebody may have brought something since the call."""
        ...

    async def park(self, *, block: bool = False) -> bool:
        """Leave the run as `waiting`, driven by nobody; False, and nothing is changed, when something has come."""
        ...


class RunRepository(Protocol):
    """Runs: begun, taken over, listed, forked."""

    def begin(
        self,
        graph: GraphRecord,
        input: Encoded,
        *,
        options: Mapping[str, object],
        versions: Mapping[str, str],
        rows: Sequence[TaskRow] = (),
        forked_from: RunRecord | None = None,
        submit: tuple[int, int] | None = None,
        uid: str | None = None,
    ) -> Journal:
        """Make a run of this graph; it is stored, with `rows`, by its journal's first commit.

        `submit` is the key of a queue whose workers drive it, and how often they try: the run is then driven by nobody.
        `uid` is the run's id, when it is not to have a new one.
        """
        ...

    def take_over(
        self,
        run: RunRecord,
        *,
        versions: Mapping[str, str] | None = None,
        keep: Sequence[TaskRow] | None = None,
        add: Sequence[TaskRow] = (),
        reason: str = "resumed",
    ) -> Journal:
        """Make this process the owner; RunStateError when the owner is alive.

        `versions` pins new versions.  With `keep`, the run's other task rows are forgotten; those kept are written as
        they now are, and `add` joins them.
        """
        ...

    def get(self, uid: str) -> RunRecord:
        """Find a run by its id or by the unique beginning of one; UnknownRunError otherwise."""
        ...

    def all(self, *, open_only: bool = False) -> list[RunRecord]: ...

    def rows(self, run: RunRecord) -> Iterable[TaskRow]: ...

    def row(self, run: RunRecord, path: str) -> TaskRow | None: ...

    def count(self, run: RunRecord) -> dict[str, int]: ...

    def events(self, run: RunRecord) -> list[EventRecord]: ...

    def chunks(self, run: RunRecord, *, from_seq: int, path: str | None = None, limit: int) -> list[ChunkRecord]:
        """What unfinished tasks of the run have streamed, or the task at `path`, in order."""
        ...

    def streamed(self, run: RunRecord) -> list[TaskRow]:
        """The finished tasks that had streamed."""
        ...

    def usages(self, run: RunRecord) -> list[tuple[str, str]]:
        """Path and usage (JSON) of the tasks that recorded any, in the order in which they became ready."""
        ...

    def set_option(self, run: RunRecord, name: str, value: object) -> bool:
        """Change one option of an unfinished run; False when the run is finished."""
        ...

    def driving_job(self, run: RunRecord) -> int | None:
        """The newest job that was to drive the run; None for a run that was not submitted."""
        ...

    def is_abandoned(self, run: RunRecord) -> bool:
        """Is the run unfinished, and nobody there who drives it?"""
        ...


class WaitingRepository(Protocol):
    """What unfinished runs wait for.  Any process may answer; who drives the run acts on it, now or later."""

    def rows(self, run: RunRecord | None = None) -> list[WaitingRow]:
        """The tasks that wait, oldest first; those whose answer nobody has acted on yet are `answered`."""
        ...

    def turns(self, row_id: int) -> list[TurnRecord]:
        """What a task run was told so far, by turn and attempt."""
        ...

    def answer(self, run: RunRecord, path: str, attempt: int, action: str, content: Encoded, *, turn: int = 1) -> None:
        """Keep the answer to a task that waits in this turn; RunStateError when it does not, has one, or is too late.

        On return the answer is on the disk, and who drives the run is woken.  Of several answers exactly one is kept.
        """
        ...

    def send(self, name: str, content: Encoded, runs: Sequence[RunRecord]) -> list[str]:
        """Give an event to every task of these runs that waits for it; where none does, the next that will gets it.

        Return the ids of the runs that are not finished and so were reached.
        """
        ...

    def due(self) -> list[str]:
        """The ids of the runs in which something has come, or the time is over, for a task that waits."""
        ...


class SettingsRepository(Protocol):
    """What the owner of a project set for it, as plain JSON values."""

    def get(self, name: str) -> object:
        """Return a setting; None when it was never set."""
        ...

    def set(self, name: str, value: object) -> None:
        """Keep a setting; None forgets it."""
        ...
