"""How often a failed task is tried again, and how long to wait in between."""

from __future__ import annotations

import random
from dataclasses import dataclass

from workglow.errors import TaskConfigurationError

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try a task up to `attempts` times in all, waiting `delay · factor^(n-1)` seconds after the n-th failure.

    `on` names the exceptions worth another try; an abort or an invalid input never is.  With `jitter` each wait is
    drawn between nothing and that many seconds, so that what failed together does not come back together
    ("full jitter": aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter).
    """

    attempts: int = 3
    delay: float = 0.0
    factor: float = 2.0
    maximum: float = 600.0
    on: tuple[type[BaseException], ...] = (Exception,)
    jitter: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise TaskConfigurationError(f"Retry(attempts={self.attempts}): give at least 1, the first try counts.")
        if self.delay < 0 or self.factor < 1:
            raise TaskConfigurationError("Retry: the delay must not be negative and the factor at least 1.")

    def wait(self, failures: int) -> float:
        """Seconds to wait after the given number of failures."""
        longest = min(self.delay * self.factor ** (failures - 1), self.maximum)
        return random.uniform(0, longest) if self.jitter else longest
