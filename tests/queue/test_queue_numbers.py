"""Job numbers: counted up over all queues, and none is used twice, whatever is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow import job

if TYPE_CHECKING:
    from workglow import Project
    from workglow.queue import HandlerRegistry


def test_the_numbers_of_deleted_jobs_stay_used(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers, inline=True)
    def give(value: int) -> int:
        return value

    queue = project.queue("work", keep_completed=0)
    numbers = [queue.enqueue(give, {"value": value}, priority=value).id for value in range(3)]
    queue.work_sync()  # by priority: the newest is done and deleted first, then the one before it
    assert queue.jobs() == []
    assert queue.enqueue(give, {"value": 3}).id == numbers[-1] + 1
