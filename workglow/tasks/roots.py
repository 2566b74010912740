"""Folders that a task may use, and paths that have to stay in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workglow.errors import OutsideRootsError, SourceError

__all__ = ["path_of", "within"]


def path_of(place: str) -> str:
    """Return the path that a `file://` address or a plain path names; SourceError for any other address."""
    if "\0" in place:
        raise SourceError(f"{place!r:.80} is no path: it holds a zero character.")
    if "://" not in place:
        return place
    address = urlsplit(place)
    if address.scheme.lower() != "file" or address.netloc not in ("", "localhost"):
        raise SourceError(
            f"{place!r:.80} is no file of this machine.  Give a path or file:///path; fetch it otherwise."
        )
    return path_of(unquote(address.path)) if "%" in address.path else address.path


def within(place: str, roots: Sequence[str] = ()) -> Path:
    """Return the absolute path, free of `..` and symbolic links; without roots the current folder is the only one.

    Relative paths begin in the first root.  Raises OutsideRootsError when it leads out of all of them.
    """
    allowed = [Path(root).expanduser().resolve() for root in roots or (os.curdir,)]
    try:
        path = (allowed[0] / path_of(place)).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a name that no file can have
        raise SourceError(f"{place!r:.80} cannot be followed: {error}.") from None
    if not any(path.is_relative_to(root) for root in allowed):
        named = ", ".join(map(str, allowed))
        raise OutsideRootsError(f"{place!r:.200} leads to {path}, outside of {named}.  Give its folder in `roots`.")
    return path
