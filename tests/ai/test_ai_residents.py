"""Models in memory: loaded once, used in turn, and gone when another needs the room."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.ai.residents import Residents, default_budget


class Loaded:
    """What is kept: it counts how often it was loaded and closed, and how much is in memory at once."""

    loads: ClassVar[Counter[str]] = Counter()
    present: ClassVar[dict[str, int]] = {}
    most: ClassVar[int] = 0

    def __init__(self, key: str, size: int) -> None:
        assert key not in Loaded.present, "loaded twice"
        self.key, self.users = key, 0
        Loaded.loads[key] += 1
        Loaded.present[key] = size
        Loaded.most = max(Loaded.most, sum(Loaded.present.values()))

    def close(self) -> None:
        assert self.users == 0, "closed while in use"
        del Loaded.present[self.key]


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    forget()


def forget() -> None:
    Loaded.loads, Loaded.present, Loaded.most = Counter(), {}, 0


def use(residents: Residents, key: str, size: int = 1, **options: Any) -> Any:
    return residents.use(key, lambda: Loaded(key, size), size=size, **options)


def waiting_for(residents: Residents, key: str, count: int) -> None:
    """Return when so many stand in the line of a model; the test's own time-out is the limit."""
    while True:
        with residents._changed:
            place = residents._places.get(key)
            if place is not None and len(place.line) == count:
                return


def test_a_model_is_loaded_once_and_kept() -> None:
    residents = Residents()
    with use(residents, "a") as first:
        pass
    with use(residents, "a") as second:
        assert second is first
    assert residents.loaded() == {"a": 1}


def test_who_asks_while_it_loads_waits_for_that_load() -> None:
    residents, begun, go_on, got = Residents(), threading.Event(), threading.Event(), list[Any]()

    def load() -> Loaded:
        begun.set()
        go_on.wait()
        return Loaded("a", 1)

    def one() -> None:
        with residents.use("a", load, size=1, at_once=2) as loaded:
            got.append(loaded)

    threads = [threading.Thread(target=one) for _ in range(4)]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    waiting_for(residents, "a", 4)
    go_on.set()
    for thread in threads:
        thread.join()
    assert Loaded.loads == {"a": 1}
    assert len({id(one) for one in got}) == 1


def test_turns_are_taken_in_the_order_of_asking() -> None:
    residents, order, threads = Residents(), list[int](), list[threading.Thread]()

    def one(number: int) -> None:
        with use(residents, "a"):
            order.append(number)

    with use(residents, "a"):
        for number in range(8):
            threads.append(threading.Thread(target=one, args=(number,)))
            threads[-1].start()
            waiting_for(residents, "a", number + 1)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_the_one_not_used_for_longest_makes_room() -> None:
    residents = Residents(budget=2)
    for key in ("a", "b", "a", "c"):
        with use(residents, key):
            pass
    assert set(residents.loaded()) == {"a", "c"}
    assert Loaded.loads == {"a": 1, "b": 1, "c": 1}


def test_one_larger_than_the_budget_is_there_alone() -> None:
    residents = Residents(budget=2)
    for key, size in (("a", 1), ("huge", 9), ("b", 1)):
        with use(residents, key, size):
            assert key in residents.loaded()
    assert set(residents.loaded()) == {"b"}
    assert Loaded.most == 9


def test_one_in_use_is_waited_for_and_nobody_who_came_later_keeps_it_there() -> None:
    residents, order, threads = Residents(budget=1), list[str](), list[threading.Thread]()

    def one(key: str, name: str) -> None:
        with use(residents, key):
            order.append(name)

    with use(residents, "a"):
        for key, name, standing in (("b", "other", 1), ("a", "same, later", 1)):
            threads.append(threading.Thread(target=one, args=(key, name)))
            threads[-1].start()
            waiting_for(residents, key, standing)
    for thread in threads:
        thread.join()
    assert order == ["other", "same, later"]
    assert Loaded.loads == {"a": 2, "b": 1}


def test_what_a_load_raises_goes_to_the_caller_and_the_next_one_tries_again() -> None:
    residents = Residents(budget=1)

    def broken() -> Loaded:
        raise OSError("no such file")

    for _ in range(2):
        with pytest.raises(OSError, match="no such file"), residents.use("a", broken, size=1):
            pass
    assert residents.loaded() == {}
    with use(residents, "a"):
        pass


def test_unloading_waits_until_nobody_uses_it() -> None:
    residents = Residents()
    with use(residents, "a") as loaded:
        loaded.users = 1
        assert residents.unload("a")
        assert "a" in residents.loaded()
        loaded.users = 0
    assert residents.loaded() == Loaded.present == {}
    assert not residents.unload("a")


def test_closing_closes_all() -> None:
    residents = Residents()
    for key in ("a", "b"):
        with use(residents, key):
            pass
    residents.close()
    assert Loaded.present == {}


def test_the_budget_is_less_than_the_machine_has() -> None:
    assert 0 < default_budget() < 1 << 50


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), min_size=2, max_size=5),
    st.integers(1, 7),
    st.integers(1, 2),
)
def test_whoever_asks_for_whatever_gets_it_and_the_budget_holds(
    programs: list[list[str]], budget: int, at_once: int
) -> None:
    forget()
    residents, sizes = Residents(budget), {"a": 1, "b": 2, "c": 3, "d": 1}
    guard, users, failures, served = threading.Lock(), defaultdict[str, int](int), list[BaseException](), list[str]()

    def work(program: list[str]) -> None:
        try:
            for key in program:
                with use(residents, key, sizes[key], at_once=at_once) as loaded:
                    with guard:
                        users[key] += 1
                        loaded.users += 1
                        assert users[key] <= at_once
                    with guard:
                        users[key] -= 1
                        loaded.users -= 1
                        served.append(key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(program,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(served) == sorted(key for program in programs for key in program)
    assert Loaded.most <= max(budget, 3)
    assert residents.loaded() == {key: sizes[key] for key in Loaded.present}
    residents.close()
    assert Loaded.present == {}
