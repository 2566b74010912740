"""One file on its way from the web into a part of a file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from workglow.ai.addresses import public_addresses
from workglow.ai.bridging import in_thread
from workglow.errors import AuthenticationError, MissingExtraError, ModelCallError, ModelUnavailableError
from workglow.file.place import sync_folder

if TYPE_CHECKING:
    from typing import BinaryIO

    from workglow.ai.provider import Progress

__all__ = ["Transfer", "WantedFile"]

_PIECE: Final = 1 << 20
_CUTS: Final = 20  # how often a connection that brought something may break before somebody else has to decide
_HOPS: Final = 10
_SECONDS: Final = 30.0  # of silence
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file of the web: where it is, and what it has to have.

    `headers` go to the host of the URL alone.  `allow` is told each host before it is asked, and raises when it must
    not be; `private` are hosts that may be asked although they are not public.
    """

    url: str
    size: int | None = None
    sha256: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    allow: Callable[[str], None] = lambda _: None
    private: frozenset[str] = frozenset()


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
        httpx = _httpx()
        headers = {"Accept-Encoding": "identity", **self._wanted.headers}
        if self._got:
            headers["Range"] = f"bytes={self._got}-"
            if validator := self._validator():
                headers["If-Range"] = validator
        try:
            async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False) as client:
                response = await self._response(client, headers, httpx.ConnectError)
                try:
                    await self._take(response)
                finally:
                    await response.aclose()
        except (httpx.TransportError, httpx.StreamError) as error:
            said = str(error) or type(error).__name__
            raise ModelUnavailableError(f"The download of {self._wanted.url} broke off: {said}.") from error
        finally:
            self._part.flush()

    async def _response(self, client: Any, headers: dict[str, str], unreachable: type[Exception]) -> Any:
        """Follow redirects, each of which has to lead somewhere allowed; what is secret stays with the first host."""
        url, origin = self._wanted.url, urlsplit(self._wanted.url)[:2]
        for _ in range(_HOPS):
            self._wanted.allow(urlsplit(url).hostname or "")
            addresses = await public_addresses(url, self._wanted.private)
            if urlsplit(url)[:2] != origin:
                headers = {name: value for name, value in headers.items() if name not in self._wanted.headers}
            response = await _sent(client, url, addresses, headers, unreachable)
            if response.status_code not in _REDIRECTS:
                return response
            await response.aclose()
            url = urljoin(url, response.headers.get("location", ""))
        raise ModelCallError(f"{self._wanted.url} is redirected more than {_HOPS} times.")

    async def _take(self, response: Any) -> None:
        status, url = response.status_code, self._wanted.url
        if status == 416 and self._got and _total_of(response) == self._got:
            self._total = self._got  # nothing is missing
            return
        if status == 416 or (status == 206 and _start_of(response) != self._got):
            self._cut_to(0)
            raise ModelUnavailableError(f"{url} gave another part than was asked for; it may have changed.")
        if status not in (200, 206):
            raise _refusal(url, response)
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


def _httpx() -> Any:
    try:
        import httpx2
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Downloads need httpx2, which is not installed: pip install 'workglow[download]'."
        ) from error
    return httpx2


async def _sent(
    client: Any, url: str, addresses: list[str], headers: Mapping[str, str], unreachable: type[Exception]
) -> Any:
    """Send the request to the first of the addresses that can be reached."""
    if not addresses:
        return await client.send(client.build_request("GET", url, headers=headers), stream=True)
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
        host = f"[{address}]" if ":" in address else address
        request = client.build_request(
            "GET",
            parts._replace(netloc=host + port, fragment="").geturl(),
            headers={**headers, "Host": parts.netloc},
            extensions={"sni_hostname": parts.hostname} if parts.scheme == "https" else {},
        )
        try:
            return await client.send(request, stream=True)
        except unreachable:
            if not left:
                raise
    raise AssertionError("there was an address")


def _total_of(response: Any) -> int | None:
    total = response.headers.get("content-range", "").rpartition("/")[2]
    return int(total) if total.isascii() and total.isdigit() else None


def _start_of(response: Any) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    return int(match[1]) if match else -1


def _refusal(url: str, response: Any) -> Exception:
    status = response.status_code
    if status in (401, 403):
        return AuthenticationError(f"{url} answered {status}: it wants a credential, or another one.")
    if status == 429:
        from workglow.clock import SystemClock
        from workglow.limits.headers import rate_limited

        return rate_limited(response.headers, SystemClock().now())
    if status in (408, 425) or status >= 500:
        return ModelUnavailableError(f"{url} answered {status}.")
    return ModelCallError(f"{url} answered {status}: there is no such file, or not for everybody.")
