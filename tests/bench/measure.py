"""Measuring two things side by side, and reporting the ratio."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Row", "alternate", "compare", "seconds"]


@dataclass(frozen=True)
class Row:
    """One measured case: ours against something else, and the most that their ratio may be (None: reported only)."""

    work: str
    case: str
    ours: float
    unit: str
    against: str
    theirs: float
    target: float | None

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.ratio <= self.target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    gc.collect()
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def alternate(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 9) -> tuple[float, float]:
    """Call both in turn, and return the median seconds of each; a call may measure itself and return its seconds."""
    mine: list[float] = []
    other: list[float] = []
    for _ in range(rounds):
        for call, times in ((theirs, other), (ours, mine)):
            gc.collect()
            begun = time.perf_counter()
            result = call()
            times.append(result if isinstance(result, float) else time.perf_counter() - begun)
    return statistics.median(mine), statistics.median(other)


def compare(
    work: str,
    case: str,
    ours: Callable[[], object],
    against: str,
    theirs: Callable[[], object],
    *,
    target: float | None,
    each: int = 1,
    unit: str = "µs/task",
    scale: float = 1e6,
    rounds: int = 9,
) -> Row:
    """Measure a case; the figures are divided by `each`, the number of tasks or hits in one call."""
    mine, other = alternate(ours, theirs, rounds)
    return Row(work, case, mine * scale / each, unit, against, other * scale / each, target)
