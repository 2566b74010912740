"""workglow: task graphs, runs, outputs and embeddings in one SQLite file.  Every run is resumable.

Everything public is here; each name is loaded when it is first used, so importing workglow costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workglow.ai.agent import AgentTask
    from workglow.ai.tool_calling import ToolCallingTask
    from workglow.errors import WorkglowError
    from workglow.graph.budget import Budget
    from workglow.graph.building.combining import parallel, pipe
    from workglow.graph.building.workflow import Workflow
    from workglow.graph.built_in_transforms import built_in_transforms
    from workglow.graph.control.array import ArrayTask
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
    from workglow.graph.waiting.wait import AnsweredQuestion, Question
    from workglow.library import DelayTask, HumanApprovalTask, HumanInputTask, WaitForEventTask, WaitUntilTask
    from workglow.library.chat import AiChatTask
    from workglow.limits import (
        CompositeLimiter,
        ConcurrencyLimiter,
        DelayLimiter,
        EvenlySpacedRateLimiter,
        Limiter,
        LimiterRegistry,
        LimitRule,
        RateLimiter,
        Slot,
        TokenLimiter,
        limiter_registry,
        rate_limited,
    )
    from workglow.project import Project, open
    from workglow.queue import (
        Handler,
        HandlerRegistry,
        Job,
        JobContext,
        JobEvent,
        JobQueue,
        QueueInfo,
        Queues,
        Worker,
        WorkerInfo,
        job,
    )
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
    from workglow.tasks.answer import Answer
    from workglow.tasks.usage import Usage
    from workglow.telemetry import Span, Tracer
    from workglow.telemetry.logs import LoggingTracer
    from workglow.telemetry.opentelemetry import OpenTelemetryTracer
    from workglow.values import Secret, value_types

__all__ = [
    "MISSING",
    "AgentTask",
    "AiChatTask",
    "Answer",
    "AnsweredQuestion",
    "AnyOf",
    "ArrayTask",
    "Budget",
    "CacheEntry",
    "CachePolicy",
    "ChangeFeed",
    "Collect",
    "CompositeLimiter",
    "ConcurrencyLimiter",
    "Condition",
    "ConditionalTask",
    "Dataflow",
    "DelayLimiter",
    "DelayTask",
    "Entitlement",
    "EntitlementRequest",
    "EvenlySpacedRateLimiter",
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
    "LimitRule",
    "Limiter",
    "LimiterRegistry",
    "LoggingTracer",
    "MapTask",
    "MaxAge",
    "MaxSize",
    "MemoryTaskGraphRepository",
    "MemoryTaskOutputRepository",
    "OnlyModels",
    "OnlyTasks",
    "OpenTelemetryTracer",
    "OutputEvent",
    "Preview",
    "Project",
    "Question",
    "QueueInfo",
    "Queues",
    "RateLimiter",
    "ReduceTask",
    "Retry",
    "Run",
    "RunChange",
    "RunOptions",
    "Schedule",
    "Secret",
    "Slot",
    "Span",
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
    "TokenLimiter",
    "ToolCallingTask",
    "Tracer",
    "TransformDefinition",
    "TransformRegistry",
    "Usage",
    "WaitForEventTask",
    "WaitUntilTask",
    "WhileTask",
    "Worker",
    "WorkerInfo",
    "Workflow",
    "WorkglowError",
    "__version__",
    "built_in_transforms",
    "job",
    "limiter_registry",
    "open",
    "parallel",
    "pipe",
    "rate_limited",
    "task",
    "task_registry",
    "value_types",
]

__version__ = "0.1.0"

_HOMES = {
    "AgentTask": "ai.agent",
    "AiChatTask": "library.chat",
    "Answer": "tasks.answer",
    "AnsweredQuestion": "graph.waiting.wait",
    "AnyOf": "storage.policies",
    "ArrayTask": "graph.control.array",
    "Budget": "graph.budget",
    "CacheEntry": "storage.outputs",
    "CachePolicy": "storage.policies",
    "ChangeFeed": "queue.change_feed",
    "Collect": "tasks",
    "CompositeLimiter": "limits",
    "ConcurrencyLimiter": "limits",
    "Condition": "graph.control.conditions",
    "ConditionalTask": "graph.control.conditional",
    "Dataflow": "graph.dataflow",
    "DelayLimiter": "limits",
    "DelayTask": "library",
    "Entitlement": "tasks",
    "EntitlementRequest": "graph.rights.permission",
    "EvenlySpacedRateLimiter": "limits",
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
    "LimitRule": "limits",
    "Limiter": "limits",
    "LimiterRegistry": "limits",
    "LoggingTracer": "telemetry.logs",
    "MISSING": "tasks",
    "MapTask": "graph.control.map",
    "MaxAge": "storage.policies",
    "MaxSize": "storage.policies",
    "MemoryTaskGraphRepository": "graph.named",
    "MemoryTaskOutputRepository": "storage.memory",
    "OnlyModels": "storage.policies",
    "OnlyTasks": "storage.policies",
    "OpenTelemetryTracer": "telemetry.opentelemetry",
    "OutputEvent": "storage.outputs",
    "Preview": "graph.previews.preview",
    "Project": "project",
    "Question": "graph.waiting.wait",
    "QueueInfo": "queue",
    "Queues": "queue",
    "RateLimiter": "limits",
    "ReduceTask": "graph.control.reduce",
    "Retry": "retry",
    "Run": "graph.run",
    "RunChange": "storage.changes",
    "RunOptions": "graph.options",
    "Schedule": "queue.schedules",
    "Secret": "values",
    "Slot": "limits",
    "Span": "telemetry",
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
    "TokenLimiter": "limits",
    "ToolCallingTask": "ai.tool_calling",
    "Tracer": "telemetry",
    "TransformDefinition": "graph.transforms",
    "TransformRegistry": "graph.transforms",
    "Usage": "tasks.usage",
    "WaitForEventTask": "library",
    "WaitUntilTask": "library",
    "WhileTask": "graph.control.while_task",
    "Worker": "queue",
    "WorkerInfo": "queue",
    "Workflow": "graph.building.workflow",
    "WorkglowError": "errors",
    "built_in_transforms": "graph.built_in_transforms",
    "job": "queue",
    "limiter_registry": "limits",
    "open": "project",
    "parallel": "graph.building.combining",
    "pipe": "graph.building.combining",
    "rate_limited": "limits",
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
