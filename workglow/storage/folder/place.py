"""A folder that several processes write to: whole files or none, and a lock between writing and removing.

Whoever writes or reads several files that belong together holds the lock shared; whoever removes holds it alone, so
nothing is removed between two files of somebody else.  A file is written beside its place, brought to disk, and then
put there in one step.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workglow.errors import FileError, FileFullError, FileReadOnlyError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["Folder"]

_LOCK = ".lock"
_UNFINISHED = ".unfinished"
_HIDDEN = {".gitignore": f"/{_LOCK}\n/{_UNFINISHED}/\n", ".gitattributes": "* -text\n"}
"""What keeps git from adding what is of this machine only, and from changing the ends of lines."""


class Folder:
    """One folder; it is made when something is written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        if self.path.exists() and not self.path.is_dir():
            raise FileError(f"{self.path} is a file.  Give a folder, or a name that is free.")

    @contextmanager
    def reading(self) -> Generator[None]:
        """Keep others from removing."""
        try:
            lock = os.open(self.path / _LOCK, os.O_RDONLY)
        except OSError:  # nobody has written here yet
            yield
            return
        with self._locked(lock, fcntl.LOCK_SH):
            yield

    @contextmanager
    def writing(self) -> Generator[None]:
        """Keep others from removing, while several may write."""
        with self._told(self.path), self._locked(self._lock_file(), fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keep everybody else out; what others left unfinished is removed."""
        with self._told(self.path), self._locked(self._lock_file(), fcntl.LOCK_EX):
            for left in self.files(_UNFINISHED):
                self.delete(left)
            yield

    def read(self, path: Path) -> bytes | None:
        """Return what a file holds; None when it is not there."""
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise FileError(
                f"{path} cannot be read: {error.strerror}.  Look at its permissions, and the disk."
            ) from error

    def write(self, path: Path, data: bytes) -> None:
        """Put a file in its place, whole and on disk; the caller holds the lock."""
        with self._told(path):
            self._make(path.parent)
            beside = self.path / _UNFINISHED / f"{os.getpid()}-{os.urandom(8).hex()}"
            self._make(beside.parent)
            try:
                with beside.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(beside, path)
            except BaseException:
                with suppress(OSError):
                    beside.unlink()
                raise
            _sync(path.parent)

    def move(self, path: Path, to: Path) -> None:
        """Give a file or folder another name, in one step."""
        with self._told(path):
            os.rename(path, to)
            _sync(to.parent)

    def delete(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        with self._told(path), suppress(FileNotFoundError):
            path.unlink()

    def files(self, *inside: str) -> Iterator[Path]:
        """Yield the files below a folder in here, in the order of their names."""
        for folder, folders, names in os.walk(self.path.joinpath(*inside)):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names))

    def _lock_file(self) -> int:
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        for name, text in _HIDDEN.items():
            with suppress(FileExistsError), (self.path / name).open("x") as stream:
                stream.write(text)
        return lock

    @staticmethod
    @contextmanager
    def _locked(lock: int, kind: int) -> Generator[None]:
        try:
            fcntl.flock(lock, kind)
            yield
        finally:
            os.close(lock)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync(folder.parent)

    @staticmethod
    @contextmanager
    def _told(path: Path) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise FileFullError(
                    f"The disk is full, so {path} was not written.  Make room and try again."
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise FileReadOnlyError(
                    f"{path} cannot be written: {error.strerror}.  Change its permissions."
                ) from error
            raise FileError(f"{path} cannot be written: {error.strerror}.") from error


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
