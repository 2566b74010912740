"""One file on its way from the web into a part of a file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.bridging import in_thread
from workglow.ai.web import SECONDS, Question, httpx, refusal
from workglow.errors import ModelCallError, ModelUnavailableError
from workglow.file.place import sync_folder

if TYPE_CHECKING:
    from typing import BinaryIO

    from workglow.ai.provider import Progress

__all__ = ["Transfer", "WantedFile"]

_PIECE: Final = 1 << 20
_CUTS: Final = 20  # how often a connection that brought something may break before somebody else has to decide


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file of the web: how it is asked for, and what it has to have."""

    question: Question
    size: int | None = None
    sha256: str = ""

    @property
    def url(self) -> str:
        """Where it is."""
        return self.question.url


class Transfer:
    """Brings a file into `part`, of which the caller has the lock, and from there to `place`."""

    def __init__(self, wanted: WantedFile, place: Path, part: BinaryIO, tell: Progress) -> None:
        self._wanted = wanted
        self._place = place
        self._part = part
        self._tell = tell
        self._path = Path(part.name)
        self._note = self._path.with_suffix(".json")  # which state of the file the part is of
        self._digest = hashlib.sha256()
        self._got = 0
        self._told = 0
        self._total = wanted.size
        self._continued = False

    async def run(self) -> str:
        """Bring the file, put it in place, and return its SHA-256 as hex digits.

        ModelUnavailableError when it broke off, and another try may go on; ModelCallError when none will help.
        """
        await self._take_up()
        for left in range(_CUTS, -1, -1):
            before = self._got
            try:
                await self._ask()
                break
            except ModelUnavailableError:
                if not left or self._got <= before or not self._resumable:
                    raise
        self._check()
        self._part.flush()
        os.fsync(self._part.fileno())
        os.replace(self._path, self._place)
        self._note.unlink(missing_ok=True)
        sync_folder(str(self._place))
        return self._digest.hexdigest()

    # ------------------------------------------------------------------ what is there

    @property
    def _resumable(self) -> bool:
        """Whether it can be told that what is there and what will come are parts of one file."""
        return bool(self._validator() or self._wanted.sha256)

    async def _take_up(self) -> None:
        """Read what an earlier transfer left."""
        self._part.seek(0)
        if self._resumable:
            await in_thread(self._digest_part)
        self._continued = self._got > 0
        self._cut_to(self._got)

    def _digest_part(self) -> None:
        while piece := self._part.read(_PIECE):
            self._digest.update(piece)
            self._got += len(piece)

    def _cut_to(self, length: int) -> None:
        self._part.truncate(length)
        self._part.seek(length)
        if length == 0:
            self._got, self._told, self._continued, self._digest = 0, 0, False, hashlib.sha256()

    def _validator(self) -> str:
        with suppress(OSError, ValueError, AttributeError):
            noted: Any = json.loads(self._note.read_text(encoding="utf-8"))
            if noted.get("url") == self._wanted.url:
                return str(noted.get("validator") or "")
        return ""

    def _throw_away(self) -> None:
        self._cut_to(0)
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _check(self) -> None:
        """Compare what came with what was expected."""
        url, got, total, found = self._wanted.url, self._got, self._total, self._digest.hexdigest()
        if total is not None and got != total:
            self._throw_away()
            raise ModelCallError(f"{url} gave {got:,} bytes instead of {total:,}; they were thrown away.")
        if self._wanted.sha256.lower() not in ("", found):
            continued = self._continued
            self._throw_away()
            kind = ModelUnavailableError if continued else ModelCallError  # the parts may be of two states of the file
            raise kind(
                f"{url} gave a file with the SHA-256 {found}, and {self._wanted.sha256} was expected; it was thrown "
                "away."
            )

    # ------------------------------------------------------------------ what comes

    async def _ask(self) -> None:
        """Ask for what is missing, and write down what comes; ModelUnavailableError when it breaks off."""
        library = httpx()
        headers = {"Accept-Encoding": "identity"}
        if self._got:
            headers["Range"] = f"bytes={self._got}-"
            if validator := self._validator():
                headers["If-Range"] = validator
        try:
            async with library.AsyncClient(timeout=SECONDS, follow_redirects=False) as client:
                response = await self._wanted.question.put(client, headers)
                try:
                    await self._take(response)
                finally:
                    await response.aclose()
        except (library.TransportError, library.StreamError) as error:
            said = str(error) or type(error).__name__
            raise ModelUnavailableError(f"The download of {self._wanted.url} broke off: {said}.") from error
        finally:
            self._part.flush()

    async def _take(self, response: Any) -> None:
        status, url = response.status_code, self._wanted.url
        if status == 416 and self._got and _total_of(response) == self._got:
            self._total = self._got  # nothing is missing
            return
        if status == 416 or (status == 206 and _start_of(response) != self._got):
            self._cut_to(0)
            raise ModelUnavailableError(f"{url} gave another part than was asked for; it may have changed.")
        if status not in (200, 206):
            raise refusal(url, response)
        if status == 200:
            self._cut_to(0)
        length = response.headers.get("content-length", "")
        self._expect(self._got + int(length) if length.isdigit() else None, response)
        async for piece in response.aiter_raw():
            self._part.write(piece)
            self._digest.update(piece)
            self._got += len(piece)
            self._say()
        if self._total is not None and self._got < self._total:
            raise ModelUnavailableError(f"{url} ended after {self._got:,} of {self._total:,} bytes.")

    def _say(self) -> None:
        """Tell how far it is, about a hundred times."""
        step = self._total // 100 if self._total else _PIECE
        if self._got >= self._told + step or self._got == self._total:
            self._told = self._got
            self._tell(self._place.name, self._got, self._total)

    def _expect(self, total: int | None, response: Any) -> None:
        """Compare what will come with what was expected and with the room there is, and note what it is of."""
        url, size = self._wanted.url, self._wanted.size
        if None not in (total, size) and total != size:
            raise ModelCallError(f"{url} has {total:,} bytes, and the record says {size:,}: one is of another file.")
        self._total = size if total is None else total
        missing, free = (self._total or 0) - self._got, shutil.disk_usage(self._place.parent).free
        if missing > free:
            raise ModelCallError(
                f"{self._place.parent} has room for {free:,} bytes, and {missing:,} are to come.  Make room, or set "
                "WORKGLOW_MODELS to another folder."
            )
        etag = response.headers.get("etag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("last-modified", "")
        self._note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")


def _total_of(response: Any) -> int | None:
    total = response.headers.get("content-range", "").rpartition("/")[2]
    return int(total) if total.isascii() and total.isdigit() else None


def _start_of(response: Any) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    return int(match[1]) if match else -1
