"""Tasks on files: load one, save one, list a folder.  All stay under the folders given as `roots`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypedDict, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import ResourceLimitError, SourceError, TaskInputError
from workglow.file.place import sync_folder
from workglow.library.filetype import read_as, type_of
from workglow.tasks import Entitlement, Task
from workglow.tasks.reading import LARGEST, read_bytes, refuse_open_database
from workglow.tasks.roots import within

__all__ = ["FileListTask", "FileLoaderTask", "FileSaverTask"]

_MOST: Final = 100_000
"""Paths that a list holds."""

Format = Literal["auto", "text", "markdown", "json", "csv", "pdf", "image", "html"]


class RootedConfig(BaseModel):
    """What every task that touches the disk is configured with."""

    model_config = ConfigDict(extra="forbid")

    roots: tuple[str, ...] = Field(
        default=(), description="The folders that it may use; none given means the current folder."
    )


class RootedTask(Task):
    """A task that may use nothing but files under its roots."""

    category: ClassVar[str] = "Document"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    Config: ClassVar[type[BaseModel] | None] = RootedConfig
    place: ClassVar[str] = "path"
    """The input that names the file."""

    def path(self, inputs: Mapping[str, object]) -> Path:
        """Return where the file is; OutsideRootsError when that is not under a root."""
        return within(str(inputs[self.place]), self.config["roots"])

    def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
        """Reading or writing of its one file, once the input that names it is known."""
        needed = super().required_entitlements(inputs)
        given = {**self.defaults, **(inputs or {})}
        if not isinstance(given.get(self.place), str):
            return needed
        resources = (str(self.path(given)),)
        return tuple(Entitlement(one.id, resources) for one in needed)


class _LoaderConfig(RootedConfig):
    encoding: str = Field(default="utf-8", description="How texts are encoded.")
    max_bytes: int = Field(default=LARGEST, gt=0, description="The largest file that is read.")


class _LoaderInput(BaseModel):
    url: str = Field(title="File", description="A path, or file:///path.")
    format: Format = Field(default="auto", title="Format", description="auto goes by the end of the name.")


class _About(TypedDict):
    metadata: Annotated[dict[str, Any], Field(title="Metadata", description="url, format, size, title and mimeType.")]


class Loaded(_About, total=False):
    """What is in a file: the port of its format, and for Markdown its front matter."""

    text: Annotated[str, Field(title="Text", description="Of a text, Markdown or HTML file.")]
    json: Annotated[Any, Field(title="JSON")]
    csv: Annotated[list[dict[str, str]], Field(title="CSV", description="A mapping for each row.")]
    image: Annotated[str, Field(title="Image", description="A data: address.")]
    pdf: Annotated[str, Field(title="PDF", description="A data: address.")]
    frontmatter: Annotated[dict[str, Any], Field(title="Front matter")]


class FileLoaderTask(RootedTask):
    """Read a file: text, Markdown with its front matter, JSON, CSV, HTML, or an image or PDF as a data address."""

    title: ClassVar[str] = "File Loader"
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("files:read",)
    Config: ClassVar[type[BaseModel] | None] = _LoaderConfig
    Input: ClassVar[type[BaseModel] | None] = _LoaderInput
    place: ClassVar[str] = "url"

    def execute(self, inputs: dict[str, Any]) -> Loaded:
        """Read the file as its format says."""
        path = self.path(inputs)
        kind = type_of(path, inputs["format"])
        data = read_bytes(path, self.config["max_bytes"])
        found = read_as(kind, data, path, self.config["encoding"])
        about = {"url": inputs["url"], "format": kind.format, "size": len(data), "title": path.stem}
        return cast("Loaded", {**found, "metadata": {**about, "mimeType": kind.media_type}})


class _SaverConfig(RootedConfig):
    if_exists: Literal["replace", "append", "error"] = Field(
        default="replace", description="What to do when the file is there already."
    )


class _SaverInput(BaseModel):
    path: str = Field(title="Path")
    content: str | bytes = Field(title="Content", description="A text, which is written as UTF-8, or bytes.")


class _SaverOutput(BaseModel):
    path: str = Field(title="Path", description="Where the file is.")
    size: int = Field(title="Size", description="Bytes of the whole file.")


class FileSaverTask(RootedTask):
    """Write a file, whole or not at all: a crash leaves the old one or the new one.  Its folder has to exist.

    Written again after a crash, the same file results; with `if_exists="append"` the content may be there twice.
    """

    title: ClassVar[str] = "File Saver"
    side_effects: ClassVar[bool] = True
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("files:write",)
    Config: ClassVar[type[BaseModel] | None] = _SaverConfig
    Input: ClassVar[type[BaseModel] | None] = _SaverInput
    Output: ClassVar[type[BaseModel] | None] = _SaverOutput

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Write the file."""
        path = self.path(inputs)
        refuse_open_database(path)
        content: str | bytes = inputs["content"]
        try:
            data = content.encode() if isinstance(content, str) else content
        except UnicodeEncodeError as error:
            raise TaskInputError(f"The content for {path} cannot be written as UTF-8: {error.reason}.") from None
        policy = self.config["if_exists"]
        if policy == "append" and path.exists():
            data = read_bytes(path, LARGEST) + data
        try:
            _write(path, data, new=policy == "error")
        except OSError as error:
            raise SourceError(f"{path} cannot be written: {error.strerror}.  Check the folder, or roots.") from None
        return {"path": str(path), "size": len(data)}


def _write(path: Path, data: bytes, *, new: bool) -> None:
    """Put the file in place with all its bytes on the disk; `new` refuses one that is there."""
    beside = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(beside, path)
        elif path.is_dir():
            raise IsADirectoryError(21, "it is a folder", str(path))
        else:
            if path.exists():
                beside.chmod(path.stat().st_mode & 0o7777)
            os.replace(beside, path)
        sync_folder(str(path))
    finally:
        beside.unlink(missing_ok=True)


class _ListInput(BaseModel):
    path: str = Field(default=".", title="Folder")
    pattern: str = Field(default="*", title="Pattern", description="Such as *.md, or **/*.md for folders inside too.")


class _ListOutput(BaseModel):
    paths: list[str] = Field(title="Paths", description="Absolute and sorted.")
    count: int = Field(title="Count")


class FileListTask(RootedTask):
    """List the files of a folder whose names fit a pattern, without hidden ones and links that lead elsewhere."""

    title: ClassVar[str] = "File List"
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("files:read",)
    Input: ClassVar[type[BaseModel] | None] = _ListInput
    Output: ClassVar[type[BaseModel] | None] = _ListOutput

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Look through the folder."""
        folder = self.path(inputs)
        pattern: str = inputs["pattern"]
        if not folder.is_dir():
            raise SourceError(f"{folder} is not a folder.  Give one; its files are named by the pattern.")
        if ".." in Path(pattern).parts or Path(pattern).is_absolute():
            raise TaskInputError(f"The pattern {pattern!r:.80} leads out of the folder.  Give the folder as `path`.")
        paths: list[str] = []
        try:
            for path in folder.glob(pattern):
                if _is_plain(path, folder):
                    paths.append(str(path))
                if len(paths) > _MOST:
                    raise ResourceLimitError(f"{folder} has more than {_MOST:,} such files; give a narrower pattern.")
        except (OSError, ValueError, NotImplementedError) as error:
            raise SourceError(f"{folder} cannot be looked through for {pattern!r:.80}: {error}.") from None
        return {"paths": sorted(paths), "count": len(paths)}


def _is_plain(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.is_file() and path.resolve().is_relative_to(folder)
