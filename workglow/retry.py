"""How often a failed task is tried again, and how long to wait in between."""

from __future__ import annotations

import math
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
        if isinstance(self.on, type):
            object.__setattr__(self, "on", (self.on,))
        for name, value, kind in (
            ("attempts", self.attempts, int),
            ("delay", self.delay, int | float),
            ("factor", self.factor, int | float),
            ("maximum", self.maximum, int | float),
        ):
            if isinstance(value, bool) or not isinstance(value, kind) or (name != "maximum" and not value < math.inf):
                raise TaskConfigurationError(f"Retry({name}={value!r:.60}): give a {'whole ' * (kind is int)}number.")
        if not all(isinstance(each, type) and issubclass(each, BaseException) for each in self.on):  # pyright: ignore
            raise TaskConfigurationError(f"Retry(on={self.on!r:.60}): give a tuple of exceptions.")
        if self.attempts < 1:
            raise TaskConfigurationError(f"Retry(attempts={self.attempts}): give at least 1, the first try counts.")
        if self.delay < 0 or not self.maximum >= 0 or self.factor < 1:
            raise TaskConfigurationError(
                "Retry: the delay and the maximum must not be negative, and the factor at least 1."
            )

    def wait(self, failures: int) -> float:
        """Seconds to wait after the given number of failures."""
        try:
            longest = min(self.delay * self.factor ** (failures - 1), self.maximum)
        except OverflowError:  # after a thousand failures
            longest = self.maximum if self.delay else 0.0
        return random.uniform(0, longest) if self.jitter else longest
