"""Arithmetic on vectors, element by element.

A vector is a numpy array or a list of numbers; several of them are a list, or a matrix with a vector in each row.
Arrays give an array of the type that holds both; lists alone give a list.  A sum of many is rounded once.  An element
that its type cannot hold is an error: int8 does not wrap around, and nothing becomes infinite.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import starmap
from typing import Any, ClassVar, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import TaskInputError
from workglow.library.arithmetic import divide, exact_sum
from workglow.tasks import Task

__all__ = [
    "VectorDistanceTask",
    "VectorDivideTask",
    "VectorDotProductTask",
    "VectorMultiplyTask",
    "VectorNormalizeTask",
    "VectorScaleTask",
    "VectorSubtractTask",
    "VectorSumTask",
]

Vector = np.ndarray | list[float]
Elements = list[Any]


class _One(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    vector: Vector = Field(title="Vector")


class _Scaled(_One):
    scalar: int | float = Field(title="Scalar", description="What each element is multiplied by.")


class _Many(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    vectors: np.ndarray | list[Vector] = Field(
        title="Vectors", description="Vectors of the same length: a list, or the rows of a matrix."
    )


class _VectorResult(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    result: Vector = Field(title="Result")


class _NumberResult(BaseModel):
    result: int | float = Field(title="Result")


class _VectorTask(Task):
    """What the tasks on vectors have in common."""

    category: ClassVar[str] = "Vector"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _Many
    Output: ClassVar[type[BaseModel] | None] = _VectorResult
    least: ClassVar[int] = 1

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Compute the result; TaskInputError for vectors that do not fit together, or a result that is out of range."""
        given = inputs["vectors"] if "vectors" in inputs else [inputs["vector"]]
        try:
            vectors = _checked(given, self.least)
            return {"result": self.compute(vectors, inputs)}
        except (ArithmeticError, ValueError) as error:
            raise TaskInputError(f"{self._who}: {error}.") from None

    execute_preview = execute

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> object:
        """Return the result for vectors of one length."""
        raise NotImplementedError


def _checked(given: Any, least: int) -> Sequence[Vector]:
    vectors = cast("Sequence[Vector]", given)
    if len(vectors) < least:
        raise ValueError(f"needs at least {least} vector{'s' * (least > 1)}, and {len(vectors)} came")
    for number, vector in enumerate(vectors):
        if np.ndim(vector) != 1 or np.asarray(vector).dtype.kind not in "iuf":
            raise ValueError(f"vector {number} is no row of numbers")
        if len(vector) != len(vectors[0]):
            raise ValueError(f"vector {number} has {len(vector)} elements, and vector 0 has {len(vectors[0])}")
        if not np.isfinite(vector).all():
            raise ValueError(f"vector {number} holds what is no finite number")
    return vectors


def _elements(vector: Vector) -> Elements:
    """The elements as Python's numbers, whose whole ones have no largest."""
    return vector.tolist() if isinstance(vector, np.ndarray) else vector


def _like(vectors: Sequence[Vector], elements: Elements, *, fractions: bool = False) -> Vector:
    """The elements as an array of the type that holds all the vectors; as a list when none is an array."""
    if not all(map(math.isfinite, elements)):
        raise OverflowError("an element of the result is too large for a number")
    types = [vector.dtype for vector in vectors if isinstance(vector, np.ndarray)]
    if not types:
        return elements
    wanted: np.dtype[Any] = np.result_type(*types)
    if wanted.kind in "iu" and (fractions or any(isinstance(one, float) for one in elements)):
        wanted = np.dtype(np.float64)
    limits: Any = np.iinfo(wanted) if wanted.kind in "iu" else np.finfo(cast("Any", wanted))
    least, most = np.array([limits.min, limits.max]).tolist()
    if elements and (min(elements) < least or max(elements) > most):
        raise OverflowError(f"an element of the result does not fit {wanted}; convert the vectors to a wider type")
    return np.array(elements, dtype=wanted)


class _ElementwiseTask(_VectorTask):
    """Takes the first vector, and joins each further one to it."""

    operator: ClassVar[Callable[[Any, Any], Any]]
    fractions: ClassVar[bool] = False

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> Vector:
        """Join element after element."""
        join = type(self).operator
        elements = [reduce(join, column) for column in zip(*map(_elements, vectors), strict=True)]
        return _like(vectors, elements, fractions=self.fractions)


class VectorSumTask(_VectorTask):
    """The sum of all vectors, each element rounded once."""

    title: ClassVar[str] = "Vector Sum"

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> Vector:
        """Add the elements of each column."""
        columns = zip(*map(_elements, vectors), strict=True)
        return _like(vectors, [exact_sum(list(column)) for column in columns])


class VectorSubtractTask(_ElementwiseTask):
    """The first vector minus all others."""

    title: ClassVar[str] = "Vector Subtract"
    operator = staticmethod(operator.sub)


class VectorMultiplyTask(_ElementwiseTask):
    """The product of all vectors, element by element."""

    title: ClassVar[str] = "Vector Multiply"
    operator = staticmethod(operator.mul)


class VectorDivideTask(_ElementwiseTask):
    """The first vector divided by all others, element by element; dividing by zero is an error."""

    title: ClassVar[str] = "Vector Divide"
    operator = staticmethod(divide)
    fractions: ClassVar[bool] = True


class VectorScaleTask(_VectorTask):
    """A vector times a number."""

    title: ClassVar[str] = "Vector Scale"
    Input: ClassVar[type[BaseModel] | None] = _Scaled

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> Vector:
        """Multiply each element."""
        return _like(vectors, [element * inputs["scalar"] for element in _elements(vectors[0])])


class VectorNormalizeTask(_VectorTask):
    """The vector of length 1 in the same direction; a vector of zeros has none, and is an error."""

    title: ClassVar[str] = "Vector Normalize"
    Input: ClassVar[type[BaseModel] | None] = _One

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> Vector:
        """Divide each element by the length."""
        elements = _elements(vectors[0])
        largest = max((abs(element) for element in elements), default=0)
        if not largest:
            raise ValueError("a vector of zeros has no direction")
        scaled = [element / largest for element in elements]  # whose length neither overflows nor vanishes
        length = math.hypot(*scaled)
        return _like(vectors, [element / length for element in scaled], fractions=True)


class VectorDistanceTask(_VectorTask):
    """The Euclidean distance between the first two vectors."""

    title: ClassVar[str] = "Vector Distance"
    Output: ClassVar[type[BaseModel] | None] = _NumberResult
    least: ClassVar[int] = 2

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> float:
        """Measure the distance."""
        return _number(math.dist(_elements(vectors[0]), _elements(vectors[1])))


class VectorDotProductTask(_VectorTask):
    """The dot product of the first two vectors, rounded once after the products."""

    title: ClassVar[str] = "Vector Dot Product"
    Output: ClassVar[type[BaseModel] | None] = _NumberResult
    least: ClassVar[int] = 2

    def compute(self, vectors: Sequence[Vector], inputs: dict[str, Any]) -> float:
        """Add the products of the elements."""
        pairs = zip(_elements(vectors[0]), _elements(vectors[1]), strict=True)
        return _number(exact_sum(list(starmap(operator.mul, pairs))))


def _number(result: float) -> float:
    if not math.isfinite(result):
        raise OverflowError("the result is too large for a number")
    return result
