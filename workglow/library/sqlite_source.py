"""Tasks on another SQLite file: read it, write it.  Never the project's own, and never by a second SQLite.

What a graph's SQL may do is decided statement by statement as SQLite compiles it: no file but the one that was named,
no extension, no setting.  Values are bound, so what comes from elsewhere is never SQL.  A query ends at its time limit;
only inside one single step (a search through one very long text) does SQLite not look at the clock.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final

import apsw
from pydantic import BaseModel, Field

from workglow.errors import FileError, ResourceLimitError, SourceError, TaskAbortedError, TaskInputError
from workglow.file.guard import remember
from workglow.file.header import read_header
from workglow.file.place import sync_folder
from workglow.file.pragmas import APPLICATION_ID, check_cells, defensive, distrust_schema, no_memory_map, strict_quotes
from workglow.library.files import RootedConfig, RootedTask
from workglow.library.rows import LARGEST, Rows, rows_of
from workglow.tasks import CancelSignal, Entitlement, TaskContext

__all__ = ["SqliteQueryTask", "SqliteWriteTask"]

Scalar = str | int | float | bool | bytes | None
Parameters = list[Scalar] | dict[str, Scalar]

_STEPS: Final = 1000
"""Steps of SQLite's machine between two looks at the clock."""

_BUSY: Final = 5000
"""Milliseconds to wait for another process that writes."""

_READING = {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_RECURSIVE, apsw.SQLITE_FUNCTION, apsw.SQLITE_PRAGMA}
_NEVER = {apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH, apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT}
_TELLING = {
    "collation_list", "foreign_key_list", "function_list", "index_info", "index_list", "index_xinfo", "integrity_check",
    "quick_check", "table_info", "table_list", "table_xinfo",
}  # fmt: skip
"""Pragmas that only tell."""

_TELLING_ALONE = {"application_id", "encoding", "user_version"}
"""Pragmas that tell when they are given nothing to set."""


class _QueryConfig(RootedConfig):
    max_rows: int = Field(default=10_000, gt=0, description="More rows than this are an error.")
    time_limit: float = Field(default=10, gt=0, le=3600, description="Seconds that the query may take.")


class _QueryInput(BaseModel):
    path: str = Field(title="Database", description="The path of the SQLite file.")
    sql: str = Field(title="SQL", description="One statement.", json_schema_extra={"format": "code:sql"})
    parameters: Parameters = Field(
        default=[], title="Parameters", description="A list for ?, or a mapping for :name; bound, never pasted in."
    )


class SqliteQueryTask(RootedTask):
    """Ask an SQLite file.  It is opened for reading only, and one statement is run with bound parameters."""

    title: ClassVar[str] = "SQLite Query"
    category: ClassVar[str] = "Database"
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("files:read",)
    Config: ClassVar[type[BaseModel] | None] = _QueryConfig
    Input: ClassVar[type[BaseModel] | None] = _QueryInput
    Output: ClassVar[type[BaseModel] | None] = Rows

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Run the query and return all its rows."""
        path = self.path(inputs)
        with _opened(path, apsw.SQLITE_OPEN_READONLY, self.config["time_limit"], context.signal) as db:
            cursor = db.cursor()
            names: list[str] = []
            cursor.exec_trace = _only_one(names)
            cursor.execute(inputs["sql"], _bindable(inputs["parameters"]))
            return rows_of(names, cursor, self.config["max_rows"])


class _WriteConfig(RootedConfig):
    create: bool = Field(default=False, description="Whether to make the file when it is not there.")
    time_limit: float = Field(default=10, gt=0, le=3600, description="Seconds that the statement may take.")


class _WriteInput(_QueryInput):
    rows: list[Parameters] | None = Field(
        default=None, title="Rows", description="Run the statement once with each of these parameters, all or none."
    )


class _Written(BaseModel):
    changes: int = Field(title="Changes", description="How many rows were inserted, updated or deleted.")


class SqliteWriteTask(RootedTask):
    """Change an SQLite file with one statement, or the same for many rows: all of it is done, or nothing.

    After a crash the statement may run again, so let it say what to do then: `INSERT … ON CONFLICT …`.  With `create` a
    new file is there once the statement has succeeded, whole, and not before.
    """

    title: ClassVar[str] = "SQLite Write"
    category: ClassVar[str] = "Database"
    side_effects: ClassVar[bool] = True
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("files:read", "files:write")
    Config: ClassVar[type[BaseModel] | None] = _WriteConfig
    Input: ClassVar[type[BaseModel] | None] = _WriteInput
    Output: ClassVar[type[BaseModel] | None] = _Written

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Run the statement in one transaction."""
        path = self.path(inputs)
        rows: list[Parameters] | None = inputs["rows"]
        if rows is not None and inputs["parameters"]:
            raise TaskInputError(f"{self._who}: give either `parameters` or `rows`, not both.")
        bound = [_bindable(row) for row in ([inputs["parameters"]] if rows is None else rows)]
        if self.config["create"] and not path.exists():
            draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
            try:
                changes = self._write(draft, inputs["sql"], bound, context.signal, shown=path)
                with suppress(OSError):  # somebody else made the file meanwhile, or this disk has no links
                    os.link(draft, path)
                    sync_folder(str(path))
                    return {"changes": changes}
            finally:
                draft.unlink(missing_ok=True)
        return {"changes": self._write(path, inputs["sql"], bound, context.signal, shown=path)}

    def _write(self, path: Path, sql: str, bound: list[Any], signal: CancelSignal, *, shown: Path) -> int:
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if self.config["create"] else 0)
        with _opened(path, flags, self.config["time_limit"], signal, shown=shown) as db:
            before = db.total_changes()
            cursor = db.cursor()
            cursor.exec_trace = _only_one([])
            with _transaction(db):
                cursor.executemany(sql, bound)
            return db.total_changes() - before


@contextmanager
def _opened(
    place: Path, flags: int, seconds: float, signal: CancelSignal, *, shown: Path | None = None
) -> Generator[apsw.Connection]:
    """Open the file for one statement, with everything forbidden that is not needed; explain what goes wrong.

    Errors name `shown`, by default the file itself.
    """
    path = shown or place
    _refuse_no_file(place, may_be_new=bool(flags & apsw.SQLITE_OPEN_CREATE))
    _refuse_project(place)
    try:
        db = remember(apsw.Connection(str(place), flags=flags | apsw.SQLITE_OPEN_NOFOLLOW))
        try:
            _set_up(db, seconds, signal, write=bool(flags & apsw.SQLITE_OPEN_READWRITE))
            yield db
        finally:
            db.close(True)
    except apsw.InterruptError:
        if signal.cancelled:
            raise TaskAbortedError(signal.reason) from None
        raise ResourceLimitError(f"The statement on {path} took more than {seconds:g} s.  Raise time_limit.") from None
    except apsw.TooBigError as error:
        raise ResourceLimitError(f"{path}: a value is larger than {LARGEST:,} bytes: {error}.") from None
    except apsw.AuthError:
        raise SourceError(f"{path}: the statement does what a task's SQL may not, such as ATTACH or a write.") from None
    except apsw.ExecTraceAbort:
        raise SourceError(f"{path}: the SQL has more than one statement; use one task for each.") from None
    except (apsw.BindingsError, apsw.MismatchError, KeyError) as error:
        raise TaskInputError(f"{path}: the parameters do not fit the statement: {error}.") from None
    except apsw.Error as error:
        raise SourceError(f"{path}: {error}.") from None


def _refuse_no_file(path: Path, *, may_be_new: bool) -> None:
    if path.is_file() or (may_be_new and not path.exists()):
        return
    raise SourceError(f"{path} is not a file.  Check the path; SqliteWriteTask with create=True makes a new one.")


def _refuse_project(path: Path) -> None:
    """Look before SQLite opens the file: closing a project that crashed would fold its log into it."""
    try:
        header = read_header(str(path)) if path.exists() else None
    except FileError as error:
        raise SourceError(f"{path} is not a database that can be read: {error}") from None
    if header is not None and header.application_id == APPLICATION_ID:
        raise SourceError(f"{path} is a workglow project.  A task may not look into it; use the project's own methods.")


def _set_up(db: apsw.Connection, seconds: float, signal: CancelSignal, *, write: bool) -> None:
    for setting in (distrust_schema, defensive, strict_quotes, check_cells, no_memory_map):
        setting(db)
    db.set_busy_timeout(_BUSY)
    for limit, most in ((apsw.SQLITE_LIMIT_LENGTH, LARGEST), (apsw.SQLITE_LIMIT_SQL_LENGTH, 1_000_000)):
        db.limit(limit, most)
    deadline = monotonic() + seconds
    db.set_progress_handler(lambda: signal.cancelled or monotonic() > deadline, _STEPS)
    db.authorizer = _may_write if write else _may_read


def _may_read(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    allowed = action in _READING and _is_harmless(action, first, second)
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY


def _may_write(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    allowed = action not in _NEVER and _is_harmless(action, first, second)
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY


def _is_harmless(action: int, first: str | None, second: str | None) -> bool:
    if action == apsw.SQLITE_FUNCTION:
        return (second or "").lower() not in ("load_extension", "fts3_tokenizer")
    name = (first or "").lower()
    return action != apsw.SQLITE_PRAGMA or name in _TELLING or (second is None and name in _TELLING_ALONE)


@contextmanager
def _transaction(db: apsw.Connection) -> Generator[None]:
    """All or nothing; the task's own SQL may begin and end none."""
    authorizer, db.authorizer = db.authorizer, None
    with db:
        db.authorizer = authorizer
        try:
            yield
        finally:
            db.authorizer = None


def _only_one(names: list[str]) -> Callable[[apsw.Cursor, str, Any], bool]:
    """Let one statement run, however often; a second one behind it ends the task.  `names` are those of its columns."""
    seen: set[str] = set()

    def trace(cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        seen.add(sql)
        names[:] = [column[0] for column in cursor.get_description()]  # known before there are rows, and without any
        return len(seen) == 1

    return trace


def _bindable(parameters: Parameters) -> Any:
    values = parameters.values() if isinstance(parameters, dict) else parameters
    for value in values:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise TaskInputError(f"The parameter {value!r:.60} is larger than SQLite's integers; give it as a text.")
    return parameters
