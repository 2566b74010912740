"""What a task took of models: tokens, seconds and money."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from workglow.errors import InvalidValueError

__all__ = ["Usage"]

_MOST: Final = 1 << 53
"""More than that is no amount, and JSON readers would round it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Amounts that add up: tokens read and written by models, seconds that models worked, and what it cost.

    `cost` is in whatever currency the recording tasks keep to.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    model_seconds: float = 0.0
    cost: float = 0.0

    @classmethod
    def checked(cls, input_tokens: Any, output_tokens: Any, model_seconds: Any, cost: Any) -> Self:
        """Make one of what a task reports; raises InvalidValueError for what is no amount."""
        return cls(
            int(_amount("input_tokens", input_tokens, whole=True)),
            int(_amount("output_tokens", output_tokens, whole=True)),
            _amount("model_seconds", model_seconds),
            _amount("cost", cost),
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            round(self.model_seconds + other.model_seconds, 12),  # so that ten times 0.1 is 1.0
            round(self.cost + other.cost, 12),
        )

    def __bool__(self) -> bool:
        return bool(self.input_tokens or self.output_tokens or self.model_seconds or self.cost)

    def to_json(self) -> dict[str, float]:
        """All amounts by name, also those that are zero."""
        return asdict(self)


def _amount(name: str, value: Any, *, whole: bool = False) -> float:
    try:
        amount = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not 0 <= amount <= _MOST or (whole and amount != int(amount)):
        kind = "a whole number" if whole else "a number"
        raise InvalidValueError(f"{name} is {value!r}; a usage takes {kind} from 0 on.")
    return amount
