"""What surrounds a run: the clock, the journal, the cache, the registry, the project, and who listens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workglow.clock import SystemClock
from workglow.errors import CorruptValueError
from workglow.graph.options import RunOptions
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.clock import Clock
    from workglow.graph.budget import Spending
    from workglow.graph.events import Event
    from workglow.graph.rights.gate import Gate
    from workglow.graph.waiting.wait import Question
    from workglow.queue import Queues
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.storage.protocols import Journal, WaitingRepository
    from workglow.tasks import TaskRegistry
    from workglow.tasks.resolver import ResolverRegistry
    from workglow.telemetry import Tracer

__all__ = ["Environment"]


def _no_values(hash: bytes) -> tuple[str, str, bytes]:
    raise CorruptValueError(f"The value {hash.hex()} is in a project file, and this run has none.")


@dataclass(slots=True)
class Environment:
    """One for each run, handed to everything inside it.

    `journal` keeps the run; without one it lives in memory.  `cache` finds outputs of earlier runs; `cache_is_journal`
    says that the journal's own rows are that cache, so nothing has to be saved twice.  `alone` says that nothing else
    uses the event loop, so that waiting for the disk on the spot holds nobody up.  `gate` refuses what was not granted;
    without one everything is; `gate_for_data` is that of graphs that come in as inputs.  `resolvers` turn names in
    inputs into what they name.  `on_question` is called with each question that a task asks, in a thread when it is a
    plain function; what it returns is the answer.  `waiting` keeps answers until the run acts on them.
    `tracer` is told what begins and ends.  `queues` gives the job queues of the file, which loads them;
    `spending` counts what the run takes of models, when that is limited; `rights` is what a worker has to know of the
    gate.
    """

    clock: Clock = field(default_factory=SystemClock)
    options: RunOptions = field(default_factory=RunOptions)
    listeners: tuple[Callable[[Event], object], ...] = ()
    registry: TaskRegistry = task_registry
    journal: Journal | None = None
    load_value: Callable[[bytes], tuple[str, str, bytes]] = _no_values
    cache: TaskOutputRepository | None = None
    cache_is_journal: bool = False
    project: object = None
    project_uid: str = ""
    run_id: str = ""
    alone: bool = False
    gate: Gate | None = None
    gate_for_data: Gate | None = None
    resolvers: ResolverRegistry | None = None
    on_question: Callable[[Question], object] | None = None
    waiting: WaitingRepository | None = None
    tracer: Tracer | None = None
    queues: Callable[[], Queues] | None = None
    spending: Spending | None = None
    rights: Callable[[], Mapping[str, object]] = dict
