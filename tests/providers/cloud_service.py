"""A service on this machine that speaks the protocols of OpenAI and Anthropic, and misbehaves as it is told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler

__all__ = [
    "PATHS",
    "RawService",
    "anthropic_events",
    "openai_chunks",
    "record_of",
    "service_running",
    "stream",
    "usage_chunk",
]

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


class _Handler(WSGIRequestHandler):
    """Chunked answers: with HTTP/1.0 a stream that is cut looks like its end."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def service_running() -> Iterator[HTTPServer]:
    """Run a service in a thread of its own."""
    before = WSGIRequestHandler.protocol_version, WSGIRequestHandler.log
    WSGIRequestHandler.protocol_version, WSGIRequestHandler.log = "HTTP/1.1", _Handler.log
    service = HTTPServer(host="127.0.0.1", port=0, threaded=True)
    service.start()
    try:
        yield service
    finally:
        service.clear()
        service.stop()
        WSGIRequestHandler.protocol_version, WSGIRequestHandler.log = before


def record_of(provider: str, address: str, **more: Any) -> dict[str, Any]:
    """A model of that service."""
    path = address.rstrip("/") + ("/v1" if provider == "openai" else "")
    return {"name": f"{provider}:m", "provider": provider, "source": "m", "base_url": path, **more}


# ---------------------------------------------------------------------- streams


def stream(events: Iterable[Any], *, before: Callable[[int], object] | None = None) -> Response:
    """An answer in server-sent events: names and data, or only data; `before` is called with the number of each."""

    def lines() -> Iterator[bytes]:
        for at, event in enumerate(events):
            if before is not None:
                before(at)
            yield sse(event)

    return Response(lines(), content_type="text/event-stream")


def sse(event: Any) -> bytes:
    """One event on the wire; bytes are sent as they are."""
    if isinstance(event, bytes):
        return event
    text = event if isinstance(event, str) else json.dumps(event)
    name = event.get("type") if isinstance(event, dict) else None
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def openai_chunks(
    *texts: str, reason: str | None = "stop", calls: Sequence[dict[str, Any]] = (), usage: bool = True, **delta: Any
) -> list[Any]:
    """The pieces of a chat completion."""
    chunks: list[Any] = [_chunk({"content": text}) for text in texts]
    if calls:
        chunks += [_chunk({"tool_calls": [call]}) for call in calls]
    if delta:
        chunks.append(_chunk(delta))
    if reason is None:
        return chunks
    chunks.append(_chunk({}, reason))
    if usage:
        chunks.append(usage_chunk())
    return [*chunks, "[DONE]"]


def _chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def usage_chunk(taken: int = 30, written: int = 2, cached: int = 10) -> dict[str, Any]:
    """The piece that tells the tokens."""
    usage = {
        "prompt_tokens": taken,
        "completion_tokens": written,
        "total_tokens": taken + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}


def anthropic_events(
    *texts: str, reason: str | None = "end_turn", calls: Sequence[tuple[str, str, Sequence[str]]] = ()
) -> list[dict[str, Any]]:
    """The events of a message: texts in one block, then the calls of tools, (id, name, pieces of the input)."""
    usage = {
        "input_tokens": 15,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "output_tokens": 1,
    }
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    if texts:
        events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        events += [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts
        ]
        events.append({"type": "content_block_stop", "index": 0})
    for at, (id, name, pieces) in enumerate(calls, start=1):
        block = {"type": "tool_use", "id": id, "name": name, "input": {}}
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        events += [
            {
                "type": "content_block_delta",
                "index": at,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in pieces
        ]
        events.append({"type": "content_block_stop", "index": at})
    if reason is None:
        return events
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}}, {"type": "message_stop"}]


def answers(service: HTTPServer, provider: str, *given: Response | Callable[[Request], Response]) -> None:
    """Answer the calls of a provider's chat in this order."""
    for one in given:
        handler = service.expect_ordered_request(PATHS[provider], method="POST")
        if isinstance(one, Response):
            handler.respond_with_response(one)
        else:
            handler.respond_with_handler(one)


def texts_of(provider: str, *texts: str, cut: bool = False) -> list[Any]:
    """The stream of an answer, or one that lacks its end."""
    if provider == "openai":
        return openai_chunks(*texts, reason=None if cut else "stop")
    return anthropic_events(*texts, reason=None if cut else "end_turn")


# ---------------------------------------------------------------------- what no web server does


class RawService:
    """Answers each connection with these bytes, then waits until the other side closes it, and remembers that it did.

    `resets`: it breaks the connection off instead.
    """

    def __init__(self, *answers: bytes, resets: bool = False) -> None:
        self._answers = answers
        self._resets = resets
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.requests = 0
        self.sent = threading.Event()
        self.closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> RawService:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.requests += 1
        for answer in self._answers:
            connection.sendall(answer)
        self.sent.set()
        if self._resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        try:
            gone = connection.recv(1) == b""
        except ConnectionError:
            gone = True
        if gone:
            self.closed.set()


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(events: Iterable[Any]) -> bytes:
    """Events as chunks of a body that has no end yet."""
    return b"".join(f"{len(data):x}\r\n".encode() + data + b"\r\n" for data in map(sse, events))
