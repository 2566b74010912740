"""What is shown of values, and that nothing shown can take over a terminal."""

from __future__ import annotations

import json
from datetime import date
from uuid import UUID

import numpy as np
import pytest

from workglow.cli.moments import took
from workglow.cli.plain import describe, size, to_json
from workglow.cli.screen import Screen, visible


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("text", "text"),
        (None, "None"),
        (True, "True"),
        (1.5, "1.5"),
        (b"abc", "3 bytes of bytes"),
        ([], "empty"),
        ([1, 2, 3], "1, 2, 3"),
        (list(range(40)), "0, 1, 2, 3, 4, 5, … (40 in all)"),
        ({"a": 1}, "a: 1"),
        (np.zeros((3, 256), np.float32), "float32 array 3 x 256: 0, 0, 0, 0, …"),
        (np.float32(1.5), "1.5"),
        ([np.zeros(2)], "float64 array 2: 0, 0"),
    ],
)
def test_values_in_a_few_words(value: object, told: str) -> None:
    assert describe(value) == told


def test_pictures_by_their_size() -> None:
    image = pytest.importorskip("PIL.Image")
    assert describe(image.new("RGB", (4, 3))) == "image 4 x 3 RGB"


def test_a_text_is_whole_by_itself_and_short_inside_something() -> None:
    text = "word " * 1000
    assert describe(text) == text
    assert len(describe([text])) < 250


def test_json_is_plain() -> None:
    value = {
        "array": np.arange(2, dtype=np.int16),
        "scalar": np.float64(0.5),
        "nan": float("nan"),
        "bytes": b"\x00\x01",
        "date": date(2026, 3, 1),
        "uuid": UUID(int=1),
        "tuple": (1, 2),
        "text": "ü",
    }
    assert json.loads(to_json(value)) == {
        "array": [0, 1],
        "scalar": 0.5,
        "nan": None,
        "bytes": "AAE=",
        "date": "2026-03-01",
        "uuid": str(UUID(int=1)),
        "tuple": [1, 2],
        "text": "ü",
    }


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2e6, "2.0 MB"), (3e9, "3.0 GB")]
)
def test_sizes(count: int, told: str) -> None:
    assert size(int(count)) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0123, "12 ms"), (0.9999, "1.0 s"), (59.0, "59.0 s"), (61, "1:01"), (3661, "1:01:01"), (None, "")],
)
def test_durations(seconds: float | None, told: str) -> None:
    assert took(seconds) == told


def test_control_characters_are_made_visible() -> None:
    assert visible("a\x1b[2J\x07b\r\nc\td\x9b31m\u202ee") == "a�[2J�b\nc\td�31m�e"


def test_a_pipe_gets_whole_lines_without_markup_or_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    long = "word " * 200
    screen.line(("[red]x[/red] :smile: ", "bold red"), long)
    screen.table(("A", "B"), [("1", long), ("[b]2", ("3", "green"))], right=(0,))
    screen.command("workglow resume " + "x" * 200)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.splitlines()[0] == "[red]x[/red] :smile: " + long
    assert [line.split() for line in out.splitlines()[1:4]] == [["A", "B"], ["1", *long.split()], ["[b]2", "3"]]
    assert all(line == line.rstrip() for line in out.splitlines()[1:])


def test_a_narrow_terminal_breaks_no_id(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    id = "01m83eyvca76ht6e98h2vrp54y"
    row = (id, "completed", "2026-11-23 05:44:44", "14 ms", "1/2", "waits for a person: Publish this? " * 2)
    Screen().table(("RUN", "STATUS", "BEGAN", "TIME", "TASKS", "NOTE"), [row], whole=(0,))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert id in lines[1]
    assert max(map(len, lines[1:])) <= 80
