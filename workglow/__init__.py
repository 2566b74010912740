"""workglow: task graphs, runs, outputs and embeddings in one SQLite file.  Every run is resumable.

Everything public is here; each name is loaded when it is first used, so importing workglow costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workglow.errors import WorkglowError
    from workglow.graph.building.workflow import Workflow
    from workglow.graph.built_in_transforms import built_in_transforms
    from workglow.graph.control.compound import GraphAsTask
    from workglow.graph.control.conditional import ConditionalTask
    from workglow.graph.control.conditions import Condition
    from workglow.graph.control.fallback import FallbackTask
    from workglow.graph.control.map import ForEachTask, MapTask
    from workglow.graph.control.reduce import ReduceTask
    from workglow.graph.control.switch import SwitchTask
    from workglow.graph.control.while_task import WhileTask
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.graph.named import FolderTaskGraphRepository, MemoryTaskGraphRepository, TaskGraphRepository
    from workglow.graph.options import RunOptions
    from workglow.graph.previews.preview import Preview, TaskPreview
    from workglow.graph.rights.permission import EntitlementRequest
    from workglow.graph.run import Run, TaskResult
    from workglow.graph.streams.chunks import StreamChunk
    from workglow.graph.streams.follow import StreamRecord
    from workglow.graph.transforms import TransformDefinition, TransformRegistry
    from workglow.graph.waiting.wait import Answer, Question
    from workglow.library import DelayTask, HumanApprovalTask, HumanInputTask, WaitForEventTask, WaitUntilTask
    from workglow.project import Project, open
    from workglow.queue import Handler, HandlerRegistry, Job, JobContext, JobEvent, JobQueue, Queues, Worker, job
    from workglow.queue.change_feed import ChangeFeed
    from workglow.queue.schedules import Schedule
    from workglow.retry import Retry
    from workglow.storage.changes import JobChange, RunChange
    from workglow.storage.folder import FolderTaskOutputRepository
    from workglow.storage.memory import MemoryTaskOutputRepository
    from workglow.storage.outputs import CacheEntry, OutputEvent, StoredOutput, TaskOutputRepository
    from workglow.storage.policies import AnyOf, CachePolicy, KeepLast, MaxAge, MaxSize, OnlyModels, OnlyTasks
    from workglow.storage.protocols import GraphStore
    from workglow.storage.records import GraphVersion
    from workglow.tasks import (
        MISSING,
        Collect,
        Entitlement,
        Stream,
        Task,
        TaskContext,
        TaskRegistry,
        task,
        task_registry,
    )
    from workglow.values import Secret, value_types

__all__ = [
    "MISSING",
    "Answer",
    "AnyOf",
    "CacheEntry",
    "CachePolicy",
    "ChangeFeed",
    "Collect",
    "Condition",
    "ConditionalTask",
    "Dataflow",
    "DelayTask",
    "Entitlement",
    "EntitlementRequest",
    "Event",
    "FallbackTask",
    "FolderTaskGraphRepository",
    "FolderTaskOutputRepository",
    "ForEachTask",
    "GraphAsTask",
    "GraphStore",
    "GraphVersion",
    "Handler",
    "HandlerRegistry",
    "HumanApprovalTask",
    "HumanInputTask",
    "Job",
    "JobChange",
    "JobContext",
    "JobEvent",
    "JobQueue",
    "KeepLast",
    "MapTask",
    "MaxAge",
    "MaxSize",
    "MemoryTaskGraphRepository",
    "MemoryTaskOutputRepository",
    "OnlyModels",
    "OnlyTasks",
    "OutputEvent",
    "Preview",
    "Project",
    "Question",
    "Queues",
    "ReduceTask",
    "Retry",
    "Run",
    "RunChange",
    "RunOptions",
    "Schedule",
    "Secret",
    "StoredOutput",
    "Stream",
    "StreamChunk",
    "StreamRecord",
    "SwitchTask",
    "Task",
    "TaskContext",
    "TaskGraph",
    "TaskGraphRepository",
    "TaskOutputRepository",
    "TaskPreview",
    "TaskRegistry",
    "TaskResult",
    "TransformDefinition",
    "TransformRegistry",
    "WaitForEventTask",
    "WaitUntilTask",
    "WhileTask",
    "Worker",
    "Workflow",
    "WorkglowError",
    "__version__",
    "built_in_transforms",
    "job",
    "open",
    "task",
    "task_registry",
    "value_types",
]

__version__ = "0.1.0"

_HOMES = {
    "Answer": "graph.waiting.wait",
    "AnyOf": "storage.policies",
    "CacheEntry": "storage.outputs",
    "CachePolicy": "storage.policies",
    "ChangeFeed": "queue.change_feed",
    "Collect": "tasks",
    "Condition": "graph.control.conditions",
    "ConditionalTask": "graph.control.conditional",
    "Dataflow": "graph.dataflow",
    "DelayTask": "library",
    "Entitlement": "tasks",
    "EntitlementRequest": "graph.rights.permission",
    "Event": "graph.events",
    "FallbackTask": "graph.control.fallback",
    "FolderTaskGraphRepository": "graph.named",
    "FolderTaskOutputRepository": "storage.folder",
    "ForEachTask": "graph.control.map",
    "GraphAsTask": "graph.control.compound",
    "GraphStore": "storage.protocols",
    "GraphVersion": "storage.records",
    "Handler": "queue",
    "HandlerRegistry": "queue",
    "HumanApprovalTask": "library",
    "HumanInputTask": "library",
    "Job": "queue",
    "JobChange": "storage.changes",
    "JobContext": "queue",
    "JobEvent": "queue",
    "JobQueue": "queue",
    "KeepLast": "storage.policies",
    "MISSING": "tasks",
    "MapTask": "graph.control.map",
    "MaxAge": "storage.policies",
    "MaxSize": "storage.policies",
    "MemoryTaskGraphRepository": "graph.named",
    "MemoryTaskOutputRepository": "storage.memory",
    "OnlyModels": "storage.policies",
    "OnlyTasks": "storage.policies",
    "OutputEvent": "storage.outputs",
    "Preview": "graph.previews.preview",
    "Project": "project",
    "Question": "graph.waiting.wait",
    "Queues": "queue",
    "ReduceTask": "graph.control.reduce",
    "Retry": "retry",
    "Run": "graph.run",
    "RunChange": "storage.changes",
    "RunOptions": "graph.options",
    "Schedule": "queue.schedules",
    "Secret": "values",
    "StoredOutput": "storage.outputs",
    "Stream": "tasks",
    "StreamChunk": "graph.streams.chunks",
    "StreamRecord": "graph.streams.follow",
    "SwitchTask": "graph.control.switch",
    "Task": "tasks",
    "TaskContext": "tasks",
    "TaskGraph": "graph.graph",
    "TaskGraphRepository": "graph.named",
    "TaskOutputRepository": "storage.outputs",
    "TaskPreview": "graph.previews.preview",
    "TaskRegistry": "tasks",
    "TaskResult": "graph.run",
    "TransformDefinition": "graph.transforms",
    "TransformRegistry": "graph.transforms",
    "WaitForEventTask": "library",
    "WaitUntilTask": "library",
    "WhileTask": "graph.control.while_task",
    "Worker": "queue",
    "Workflow": "graph.building.workflow",
    "WorkglowError": "errors",
    "built_in_transforms": "graph.built_in_transforms",
    "job": "queue",
    "open": "project",
    "task": "tasks",
    "task_registry": "tasks",
    "value_types": "values",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'workglow' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(f"workglow.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
