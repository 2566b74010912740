"""What the progress display counts, and how it is drawn."""

from __future__ import annotations

import io
from typing import Any

import pytest

import workglow as wg
from workglow.cli.progress import LiveProgress, PlainProgress
from workglow.cli.screen import Screen
from workglow.cli.watch import Watch
from workglow.testing import FakeClock


def step(x: int) -> int:
    return x


@pytest.fixture
def graph() -> wg.TaskGraph:
    body = wg.TaskGraph()
    body.add_task(step, id="first")
    body.add_task(step, id="second")
    body.add_dataflow("first", "output", "second", "x")
    graph = wg.TaskGraph()
    graph.add_task(wg.MapTask(body, id="map", max_iterations="unbounded", iterate=("x",)))
    graph.add_task(step, id="alone")
    return graph


def event(kind: Any, path: str = "", data: object = None) -> wg.Event:
    return wg.Event(kind, "r", path, 0, data)


@pytest.fixture
def watch(graph: wg.TaskGraph) -> Watch:
    watch = Watch(graph, FakeClock(), lambda run, path: 3)
    watch(event("run_started"))
    return watch


def test_an_item_is_done_when_all_its_tasks_are_final(watch: Watch) -> None:
    watch(event("task_started", "map"))
    watch(event("task_completed", "map[0]/first"))
    assert watch.loops["map"].done == 0
    watch(event("task_cached", "map[0]/second"))
    assert (watch.loops["map"].done, watch.loops["map"].total) == (1, 3)


def test_tasks_outside_of_loops_are_counted(watch: Watch) -> None:
    assert (watch.done, watch.total) == (0, 2)
    watch(event("task_started", "alone"))
    assert list(watch.running) == ["alone"]
    watch(event("task_failed", "alone", ValueError("no")))
    assert (watch.done, list(watch.running)) == (1, [])


def test_what_was_done_before_a_resume_counts(watch: Watch) -> None:
    watch.recall(["map[0]/first", "map[0]/second", "map[1]/first"])
    watch(event("task_completed", "map[1]/second"))
    assert watch.loops["map"].done == 2


def test_loops_inside_loops_count_for_the_outer_one_only(graph: wg.TaskGraph) -> None:
    outer = wg.TaskGraph()
    outer.add_task(wg.MapTask(graph, id="outer", max_iterations="unbounded"))
    watch = Watch(outer, FakeClock(), lambda run, path: None)
    for path in ("outer[0]/map[0]/first", "outer[0]/map[0]/second", "outer[0]/map", "outer[0]/alone"):
        watch(event("task_completed", path))
    assert {loop.path: loop.done for loop in watch.loops.values()} == {"outer": 1}


def test_progress_and_streams_belong_to_the_running_task(watch: Watch) -> None:
    watch(event("task_started", "alone"))
    watch(event("task_progress", "alone", (0.5, "half")))
    for text in ("one ", "two"):
        watch(event("task_chunk", "alone", wg.StreamChunk("text", text)))
    alone = watch.running["alone"]
    assert (alone.fraction, alone.message, alone.text) == (0.5, "half", "one two")
    watch(event("task_chunk", "alone", wg.StreamChunk("text", "new", "replace")))
    assert alone.text == "new"


class Terminal(Screen):
    """A terminal of a given width that remembers what was drawn."""

    def __init__(self, width: int) -> None:
        from rich.console import Console

        super().__init__()
        self.drawn = io.StringIO()
        self._console = Console(file=self.drawn, width=width, height=24, force_terminal=True, color_system=None)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_bars_fit_on_the_terminal(watch: Watch, width: int) -> None:
    screen = Terminal(width)
    live = LiveProgress(screen, watch, FakeClock())
    watch(event("task_started", "map"))
    watch(event("task_started", "map[0]/first"))
    watch(event("task_progress", "map[0]/first", (0.25, "a message that is longer than any line of the terminal is")))
    watch(event("task_chunk", "map[0]/first", wg.StreamChunk("text", "streamed words " * 20)))
    watch(event("task_completed", "map[1]/first"))
    watch(event("task_completed", "map[1]/second"))
    screen.console.print(live.render())
    lines = screen.drawn.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert any("1 of 3" in line for line in lines)
    assert any("25%" in line for line in lines)
    assert any("streamed" in line for line in lines)
    assert lines[-1].startswith("all")


def test_more_tasks_than_lines_are_counted(watch: Watch) -> None:
    screen = Terminal(80)
    for number in range(30):
        watch(event("task_started", f"map[{number}]/first"))
    screen.console.print(LiveProgress(screen, watch, FakeClock()).render())
    assert "… and 22 more" in screen.drawn.getvalue()


def test_a_pipe_gets_one_line_a_second_for_a_loop(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    plain = PlainProgress(Screen(stderr=True), watch, clock)

    def tell(*told: Any) -> None:
        watch(event(*told))
        plain(event(*told))

    tell("task_started", "map")
    for number in range(3):
        if number == 2:
            clock.advance(2.0)
        tell("task_completed", f"map[{number}]/first")
        tell("task_completed", f"map[{number}]/second")
    tell("task_completed", "map")
    assert capsys.readouterr().err.splitlines() == [
        "map started",
        "map 2 of 3",
        "map 3 of 3",
        "map completed in 2.0 s",
    ]
