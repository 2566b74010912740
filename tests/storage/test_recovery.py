"""What can be read of a damaged file and verified is kept; what is kept holds together."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
import pytest

import workglow as wg
from workglow import Workflow, task
from workglow.errors import FileCorruptError, FileError, NotAProjectError
from workglow.file import doctor
from workglow.storage.sqlite.recovery import Recovery, recover

PAGE = 4096


@task(name="recovery_several", output="numbers")
def several(number: int) -> np.ndarray:
    return np.full(200, number)


@task(name="recovery_total", output="total")
def total(numbers: list[np.ndarray]) -> float:
    return float(sum(array.sum() for array in numbers))


FLOW = Workflow().map(several).then(total)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A closed file: two finished runs, one that was begun, and documents."""
    folder = tmp_path_factory.mktemp("sound")
    path = folder / "sound.wg"
    with wg.open(path) as project:
        for first in (0, 40):
            project.run_sync(FLOW, {"number": list(range(first, first + 40))})
        project.begin(FLOW, {"number": [1, 2, 3]})
        base = project.knowledge("docs", model="local:wordllama")
        for number in range(3):
            text = "\n\n".join(f"Passage {number}.{n} speaks of subject {n}, and of {number}." for n in range(60))
            document = folder / f"doc{number}.txt"
            document.write_text(text)
            base.add(document)
    return path.read_bytes()


def recovered(tmp_path: Path, data: bytes) -> Recovery:
    bad, good = tmp_path / "bad.wg", tmp_path / "good.wg"
    bad.write_bytes(data)
    good.unlink(missing_ok=True)
    return recover(bad, good)


def counts(path: str | Path) -> dict[str, int]:
    db = apsw.Connection(str(path))
    tables = ("run", "task_run", "value", "graph_task", "document", "chunk")
    found = {table: db.execute(f"SELECT count(*) FROM {table}").get for table in tables}
    db.close()
    return found


def test_of_a_sound_file_nothing_is_lost(tmp_path: Path, sound: bytes) -> None:
    recovery = recovered(tmp_path, sound)
    assert recovery.complete
    assert recovery.closed == ()
    assert counts(tmp_path / "good.wg") == counts(tmp_path / "bad.wg")
    with wg.open(tmp_path / "bad.wg") as old, wg.open(tmp_path / "good.wg") as new:
        assert [(run.id, run.status) for run in new.runs()] == [(run.id, run.status) for run in old.runs()]
        assert new.file.uid == old.file.uid
        assert new.resume_sync(new.runs()[-1].id).outputs["total"] == 1200.0
        assert new.search("subject 7", knowledge="docs")


def overwritten(random_page: bytes) -> Callable[[bytearray, int], None]:
    def damage(data: bytearray, start: int) -> None:
        data[start : start + PAGE] = random_page

    return damage


def bit_flipped(data: bytearray, start: int) -> None:
    data[start + 2000] ^= 0x10


@pytest.mark.parametrize(
    "damage",
    [overwritten(bytes(PAGE)), overwritten(random.Random(1).randbytes(PAGE)), bit_flipped],
    ids=["zeros", "noise", "one bit"],
)
def test_whatever_page_is_damaged_what_is_kept_holds_together(
    tmp_path: Path, sound: bytes, damage: Callable[[bytearray, int], None]
) -> None:
    refused = 0
    for start in range(0, len(sound), PAGE * 3):
        data = bytearray(sound)
        damage(data, start)
        try:
            recovery = recovered(tmp_path, bytes(data))
        except (FileCorruptError, NotAProjectError):
            refused += 1
            continue
        assert doctor(tmp_path / "good.wg").ok
        with wg.open(tmp_path / "good.wg") as project:
            for run in project.runs():
                if run.status == "failed":
                    assert run.id in recovery.closed
                    assert project.rerun_failed_sync(run.id).status == "completed"
    assert refused <= 4  # the first pages say what tables there are; without them nothing is known


def test_a_value_that_changed_silently_is_left_out_and_its_task_can_run_again(tmp_path: Path, sound: bytes) -> None:
    marker = np.full(200, 17).tobytes()
    place = sound.index(marker)
    data = bytearray(sound)
    data[place] ^= 1
    recovery = recovered(tmp_path, bytes(data))
    assert recovery.tables["value"].left_out == 1
    with wg.open(tmp_path / "good.wg") as project:
        run = project.runs()[0]
        lost = [path for path, result in run.tasks.items() if result.status == "failed"]
        assert lost == ["map", "map[17]/recovery_several"]  # the one's output is in the other's
        assert run.outputs["total"] == 200.0 * sum(range(40))  # it was committed, and nothing of it is lost


def test_an_unfinished_run_that_may_have_lost_tasks_does_not_go_on(tmp_path: Path) -> None:
    path = tmp_path / "bad.wg"
    with wg.open(path) as project:
        unfinished = project.begin(FLOW, {"number": list(range(3))}).id
        for number in range(60):
            project.run_sync(Workflow().then(several), {"number": number})
    db = apsw.Connection(str(path))
    last_leaf = db.execute("SELECT pageno FROM dbstat WHERE name = 'task_run' AND pagetype = 'leaf'").fetchall()[-1][0]
    db.close()
    data = bytearray(path.read_bytes())
    data[(last_leaf - 1) * PAGE : last_leaf * PAGE] = bytes(PAGE)
    recovery = recovered(tmp_path, bytes(data))
    assert recovery.tables["task_run"].gaps == 1
    assert recovery.closed == (unfinished,)
    with wg.open(tmp_path / "good.wg") as project:
        assert "lost" in (project.get(unfinished).error or "")
        assert project.rerun_failed_sync(unfinished).outputs["total"] == 600.0


def test_half_a_copy_gives_what_the_main_file_holds_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "used.wg"
    with wg.open(path) as project:
        project.run_sync(FLOW, {"number": [1]})
    with wg.open(path) as project:
        project.run_sync(FLOW, {"number": [2]})
        half = path.read_bytes()
    recovery = recovered(tmp_path, half)
    assert any("log" in note for note in recovery.notes)
    with wg.open(tmp_path / "good.wg") as project:
        assert [run.status for run in project.runs()] == ["completed"]


def test_a_document_that_may_have_lost_chunks_is_read_anew(tmp_path: Path, sound: bytes) -> None:
    place = sound.index(b"Passage 1.30 speaks")
    start = place // PAGE * PAGE
    data = bytearray(sound)
    data[start : start + PAGE] = bytes(PAGE)
    recovery = recovered(tmp_path, bytes(data))
    assert recovery.tables["chunk"].gaps == 1
    db = apsw.Connection(str(tmp_path / "good.wg"))
    forgotten = {name for (name,) in db.execute("SELECT name FROM document WHERE hash = printf('%064d', 0)")}
    db.close()
    assert [Path(name).name for name in forgotten] == ["doc1.txt"]


def test_nothing_is_written_over_and_nothing_half_made_is_left(tmp_path: Path, sound: bytes) -> None:
    (tmp_path / "good.wg").write_text("precious")
    (tmp_path / "bad.wg").write_bytes(sound)
    with pytest.raises(FileError, match="exists already"):
        recover(tmp_path / "bad.wg", tmp_path / "good.wg")
    (tmp_path / "bad.wg").write_bytes(b"no project at all" * 400)
    with pytest.raises(NotAProjectError):
        recover(tmp_path / "bad.wg", tmp_path / "other.wg")
    assert {path.name for path in tmp_path.iterdir()} == {"good.wg", "bad.wg"}
