"""Why a task is as it is, in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from workglow.errors import UnknownTaskError
from workglow.graph.pinned import PinnedGraph, scopes_opened, steps_of
from workglow.graph.waiting.wait import describe_wait
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from workglow.graph.engine import Engine
    from workglow.storage.records import EventRecord, RunRecord, TaskRow

__all__ = ["explain"]


def explain(engine: Engine, run: str, path: str) -> str:
    """Say why the task at `path` ran, was reused, waits or never started; UnknownTaskError when there is none."""
    runs = engine.repositories.runs
    record = runs.get(run)
    row = runs.row(record, path)
    if row is None:
        return _unreached(engine, record, path)
    if row.status == "waiting":
        told = [_waiting(engine, record, row)]
    else:
        told = [_state(row, abandoned=runs.is_abandoned(record)), *_inside(row)]
    told += [_event(event) for event in runs.events(record) if event.path == path]
    if row.source_id is not None:
        told.append("Its output was reused from an earlier task run, so its code did not run.")
    return "\n".join(told)


def _state(row: TaskRow, *, abandoned: bool) -> str:
    tries = "once" if row.attempt == 1 else f"{row.attempt} times"
    match row.status:
        case "completed" if row.source_id is not None or row.attempt == 0:
            return f"'{row.path}' is completed without running: the same task with the same inputs had run before."
        case "completed":
            return f"'{row.path}' ran because everything it reads was there.  It was started {tries} and completed."
        case "failed":
            error = msgspec.json.decode(row.error or "{}")
            return f"'{row.path}' was started {tries} and failed: {error.get('type')}: {error.get('message')}"
        case "disabled":
            return f"'{row.path}' is disabled: no branch that leads to it was taken."
        case "aborted" if row.attempt == 0:
            return f"'{row.path}' never started: the run ended, or something it needs failed, before its turn."
        case "aborted":
            return f"'{row.path}' was started {tries}, and stopped when the run ended."
        case "running" if abandoned:
            return f"'{row.path}' was in flight when its process stopped.  Resuming the run starts it again."
        case "running":
            return f"'{row.path}' is running, for the {_ordinal(row.attempt)} time."
        case _ if row.wake_at is not None:
            return f"'{row.path}' waits until {_time(row.wake_at)} for another try."
        case _:
            return f"'{row.path}' is ready, and waits for its turn."


def _inside(row: TaskRow) -> list[str]:
    """What the state of a compound task tells."""
    state = msgspec.json.decode(row.state or "{}")
    told = [f"Alternative {number} failed: {text}" for number, text in enumerate(state.get("failed", ()), 1)]
    if state.get("limit"):
        told.append(f"It stopped after {state['opened']} turns, its max_iterations; its condition still held.")
    elif "opened" in state and row.finished_at is None:
        of = f" of {state['count']}" if "count" in state else ""
        told.append(f"It has begun {state['opened']}{of} of the graphs inside it.")
    return told


def _waiting(engine: Engine, record: RunRecord, row: TaskRow) -> str:
    repositories = engine.repositories
    reason = describe_wait(row.state, row.wake_at, repositories.values.load)
    answered = any(one.answered for one in repositories.waiting.rows(record) if one.path == row.path)
    told = f"'{row.path}' waits {reason}"
    return f"{told}\nWhat it waits for has come: resuming the run goes on." if answered else told


def _unreached(engine: Engine, record: RunRecord, path: str) -> str:
    """Say what a task without a row waits for; of its code nothing is needed, only the stored graph."""
    graph = PinnedGraph(engine.repositories.graphs, record.graph_id)
    sources = graph.sources(path) if is_text(path) else None
    if sources is None:
        raise UnknownTaskError(f"Run {record.uid} has no task at {path!r:.200}.  `workglow show` lists the paths.")
    *around, last = steps_of(path)
    for holder in around:
        row = engine.repositories.runs.row(record, holder.path)
        inside = f"'{path}' has not started: it is inside '{holder.path}', which"
        if row is None:
            return f"{inside} has not started either.\n{_unreached(engine, record, holder.path)}"
        if row.finished_at is not None:
            return f"{inside} is {row.status} and never came to it."
        opened = scopes_opened(row.state)
        if holder.scope is not None and opened is not None and holder.scope >= opened:
            return f"{inside} has begun {opened} of the graphs inside it, and not yet this one."
    waiting = [said for id in sources if (said := _undelivered(engine, record, last.above + id)) is not None]
    reason = f"it waits for {', '.join(waiting)}" if waiting else f"the run is {record.status}"
    return f"'{path}' has not started: {reason}."


def _undelivered(engine: Engine, record: RunRecord, source: str) -> str | None:
    """Say why a task has given nothing yet to those behind it; None when it has."""
    row = engine.repositories.runs.row(record, source)
    if row is None:
        return f"'{source}' (not reached)"
    if row.status == "waiting":
        return f"'{source}' (waits {describe_wait(row.state, row.wake_at, engine.repositories.values.load)})"
    if row.finished_at is None:
        return f"'{source}' ({row.status})"
    return f"'{source}', which {row.status}" if row.status in ("failed", "aborted") else None


def _event(event: EventRecord) -> str:
    data = event.data or {}
    match event.kind:
        case "retried":
            return f"{_time(event.at)}: attempt {data.get('attempt')} failed with {data.get('error')}; tried again."
        case "interrupted":
            return f"{_time(event.at)}: attempt {data.get('attempt')} was cut off when its process ended."
        case _:
            return f"{_time(event.at)}: {event.kind}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
