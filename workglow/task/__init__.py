"""What a task is: its definition, its ports, its context, and the registry of task types."""

from workglow.task.context import TaskContext
from workglow.task.conversion import as_task
from workglow.task.function import FunctionTask, TaskFunction, task
from workglow.task.ports import COLLECT, MISSING, Collect, Port, Ports
from workglow.task.registry import TaskRegistry, task_registry
from workglow.task.signal import CancelSignal
from workglow.task.task import Task

__all__ = [
    "COLLECT",
    "MISSING",
    "CancelSignal",
    "Collect",
    "FunctionTask",
    "Port",
    "Ports",
    "Task",
    "TaskContext",
    "TaskFunction",
    "TaskRegistry",
    "as_task",
    "task",
    "task_registry",
]
