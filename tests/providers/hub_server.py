"""A hub of models on this machine: lists of files, files by ranges, redirects to where large ones are, refusals."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000
"""Bytes from which on a file is large: the hub tells its SHA-256, and has it elsewhere."""


@dataclass
class HubServer:
    """Serves `repositories`: files by their names.

    What is left of `cuts` are the bytes after which the answer for a large file breaks off.  With `hold`, it stops
    there until that is set, and sets `held`.  `token` is the one that it wants; `refusals` are statuses and codes by
    the beginnings of paths.  `listing` is what it says instead of what a repository holds.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    revisions: set[str] = field(default_factory=lambda: {COMMIT, "main"})
    commit: str = COMMIT
    cuts: list[int] = field(default_factory=list[int])
    hold: threading.Event | None = None
    held: threading.Event = field(default_factory=threading.Event)
    token: str = ""
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    listing: bytes | None = None
    sent: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self, beginning: str) -> list[str]:
        """The paths that were asked for."""
        return [path for path, _ in self.asked if path.startswith(beginning)]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        self.asked.append((path, {name.lower(): text for name, text in handler.headers.items()}))
        for beginning, (status, code) in self.refusals.items():
            if path.startswith(beginning):
                return self._refuse(handler, status, code)
        if path.startswith("/large/"):
            digest = path.removeprefix("/large/")
            files = [data for files in self.repositories.values() for data in files.values()]
            return self._give(handler, next(data for data in files if hashlib.sha256(data).hexdigest() == digest))
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self._refuse(handler, 401, "")
        if path == "/api/models":
            return self._search(handler)
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        found = listing or file
        if found is None or found[1] not in self.repositories:
            return self._refuse(handler, 404, "RepoNotFound")
        if (found[2] or "main") not in self.revisions:
            return self._refuse(handler, 404, "RevisionNotFound")
        if listing:
            return self._list(handler, found[1])
        data = self.repositories[found[1]].get(found[3])
        return self._refuse(handler, 404, "EntryNotFound") if data is None else self._file(handler, data)

    def _search(self, handler: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(handler.path).query).get("search", [""])[0]
        found = [{"id": name, "pipeline_tag": "fill-mask"} for name in self.repositories if asked in name]
        self._send(handler, 200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _list(self, handler: BaseHTTPRequestHandler, repository: str) -> None:
        siblings: list[dict[str, Any]] = []
        for name, data in self.repositories[repository].items():
            large = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append({"rfilename": name, "size": len(data)} | ({"lfs": large} if len(data) > LARGE else {}))
        if self.listing is not None:
            return self._send(handler, 200, self.listing, {})
        told = {"id": repository, "modelId": repository, "sha": self.commit, "gated": False, "siblings": siblings}
        return self._send(handler, 200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _file(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": self.commit, "X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{digest}"'}
        if len(data) <= LARGE:
            return self._send(handler, 200, data, headers | {"ETag": f'"{digest}"'})
        elsewhere = f"http://localhost:{self.port}/large/{digest}"
        return self._send(handler, 302, b"", headers | {"Location": elsewhere})

    def _give(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        handler.end_headers()
        if handler.command == "HEAD":
            return
        end = start + self.cuts.pop(0) if self.cuts else len(data)
        try:
            handler.wfile.write(data[start:end])
            handler.wfile.flush()
            self.sent += len(data[start:end])
            if self.hold is not None:
                self.held.set()
                self.hold.wait(60)
        except OSError:
            return  # the other side left

    def _refuse(self, handler: BaseHTTPRequestHandler, status: int, code: str) -> None:
        headers = ({"X-Error-Code": code} if code else {}) | ({"Retry-After": "41"} if status == 429 else {})
        self._send(handler, status, b'{"error":"no"}', headers)

    def _send(self, handler: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, text)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)


@contextmanager
def hub_server() -> Generator[HubServer]:
    served = HubServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)
            self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        served.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            if served.hold is not None:
                served.hold.set()
            listening.shutdown()
            thread.join()
