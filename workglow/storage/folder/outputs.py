"""Outputs in a folder.

    outputs/ab/cdef….json    one output, named by its key: the task, the ports, the hash of the ports
    values/12/3456….bin      one large value, named by its content and shared by all that refer to it

What a file says of itself is checked when it is read: its key, the hash of its ports, the hash of each value.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from workglow.errors import CorruptValueError
from workglow.storage.folder.place import Folder
from workglow.storage.outputs import CacheEntry, StoredOutput, TaskOutputRepository
from workglow.values import Blob
from workglow.values.blob import content_hash, unpack

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from workglow.clock import Clock
    from workglow.storage.policies import CachePolicy

__all__ = ["FolderTaskOutputRepository"]

_FORMAT = "workglow-output/1"
_ENDINGS = {"text": ".txt", "json": ".json", "image png": ".png"}


class _Written(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An output's file."""

    format: str
    key: str
    type: str
    model: str
    created_at: int
    size: int
    outputs: msgspec.Raw
    values: dict[str, str]  # hash → kind
    sha256: str  # of the ports, without white space


_read = msgspec.json.Decoder(_Written).decode


class FolderTaskOutputRepository(TaskOutputRepository):
    """Keeps outputs in a folder, as JSON and the large values beside it; several processes may share it.

    The folder is made when something is saved.  Each file is brought to disk before it counts.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, policies: Sequence[CachePolicy] = (), clock: Clock | None = None
    ) -> None:
        super().__init__(policies=policies, clock=clock)
        self._folder = Folder(path)

    def __repr__(self) -> str:
        return f"FolderTaskOutputRepository({str(self._folder.path)!r})"

    def read(self, key: bytes) -> StoredOutput | None:
        place = self._place(key)
        with self._folder.reading():
            found = self._open(place)
            if found is None:
                return None
            blobs = tuple(self._blob(place, hash, kind) for hash, kind in found.values.items())
        return StoredOutput(_entry(found), _compact(found.outputs), blobs)

    def write(self, stored: StoredOutput) -> None:
        entry = stored.entry
        written = _Written(
            _FORMAT, entry.key.hex(), entry.type, entry.model, entry.created_at, entry.size,
            msgspec.Raw(stored.text), {blob.hash.hex(): blob.kind for blob in stored.blobs}, _sha256(stored.text),
        )  # fmt: skip
        with self._folder.writing():
            for blob in stored.blobs:
                place, data = self._value_place(blob.hash.hex(), blob.kind), unpack(blob.encoding, blob.data)
                if self._folder.read(place) != data:  # so that a damaged one is mended
                    self._folder.write(place, data)
            self._folder.write(
                self._place(entry.key), msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"
            )

    def entries(self) -> list[CacheEntry]:
        return [_entry(found) for _, found in self._all() if isinstance(found, _Written)]

    def remove(self, keys: Iterable[bytes]) -> None:
        with self._folder.alone():
            for key in keys:
                self._folder.delete(self._place(key))
            self._sweep()

    def clear(self) -> None:
        super().clear()
        with self._folder.alone():
            for place in self._folder.files("outputs"):  # also what cannot be read
                self._folder.delete(place)
            self._sweep()

    def check(self) -> list[str]:
        """Read everything, and say of each file that is damaged what is wrong and what to do."""
        problems: list[str] = []
        with self._folder.reading():
            for place, found in self._all():
                if isinstance(found, CorruptValueError):
                    problems.append(str(found))
                    continue
                for hash, kind in found.values.items():
                    try:
                        self._blob(place, hash, kind)
                    except CorruptValueError as error:
                        problems.append(str(error))
        return problems

    # ------------------------------------------------------------------ files

    def _place(self, key: bytes) -> Path:
        name = key.hex()
        return self._folder.path / "outputs" / name[:2] / f"{name[2:]}.json"

    def _value_place(self, hash: str, kind: str) -> Path:
        return self._folder.path / "values" / hash[:2] / f"{hash[2:]}{_ENDINGS.get(kind, '.bin')}"

    def _open(self, place: Path) -> _Written | None:
        data = self._folder.read(place)
        if data is None:
            return None
        try:
            found = _read(data)
            text = _compact(found.outputs)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _damaged(place, f"it is no JSON of an output ({' '.join(str(error).split()):.200})") from error
        if found.format != _FORMAT:
            raise _damaged(place, f"its format is {found.format!r:.60}, not {_FORMAT!r}")
        if found.key != place.parent.name + place.stem:
            raise _damaged(place, "it is the output of another key")
        if found.sha256 != _sha256(text):
            raise _damaged(place, "its ports do not have the hash that it says")
        return found

    def _blob(self, place: Path, hash: str, kind: str) -> Blob:
        if len(hash) != 64 or not set(hash) <= set("0123456789abcdef"):
            raise _damaged(place, f"it refers to the value {hash!r:.80}, which is no hash")
        value_place = self._value_place(hash, kind)
        data = self._folder.read(value_place)
        if data is None:
            raise _damaged(place, f"the value it refers to is not there: {value_place}")
        if content_hash(kind, data).hex() != hash:
            raise _damaged(value_place, "its content does not have the hash that it is named by")
        return Blob(bytes.fromhex(hash), kind, "raw", len(data), data)

    def _all(self) -> Iterator[tuple[Path, _Written | CorruptValueError]]:
        for place in self._folder.files("outputs"):
            try:
                found = self._open(place)
            except CorruptValueError as error:
                yield place, error
            else:
                if found is not None:
                    yield place, found

    def _sweep(self) -> None:
        """Remove the values that no output refers to; nobody else is here."""
        referred = {
            self._value_place(hash, kind)
            for _, found in self._all()
            if isinstance(found, _Written)
            for hash, kind in found.values.items()
        }
        for place in self._folder.files("values"):
            if place not in referred:
                self._folder.delete(place)


def _entry(found: _Written) -> CacheEntry:
    return CacheEntry(bytes.fromhex(found.key), found.type, found.model, found.size, found.created_at)


def _compact(outputs: msgspec.Raw) -> str:
    return msgspec.json.format(bytes(outputs), indent=-1).decode()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(place: Path, reason: str) -> CorruptValueError:
    return CorruptValueError(f"{place} is damaged: {reason}.  Delete it; its task runs again and writes it anew.")
