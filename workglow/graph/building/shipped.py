"""The task types that come with workglow, as methods of a workflow.

At run time a Workflow finds them in its registry, like those that a program registers.  What editors and type checkers
see is `shipped.pyi`, which `tests/house/task_methods.py` writes from the registry.
"""

from __future__ import annotations

__all__ = ["ShippedTasks"]


class ShippedTasks:
    """Has a method for each task type that comes with workglow."""
