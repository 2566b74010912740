"""Examining a project file without changing it: is it whole, is it ours, does it hold together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import apsw

from workglow.errors import FileError, HalfCopyError
from workglow.file.connection import close_reader, connect_to_read
from workglow.file.header import check_header, read_header
from workglow.file.marker import Marker, check_log, check_main
from workglow.file.migrations import expected_schema, migrations, schema_folder, schema_of, statements
from workglow.file.place import absolute, check_place
from workglow.file.pragmas import APPLICATION_ID

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Check", "Report", "doctor", "invariants"]

_SHOWN: Final = 5  # findings of one check that the report shows
_NAME: Final = re.compile(r"^-- ([a-z_]+): (.+)\n", re.MULTILINE)

_RESTORE: Final = "Restore a backup, or make a new file of what is sound: `workglow recover FILE NEW-FILE`."
_REPORT: Final = "workglow itself never does this: please report it, with this text."
_FOREIGN: Final = "Another program changed the file's tables.  Do not use the file unless you know who did it and why."


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a file: `detail` says what was found, `remedy` what to do, empty when all is well."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found, in the order in which the file was asked."""

    path: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.ok)


def doctor(path: str | os.PathLike[str], *, quick: bool = False) -> Report:
    """Examine the project file; it may be in use, damaged, or no project at all.  Nothing is written.

    `quick` leaves out what takes long: indexes are not compared with their tables, and values not with their hashes.

    Raises FileError only when there is no file to examine.
    """
    place = absolute(path)
    check_place(place, create=False)
    return Report(place, tuple(_examine(place, quick)))


def invariants() -> list[tuple[str, str, str]]:
    """Return name, description and statement of each rule in `schema/sqlite/invariants.sql`."""
    found: list[tuple[str, str, str]] = []
    for piece in statements((schema_folder() / "sqlite" / "invariants.sql").read_text()):
        head = list(_NAME.finditer(piece))[-1]
        found.append((head[1], head[2], piece[head.end() :]))
    return found


def _examine(path: str, quick: bool) -> Iterator[Check]:
    try:
        header = read_header(path)
        if header is None:
            yield Check("format", True, "the file is empty: a new project")
            return
        check_header(path, header, len(migrations()))
        alone = check_main(path)
        db = connect_to_read(path)
    except FileError as error:
        yield Check("copy" if isinstance(error, HalfCopyError) else "format", False, str(error), "See the text.")
        return
    try:
        yield _ask("copy", "main file and log belong together", _RESTORE, lambda: _copy(path, db, alone))
        yield _ask("format", "it is a workglow project of this format", _RESTORE, lambda: _format(db))
        yield _ask("schema", "its tables are those that workglow makes", _FOREIGN, lambda: _schema(db))
        yield _ask("pages", "SQLite finds no damage", _RESTORE, lambda: _pages(db, quick))
        yield _ask("references", "every row that is referred to is there", _RESTORE, lambda: _references(db))
        for name, text, statement in invariants():
            yield _ask(name, text, _REPORT, lambda statement=statement: map(str, db.execute(statement)))
        if not quick:
            yield _ask("contents", "every value is what was stored", _RESTORE, lambda: _contents(db))
    finally:
        close_reader(db, path)


def _ask(name: str, text: str, remedy: str, look: Callable[[], Iterable[str]]) -> Check:
    """Turn findings into a check; SQLite failing on the question is a finding too."""
    try:
        findings = list(islice(look(), _SHOWN + 1))
    except (apsw.Error, FileError) as error:
        findings = [str(error)]
    if not findings:
        return Check(name, True, text)
    shown = "; ".join(findings[:_SHOWN]) + ("; and more" if len(findings) > _SHOWN else "")
    return Check(name, False, f"Not so: {text}.  Found: {shown}", remedy)


def _copy(path: str, db: apsw.Connection, alone: Marker | None) -> Iterator[str]:
    check_log(path, db, alone)
    return iter(())


def _format(db: apsw.Connection) -> Iterator[str]:
    application, version = db.pragma("application_id"), db.pragma("user_version")
    if application != APPLICATION_ID:
        yield f"application_id {application:#x}"
    if version != len(migrations()):
        yield f"format {version}, this workglow writes {len(migrations())}"


def _schema(db: apsw.Connection) -> Iterator[str]:
    found, expected = schema_of(db), expected_schema()
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            yield f"'{name}' is missing"
        elif name not in expected:
            yield f"'{name}' is not ours"
        elif found[name] != expected[name]:
            yield f"'{name}' differs"


def _pages(db: apsw.Connection, quick: bool) -> Iterator[str]:
    for (text,) in db.execute("PRAGMA quick_check" if quick else "PRAGMA integrity_check"):
        if text != "ok":
            yield str(text)


def _references(db: apsw.Connection) -> Iterator[str]:
    for table, rowid, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of '{table}' refers to a row of '{parent}' that does not exist"


def _contents(db: apsw.Connection) -> Iterator[str]:
    from workglow.values.blob import Blob, verify  # zlib and hashlib, which opening a file does not need

    for number, *columns in db.execute("SELECT id, hash, kind, encoding, size, data FROM value"):
        if not verify(Blob(*columns)):
            yield f"value {number} ({columns[0].hex()[:12]}…, {columns[1]}) is not what was stored"
