"""Asking hosts of the web: each of them public and allowed, also after a redirect, and no secret beyond the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from workglow.ai.addresses import public_addresses
from workglow.ai.hub import hub_refusal
from workglow.errors import AuthenticationError, MissingExtraError, ModelCallError, ModelUnavailableError

__all__ = ["SECONDS", "Question", "httpx", "read", "refusal"]

SECONDS: Final = 30.0
"""Of silence, after which an answer is not waited for."""

_HOPS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for at a URL, and of whom.

    `headers` go to the host of the URL alone.  `allow` is told each host before it is asked, and raises when it must
    not be; `private` are hosts that may be asked although they are not public.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    allow: Callable[[str], None] = lambda _: None
    private: frozenset[str] = frozenset()

    async def put(self, client: Any, also: Mapping[str, str]) -> Any:
        """Follow redirects, each of which has to lead somewhere allowed, and return the answer, of which nothing is
        read yet; the headers `also` go to every host."""
        url, origin = self.url, urlsplit(self.url)[:2]
        for _ in range(_HOPS):
            self.allow(urlsplit(url).hostname or "")
            addresses = await public_addresses(url, self.private)
            headers = {**also, **self.headers} if urlsplit(url)[:2] == origin else also
            response = await _sent(client, url, addresses, headers)
            if response.status_code not in _REDIRECTS:
                return response
            await response.aclose()
            url = urljoin(url, response.headers.get("location", ""))
        raise ModelCallError(f"{self.url} is redirected more than {_HOPS} times.")


async def read(question: Question, most: int) -> tuple[Any, bytes]:
    """Return an answer of whatever status, and what it holds: at most so many bytes.

    ModelUnavailableError when none came, or not the whole; ModelCallError when it is larger.
    """
    library = httpx()
    try:
        async with library.AsyncClient(timeout=SECONDS, follow_redirects=False) as client:
            response = await question.put(client, {"Accept": "application/json"})
            try:
                content = bytearray()
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > most:
                        raise ModelCallError(f"{question.url} answered with more than {most:,} bytes.")
                return response, bytes(content)
            finally:
                await response.aclose()
    except (library.TransportError, library.StreamError, library.DecodingError) as error:
        said = str(error) or type(error).__name__
        raise ModelUnavailableError(f"{question.url} gave no answer: {said}.") from error


def refusal(url: str, response: Any) -> Exception:
    """Return what to raise for an answer that is none."""
    status, code = response.status_code, response.headers.get("x-error-code", "")
    repository, of_file, _ = url.partition("/resolve/")
    if code and of_file and (about := hub_refusal(repository, status, code)) is not None:
        return about
    if status in (401, 403):
        return AuthenticationError(f"{url} answered {status}: it wants a credential, or another one.")
    if status == 429:
        from workglow.clock import SystemClock
        from workglow.limits.headers import rate_limited

        return rate_limited(response.headers, SystemClock().now())
    if status in (408, 425) or status >= 500:
        return ModelUnavailableError(f"{url} answered {status}.")
    return ModelCallError(f"{url} answered {status}: there is no such file, or not for everybody.")


def httpx() -> Any:
    """Return the library that asks; MissingExtraError says what to install."""
    try:
        import httpx2
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Downloads need httpx2, which is not installed: pip install 'workglow[download]'."
        ) from error
    return httpx2


async def _sent(client: Any, url: str, addresses: list[str], headers: Mapping[str, str]) -> Any:
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
        except httpx().ConnectError:
            if not left:
                raise
    raise AssertionError("there was an address")
