"""W4: a hit in the output cache, against reading the same bytes with bare SQLite."""

from __future__ import annotations

import os
import random
import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
from measure import Row, compare

from workglow.file import File
from workglow.graph.caching import OutputCache, output_key
from workglow.graph.environment import Environment
from workglow.graph.graph import TaskGraph
from workglow.graph.schedule import Scope, TaskRun
from workglow.storage.sqlite import sqlite_repositories
from workglow.tasks import task
from workglow.values import encode

__all__ = ["rows"]

SMALL, LARGE = 10_000, 100
HITS = 1000


@task(name="bench_answer", output="text", version="1")
def answer(question: str, number: int) -> str:
    return f"{question} {number}"


def completed(file: File, keys: list[bytes], letters: random.Random) -> list[str]:
    """Leave a run of completed tasks with these keys in the file, and return the text that each put out."""
    texts = ["".join(letters.choices(string.ascii_letters, k=1024)) for _ in keys]
    with file.transaction() as db:
        db.execute("INSERT INTO graph (id, hash, created_at) VALUES (1, ?, 0)", ("0" * 64,))
        db.execute(
            "INSERT INTO run (id, uid, graph_id, status, input, created_at, finished_at) "
            "VALUES (1, 'bench', 1, 'completed', '{}', 0, 0)"
        )
        db.executemany(
            "INSERT INTO task_run (run_id, path, status, attempt, finished_at, output, cache_key) "
            "VALUES (1, ?, 'completed', 1, 0, ?, ?)",
            (
                (f"t{n}", encode({"text": text}).text, key)
                for n, (key, text) in enumerate(zip(keys, texts, strict=True))
            ),
        )
    return texts


def fill(folder: Path, keys: list[bytes], large: list[bytes], letters: random.Random) -> None:
    """Write the same outputs with us and with bare SQLite, and close both: no log is moved while hits are measured."""
    bare = apsw.Connection(str(folder / "bare.db"))
    bare.execute("PRAGMA journal_mode = WAL").fetchall()
    bare.execute("CREATE TABLE output (id INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)")
    with File.open(folder / "cache.wg", durability="process") as file, bare:
        outputs = sqlite_repositories(file).outputs
        for key, text in zip(keys, completed(file, keys, letters), strict=True):
            bare.execute("INSERT INTO output (key, value) VALUES (?, ?)", (key, text.encode()))
        for key in large:
            data = os.urandom(1 << 20)
            outputs.save(key, "bench_bytes", {"data": data})
            bare.execute("INSERT INTO output (key, value) VALUES (?, ?)", (key, data))
    bare.close()


def rows(peers: bool) -> Iterator[Row]:
    del peers
    letters = random.Random(1)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        kind = answer.task()
        keys = [output_key(kind, {"question": "what is it?", "number": number}) for number in range(SMALL)]
        large = [os.urandom(32) for _ in range(LARGE)]
        fill(folder, keys, large, letters)
        file = File.open(folder / "cache.wg", durability="process")
        outputs = sqlite_repositories(file).outputs
        bare = apsw.Connection(str(folder / "bare.db"))

        def read(wanted: list[bytes]) -> Callable[[], None]:
            execute = bare.cursor().execute

            def run() -> None:
                for key in wanted:
                    execute("SELECT value FROM output WHERE key = ?", (key,)).fetchall()

            return run

        def find(wanted: list[bytes]) -> Callable[[], None]:
            def run() -> None:
                for key in wanted:
                    assert outputs.find(key) is not None

            return run

        cache = OutputCache(Environment(cache=outputs))
        graph = TaskGraph()
        placed = graph.add_task(answer)

        def fingerprint_and_find() -> None:
            for number in numbers:
                run = TaskRun(scope, placed.id)
                run.task, run.inputs = placed, {"question": "what is it?", "number": number}
                assert cache.find(run)

        scope = Scope(graph, {})
        numbers = letters.sample(range(SMALL), HITS)
        wanted = [keys[number] for number in numbers]
        yield compare(
            "W4", "hit 1 KB by key", find(wanted), "bare read", read(wanted), target=1.3, each=HITS, unit="µs"
        )
        yield compare(
            "W4",
            "hit 1 KB by inputs",
            fingerprint_and_find,
            "bare read",
            read(wanted),
            target=2.5,
            each=HITS,
            unit="µs",
        )
        yield compare("W4", "hit 1 MB by key", find(large), "bare read", read(large), target=1.2, each=LARGE, unit="µs")
        bare.close()
        file.close()
