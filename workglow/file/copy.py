"""One file from a project in any state: in use, closed, or left behind by a crash."""

from __future__ import annotations

import os
from typing import Final

import apsw

from workglow.errors import FileError, FileLockedError
from workglow.file.connection import close_reader, connect, connect_to_read
from workglow.file.failures import explain
from workglow.file.header import check_header, read_header
from workglow.file.marker import check_log, check_main
from workglow.file.migrations import migrations
from workglow.file.place import absolute, check_place, log_path, sync_folder
from workglow.file.pragmas import FULL, synchronous

__all__ = ["copy", "place_new", "write_copy"]

_BUSY: Final = 30.0  # seconds


def copy(source: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Make `target` a complete copy of the project `source`, as of now; other processes may be writing to it.

    The copy is compact, closed, and one file.  The copy belongs to nobody: sessions that are open in the source count
    as moved in it, so a run in it can be resumed at once, on any machine.  The source goes on as if nothing had
    happened.  A run that is resumed in the copy gets a higher `epoch` there: of two twins of a run, the one with the
    higher epoch was taken over.

    Raises FileError when the target exists and `overwrite` is not given, and what `File.open` raises for the source.
    """
    from_path = absolute(source)
    to_path = absolute(target)
    check_place(from_path, create=False)
    if check_place(to_path, create=True):
        if os.path.samefile(from_path, to_path):
            raise FileError(f"{from_path} cannot be copied onto itself.  Choose another target.")
        if not overwrite:
            raise FileError(f"{to_path} exists already.  Choose another name, or say overwrite=True.")
        if os.path.exists(log_path(to_path)):
            raise FileLockedError(
                f"{to_path} is in use, or was when its process died: replacing it would lose what is written there.  "
                "Close it, or remove it together with its -wal file."
            )
    header = read_header(from_path)
    if header is not None:
        check_header(from_path, header, len(migrations()))
    write_copy(from_path, to_path, overwrite=overwrite)


def write_copy(source: str, target: str, *, vfs: str = "", overwrite: bool = False) -> None:
    """Copy without asking whether the source's format is a known one; the target appears when it is complete."""
    partial = f"{target}.partial-{os.getpid()}"
    try:
        _remove(partial)  # a process of the same number may have been killed at this
        _vacuum_into(source, partial, vfs)
        _disown(partial, vfs)
        if overwrite:
            os.replace(partial, target)
        else:
            place_new(partial, target)
        sync_folder(target)
    except apsw.Error as error:
        raise explain(error, source) or error from error
    finally:
        _remove(partial)


def _remove(partial: str) -> None:
    for leftover in (partial, partial + "-journal"):
        if os.path.exists(leftover):
            os.unlink(leftover)


def _vacuum_into(source: str, target: str, vfs: str) -> None:
    alone = check_main(source, vfs)
    db = connect_to_read(source, busy_timeout=_BUSY, vfs=vfs)
    try:
        check_log(source, db, alone, vfs)
        db.pragma("query_only", 0)  # it would forbid writing the target, too
        db.execute("VACUUM INTO ?", (target,))
    finally:
        close_reader(db, source)


def _disown(path: str, vfs: str) -> None:
    """Close the copy: nobody has it open, and the sessions in it are those of another file."""
    db = connect(path, vfs=vfs)
    try:
        synchronous(db, FULL)
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE project SET state = 'closed', sealed = cycle, place = ''")
        db.execute("UPDATE session SET boot = 'copied' WHERE ended_at IS NULL")
        db.execute("COMMIT")
    finally:
        db.close()


def place_new(partial: str, target: str) -> None:
    """Give a finished file its name, unless another file has it by now."""
    try:
        os.link(partial, target)  # fails when somebody was quicker; a rename would replace what they made
    except FileExistsError:
        raise FileError(f"{target} exists already.  Choose another name, or say overwrite=True.") from None
    except OSError:
        os.rename(partial, target)
