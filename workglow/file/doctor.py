"""Examining a project file without changing it: is it whole, is it ours, does it hold together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import apsw

from workglow.errors import FileError, HalfCopyError
from workglow.file.connection import connect_to_read
from workglow.file.header import check_header, read_header
from workglow.file.marker import check_log, check_main
from workglow.file.migrations import expected_schema, migrations, schema_folder, schema_of, statements
from workglow.file.place import absolute, check_place
from workglow.file.pragmas import APPLICATION_ID

if TYPE_CHECKING:
    import os

__all__ = ["Check", "Report", "doctor", "invariants"]

_SHOWN: Final = 5  # findings of one check that the report shows
_NAME: Final = re.compile(r"^-- ([a-z_]+): (.+)$", re.MULTILINE)

_RESTORE: Final = "Restore a backup, or keep what is sound with `workglow recover`."
_REPORT: Final = "This is a defect of workglow: please report it with this text.  Your data can be read as before."


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a file: `detail` says what was found, `remedy` what to do (empty when all is well)."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found, in the order it was asked."""

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

    `quick` leaves out what reads every page: indexes against tables, and the content hash of every value.  Without it the
    cost is about that of reading the file twice.

    Raises FileError only when there is no file to examine.
    """
    place = absolute(path)
    check_place(place, create=False)
    return Report(place, tuple(_examine(place, quick)))


def invariants() -> list[tuple[str, str, str]]:
    """Return name, description and statement of each rule of `schema/sqlite/invariants.sql`."""
    script = (schema_folder() / "sqlite" / "invariants.sql").read_text()
    found: list[tuple[str, str, str]] = []
    for statement in statements(script):
        names = _NAME.findall(statement)
        found.append((*names[-1], statement[statement.rindex(names[-1][1]) + len(names[-1][1]) :].strip()))
    return found


def _examine(path: str, quick: bool) -> Iterator[Check]:
    try:
        header = read_header(path)
        if header is None:
            yield Check("format", True, "The file is empty: a new project.")
            return
        check_header(path, header, len(migrations()))
        alone = check_main(path)
        db = connect_to_read(path)
    except FileError as error:
        yield Check("copy" if isinstance(error, HalfCopyError) else "format", False, str(error), _last_sentence(error))
        return
    try:
        yield _guarded("copy", lambda: _copy(path, db))
        db.execute("BEGIN")
        for name, look in _QUESTIONS.items():
            yield _guarded(name, lambda look=look: look(db))
        yield _guarded("pages", lambda: _pages(db, quick))
        for name, description, statement in invariants():
            yield _guarded(name, lambda d=description, s=statement: _rule(db, d, s))
        if not quick:
            yield _guarded("contents", lambda: _contents(db))
        del alone
    finally:
        db.close(True)
