"""The files of local models: which they are, and whether they are still what they were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from workglow.ai.record import ModelRecord, SourceFile
from workglow.errors import InvalidModelError

__all__ = ["faults_of_files", "fingerprint_of", "sha256_of", "urls_of", "with_files"]

_MOST: Final = 1000


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_of(files: Sequence[SourceFile]) -> str:
    """Return what tells one state of a model's files from another: the SHA-256 of the file, or over those of all."""
    if not files or not all(file.sha256 for file in files):
        return ""
    if len(files) == 1:
        return files[0].sha256
    common = os.path.commonpath([file.path for file in files]) if all(file.path for file in files) else ""
    lines = sorted(f"{file.sha256}  {os.path.relpath(file.path, common) if common else file.url}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def with_files(record: ModelRecord) -> ModelRecord:
    """Return a record that names the files of its model with their sizes and hashes, if they are on this machine.

    They are those that the record names, or what its source, a path, leads to.  All of them are read.
    """
    named = record.files or tuple(SourceFile(str(path)) for path in _below(record))
    if not named or not all(file.path and os.path.isfile(file.path) for file in named):
        return record
    files = tuple(_measured(file) for file in named)
    return msgspec.structs.replace(record, files=files, fingerprint=fingerprint_of(files))


def urls_of(record: ModelRecord) -> tuple[SourceFile, ...]:
    """Return the files that have to be downloaded for a model; none when its record does not say where they are."""
    if record.files:
        return record.files if all(file.url for file in record.files) else ()
    if record.source.startswith(("https://", "http://")):
        return (SourceFile(url=record.source),)
    return ()


def faults_of_files(record: ModelRecord, *, read: bool = False) -> list[str]:
    """Say which files are not what the record says; with `read` their contents are compared, too."""
    return [fault for file in record.files if (fault := _fault(file, read=read))]


def _fault(file: SourceFile, *, read: bool) -> str:
    path = Path(file.path)
    if not file.path:
        return f"{file.url} is not downloaded"
    try:
        size = path.stat().st_size
        if file.size is not None and size != file.size:
            return f"{path} has {size:,} bytes instead of {file.size:,}"
        if read and file.sha256 and sha256_of(path) != file.sha256:
            return f"{path} has another content than when it was added"
    except FileNotFoundError:
        return f"{path} is not there"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return ""


def _measured(file: SourceFile) -> SourceFile:
    path = Path(file.path).absolute()
    return SourceFile(str(path), file.url, path.stat().st_size, sha256_of(path))


def _below(record: ModelRecord) -> Iterator[Path]:
    """Yield the files that the source of a record means, when it is the path of a file or a folder."""
    place = Path(record.source).expanduser().absolute()
    if not record.source or "://" in record.source or "\0" in record.source:
        return
    if place.is_file():
        yield place
    elif place.is_dir():
        found = sorted(path for path in place.rglob("*") if path.is_file() and not _is_hidden(path, place))
        if len(found) > _MOST:
            raise InvalidModelError(f"{place} holds more than {_MOST:,} files; that is no folder of one model.")
        yield from found


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
