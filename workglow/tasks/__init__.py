"""What a task is: its definition, its ports, its context, and the registry of task types."""

from workglow.tasks.context import TaskContext
from workglow.tasks.conversion import as_task
from workglow.tasks.entitlements import Entitlement
from workglow.tasks.function import FunctionTask, TaskFunction, task
from workglow.tasks.ports import COLLECT, MISSING, Collect, Port, Ports
from workglow.tasks.registry import TaskRegistry, task_registry
from workglow.tasks.signal import CancelSignal
from workglow.tasks.stream import Growing, Stream, StreamMode
from workglow.tasks.task import Task

__all__ = [
    "COLLECT",
    "MISSING",
    "CancelSignal",
    "Collect",
    "Entitlement",
    "FunctionTask",
    "Growing",
    "Port",
    "Ports",
    "Stream",
    "StreamMode",
    "Task",
    "TaskContext",
    "TaskFunction",
    "TaskRegistry",
    "as_task",
    "task",
    "task_registry",
]
