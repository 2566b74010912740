"""What kind of file it is, and what is in it."""

from __future__ import annotations

import base64
import csv
import io
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from workglow.errors import MissingExtraError, SourceError, TaskInputError
from workglow.library.data import parse_json

__all__ = ["FileType", "read_as", "type_of"]


class FileType(NamedTuple):
    """A format, and its media type."""

    format: str
    media_type: str


_BY_SUFFIX = {
    ".md": FileType("markdown", "text/markdown"),
    ".mdx": FileType("markdown", "text/markdown"),
    ".markdown": FileType("markdown", "text/markdown"),
    ".json": FileType("json", "application/json"),
    ".csv": FileType("csv", "text/csv"),
    ".pdf": FileType("pdf", "application/pdf"),
    ".htm": FileType("html", "text/html"),
    ".html": FileType("html", "text/html"),
    ".png": FileType("image", "image/png"),
    ".jpg": FileType("image", "image/jpeg"),
    ".jpeg": FileType("image", "image/jpeg"),
    ".gif": FileType("image", "image/gif"),
    ".webp": FileType("image", "image/webp"),
    ".bmp": FileType("image", "image/bmp"),
    ".svg": FileType("image", "image/svg+xml"),
}
_PLAIN = FileType("text", "text/plain")
_FENCE = "---"
_LARGEST_FRONT_MATTER = 16 * 1024  # characters; the time to read YAML grows faster than its length
_DEEPEST = 50


def type_of(path: Path, format: str = "auto") -> FileType:
    """Return what the end of the name says, unless `format` says it; what is unknown is text."""
    by_name = _BY_SUFFIX.get(path.suffix.lower(), _PLAIN)
    if format in ("auto", by_name.format):
        return by_name
    if format == "image":
        raise TaskInputError(f"{path} has none of the names that images have; rename it.")
    return next((kind for kind in _BY_SUFFIX.values() if kind.format == format), _PLAIN)


def read_as(kind: FileType, data: bytes, path: Path, encoding: str = "utf-8") -> dict[str, Any]:
    """Return what is in the file, by output port; SourceError or TaskInputError when it is not what it should be."""
    if kind.format in ("image", "pdf"):
        return {kind.format: f"data:{kind.media_type};base64,{base64.b64encode(data).decode()}"}
    text = _decoded(data, path, encoding)
    if kind.format == "json":
        return {"json": parse_json(text, str(path))}
    if kind.format == "csv":
        return {"csv": _rows(text, path)}
    if kind.format == "markdown":
        return _markdown(text, path)
    return {"text": text}


def _decoded(data: bytes, path: Path, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except LookupError:
        raise SourceError(f"The encoding {encoding!r:.40} is not known.  Give one such as utf-8 or cp1252.") from None
    except UnicodeError:
        raise SourceError(f"{path} is not {encoding} text.  Give its `encoding`, or its `format`.") from None
    return text.removeprefix("\ufeff")


def _rows(text: str, path: Path) -> list[dict[str, str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(row)]
    except csv.Error as error:
        raise SourceError(f"{path} is not CSV: {error}.") from None
    if not rows:
        raise SourceError(f"{path} has no header row.  Leave it out.")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names):
        raise SourceError(f"{path} names a column twice in its header: {', '.join(names)}.  Rename one.")
    for number, row in enumerate(rows[1:], 2):
        if len(row) > len(names):
            raise SourceError(f"{path} has {len(row)} values in row {number}, and {len(names)} columns.")
    return [dict(zip(names, row + [""] * (len(names) - len(row)), strict=True)) for row in rows[1:]]


def _markdown(text: str, path: Path) -> dict[str, Any]:
    """Take the front matter off: what stands between two lines `---` at the very beginning."""
    lines = text.splitlines(keepends=True)
    fences = [number for number, line in enumerate(lines) if line.rstrip() == _FENCE]
    if fences[:1] != [0] or len(fences) < 2:
        return {"text": text}
    front = "".join(lines[1 : fences[1]])
    if len(front) > _LARGEST_FRONT_MATTER:
        raise SourceError(f"{path} has more than {_LARGEST_FRONT_MATTER:,} characters of front matter.  Shorten it.")
    found = _yaml(front, path)
    if found is None:
        return {"text": text}
    return {"text": "".join(lines[fences[1] + 1 :]).lstrip("\r\n"), "frontmatter": found}


def _yaml(text: str, path: Path) -> dict[str, Any] | None:
    """Read a mapping; None when it is something else, as a text between two rules is."""
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        raise MissingExtraError(f"The front matter of {path} needs PyYAML: pip install 'workglow[files]'.") from None
    try:
        _check_yaml(yaml, text, path)
        found = yaml.load(text, _loader())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(f"The front matter of {path} is no YAML: {' '.join(str(error).split())[:300]}.") from None
    if not isinstance(found, dict):
        return None
    return {str(key): value for key, value in found.items()}  # pyright: ignore  # the keys are data


def _check_yaml(yaml: Any, text: str, path: Path) -> None:
    """Refuse what grows when it is read; the events come one by one, so reading stops where it gets too deep."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise SourceError(f"The front matter of {path} has aliases, which can grow without end.  Write them out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise SourceError(f"The front matter of {path} is more than {_DEEPEST} levels deep.  Make it flatter.")


def _loader() -> Any:
    """What reads YAML into what JSON has: a date stays the text that it is."""
    yaml: Any = import_module("yaml")

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: ClassVar[Any] = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader
