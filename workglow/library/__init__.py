"""Tasks that ship with workglow and need no model."""

from workglow.library.debug_log import DebugLogTask
from workglow.library.delay import DelayTask, WaitUntilTask
from workglow.library.function import LambdaTask
from workglow.library.human import HumanApprovalTask, HumanInputTask
from workglow.library.wait_for_event import WaitForEventTask

__all__ = [
    "DebugLogTask",
    "DelayTask",
    "HumanApprovalTask",
    "HumanInputTask",
    "LambdaTask",
    "WaitForEventTask",
    "WaitUntilTask",
]
