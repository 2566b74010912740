"""The rows that storage keeps, as plain objects.  They know nothing of SQL, and nothing of how a graph runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workglow.values import Blob, Encoded

__all__ = [
    "FINAL_RUN_STATUSES",
    "FINAL_TASK_STATUSES",
    "Arrival",
    "ChunkRecord",
    "DataflowRecord",
    "EventRecord",
    "GraphRecord",
    "GraphTaskRecord",
    "GraphVersion",
    "JobOfTask",
    "RunRecord",
    "TaskRow",
    "TurnRecord",
    "WaitingRow",
]

FINAL_TASK_STATUSES: Final = frozenset({"completed", "failed", "aborted", "disabled"})
FINAL_RUN_STATUSES: Final = frozenset({"completed", "failed", "aborted"})


@dataclass(frozen=True, slots=True)
class JobOfTask:
    """A job for a task that waits for it; `queue_id` is the database's key of the queue."""

    queue_id: int
    handler: str
    input: Encoded
    max_attempts: int


class TaskRow:
    """One task in one run.  The runner's live objects are these, so a transition is written without a copy.

    `output`, `error`, `state` and `usage` are JSON text; times are milliseconds; `row_id` is 0 until it was written.
    """

    # Defaults live on the class: a million-task run creates these objects in a hot loop, and most fields stay as they
    # are.
    row_id: int = 0
    status: str = "pending"
    attempt: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    wake_at: int | None = None
    output: str | None = None
    blobs: Sequence[Blob] = ()
    error: str | None = None
    state: str | None = None
    has_chunks: bool = False  # a streaming task: rows of `stream_chunk` may belong to it
    usage: str | None = None
    cache_key: bytes | None = None
    source_id: int | None = None
    model: str | None = None  # of a cached output
    is_listed: bool = False  # among the rows that wait
    job: JobOfTask | None = None  # what it waits for, and is to be added when the row is written
    holds_others: bool = False  # a compound task: open for as long as something inside it is

    def __init__(self, path: str) -> None:
        self.path = path


@dataclass(slots=True)
class RunRecord:
    """One execution of a graph, as stored.  `row_id` is the database's own key; people and programs use `uid`."""

    row_id: int
    uid: str
    graph_id: int
    status: str
    session_id: int | None
    epoch: int
    input: str
    output: str | None
    error: str | None
    options: dict[str, object]
    versions: dict[str, str]
    forked_from: str | None
    created_at: int
    finished_at: int | None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened to a run and that no other row says."""

    at: int
    path: str | None
    kind: str
    data: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What has come for a waiting task run; `content` is the JSON of an answer or an event."""

    row_id: int
    action: str
    content: str


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A task that waits in an unfinished run, whose id is `run`; `state` is JSON and says for what.

    `turn` is the how many-th time, from 1.
    """

    run: str
    path: str
    attempt: int
    started_at: int
    wake_at: int | None
    state: str
    answered: bool
    turn: int = 1


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What ended one turn of a task that waits; `question` is the JSON of what it asked, None when it asked nobody."""

    turn: int
    attempt: int
    action: str
    content: str
    question: str | None
    answered_at: int


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """What a streaming task said: the pieces of one port within a short time, added up.

    `seq` counts up over the whole run, also over its tasks, attempts and processes; `data` is JSON, the port with its
    piece.
    """

    seq: int
    path: str
    attempt: int
    port: str
    kind: str
    data: str
    at: int
    blobs: Sequence[Blob] = ()


@dataclass(frozen=True, slots=True)
class GraphTaskRecord:
    """One task of a stored graph; `definition` is its JSON without the id."""

    task_id: str
    definition: str


@dataclass(frozen=True, slots=True)
class DataflowRecord:
    """One edge of a stored graph; `transforms` is JSON, or None when there are none."""

    source_id: str
    source_port: str
    target_id: str
    target_port: str
    transforms: str | None = None


@dataclass(frozen=True, slots=True)
class GraphRecord:
    """A whole graph, known by the SHA-256 of its canonical JSON (64 hex characters)."""

    hash: str
    tasks: Sequence[GraphTaskRecord]
    dataflows: Sequence[DataflowRecord]
    extra: str = field(default="{}")


@dataclass(frozen=True, slots=True)
class GraphVersion:
    """One of the graphs that a name stood for; `number` counts from 1, `saved_at` is in milliseconds."""

    name: str
    number: int
    hash: str
    note: str
    saved_at: int
