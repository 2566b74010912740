"""Appendix A1: listeners.  A3 is in `tests/values/test_values_partial_json`, A4 in `test_c09_conditional`, A5 in
`tests/tasks/test_task_registry`, and A9 in `tests/tasks/test_task_context`: a task owns what it opened, no run does.
"""

from __future__ import annotations

import pytest

from workglow.graph.events import Event, Events


def event(kind: str = "task_started") -> Event:
    return Event(kind, "t", "", 0)  # type: ignore[arg-type]


def test_a1_listeners_are_called_in_order_with_the_event() -> None:
    events, heard = Events(), list[object]()
    events.on("task_started", lambda one: heard.append(("first", one)))
    events.on("*", lambda one: heard.append(("second", one)))
    events.on("task_failed", lambda one: heard.append(("third", one)))
    happened = event()
    events.emit(happened)
    assert heard == [("first", happened), ("second", happened)]


def test_a1_off_takes_away_only_what_is_given() -> None:
    events, heard = Events(), list[Event]()
    other: list[Event] = []
    events.on("task_started", heard.append)
    events.on("task_started", other.append)
    events.off("task_started", heard.append)
    events.off("task_started", print)
    events.off("task_failed", other.append)
    events.emit(event())
    assert (heard, len(other)) == ([], 1)


def test_a1_once_is_once_for_each() -> None:
    events, heard = Events(), list[str]()
    events.once("task_started", lambda _: heard.append("a"))
    events.once("task_started", lambda _: heard.append("b"))
    events.emit(event())
    events.emit(event())
    assert heard == ["a", "b"]


def test_a1_errors_are_raised_after_everybody_heard() -> None:
    events, heard = Events(), list[Event]()

    def fail(_: Event) -> None:
        raise LookupError("mine")

    events.on("task_started", fail)
    events.on("task_started", heard.append)
    with pytest.raises(LookupError, match="mine"):
        events.emit(event())
    events.on("task_started", fail)
    with pytest.raises(ExceptionGroup, match="2 listeners raised on task_started"):
        events.emit(event())
    assert len(heard) == 2


def test_a1_once_fires_once_when_it_emits_itself() -> None:
    events, heard = Events(), list[str]()

    def again(one: Event) -> None:
        heard.append("again")
        events.emit(one)

    events.once("task_started", again)
    events.emit(event())
    assert heard == ["again"]


def test_a1_a_listener_added_meanwhile_hears_the_next_event() -> None:
    events, heard = Events(), list[str]()
    events.once("task_started", lambda _: events.once("task_started", lambda _: heard.append("late")))
    events.emit(event())
    assert heard == []
    events.emit(event())
    assert heard == ["late"]
