"""A hub on this machine with one repository, 'me/model', for the hub's own library."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["COMMIT", "hub_running"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_running(folder: Path, status: int = 200, *, of_files: int = 200) -> Iterator[str]:
    """Serve the files of a folder; any other status is the answer to everything, or to questions about files.

    Yields the hub's address.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, folder, status, of_files)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _Hub(BaseHTTPRequestHandler):
    def __init__(self, folder: Path, status: int, of_files: int, *rest: Any) -> None:
        self._folder, self._status, self._of_files = folder, status, of_files
        super().__init__(*rest)

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        files = {str(file.relative_to(self._folder)): file for file in self._folder.rglob("*") if file.is_file()}
        if self._status != 200:
            return self._answer(b"{}", {"Retry-After": "41"} if self._status == 429 else {}, body)
        if self.path.startswith("/api/models?"):
            asked = parse_qs(urlsplit(self.path).query)
            found = [{"id": "me/model", "pipeline_tag": "fill-mask"}] if asked.get("search") != ["nothing"] else []
            return self._answer(json.dumps(found).encode(), {}, body)
        if self.path.startswith("/api/models/me/model"):
            siblings = [{"rfilename": name, "size": file.stat().st_size} for name, file in files.items()]
            return self._answer(json.dumps({"id": "me/model", "sha": COMMIT, "siblings": siblings}).encode(), {}, body)
        self._status = self._of_files
        if self._status != 200:
            return self._answer(b"{}", {}, body)
        name = self.path.removeprefix(f"/me/model/resolve/{COMMIT}/")
        content = files[name].read_bytes()
        return self._answer(content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}, body)

    def _answer(self, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(self._status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
