"""Models in GGUF of the hub's repositories: those on this machine, and what the hub says of those that are not.

On this machine are those that a download put into the folder of models, and those that the hub's own tools put into
their cache.  Neither asks anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from workglow.ai.bridging import in_thread
from workglow.ai.download import Downloads
from workglow.ai.files import fingerprint_of, sha256_of
from workglow.ai.gguf_files import GgufName, chosen, gguf_name, quantization_of
from workglow.ai.hub import (
    authorization,
    hub_address,
    hub_cache,
    hub_refusal,
    listing_url,
    offline_setting,
    url_of_file,
)
from workglow.ai.record import SourceFile
from workglow.ai.web import refusal
from workglow.errors import ModelCallError, UnknownModelError

if TYPE_CHECKING:
    from workglow.ai.record import ModelRecord
    from workglow.values import Secret

__all__ = ["files_here", "is_on_hub", "with_files_of_hub"]

_LARGEST: Final = 64 << 20  # bytes of a listing; one of ten thousand files has five million
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")


def is_on_hub(record: ModelRecord) -> bool:
    """Whether a record means a model of the hub that `with_files_of_hub` finds."""
    return record.provider == "gguf" and gguf_name(record.source) is not None


# ---------------------------------------------------------------------- on this machine


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A folder with files of a repository, and the revision that they are of."""

    folder: Path
    revision: str

    def files(self) -> list[str]:
        return [str(path.relative_to(self.folder)) for path in self.folder.rglob("*.gguf") if path.is_file()]


def files_here(record: ModelRecord, name: GgufName, downloads: Downloads | None = None) -> tuple[SourceFile, ...]:
    """Return the files of a model that is on this machine; UnknownModelError says what is there instead."""
    complaint: UnknownModelError | None = None
    address = hub_address(record.base_url)
    for snapshot in _snapshots(record, name, downloads or Downloads()):
        try:
            files = chosen(name, snapshot.files())
        except UnknownModelError as error:
            complaint = complaint or error
            continue
        return tuple(
            SourceFile(str(snapshot.folder / file), url_of_file(address, name.repository, snapshot.revision, file))
            for file in files
        )
    there = f"  Of what is here: {complaint}" if complaint is not None else ""
    raise UnknownModelError(
        f"The model {record.name!r} is not on this machine; fetch it: workglow models download FILE "
        f"{record.name}.{there}"
    )


def _snapshots(record: ModelRecord, name: GgufName, downloads: Downloads) -> Iterator[_Snapshot]:
    """Yield what is here of a repository: of the revision that the record names, or else the newest first."""
    cached = hub_cache() / f"models--{name.repository.replace('/', '--')}"
    folders = [_revisions(record, name, downloads), cached / "snapshots"]
    there = [one for folder in folders if folder.is_dir() for one in folder.iterdir() if one.is_dir()]
    there.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    wanted = {record.revision, *(_commit_of(one.parent, record.revision) for one in folders)} - {""}
    yield from (_Snapshot(folder, folder.name) for folder in there if not wanted or folder.name in wanted)


def _revisions(record: ModelRecord, name: GgufName, downloads: Downloads) -> Path:
    """Return the folder in which downloads of a repository are, in a folder for each revision."""
    url = url_of_file(hub_address(record.base_url), name.repository, "main", "one.gguf")
    return downloads.place_of(url).parents[1]


def _commit_of(kept: Path, revision: str) -> str:
    """Return the commit that a branch or a tag was when files of it came; '' when none did."""
    reference = _reference(kept, revision)
    return reference.read_text(encoding="utf-8").strip() if reference is not None and reference.is_file() else ""


def _note(kept: Path, revision: str, commit: str) -> None:
    """Note which commit a branch or a tag is, so that it is found under that name when nobody can be asked."""
    reference = _reference(kept, revision)
    if reference is not None and revision != commit:
        with suppress(OSError):  # a folder that cannot be written is complained of when the files come
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(commit, encoding="utf-8")


def _reference(kept: Path, revision: str) -> Path | None:
    """Return the file that says which commit a branch or a tag is, as the hub's own tools write it."""
    path = Path(revision)
    return None if not path.parts or path.is_absolute() or ".." in path.parts else kept / "refs" / path


# ---------------------------------------------------------------------- on the hub


class _Large(msgspec.Struct):
    sha256: str = ""


class _Listed(msgspec.Struct):
    rfilename: str
    size: int | None = None
    lfs: _Large | None = None


class _Listing(msgspec.Struct):
    sha: str = ""
    siblings: list[_Listed] = []


async def with_files_of_hub(
    record: ModelRecord, downloads: Downloads, secret: Secret | None, allow: Callable[[str], None]
) -> ModelRecord:
    """Return a record that names the files of its model, the commit that they are of, and what they are quantised to.

    Their hashes are those that the hub says.  A file that is on this machine already is named with its path.  When a
    setting forbids to ask the hub, the files are those that are here, or it is a ModelCallError.
    """
    name = gguf_name(record.source)
    if name is None:
        raise UnknownModelError(f"{record.source!r} is no name of a repository.")
    if setting := offline_setting():
        try:
            here = files_here(record, name, downloads)
        except UnknownModelError as error:
            raise ModelCallError(f"{record.name!r} is not downloaded: {setting} is set.  {error}") from None
        files = await in_thread(lambda: tuple(map(_measured, here)))
        return _with(record, files, "")
    listing = await _listing(record, name, downloads, secret, allow)
    listed = {one.rfilename: one for one in listing.siblings}
    revision = listing.sha if _COMMIT.fullmatch(listing.sha) else record.revision or "main"
    address = hub_address(record.base_url)
    wanted = tuple(
        SourceFile(url=url_of_file(address, name.repository, revision, file), size=one.size, sha256=_sha256_of(one))
        for file, one in ((file, listed[file]) for file in chosen(name, listed))
    )
    files = await in_thread(lambda: _at_hand(record, name, wanted, downloads))
    await in_thread(lambda: _note(_revisions(record, name, downloads).parent, record.revision, revision))
    return _with(record, files, revision)


async def _listing(
    record: ModelRecord, name: GgufName, downloads: Downloads, secret: Secret | None, allow: Callable[[str], None]
) -> _Listing:
    address = hub_address(record.base_url)
    url = listing_url(address, name.repository, record.revision)
    response, content = await downloads.read(url, _LARGEST, headers=authorization(secret, url), allow=allow)
    if response.status_code != 200:
        code = response.headers.get("x-error-code", "")
        about = hub_refusal(f"{address}/{name.repository}", response.status_code, code, record.revision)
        raise about or refusal(url, response)
    try:
        return msgspec.json.decode(content, type=_Listing)
    except msgspec.DecodeError as error:
        raise ModelCallError(f"{url} answered with what is no list of files: {error}.") from None


def _sha256_of(listed: _Listed) -> str:
    return listed.lfs.sha256 if listed.lfs is not None else ""


def _at_hand(
    record: ModelRecord, name: GgufName, wanted: tuple[SourceFile, ...], downloads: Downloads
) -> tuple[SourceFile, ...]:
    """Name where each file seems to be already, for another revision may have the very same; whoever fetches it
    compares what it holds."""
    anywhere = msgspec.structs.replace(record, revision="")
    folders = [snapshot.folder for snapshot in _snapshots(anywhere, name, downloads)]
    revisions, found = _revisions(record, name, downloads), list[SourceFile]()
    for file in wanted:
        own = downloads.place_of(file.url)
        inside = Path(*own.relative_to(revisions).parts[1:])
        paths = (folder / inside for folder in folders if folder / inside != own)
        here = next((str(path) for path in paths if file.sha256 and _may_be(path, file)), "")
        found.append(msgspec.structs.replace(file, path=here))
    return tuple(found)


def _may_be(path: Path, file: SourceFile) -> bool:
    return path.is_file() and file.size in (None, path.stat().st_size)


def _measured(file: SourceFile) -> SourceFile:
    path = Path(file.path)
    return SourceFile(file.path, file.url, path.stat().st_size, sha256_of(path))


def _with(record: ModelRecord, files: tuple[SourceFile, ...], revision: str) -> ModelRecord:
    changes: dict[str, Any] = {"files": files, "fingerprint": fingerprint_of(files)}
    if revision:
        changes["revision"] = revision
    if not record.quantization:
        changes["quantization"] = quantization_of(files[0].path or files[0].url)
    return msgspec.structs.replace(record, **changes)
