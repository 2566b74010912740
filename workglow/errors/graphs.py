"""What is wrong with a graph, or with the definition of a task."""

from __future__ import annotations

from workglow.errors.root import WorkglowError

__all__ = [
    "AutoConnectError",
    "CycleError",
    "DuplicateDataflowError",
    "DuplicateTaskError",
    "GraphError",
    "GraphFormatError",
    "IncompatiblePortsError",
    "TaskConfigurationError",
    "TaskSerializationError",
    "UnknownEntitlementError",
    "UnknownPortError",
    "UnknownTaskError",
    "UnknownTaskTypeError",
]


class GraphError(WorkglowError):
    """The graph is not one that can run."""


class CycleError(GraphError):
    """An edge would make a task wait for itself."""


class DuplicateTaskError(GraphError):
    """Two tasks of one graph have the same id."""


class DuplicateDataflowError(GraphError):
    """An edge exists already, or the port it enters has an edge and does not collect."""


class UnknownTaskError(GraphError):
    """A task id that is not in the graph."""


class UnknownPortError(GraphError):
    """A port that the task does not have."""


class IncompatiblePortsError(GraphError):
    """What the source port gives can never fit the target port."""


class AutoConnectError(GraphError):
    """The builder found no edge, or several equally good ones, for a required input."""


class GraphFormatError(GraphError):
    """The JSON is not a graph; the text gives the place."""


class TaskConfigurationError(WorkglowError):
    """A task was defined or configured in a way that can never run."""


class UnknownTaskTypeError(TaskConfigurationError):
    """A task type that is not registered."""


class UnknownEntitlementError(TaskConfigurationError):
    """What was granted or denied is no entitlement that any task asks for, and looks like a slip of one."""


class TaskSerializationError(TaskConfigurationError):
    """A task holds code or objects, so it cannot be written as JSON."""
