"""Promise: what a job was given and what it gave stays in the file for as long as the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow import Handler
from workglow.file import doctor
from workglow.storage.sqlite.retention import collect, plan

if TYPE_CHECKING:
    from workglow import HandlerRegistry, Project

LARGE = "word " * 100_000


def test_large_values_of_jobs_are_no_garbage(project: Project, handlers: HandlerRegistry) -> None:
    def repeat(text: str) -> str:
        return text + text

    handlers.register(Handler(repeat))
    job = project.queue("texts").enqueue("repeat", {"text": LARGE})
    collect(project.file, plan(project.file))
    project.queue("texts").work_sync()
    collect(project.file, plan(project.file))
    assert job.inputs == {"text": LARGE}
    assert job.result_sync() == LARGE + LARGE
    assert doctor(project.path).ok
