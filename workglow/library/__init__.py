"""Tasks that ship with workglow and need no model."""

from workglow.library.debug_log import DebugLogTask
from workglow.library.function import LambdaTask

__all__ = ["DebugLogTask", "LambdaTask"]
