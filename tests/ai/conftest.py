"""What the tests of the AI room share: a server of files that can be told to misbehave, and a toy provider."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from toy_provider import ToyProvider

from workglow.ai import provider_registry
from workglow.ai.download import Downloads

HOST = "127.0.0.1"


@dataclass
class FileServer:
    """Serves `files` by path.  The rest says how: what is left of `cuts` are the bytes after which an answer breaks."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    etag: str = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list[int])
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list[tuple[int, dict[str, str]]])
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    sent: int = 0
    hold: threading.Event | None = None
    held: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def url(self, path: str = "/models/one.gguf") -> str:
        return self.address + path

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append({"path": handler.path, **{name.lower(): text for name, text in handler.headers.items()}})
        if self.statuses:
            status, headers = self.statuses.pop(0)
            handler.send_response(status)
            for name, text in {"Content-Length": "0", **headers}.items():
                handler.send_header(name, text)
            handler.end_headers()
            return
        data = self.files.get(handler.path)
        if data is None:
            handler.send_error(404)
            return
        self.give(handler, data)

    def give(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range", self.etag) == self.etag
        start = int(wanted[1]) if wanted and same and self.ranges else 0
        if start > len(data) or (wanted and start == len(data)):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(data)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        body = data[start : start + self.cuts.pop(0)] if self.cuts else data[start:]
        if self.hold is not None:
            half = len(body) // 2
            handler.wfile.write(body[:half])
            handler.wfile.flush()
            self.held.set()
            self.hold.wait(30)
            body, self.sent = body[half:], self.sent + half
        try:
            handler.wfile.write(body)
        except OSError:
            return  # the other side left
        self.sent += len(body)


@pytest.fixture
def server() -> Iterator[FileServer]:
    served = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as listening:
        listening.daemon_threads = True
        served.address = f"http://{HOST}:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        if served.hold is not None:
            served.hold.set()
        listening.shutdown()
        thread.join()


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "models", private=frozenset({HOST}))


@pytest.fixture
def toy() -> Iterator[type[ToyProvider]]:
    """A provider whose models each can do one thing; it is there while the test runs."""
    ToyProvider.asked.clear()
    provider_registry.register(ToyProvider)
    yield ToyProvider
    provider_registry.unregister(ToyProvider.name)
