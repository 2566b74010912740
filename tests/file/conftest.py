"""What the tests of the file room share: a simulated disk, and other processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from workglow.file import File
from workglow.file.upkeep import Upkeep
from workglow.testing import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.wg"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def file(path: Path, clock: FakeClock) -> Iterator[File]:
    with File.open(path, clock=clock) as file:
        yield file


def add(file: File, kind: str = "x", *, sync: bool = False) -> None:
    with file.transaction(sync=sync) as db:
        db.execute("INSERT INTO event (at, kind) VALUES (0, ?)", (kind,))


def count(file: File) -> int:
    return file.reader.execute("SELECT count(*) FROM event").get


@pytest.fixture(name="add")
def add_fixture() -> Callable[..., None]:
    return add


@pytest.fixture(name="count")
def count_fixture() -> Callable[[File], int]:
    return count


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No background thread: the test does its work."""
    monkeypatch.setattr(Upkeep, "wake", lambda self: None)


class Other:
    """Another process that runs a script; lines go both ways."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            pytest.fail(f"the other process said nothing: {self.process.communicate(timeout=30)[1]}")
        return line

    def say(self, text: str = "go") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)

    def end(self) -> str:
        """Wait for the process to end by itself; returns what else it said."""
        said, failed = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, failed
        return said.strip()


@pytest.fixture
def other() -> Iterator[Callable[..., Other]]:
    started: list[Other] = []

    def start(script: str, *arguments: object) -> Other:
        started.append(Other(script, *arguments))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
        process.process.communicate(timeout=30)


class Disk(apsw.VFS):
    """A disk that counts syncs, fails on demand, and knows what a power cut would leave of each file.

    What was written since the last sync of a file is lost, torn in sectors, or kept, as chance will have it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.operations = 0
        self.synced: dict[str, int] = {}
        self.fail: Callable[[str, str], None] = lambda operation, path: None
        self.durable: dict[str, bytearray] = {}
        self.volatile: dict[str, list[tuple[int, bytes | None]]] = {}
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.step("delete", filename)
        self.durable.pop(filename, None)
        self.volatile.pop(filename, None)
        super().xDelete(filename, syncdir)

    def step(self, operation: str, path: str) -> None:
        self.operations += 1
        self.fail(operation, path)

    def syncs(self, ending: str = "") -> int:
        return sum(number for path, number in self.synced.items() if path.endswith(ending))

    def cut_power(self, folder: Path, chance: random.Random) -> None:
        """Write to `folder` what the disk would hold after a power cut now."""
        folder.mkdir()
        for path, durable in self.durable.items():
            image = bytearray(durable)
            for offset, data in self.volatile.get(path, []):
                fate = chance.random()
                if fate < 0.4:
                    continue
                if data is None or fate > 0.6:
                    apply(image, offset, data)
                    continue
                for start in range(0, len(data), 512):
                    if chance.random() < 0.5:
                        apply(image, offset + start, data[start : start + 512])
            (folder / os.path.basename(path)).write_bytes(image)


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        if self.path and self.path not in disk.durable:
            disk.durable[self.path] = bytearray(Path(self.path).read_bytes() if os.path.exists(self.path) else b"")
            disk.volatile[self.path] = []
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self.disk.step("write", self.path)
        super().xWrite(data, offset)
        if self.path:
            self.disk.volatile[self.path].append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self.disk.step("truncate", self.path)
        super().xTruncate(newsize)
        if self.path:
            self.disk.volatile[self.path].append((newsize, None))

    def xSync(self, flags: int) -> None:
        self.disk.step("sync", self.path)
        super().xSync(flags)
        if self.path:
            self.disk.synced[self.path] = self.disk.synced.get(self.path, 0) + 1
            for offset, data in self.disk.volatile[self.path]:
                apply(self.disk.durable[self.path], offset, data)
            self.disk.volatile[self.path].clear()


def apply(image: bytearray, offset: int, data: bytes | None) -> None:
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    if data is None:
        del image[offset:]
    else:
        image[offset : offset + len(data)] = data


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk("simulated")
    yield disk
    disk.unregister()
