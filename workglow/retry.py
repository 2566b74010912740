"""How often a failed task is tried again, and how long to wait in between."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import cast

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
    on: type[BaseException] | tuple[type[BaseException], ...] = (Exception,)
    jitter: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.on, type):
            object.__setattr__(self, "on", (self.on,))
        if type(self.attempts) is not int or self.attempts < 1:
            raise TaskConfigurationError(
                f"Retry(attempts={self.attempts!r:.60}): give a whole number, at least 1; the first try counts."
            )
        for name, least in (("delay", 0), ("factor", 1), ("maximum", 0)):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not (isinstance(value, int | float) and least <= value < math.inf):  # NaN too
                raise TaskConfigurationError(f"Retry({name}={value!r:.60}): give a finite number, at least {least}.")
        kinds = cast("tuple[object, ...]", self.on)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise TaskConfigurationError(f"Retry(on={self.on!r:.60}): give exceptions, such as (ConnectionError,).")

    def wait(self, failures: int) -> float:
        """Seconds to wait after the given number of failures."""
        try:
            longest = min(self.delay * self.factor ** (failures - 1), self.maximum)
        except OverflowError:  # after a thousand failures
            longest = self.maximum if self.delay else 0.0
        return random.uniform(0, longest) if self.jitter else longest
