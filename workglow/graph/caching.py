"""The output cache, as the runner uses it: the key is what the task is and what goes in.

Control flow and side effects are never cached.  A task that has no key, because its settings or inputs are of a kind
that cannot be fingerprinted, runs as if there were no cache.  A task may say by what its inputs are known, when their
values alone do not say it: `cache_identity` of the tasks that models do names what a model is, not what it is called.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from workglow.errors import MissingExtraError, ModelError, UnstorableValueError, WorkglowError
from workglow.graph.inputs import gather
from workglow.storage.outputs import CacheEntry, stored_size
from workglow.values import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.environment import Environment
    from workglow.graph.schedule import TaskRun
    from workglow.tasks import Task

__all__ = ["OutputCache", "output_key"]


def output_key(task: Task, inputs: dict[str, object]) -> bytes:
    """SHA-256 over type, version, configuration and canonical inputs: 32 bytes."""
    return hashlib.sha256(_identity(task) + canonical(inputs)).digest()


def _identity(task: Task) -> bytes:
    return canonical([task.type, task.version, dict(task.config)])


def _is_control_flow(task: Task) -> bool:
    return task.mode == "compound" or task.switches_ports


class OutputCache:
    """Finds the outputs of tasks that may be cached, and remembers new ones."""

    def __init__(self, environment: Environment) -> None:
        self._cache = environment.cache if environment.options.cache != "off" else None
        self.enabled = self._cache is not None
        self._reads = environment.options.cache == "use"
        self._saves = not environment.cache_is_journal
        self._encodes = environment.journal is not None
        self._now = environment.clock.now
        self._project = environment.project
        self._identities: dict[object, bytes] = {}

    def find(self, run: TaskRun) -> bool:
        """Give the task run its outputs from the cache, if they are there."""
        task = run.task
        if self._cache is None or not task.cacheable or task.side_effects or run.intake is not None:
            return False  # what is read as a stream is not known yet
        try:
            run.key = self._key(run)
            found = self._cache.find(run.key) if self._reads and run.key is not None else None
        except UnstorableValueError:
            return False
        if found is None:
            return False
        run.outputs = found.outputs
        if self._encodes:
            run.output = found.text
            run.source_id = found.source_id or None
            if not run.source_id:
                run.cache_key, run.model = run.key, _model(run) or None
        return True

    def _key(self, run: TaskRun) -> bytes | None:
        task = run.task
        if task.mode == "compound":
            return None
        try:
            inputs = task.cache_identity(cast("dict[str, object]", run.inputs), self._project)
        except (ModelError, MissingExtraError):
            return None  # the task tells what is not known here, wherever it runs
        kind = task if task.config else type(task)  # tasks without configuration share their type's identity
        identity = self._identities.get(kind)
        if identity is None:
            self._identities[kind] = b""  # stays so when there is none
            identity = self._identities[kind] = b"" if _is_control_flow(task) else _identity(task)
        return hashlib.sha256(identity + canonical(inputs)).digest() if identity else None

    def identify(self, run: TaskRun, outputs_of: Callable[[TaskRun], dict[str, object]]) -> None:
        """Give a task run that read streams its key, now that what it read is whole."""
        task = run.task
        if self._cache is None or not task.cacheable or task.side_effects:
            return
        with suppress(WorkglowError):
            run.inputs = task.check_inputs(gather(run, task, outputs_of))
            run.key = self._key(run)

    def store(self, run: TaskRun) -> None:
        """Remember the outputs of a task run that has just finished."""
        if run.key is None or self._cache is None:
            return
        model = _model(run)
        if self._saves:
            with suppress(UnstorableValueError):
                self._cache.save(run.key, run.task.type, run.outputs or {}, model=model)
            return
        if not self._cache.is_plain:
            size = stored_size(run.output or "", run.blobs)
            if not self._cache.expect(CacheEntry(run.key, run.task.type, model, size, self._now())):
                return
        if not self._reads:
            self._cache.remove((run.key,))  # the new output takes the place of the old one
        run.cache_key = run.key
        if model:
            run.model = model


def _model(run: TaskRun) -> str:
    model = (run.inputs or {}).get("model") or run.task.config.get("model")
    return model if isinstance(model, str) else ""
