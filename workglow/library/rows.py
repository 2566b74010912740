"""The rows that a query gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel, Field

from workglow.errors import ResourceLimitError, SourceError

__all__ = ["LARGEST", "Rows", "rows_of"]

LARGEST: Final = 16 * 1024 * 1024
"""Bytes and characters of all values together."""


class Rows(BaseModel):
    """Output of a task that asks a database."""

    rows: list[dict[str, Any]] = Field(title="Rows", description="A mapping of column names to values for each row.")
    columns: list[str] = Field(title="Columns")
    count: int = Field(title="Count")


def rows_of(names: Sequence[str], found: Iterable[Sequence[Any]], max_rows: int) -> dict[str, Any]:
    """Return the output ports; SourceError for two columns of one name, ResourceLimitError for too much."""
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise SourceError(f"The query gives several columns named {', '.join(twins)}.  Name them apart with AS.")
    rows: list[dict[str, Any]] = []
    size = 0
    for row in found:
        if len(rows) == max_rows:
            raise ResourceLimitError(f"The query gives more than {max_rows:,} rows.  Add LIMIT, or raise max_rows.")
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if size > LARGEST:
            raise ResourceLimitError(f"The rows of the query have more than {LARGEST:,} bytes.  Ask for fewer.")
        rows.append(dict(zip(names, row, strict=True)))
    return {"rows": rows, "columns": list(names), "count": len(rows)}
