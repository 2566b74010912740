"""Which files of a repository are a model in GGUF: one for each quantisation, in one part or in several.

Policy.  What a file is quantised to is the end of its name, or else the name of its folder.  Who names none gets
Q4_K_M, or what there is when there is no choice; who names one gets that, in upper or lower case.  A word that is no
whole quantisation picks the files that have it in their names.  A model of which a part is missing is not there, and
neither projectors for images nor tables of importance are models.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workglow.errors import UnknownModelError

__all__ = ["GgufName", "chosen", "gguf_name", "quantization_of"]

_NAME: Final = re.compile(
    r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*?)(?:[/:](?P<file>[\w./+-]+\.gguf)|:(?P<wanted>[\w./+-]+))?", re.ASCII
)
_QUANTIZATION: Final = re.compile(
    r"(?:^|[-._/])(?P<name>(?:UD-)?(?:I?Q\d|TQ\d|MXFP\d|NVFP\d)(?:_[A-Z0-9]+)*|(?:BF|FP?)(?:16|32|64))$", re.IGNORECASE
)
_PART: Final = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})$")
_NO_MODEL: Final = re.compile(r"(?:^|[-._])(?:mmproj|imatrix)[-._]", re.IGNORECASE)
_USUAL: Final = "Q4_K_M"
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class GgufName:
    """A repository, and which of its models: the one in a file, or the one that a word picks, or the usual one."""

    repository: str
    file: str = ""
    wanted: str = ""


def gguf_name(source: str) -> GgufName | None:
    """Read OWNER/NAME, OWNER/NAME:QUANTISATION and OWNER/NAME/FILE.gguf; None when it is none of them."""
    match = _NAME.fullmatch(source)
    if match is None or (match["repository"].endswith(".gguf") and not match["file"]):
        return None  # a path
    return GgufName(match["repository"], match["file"] or "", match["wanted"] or "")


def quantization_of(file: str) -> str:
    """Return what a file is quantised to by its name, 'Q4_K_M' say; '' when it does not say."""
    for part in reversed(_PART.sub("", file.removesuffix(".gguf")).split("/")):
        if match := _QUANTIZATION.search(part):
            return match["name"].upper()
    return ""


def chosen(name: GgufName, files: Collection[str]) -> tuple[str, ...]:
    """Return the files that the name means, the parts of a model in their order.

    UnknownModelError says what there is when that is none, or could be several.
    """
    models = _models(file for file in files if not _NO_MODEL.search(file.rpartition("/")[2]))
    if name.file:
        found = [parts for parts in _models(files).values() if name.file in parts]
    elif name.wanted:
        wanted = name.wanted.lower()
        word = re.compile(rf"(?<![^\W_]){re.escape(wanted)}(?!\w)")
        found = [parts for parts in models.values() if quantization_of(parts[0]).lower() == wanted]
        found = found or [parts for model, parts in models.items() if word.search(model.lower())]
    else:
        found = [parts for parts in models.values() if quantization_of(parts[0]) == _USUAL] or list(models.values())
    if len(found) == 1:
        return found[0]
    raise UnknownModelError(_complaint(name, found, models))


def _complaint(name: GgufName, found: Sequence[tuple[str, ...]], models: Mapping[str, tuple[str, ...]]) -> str:
    what = name.file or name.wanted
    if not models:
        return f"The repository {name.repository!r} has no .gguf file, or not all parts of one."
    several = [parts[0] for parts in found or models.values()]
    names = [quantization_of(file) for file in several]
    if name.file or "" in names or len(set(names)) < len(names):  # only the whole name tells them apart
        said, example = several, f"gguf:{name.repository}/{several[0]}"
    else:
        said, example = names, f"gguf:{name.repository}:{names[0]}"
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    there = ", ".join(sorted(said)[:_SHOWN]) + more
    if found:
        meant = f"several models that {what!r} could mean" if what else f"several models, none of them {_USUAL}"
        return f"The repository {name.repository!r} has {meant}: {there}.  Name one: {example!r}."
    return f"The repository {name.repository!r} does not have {what!r}; it has {there}.  Name one: {example!r}."


def _models(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the models that are there whole, by their names without parts."""
    parts: dict[tuple[str, int], dict[int, str]] = {}
    for file in sorted(files):
        stem = file.removesuffix(".gguf")
        if stem == file:
            continue
        part = _PART.search(stem)
        number, count = (int(part["number"]), int(part["count"])) if part else (1, 1)
        parts.setdefault((_PART.sub("", stem), count), {})[number] = file
    return {
        stem: tuple(there[number] for number in range(1, count + 1))
        for (stem, count), there in parts.items()
        if there.keys() == set(range(1, count + 1))
    }
