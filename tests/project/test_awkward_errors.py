"""Exceptions whose message is hard to keep: the run fails as with any other, and is not left half way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import workglow as wg
from workglow import Job, Workflow, job, task
from workglow.errors import TaskAbortedError, TaskFailedError

UNDECODABLE = b"caf\xe9".decode(errors="surrogateescape")  # as Python gives the name of a file that is no UTF-8


class Mute(Exception):
    def __str__(self) -> str:
        raise AttributeError("no message was given")


def raised(kind: str) -> Exception:
    return FileNotFoundError(f"no file {UNDECODABLE}") if kind == "undecodable" else Mute()


@task(name="awkward_task", cache=False, inline=True)
def awkward(kind: str) -> str:
    raise raised(kind)


@task(name="awkward_handler", inline=True)
def handle(error: str) -> str:
    return error


@job(name="awkward_job")
def awkward_job(kind: str) -> str:
    raise raised(kind)


SAID = {"undecodable": r"no file caf\udce9", "mute": "(its message cannot be told: str() raised AttributeError)"}


@pytest.mark.parametrize("kind", SAID)
def test_a_run_fails_whatever_the_message_of_its_exception_holds(kind: str) -> None:
    with wg.open(":memory:") as project:
        with pytest.raises(TaskFailedError) as caught:
            project.run_sync(awkward, {"kind": kind})
        assert SAID[kind] in str(caught.value)
        stored = project.runs()[-1]
        assert (stored.status, stored.tasks["awkward_task"].status) == ("failed", "failed")
        assert SAID[kind] in (stored.tasks["awkward_task"].error or "")
        handled = project.run_sync(Workflow().then(awkward).on_error(handle), {"kind": kind})
        assert handled.outputs["output"] == SAID[kind]
        ignored = project.run_sync(Workflow().then(awkward), {"kind": kind}, continue_on_error=True)
        assert ignored.status == "failed"


@pytest.mark.parametrize("kind", SAID)
def test_a_job_fails_whatever_the_message_of_its_exception_holds(kind: str) -> None:
    with wg.open(":memory:") as project:
        queue = project.queue("awkward", retry=wg.Retry(attempts=1))
        added: Job = queue.enqueue(awkward_job, {"kind": kind})
        queue.work_sync()
        assert project.job(added.id).status == "failed"
        assert SAID[kind] in str(project.job(added.id).error)


async def in_one_go() -> int:
    raise asyncio.CancelledError


async def after_a_while() -> int:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


def plainly() -> int:
    raise asyncio.CancelledError


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("body", [in_one_go, after_a_while, plainly])
def test_a_task_that_cancels_itself_is_aborted_and_so_is_its_run(body: Callable[[], Any], inline: bool) -> None:
    made: Any = task(name=f"awkward_{body.__name__}_{inline}", inline=inline and body is plainly)(body)
    with wg.open(":memory:") as project:
        with pytest.raises(TaskAbortedError, match="was cancelled by its own code"):
            project.run_sync(made)
        assert project.runs()[-1].status == "aborted"
