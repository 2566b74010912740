"""Where the GGUF file of a model is: a path, a folder, an installed package, or a repository of the hub."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workglow.ai.files import urls_of
from workglow.ai.gguf_files import gguf_name
from workglow.ai.gguf_repository import files_here, is_on_hub
from workglow.errors import UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.ai.record import ModelRecord

__all__ = ["can_be_fetched", "file_of", "identity_of", "size_of"]

_PACKAGE: Final = re.compile(r"[A-Za-z_][\w-]*")
_PART: Final = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def can_be_fetched(record: ModelRecord) -> bool:
    """Whether a record says where its file comes from, so that it may be downloaded when it is not here."""
    return is_on_hub(record) or bool(urls_of(record))


def file_of(record: ModelRecord) -> Path:
    """Return the file of a record, the first one when it is in parts; UnknownModelError says where it was sought."""
    for file in record.files:
        if file.path.endswith(".gguf"):
            return _existing(record, Path(file.path).expanduser(), file.url)
    source = record.source
    path = Path(source).expanduser()
    if path.is_file() or (source.endswith(".gguf") and (path.is_absolute() or source.startswith((".", "~")))):
        return _existing(record, path)
    if path.is_dir():
        return _only_one(record, path)
    if _PACKAGE.fullmatch(source) and (spec := find_spec(source.replace("-", "_"))) is not None:
        for folder in spec.submodule_search_locations or ():
            return _only_one(record, Path(folder))
    if (named := gguf_name(source)) is not None:
        return Path(files_here(record, named)[0].path)
    if source.startswith(("https://", "http://")):
        raise UnknownModelError(f"The model {record.name!r} is not on this machine; {_remedy(record)}.")
    raise UnknownModelError(
        f"There is no model {record.name!r}: {source!r} is neither a file nor a folder, nor an installed package that "
        "brings a .gguf file, nor OWNER/NAME of a repository of the hub."
    )


def _existing(record: ModelRecord, path: Path, url: str = "") -> Path:
    if not path.is_file():
        again = f"  To {_remedy(record)}." if url else ""
        raise UnknownModelError(f"There is no model {record.name!r}: the file {path} is not there.{again}")
    return path


def _remedy(record: ModelRecord) -> str:
    return f"fetch it: workglow models download FILE {record.name}"


def _only_one(record: ModelRecord, folder: Path) -> Path:
    files = sorted(_first_parts(folder.rglob("*.gguf")))
    if len(files) == 1:
        return files[0]
    found = ", ".join(file.name for file in files[:8]) or "none"
    raise UnknownModelError(
        f"The model {record.name!r} could be any .gguf file in {folder}; there is {found}.  Name one by its path."
        if files
        else f"There is no model {record.name!r}: {folder} has no .gguf file."
    )


def _first_parts(files: Iterable[Path]) -> list[Path]:
    parts = [(file, _PART.search(file.name)) for file in files]
    return [file for file, part in parts if part is None or int(part["number"]) == 1]


def _parts(file: Path) -> list[Path]:
    part = _PART.search(file.name)
    if part is None:
        return [file]
    return sorted(file.parent.glob(f"{file.name[: part.start()]}-?????-of-{part['count']}.gguf"))


def size_of(file: Path) -> int:
    """The bytes of a file with all its parts."""
    return sum(part.stat().st_size for part in _parts(file))


def identity_of(file: Path) -> str:
    """What is another when the file was changed."""
    status = file.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
