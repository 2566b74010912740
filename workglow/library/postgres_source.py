"""Tasks on a Postgres database: read it, write it.

Where the database is, and the password, come from an environment variable; a graph holds only the variable's name.
Values are bound, and a query runs in a transaction that Postgres itself keeps from writing.  Beyond that a statement
may do what the database's role may: give the graph a role that may do little, and never a superuser.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import MissingExtraError, ResourceLimitError, SourceError, TaskInputError
from workglow.library.rows import Rows, rows_of
from workglow.tasks import Entitlement, Task

__all__ = ["PostgresQueryTask", "PostgresWriteTask"]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dsn_variable: str = Field(
        default="DATABASE_URL", description="The environment variable that holds postgresql://user:password@host/name."
    )
    time_limit: float = Field(default=10, gt=0, le=3600, description="Seconds that the statement may take.")


class _QueryConfig(_Config):
    max_rows: int = Field(default=10_000, gt=0, description="More rows than this are an error.")


class _QueryInput(BaseModel):
    sql: str = Field(title="SQL", description="One statement.", json_schema_extra={"format": "code:sql"})
    parameters: list[Any] = Field(
        default=[], title="Parameters", description="The values of $1, $2, …; bound, never pasted in."
    )


class _PostgresTask(Task):
    """What the tasks on Postgres have in common."""

    category: ClassVar[str] = "Database"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("network",)
    Config: ClassVar[type[BaseModel] | None] = _Config

    def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
        """The network, to the database's host when that is known."""
        address = os.environ.get(self.config["dsn_variable"], "")
        return (Entitlement("network", _hosts(address), "to reach the Postgres database"),)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Any]:
        """Connect for one statement, and explain what goes wrong; the address is never shown."""
        asyncpg = _asyncpg()
        variable, seconds = self.config["dsn_variable"], self.config["time_limit"]
        address = os.environ.get(variable)
        if not address:
            raise SourceError(f"{self._who}: {variable} is not set.  Put postgresql://user:password@host/name into it.")
        settings = {"statement_timeout": str(int(seconds * 1000)), "application_name": "workglow"}
        try:
            connection = await asyncpg.connect(
                address, timeout=seconds, command_timeout=seconds + 1, server_settings=settings
            )
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SourceError(f"The database in {variable} cannot be reached ({type(error).__name__}).") from None
        try:
            yield connection
            await connection.close(timeout=seconds)
        except (asyncpg.QueryCanceledError, TimeoutError):
            raise ResourceLimitError(f"The statement took more than {seconds:g} s.  Raise time_limit.") from None
        except asyncpg.ReadOnlySQLTransactionError as error:
            raise SourceError(f"A query may not write: {_line(error)}.  Use PostgresWriteTask.") from None
        except (asyncpg.DataError, asyncpg.InterfaceError) as error:
            raise TaskInputError(f"The parameters do not fit the statement: {_line(error)}.") from None
        except asyncpg.PostgresError as error:
            raise SourceError(f"The database in {variable} refused the statement: {_line(error)}.") from None
        finally:
            connection.terminate()


class PostgresQueryTask(_PostgresTask):
    """Ask a Postgres database: one statement with bound parameters, in a transaction that cannot write."""

    title: ClassVar[str] = "Postgres Query"
    Config: ClassVar[type[BaseModel] | None] = _QueryConfig
    Input: ClassVar[type[BaseModel] | None] = _QueryInput
    Output: ClassVar[type[BaseModel] | None] = Rows

    async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the query and return all its rows."""
        max_rows: int = self.config["max_rows"]
        async with self._connected() as connection, connection.transaction(readonly=True):
            for kind in ("json", "jsonb"):
                await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            statement = await connection.prepare(inputs["sql"])
            names = [column.name for column in statement.get_attributes()]
            if not names:  # COPY … TO PROGRAM runs a program on the server even in a transaction that only reads
                raise SourceError(
                    "A query has to give rows.  For a statement that does something use PostgresWriteTask."
                )
            records = await (await statement.cursor(*inputs["parameters"])).fetch(max_rows + 1)
        return rows_of(names, records, max_rows)


class _WriteInput(_QueryInput):
    rows: list[list[Any]] | None = Field(
        default=None, title="Rows", description="Run the statement once with each of these parameters, all or none."
    )


class _Written(BaseModel):
    changes: int | None = Field(
        title="Changes", description="How many rows were changed; None with `rows`, for which Postgres does not say."
    )


class PostgresWriteTask(_PostgresTask):
    """Change a Postgres database with one statement, or the same for many rows: all of it is done, or nothing.

    After a crash the statement may run again, so let it say what to do then: `INSERT … ON CONFLICT …`.
    """

    title: ClassVar[str] = "Postgres Write"
    side_effects: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _WriteInput
    Output: ClassVar[type[BaseModel] | None] = _Written

    async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the statement in one transaction."""
        rows: list[list[Any]] | None = inputs["rows"]
        if rows is not None and inputs["parameters"]:
            raise TaskInputError(f"{self._who}: give either `parameters` or `rows`, not both.")
        async with self._connected() as connection, connection.transaction():
            if rows is not None:
                await connection.executemany(inputs["sql"], rows)
                return {"changes": None}
            statement = await connection.prepare(inputs["sql"])
            await statement.fetch(*inputs["parameters"])
            last = statement.get_statusmsg().rpartition(" ")[2]
        return {"changes": int(last) if last.isdecimal() else 0}


def _asyncpg() -> Any:
    try:
        return import_module("asyncpg")
    except ImportError:
        raise MissingExtraError("A Postgres database needs asyncpg: pip install 'workglow[postgres]'.") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _hosts(address: str) -> tuple[str, ...]:
    """The hosts that the address names; none means any, which only an unlimited right covers."""
    try:
        parts = urlsplit(address)
        named = parse_qs(parts.query).get("host", [])
        return tuple(named or ([parts.hostname] if parts.hostname and "," not in parts.netloc else []))
    except ValueError:
        return ()
