"""What one call may say about a run, as keywords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workglow.graph.rights.permission import RunRights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.graph.budget import Budget
    from workglow.graph.events import Event
    from workglow.graph.waiting.wait import Question
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.tasks.resolver import ResolverRegistry
    from workglow.telemetry import Tracer

__all__ = ["KeptRunSettings", "MemoryRunSettings", "ResumeSettings", "RunSettings"]


class RunSettings(RunRights, total=False):
    """The options of a run, see RunOptions, and what it may do, see RunRights."""

    concurrency: int | None
    timeout: float | None
    continue_on_error: bool
    cache: Literal["use", "refresh", "off"]
    max_tasks: int | None
    queues: Mapping[str, str] | None
    budget: Budget | float | None
    wait: bool | float | None


class ResumeSettings(RunRights, total=False):
    """Who hears of a run, traces it and answers what it asks, and what it may do, see RunRights.

    on_event: is called with each event.
    on_question: is called with each Question that a task asks a person, in a thread of its own when it is a plain
    function; what it returns is the answer.
    tracer: is given spans, see Tracer; in place of the one that the project was opened with.
    """

    on_event: Callable[[Event], object] | None
    on_question: Callable[[Question], object] | None
    tracer: Tracer | None


class KeptRunSettings(RunSettings, ResumeSettings, total=False):
    """Everything that one call may say about a run that is kept."""


class MemoryRunSettings(KeptRunSettings, total=False):
    """KeptRunSettings, and what a run without a project is given instead of a project.

    output_cache: keeps outputs of tasks for other runs.
    resolvers: take the place of the standard ones.
    """

    output_cache: TaskOutputRepository | None
    resolvers: ResolverRegistry | None
