"""What one call may say about a run, as keywords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workglow.graph.permission import RunRights

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.events import Event
    from workglow.graph.wait import Question
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.tasks.resolver import ResolverRegistry

__all__ = ["MemoryRunSettings", "RunSettings"]


class RunSettings(RunRights, total=False):
    """The options of a run, see RunOptions, and what it may do, see RunRights."""

    concurrency: int | None
    timeout: float | None
    continue_on_error: bool
    cache: Literal["use", "refresh", "off"]
    max_tasks: int | None
    wait: bool | float | None


class MemoryRunSettings(RunSettings, total=False):
    """RunSettings, and what a run without a project is given instead of a project.

    on_event: is called with each event.
    on_question: is called with each Question that a task asks a person, in a thread of its own when it is a plain
    function; what it returns is the answer.
    output_cache: keeps outputs of tasks for other runs.
    resolvers: take the place of the standard ones.
    """

    on_event: Callable[[Event], object] | None
    on_question: Callable[[Question], object] | None
    output_cache: TaskOutputRepository | None
    resolvers: ResolverRegistry | None
