"""The tools that users test with do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

import workglow as wg
from workglow.ai.resolve import resolve_embedding_model
from workglow.errors import KnowledgeError, TaskConfigurationError, UnknownModelError
from workglow.testing import FakeClock, ScriptedProvider, forbid_model_calls, install_crash_points


def test_timers_fire_in_order_on_the_way() -> None:
    clock = FakeClock(now=1000)
    fired: list[tuple[str, int]] = []
    clock.call_later(2, lambda: fired.append(("late", clock.now())))
    clock.call_later(1, lambda: fired.append(("early", clock.now())))
    clock.call_later(1.5, lambda: fired.append(("never", clock.now()))).cancel()
    assert clock.waiting() == 2
    clock.advance(3)
    assert fired == [("early", 2000), ("late", 3000)]
    assert clock.now() == 4000
    assert clock.waiting() == 0


def test_a_scripted_model_answers_and_remembers(tmp_path: Path) -> None:
    script = {"cats purr": [1.0, 0.0], "dogs bark": [0.0, 1.0], "what purrs?": [0.9, 0.1]}
    with ScriptedProvider(script, dimensions=2) as provider, wg.open(tmp_path / "a.wg") as project:
        base = project.knowledge(model="scripted:test")
        for number, text in enumerate(("cats purr", "dogs bark")):
            note = tmp_path / f"{number}.txt"
            note.write_text(text)
            base.add(note)
        assert project.search("what purrs?")[0].text == "cats purr"
        assert provider.asked == ["cats purr", "dogs bark", "what purrs?"]
        with pytest.raises(KnowledgeError, match="no vector for 'unwritten'"):
            project.search("unwritten")
    with pytest.raises(UnknownModelError):
        resolve_embedding_model("scripted:test")


def test_real_models_are_out_of_reach_inside_forbid_model_calls() -> None:
    with forbid_model_calls(), pytest.raises(UnknownModelError, match="forbid_model_calls"):
        resolve_embedding_model("local:wordllama")
    with ScriptedProvider({}, dimensions=1), forbid_model_calls():
        assert resolve_embedding_model("scripted:any").dimensions == 1


def test_a_crash_point_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKGLOW_CRASH", raising=False)
    install_crash_points()
    with pytest.raises(TaskConfigurationError, match=r"complete\.inside:3"):
        install_crash_points("somewhere")


def test_a_jump_sets_the_wall_clock_and_lets_no_time_pass() -> None:
    clock = FakeClock(now=1000)
    fired: list[int] = []
    clock.call_later(5, lambda: fired.append(clock.now()))
    before = clock.monotonic()
    clock.jump(3600)
    assert (clock.now(), clock.monotonic(), fired) == (3_601_000, before, [])
    clock.jump(-7200)
    clock.advance(5)
    assert fired == [-3_594_000]
    assert clock.monotonic() == before + 5
