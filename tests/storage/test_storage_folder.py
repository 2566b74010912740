"""Repositories in a folder: damage is told, several processes share it, and git has something to show."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import workglow as wg
from workglow.errors import CorruptValueError, FileError, FileReadOnlyError, GraphFormatError
from workglow.testing import FakeClock

ROOT = Path(__file__).parents[2]
KEY, OTHER = b"\x01" * 32, b"\x02" * 32
OUTPUTS = {"text": "so it goes " * 500, "vector": np.arange(100, dtype="<f4"), "note": "é"}
calls: list[str] = []


@wg.task(output="text", name="folder_shout", inline=True)
def shout(text: str, mark: str = "!") -> str:
    calls.append(text)
    return text.upper() * 2000 + mark


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@pytest.fixture
def cache(tmp_path: Path, clock: FakeClock) -> wg.FolderTaskOutputRepository:
    return wg.FolderTaskOutputRepository(tmp_path / "cache", clock=clock)


def files(folder: Path, pattern: str = "**/*") -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))


# ---------------------------------------------------------------------- what is written


def test_an_output_is_json_that_a_person_can_read(cache: wg.FolderTaskOutputRepository, tmp_path: Path) -> None:
    cache.save(KEY, "embed", OUTPUTS, model="m")
    (place,) = files(tmp_path / "cache/outputs")
    assert place == tmp_path / "cache/outputs/01" / f"{'01' * 31}.json"
    text = place.read_text()
    assert '  "type": "embed",\n  "model": "m",\n' in text
    assert '    "note": "é"\n' in text
    texts = files(tmp_path / "cache/values", "*/*.txt")
    assert [path.read_text() for path in texts] == [OUTPUTS["text"]]
    (array,) = files(tmp_path / "cache/values", "*/*.bin")
    assert array.read_bytes() == OUTPUTS["vector"].tobytes()  # type: ignore[attr-defined]


def test_the_same_gives_the_same_bytes_wherever_it_is_saved(tmp_path: Path, clock: FakeClock) -> None:
    for name in ("one", "two"):
        wg.FolderTaskOutputRepository(tmp_path / name, clock=clock).save(KEY, "t", OUTPUTS)
        wg.FolderTaskGraphRepository(tmp_path / name, clock=clock).save("g", shout)
    one, two = ({path.relative_to(tmp_path / name): path.read_bytes() for path in files(tmp_path / name)}
                for name in ("one", "two"))  # fmt: skip
    assert one == two
    assert len(one) == 5


def test_values_are_shared_and_go_with_the_last_that_refers_to_them(
    cache: wg.FolderTaskOutputRepository, tmp_path: Path
) -> None:
    cache.save(KEY, "t", {"text": "x" * 5000})
    cache.save(OTHER, "t", {"text": "x" * 5000, "n": 1})
    assert len(files(tmp_path / "cache/values")) == 1
    cache.remove([KEY])
    assert cache.find(OTHER) is not None
    cache.remove([OTHER])
    assert files(tmp_path / "cache/values") == []


def test_nothing_is_made_before_something_is_saved(cache: wg.FolderTaskOutputRepository, tmp_path: Path) -> None:
    assert cache.find(KEY) is None
    assert cache.size() == 0
    assert cache.check() == []
    assert wg.FolderTaskGraphRepository(tmp_path / "cache").list() == []
    assert not (tmp_path / "cache").exists()


def test_git_is_told_what_is_only_of_this_machine(cache: wg.FolderTaskOutputRepository, tmp_path: Path) -> None:
    cache.save(KEY, "t", OUTPUTS)
    place = tmp_path / "cache"
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    (place / ".unfinished/left").write_text("")
    words = ["git", "ls-files", "-o", "--exclude-standard"]
    listed = subprocess.run(words, cwd=place, check=True, capture_output=True, text=True).stdout
    tops = {line.split("/")[0] for line in listed.splitlines()}
    assert tops == {".gitattributes", ".gitignore", "outputs", "values"}


# ---------------------------------------------------------------------- damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"SO") if b"SO" in data else len(data) // 2] ^= 1
    path.write_bytes(data)


def conflict(path: Path) -> None:
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n>>>>>>> theirs\n")


def delete(path: Path) -> None:
    path.unlink()


def nest(path: Path) -> None:
    path.write_text("[" * 100_000)


def lie(path: Path) -> None:
    path.write_text(path.read_text().replace('"SO', '"NO'))


@pytest.mark.parametrize(
    ("part", "harm"),
    [("outputs", cut), ("outputs", empty), ("outputs", conflict), ("outputs", nest), ("outputs", lie),
     ("values", cut), ("values", empty), ("values", flip), ("values", conflict), ("values", delete)],
)  # fmt: skip
def test_a_damaged_file_is_a_miss_that_is_told_and_mended(
    cache: wg.FolderTaskOutputRepository,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    part: str,
    harm: Callable[[Path], None],
) -> None:
    text = "so" if part == "values" else "SO"
    outputs = {"text": text * 3000} if part == "values" else {"text": text}
    cache.save(KEY, "t", outputs)
    (place,) = files(tmp_path / "cache" / part)
    harm(place)
    told: list[wg.OutputEvent] = []
    cache.subscribe(told.append)
    with caplog.at_level(logging.WARNING, "workglow"):
        assert cache.find(KEY) is None
    assert [(event.kind, event.entry.key) for event in told] == [("damaged", KEY)]
    assert str(place) in told[0].detail
    assert "Delete it; its task runs again" in caplog.text
    assert [str(place) in problem for problem in cache.check()] == [True]
    cache.prune()
    cache.remove([OTHER])
    cache.save(KEY, "t", outputs)
    assert cache.check() == []
    found = cache.find(KEY)
    assert found is not None
    assert found.outputs == outputs


def test_a_run_goes_on_over_a_damaged_output(cache: wg.FolderTaskOutputRepository, tmp_path: Path) -> None:
    flow = wg.Workflow().then(shout)
    first = flow.run_sync({"text": "so"}, output_cache=cache).outputs
    flip(files(tmp_path / "cache/values")[0])
    assert flow.run_sync({"text": "so"}, output_cache=cache).outputs == first
    assert flow.run_sync({"text": "so"}, output_cache=cache).outputs == first
    assert calls == ["so", "so"]


def test_an_output_under_another_key_is_not_taken(cache: wg.FolderTaskOutputRepository, tmp_path: Path) -> None:
    cache.save(KEY, "t", {"n": 1})
    (place,) = files(tmp_path / "cache/outputs")
    wrong = tmp_path / "cache/outputs/02" / f"{'02' * 31}.json"
    wrong.parent.mkdir()
    wrong.write_bytes(place.read_bytes())
    assert cache.find(OTHER) is None
    assert ["another key" in problem for problem in cache.check()] == [True]
    cache.clear()
    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("hash", ["../" * 20 + "etc/passwd", "0" * 63, "Z" * 64, ""])
def test_a_file_cannot_lead_out_of_the_folder(cache: wg.FolderTaskOutputRepository, tmp_path: Path, hash: str) -> None:
    cache.save(KEY, "t", {"n": 1})
    (place,) = files(tmp_path / "cache/outputs")
    data = json.loads(place.read_text())
    place.write_text(json.dumps({**data, "values": {hash: "text"}}))
    assert cache.find(KEY) is None
    assert ["which is no hash" in problem for problem in cache.check()] == [True]
    cache.remove([])  # looks for what nobody refers to, and finds nothing elsewhere


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is a file"):
        wg.FolderTaskOutputRepository(tmp_path / "file")
    with pytest.raises(FileError, match="cannot be written"):
        wg.FolderTaskOutputRepository(tmp_path / "file" / "below").save(KEY, "t", {})


def test_where_nothing_may_be_written_is_told() -> None:
    with pytest.raises(FileReadOnlyError, match="/sys/cache cannot be written"):
        wg.FolderTaskOutputRepository("/sys/cache").save(KEY, "t", {})


# ---------------------------------------------------------------------- several processes

WRITER = """
import sys, workglow as wg
cache = wg.FolderTaskOutputRepository(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for round in range(int(sys.argv[2])):
    for number in range(8):
        cache.save(bytes([number]) * 32, "t", {"text": str(number) * 3000, "own": "x" * 3000})
        if sys.argv[3] == "removes":
            cache.remove([bytes([(number + 3) % 8]) * 32])
        cache.find(bytes([(number + 5) % 8]) * 32)
"""


def writers(folder: Path, rounds: int, *what: str) -> list[subprocess.Popen[str]]:
    words = [[sys.executable, "-c", WRITER, str(folder), str(rounds), one] for one in what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for one in words
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return started


def test_processes_that_save_remove_and_find_at_once_see_no_damage(tmp_path: Path) -> None:
    for process in writers(tmp_path / "cache", 6, "removes", "saves", "removes"):
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert "damaged" not in said
    cache = wg.FolderTaskOutputRepository(tmp_path / "cache")
    assert cache.check() == []
    for number in range(8):
        found = cache.find(bytes([number]) * 32)
        assert found is None or found.outputs == {"text": str(number) * 3000, "own": "x" * 3000}


def test_a_killed_process_leaves_whole_files_and_no_lock(tmp_path: Path) -> None:
    cache = wg.FolderTaskOutputRepository(tmp_path / "cache")
    for _ in range(5):
        (process,) = writers(tmp_path / "cache", 1000, "removes")
        while len(files(tmp_path / "cache/outputs")) < 2:
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert cache.check() == []
        cache.save(OTHER, "t", {"n": 1})
        assert not list((tmp_path / "cache").glob("outputs/*/*-*"))
        cache.clear()
        assert files(tmp_path / "cache") == []
        assert list((tmp_path / "cache/.unfinished").iterdir()) == []


# ---------------------------------------------------------------------- graphs


@pytest.fixture
def graphs(tmp_path: Path, clock: FakeClock) -> wg.FolderTaskGraphRepository:
    return wg.FolderTaskGraphRepository(tmp_path / "graphs", clock=clock)


def marked(mark: str) -> wg.Workflow:
    return wg.Workflow().then(shout, mark=mark)


def marks(graphs: wg.FolderTaskGraphRepository) -> list[str]:
    return [
        str(graphs.get("g", version.number).tasks["folder_shout"].defaults["mark"]) for version in graphs.history("g")
    ]


def test_a_change_of_one_setting_is_a_change_of_one_line(graphs: wg.FolderTaskGraphRepository, tmp_path: Path) -> None:
    place = tmp_path / "graphs/g.json"
    graphs.save("g", marked("?"))
    before = place.read_text().splitlines()
    graphs.save("g", marked("!!"))
    changed = [pair for pair in zip(before, place.read_text().splitlines(), strict=True) if pair[0] != pair[1]]
    assert [(old.strip(), new.strip()) for old, new in changed] == [('"mark": "?"', '"mark": "!!"')]
    assert wg.TaskGraph.from_json(place.read_text()).to_json() == marked("!!").to_graph().to_json()


def test_a_change_by_hand_is_a_version_like_others(graphs: wg.FolderTaskGraphRepository, tmp_path: Path) -> None:
    place = tmp_path / "graphs/g.json"
    graphs.save("g", marked("1"))
    place.write_text(place.read_text().replace('"1"', '"2"'))
    assert marks(graphs) == ["1", "2"]
    assert [version.note for version in graphs.history("g")] == ["", "changed outside workglow"]
    graphs.save("g", marked("3"), note="third")
    assert marks(graphs) == ["1", "2", "3"]
    assert [version.note for version in graphs.history("g")] == ["", "changed outside workglow", "third"]
    assert graphs.restore("g", 2).number == 4
    assert marks(graphs) == ["1", "2", "3", "2"]


def test_a_file_that_somebody_put_there_is_a_graph(graphs: wg.FolderTaskGraphRepository, tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs/g.json").write_text(json.dumps(marked("mine").to_json(with_boundary_nodes=False)))
    assert graphs.list() == ["g"]
    assert marks(graphs) == ["mine"]
    graphs.save("g", marked("yours"))
    assert marks(graphs) == ["mine", "yours"]


def test_an_end_between_two_files_loses_nothing(graphs: wg.FolderTaskGraphRepository, tmp_path: Path) -> None:
    graphs.save("g", marked("1"))
    graphs.save("g", marked("2"))
    (tmp_path / "graphs/g.history/0002.json").unlink()  # as if the process had ended before it
    assert marks(graphs) == ["1", "2"]
    graphs.save("g", marked("3"))
    assert marks(graphs) == ["1", "2", "3"]


def test_a_version_that_somebody_deleted_is_not_counted_again(
    graphs: wg.FolderTaskGraphRepository, tmp_path: Path
) -> None:
    for mark in "123":
        graphs.save("g", marked(mark))
    (tmp_path / "graphs/g.history/0001.json").unlink()
    assert graphs.save("g", marked("4")).number == 4
    assert [version.number for version in graphs.history("g")] == [2, 3, 4]
    assert marks(graphs) == ["2", "3", "4"]


@pytest.mark.parametrize("harm", [cut, empty, conflict, nest])
def test_a_damaged_graph_is_told_and_its_history_is_there(
    graphs: wg.FolderTaskGraphRepository, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    place = tmp_path / "graphs/g.json"
    graphs.save("g", marked("1"))
    harm(place)
    with pytest.raises(CorruptValueError, match=r"g\.json cannot be read.*restore an earlier version"):
        graphs.get("g")
    assert graphs.list() == ["g"]
    assert graphs.get("g", 1).content_hash() == marked("1").to_graph().content_hash()
    assert graphs.restore("g", 1).number == 2
    assert marks(graphs) == ["1", "1"]
    harm(tmp_path / "graphs/g.history/0001.json")
    assert "cannot be read" in graphs.history("g")[0].note
    assert graphs.get("g").tasks


@pytest.mark.parametrize("text", ['{"tasks": 5}', '{"tasks": [{"id": "a"}], "dataflows": []}', "{}", "[]"])
def test_json_that_is_no_graph_is_told(graphs: wg.FolderTaskGraphRepository, tmp_path: Path, text: str) -> None:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs/g.json").write_text(text)
    with pytest.raises((CorruptValueError, GraphFormatError), match=r"g"):
        graphs.get("g")
    assert graphs.list() == ["g"]


def test_what_git_left_of_a_removed_graph_goes_with_the_next_rename(
    graphs: wg.FolderTaskGraphRepository, tmp_path: Path
) -> None:
    graphs.save("g", marked("1"))
    graphs.save("other", marked("2"))
    (tmp_path / "graphs/g.json").unlink()
    assert graphs.list() == ["other"]
    graphs.rename("other", "g")
    assert marks(graphs) == ["2"]
