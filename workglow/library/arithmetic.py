"""Arithmetic on single numbers.

Whole numbers stay whole and exact.  A result that is no finite number (a division by zero, an overflow) is an error
where it arises, for neither JSON nor the output cache has infinities.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, ClassVar, cast

from pydantic import BaseModel, Field

from workglow.errors import TaskInputError
from workglow.tasks import Task

__all__ = [
    "ScalarAbsTask",
    "ScalarAddTask",
    "ScalarCeilTask",
    "ScalarDivideTask",
    "ScalarFloorTask",
    "ScalarMaxTask",
    "ScalarMinTask",
    "ScalarMultiplyTask",
    "ScalarRoundTask",
    "ScalarSubtractTask",
    "ScalarSumTask",
    "ScalarTruncTask",
]

Number = int | float


class _One(BaseModel):
    value: int | float = Field(title="Value")


class _Two(BaseModel):
    a: int | float = Field(title="A", description="The first number.")
    b: int | float = Field(title="B", description="The second number.")


class _Many(BaseModel):
    values: list[int | float] = Field(title="Values", description="The numbers.")


class _Result(BaseModel):
    result: int | float = Field(title="Result")


class _Whole(BaseModel):
    result: int = Field(title="Result")


class _ScalarTask(Task):
    """A function of numbers that gives one number."""

    category: ClassVar[str] = "Math"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True
    Output: ClassVar[type[BaseModel] | None] = _Result
    compute: ClassVar[Callable[..., Any]]

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Compute the result; TaskInputError when it is no finite number."""
        try:
            result = self.compute(*inputs.values())
            if math.isfinite(result):
                return {"result": result}
            reason = "the result is too large for a number" if _finite(inputs) else "an input is no finite number"
        except (ArithmeticError, ValueError) as error:
            reason = str(error)
        raise TaskInputError(f"{self._who}: {reason}; the inputs are {inputs!r:.120}.")

    execute_preview = execute


def _finite(inputs: dict[str, Any]) -> bool:
    many = (cast("list[Number]", value) if isinstance(value, list) else [value] for value in inputs.values())
    return all(math.isfinite(number) for numbers in many for number in numbers)


class _OneTask(_ScalarTask):
    Input: ClassVar[type[BaseModel] | None] = _One


class _RoundingTask(_OneTask):
    Output: ClassVar[type[BaseModel] | None] = _Whole


class _TwoTask(_ScalarTask):
    Input: ClassVar[type[BaseModel] | None] = _Two

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Compute the result of `a` and `b`, in whatever order they came."""
        return super().execute({"a": inputs["a"], "b": inputs["b"]})

    execute_preview = execute


class _ManyTask(_ScalarTask):
    Input: ClassVar[type[BaseModel] | None] = _Many


def half_up(value: Number) -> int:
    """Round to the nearest whole number, halves up: 2.5 gives 3 and -2.5 gives -2, as JavaScript has it."""
    below = math.floor(value)
    return below if value - below < 0.5 else below + 1


def exact_sum(values: list[Number]) -> Number:
    """Add numbers as if without rounding, and round once; whole numbers give a whole number."""
    if values and isinstance(values[0], float):  # the usual case, told at once
        return math.fsum(values)
    return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)


def divide(a: Number, b: Number) -> float:
    """Return a / b; ZeroDivisionError when b is 0."""
    return a / b


class ScalarAbsTask(_OneTask):
    """The number without its sign."""

    title: ClassVar[str] = "Abs"
    compute = staticmethod(abs)


class ScalarCeilTask(_RoundingTask):
    """The smallest whole number that is not below the value."""

    title: ClassVar[str] = "Ceil"
    compute = staticmethod(math.ceil)


class ScalarFloorTask(_RoundingTask):
    """The largest whole number that is not above the value."""

    title: ClassVar[str] = "Floor"
    compute = staticmethod(math.floor)


class ScalarRoundTask(_RoundingTask):
    """The nearest whole number; halves go up, so 2.5 gives 3 and -2.5 gives -2."""

    title: ClassVar[str] = "Round"
    compute = staticmethod(half_up)


class ScalarTruncTask(_RoundingTask):
    """The value without its fraction."""

    title: ClassVar[str] = "Truncate"
    compute = staticmethod(math.trunc)


class ScalarAddTask(_TwoTask):
    """a plus b."""

    title: ClassVar[str] = "Add"
    compute = staticmethod(operator.add)


class ScalarSubtractTask(_TwoTask):
    """a minus b."""

    title: ClassVar[str] = "Subtract"
    compute = staticmethod(operator.sub)


class ScalarMultiplyTask(_TwoTask):
    """a times b."""

    title: ClassVar[str] = "Multiply"
    compute = staticmethod(operator.mul)


class ScalarDivideTask(_TwoTask):
    """a divided by b; dividing by zero is an error."""

    title: ClassVar[str] = "Divide"
    compute = staticmethod(divide)


class ScalarSumTask(_ManyTask):
    """The sum of all values, rounded once; of none it is 0."""

    title: ClassVar[str] = "Sum"
    compute = staticmethod(exact_sum)


class ScalarMinTask(_ManyTask):
    """The smallest of the values."""

    title: ClassVar[str] = "Min"
    compute = staticmethod(min)


class ScalarMaxTask(_ManyTask):
    """The largest of the values."""

    title: ClassVar[str] = "Max"
    compute = staticmethod(max)
