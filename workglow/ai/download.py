"""Getting files of models from the web: resumed where they broke off, checked, and in place whole or not at all.

Policy.  What comes is written to `.NAME.part` beside the place where the file will be, under a lock on that very file,
which the system gives back when its holder dies.  So of all who want the file, in whatever process, one transfers it;
the others wait, and find it.  Who was interrupted, or comes after somebody who was, asks for the rest only (`Range`),
on condition that it is still the same file (`If-Range`).  Once all is there its length and SHA-256 are compared, it is
synced to disk, and renamed.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from workglow.ai.addresses import is_offline, private_hosts
from workglow.ai.bridging import in_thread
from workglow.ai.files import sha256_of
from workglow.ai.record import SourceFile
from workglow.ai.transfer import Transfer, WantedFile
from workglow.errors import ModelCallError

if TYPE_CHECKING:
    from typing import BinaryIO

    from workglow.ai.provider import Progress

__all__ = ["Downloads", "models_folder"]

_WAIT: Final = 0.1  # seconds between two looks at a lock that somebody else holds
_UNFIT: Final = re.compile(r"[^\w.+=@-]+", re.ASCII)
_LONGEST: Final = 150  # characters of a name; a file system takes 255


def models_folder() -> Path:
    """Return where models are kept: WORKGLOW_MODELS, or workglow/models in the user's folder for data."""
    named = os.environ.get("WORKGLOW_MODELS")
    if named:
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data) / "workglow" / "models"


class Downloads:
    """Downloads into one folder, by default that of `models_folder`.

    `private` are hosts that may be asked although they are not public, by default those of WORKGLOW_PRIVATE_HOSTS.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, private: frozenset[str] | None = None) -> None:
        self._folder = folder
        self._private = private

    @property
    def folder(self) -> Path:
        """Where the files are put."""
        return models_folder() if self._folder is None else Path(self._folder).absolute()

    def place_of(self, url: str) -> Path:
        """Return where the file of a URL is, or will be: under its host and path."""
        parts = urlsplit(url)
        names = [unquote(name) for name in parts.path.split("/") if name] or ["file"]
        fit = [_UNFIT.sub("_", name)[-_LONGEST:].lstrip(".") or "_" for name in names]
        host = _UNFIT.sub("_", parts.netloc.rpartition("@")[2]).lstrip(".") or "_"
        if parts.query or fit != names:  # another URL could have the same place
            fit.insert(-1, hashlib.sha256(url.encode()).hexdigest()[:12])
        return self.folder.joinpath(host, *fit)

    async def fetch(
        self,
        wanted: SourceFile,
        progress: Progress | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        allow: Callable[[str], None] = lambda _: None,
    ) -> SourceFile:
        """Return what is known of the file at a URL, once it is here.

        One that is here already, and has the size and the SHA-256 that are wanted of it, is not transferred again.
        `headers` go to the host of the URL alone; `allow` is told each host before it is asked, and may raise.
        ModelUnavailableError when it broke off and another try may go on; ModelCallError when none will help.
        """
        if is_offline():
            raise ModelCallError(f"{wanted.url!r:.200} is not downloaded: WORKGLOW_OFFLINE is set.")
        place, tell = self.place_of(wanted.url), progress or _nobody
        private = private_hosts() if self._private is None else self._private
        asked = WantedFile(wanted.url, wanted.size, wanted.sha256, headers or {}, allow, private)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            async with _locked(place, wanted.size, tell) as part:
                found = await in_thread(lambda: _found(place, wanted))
                if found is None:
                    digest = await Transfer(asked, place, part, tell).run()
                    return SourceFile(str(place), wanted.url, place.stat().st_size, digest)
        except OSError as error:
            raise ModelCallError(f"{place} cannot be written: {error.strerror or error}.") from error
        tell(place.name, found.size or 0, found.size)
        return found


@asynccontextmanager
async def _locked(place: Path, size: int | None, tell: Progress) -> AsyncGenerator[BinaryIO, None]:
    """Open the part of a file for this caller alone; while another one has it, tell how far that one is."""
    part = place.with_name(f".{place.name}.part")
    while True:
        file = open(part, "a+b")  # noqa: ASYNC230, SIM115 - local, and open for the length of the transfer
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, part):
                break
            file.close()  # whoever held it has put it in place, or thrown it away
        except BlockingIOError:
            tell(place.name, os.fstat(file.fileno()).st_size, size)
            file.close()
            await asyncio.sleep(_WAIT)
    try:
        yield file
    finally:
        if os.fstat(file.fileno()).st_size == 0 and _is_at(file, part):
            part.unlink()
        file.close()


def _is_at(file: BinaryIO, place: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), place.stat())
    return False


def _found(place: Path, wanted: SourceFile) -> SourceFile | None:
    """Return what is known of the file if it is the one that is wanted."""
    if not place.is_file() or wanted.size not in (None, place.stat().st_size):
        return None
    if wanted.path == str(place) and wanted.size is not None and wanted.sha256:
        return wanted  # its content was compared when it came
    digest = sha256_of(place)
    if wanted.sha256.lower() not in ("", digest):
        return None
    return SourceFile(str(place), wanted.url, place.stat().st_size, digest)


def _nobody(name: str, done: int, total: int | None) -> None:
    """Nobody wants to know."""
