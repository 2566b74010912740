"""Reading what can still be read of a damaged project file.

The policy.  A table is read in the order of its keys, a page at a time.  Where SQLite reports damage, the search goes
on behind it: the distance is doubled until a row can be read again, then halved to find the first such row.  So a
damaged page costs the rows on it, and a damaged inner page of the tree costs the rows below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import apsw

from workglow.errors import FileCorruptError, FileError, HalfCopyError
from workglow.file.connection import close_reader, connect_alone, connect_to_read
from workglow.file.failures import explain
from workglow.file.header import check_header, read_header
from workglow.file.marker import check_log, check_main
from workglow.file.migrations import migrations
from workglow.file.place import absolute, check_place

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["Salvage"]

_DAMAGE: Final = (apsw.CorruptError, apsw.IOError, apsw.NotADBError, UnicodeDecodeError)
_PAGE: Final = 64
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1


class Salvage:
    """A damaged file, open for reading as far as that goes.  Use it as a context manager.

    `gaps` gives, for each table that was read, the first and last key of each stretch that could not be read, and
    `notes` what else a person should know.  Raises FileError when the file is none of ours or nothing can be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = absolute(path)
        self.notes: list[str] = []
        self.gaps: dict[str, list[tuple[int, int]]] = {}
        check_place(self.path, create=False)
        header = read_header(self.path)
        if header is None:
            raise FileError(f"{self.path} is empty: there is nothing to recover.")
        check_header(self.path, header, len(migrations()))
        try:
            self._db = self._open()
            self.tables = self._without_rowid()
        except apsw.Error as error:
            raise FileCorruptError(
                f"Nothing of {self.path} can be read ({error}): its first pages are damaged.  Restore a backup."
            ) from explain(error, self.path)

    def _open(self) -> apsw.Connection:
        try:
            alone = check_main(self.path)
            db = connect_to_read(self.path)
            try:
                check_log(self.path, db, alone)
            except BaseException:
                close_reader(db, self.path)
                raise
        except HalfCopyError:
            self.notes.append("the log beside the file is missing or another file's: what was written last is not here")
            return connect_alone(self.path)
        return db

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_reader(self._db, self.path)

    def _without_rowid(self) -> dict[str, bool]:
        rows = self._db.execute("SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
        return {str(name): bool(alone) for name, alone in rows}

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table; none when the table itself is lost."""
        return tuple(str(name) for (name,) in self._db.execute("SELECT name FROM pragma_table_info(?)", (table,)))

    def rows(self, table: str, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that can be read."""
        self.gaps[table] = []
        text = ", ".join(columns)
        return self._from_both_ends(table, text) if self.tables[table] else self._by_key(table, text)

    def _by_key(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        last, size = _LOWEST, _PAGE
        while True:
            rows = self._page(table, columns, last, size)
            if rows is None and size > 1:
                size = 1  # up to the very row
            elif rows is None:
                found = self._behind(table, columns, last)
                if found is None or found > max(last, 0) + 1:
                    self.gaps[table].append((max(last, 0) + 1, _HIGHEST if found is None else found - 1))
                if found is None:
                    return
                last, size = found - 1, _PAGE
            elif rows:
                for key, *row in rows:
                    yield tuple(row)
                    last = key
            else:
                return

    def _page(self, table: str, columns: str, after: int, size: int) -> list[tuple[Any, ...]] | None:
        query = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        try:
            return self._db.execute(query, (after, size)).fetchall()
        except _DAMAGE:
            return None

    def _behind(self, table: str, columns: str, last: int) -> int | None:
        """Return the key of the first row behind the damage that follows `last`; None when there is none."""
        start, step = max(last, 0), 1
        while (rows := self._page(table, columns, start + step, 1)) is None:
            if start + 2 * step >= _HIGHEST:
                return None
            step *= 2
        damaged, readable = start + step // 2, start + step
        while readable - damaged > 1:
            middle = (readable + damaged) // 2
            found = self._page(table, columns, middle, 1)
            if found is None:
                damaged = middle
            else:
                readable, rows = middle, found
        return rows[0][0] if rows else None

    def _from_both_ends(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        key = ", ".join(
            str(name)
            for (name,) in self._db.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
        )
        backwards = ", ".join(f"{part} DESC" for part in key.split(", "))
        for order in (key, backwards):
            try:
                yield from self._db.execute(f"SELECT {columns} FROM {table} ORDER BY {order}")
            except _DAMAGE:
                if order is key:
                    self.gaps[table].append((0, 0))  # such a table has no numbers to tell what is missing
            else:
                return
