"""A service on this machine that speaks OpenAI's protocol and writes down every request, and what the ledger proves."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import apsw
from cloud_service import STREAM_HEAD, chunked, openai_chunks

__all__ = [
    "Answer",
    "Kill",
    "Record",
    "Request",
    "Service",
    "asked_after",
    "asked_twice",
    "early",
    "most_at_once",
    "most_within",
    "started_in_hold",
    "unbacked",
]

SECOND: Final = 1_000_000_000
Outcome = Literal["open", "answered", "refused", "failed", "gone"]


@dataclass
class Request:
    """One request: from when until when the service had it in its hands, in nanoseconds of the machine's clock."""

    prompt: int
    begun: int
    retry_after: float = 0.0
    ended: int | None = None
    outcome: Outcome = "open"


@dataclass(frozen=True)
class Answer:
    """What a request is answered, and after how many seconds."""

    seconds: float
    status: int = 200
    retry_after: float = 0.0


@dataclass(frozen=True)
class Kill:
    """When a process was killed, and when the file was read after that: for which prompts it held answers, and whether
    it held a refusal."""

    at: int
    read: int
    recorded: frozenset[int]
    held: bool


class Service:
    """Answers in a thread of its own; `plan` says how, from the numbers of the prompt and of the request, and how often
    the prompt was asked before.

    It notices who hangs up: what it had in its hands for a client that was killed is over then.
    """

    def __init__(self, plan: Callable[[int, int, int], Answer]) -> None:
        self.plan = plan
        self._asked: Counter[int] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                body = json.loads(await reader.readexactly(int(length)))
                prompt = int(body["messages"][-1]["content"].removeprefix("prompt "))
                if not await self._answer(prompt, reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it hung up between two requests
        finally:
            writer.close()

    async def _answer(self, prompt: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when nobody listens any more."""
        answer = self.plan(prompt, len(self.requests), self._asked[prompt])
        self._asked[prompt] += 1
        request = Request(prompt, time.monotonic_ns(), answer.retry_after)
        self.requests.append(request)
        try:
            if await _hung_up(reader, answer.seconds / 2):
                request.outcome = "gone"
                return False
            if answer.status == 200:
                events = openai_chunks("answer ", f"to {prompt}")
                writer.write(STREAM_HEAD + chunked(events[:1]))
                if await _hung_up(reader, answer.seconds / 2):
                    request.outcome = "gone"
                    return False
                writer.write(chunked(events[1:]) + b"0\r\n\r\n")
            else:
                writer.write(_refusal(answer))
            request.ended = time.monotonic_ns()  # from the last byte on the client may think so
            await writer.drain()
            request.outcome = {200: "answered", 429: "refused"}.get(answer.status, "failed")  # pyright: ignore
        except ConnectionError:
            request.outcome = "gone"
            return False
        finally:
            request.ended = request.ended or time.monotonic_ns()
        return True


async def _hung_up(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the other side closes the connection within that time; it sends nothing before it has its answer."""
    try:
        return await asyncio.wait_for(reader.read(1), seconds) == b""
    except TimeoutError:
        return False


def _refusal(answer: Answer) -> bytes:
    body = json.dumps({"error": {"message": "not now", "type": "refused", "code": "refused"}}).encode()
    after = f"retry-after: {answer.retry_after:g}\r\n" if answer.retry_after else ""
    head = (
        f"HTTP/1.1 {answer.status} No\r\ncontent-type: application/json\r\n{after}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Record:
    """What a limiter in a file remembers, read again and again by a thread, since it forgets.

    All times are milliseconds of the machine's clock.
    """

    def __init__(self, path: Path, limiter: str, every: float = 0.2) -> None:
        self._path, self._limiter, self._every = path, limiter, every
        self._starts: dict[int, int] = {}
        self.holds: dict[int, int] = {}
        """When it was written last, to when it said that nothing may start before then."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def starts(self) -> list[int]:
        """When something started, each time."""
        self._read()
        return sorted(at for at, count in self._starts.items() for _ in range(count))

    def _read_on(self) -> None:
        while not self._stop.wait(self._every):
            self._read()

    def _read(self) -> None:
        db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(10_000)
        try:
            query = "SELECT state, shift, seen, hold_until FROM limiter WHERE name = ? AND queue_id IS NULL"
            ((text, shift, seen, until),) = db.execute(query, (self._limiter,)).fetchall()
        finally:
            db.close()
        for state in json.loads(str(text)):
            for at, count in zip(state.get("at", ()), state.get("cost", ()), strict=True):
                self._starts[at - shift] = count
        if until is not None and until > seen:
            self.holds[seen - shift] = until - shift


# ---------------------------------------------------------------------- what the ledger proves


def asked_after(requests: Iterable[Request], kills: Sequence[Kill]) -> set[int]:
    """Prompts that were asked although the file, when it was read after a kill, held their answers."""
    return {
        each.prompt for each in requests for kill in kills if each.begun > kill.read and each.prompt in kill.recorded
    }


def asked_twice(requests: Iterable[Request]) -> Counter[int]:
    """How often prompts were answered once more than needed."""
    answered = Counter(each.prompt for each in requests if each.outcome == "answered")
    return answered - Counter(dict.fromkeys(answered, 1))


def most_at_once(requests: Iterable[Request]) -> int:
    """The most requests that the service had in its hands at one moment."""
    moments = [(each.begun, 1) for each in requests]
    moments += [(each.ended, -1) for each in requests if each.ended is not None]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def most_within(times: Iterable[int], length: int) -> int:
    """The most of these times that lie in any stretch of that length."""
    times = sorted(times)
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= length:
            first += 1
        most = max(most, last - first + 1)
    return most


def unbacked(requests: Iterable[Request], starts: Sequence[int]) -> list[int]:
    """Arrivals of requests for which no start was noted before; `starts` are milliseconds of the machine's clock."""
    times = sorted(each.begun for each in requests)
    noted = sorted(starts)[: len(times)]
    return times[len(noted) :] + [at for at, start in zip(times, noted, strict=False) if at < (start - 1) * 1_000_000]


def started_in_hold(starts: Iterable[int], holds: Mapping[int, int]) -> list[int]:
    """Starts that were noted after a hold and before its end."""
    return [at for at in starts if any(noted < at < until for noted, until in holds.items())]


def early(requests: Sequence[Request], kills: Sequence[Kill], late: float) -> list[Request]:
    """Requests that arrived while a 429 forbade it, more than `late` seconds after that was told.

    Nobody was told when the one who had asked was killed before the refusal was in the file.
    """
    found: list[Request] = []
    for refused in requests:
        if refused.outcome != "refused" or refused.ended is None:
            continue
        told = refused.ended + round(late * SECOND)
        if not any(refused.begun <= kill.at <= told and not kill.held for kill in kills):
            free = refused.ended + round(refused.retry_after * SECOND)
            found += [each for each in requests if told < each.begun < free]
    return found
