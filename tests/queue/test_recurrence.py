"""Due times: what they are where clocks change, and what becomes of those that were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import ScheduleError
from workglow.recurrence import CatchUp, Recurrence

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    """Milliseconds of a time that says its distance to UTC."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def due_from(cron: str, start: str, count: int, timezone: str = "Europe/Berlin") -> list[str]:
    recurrence, time = Recurrence(cron=cron, timezone=timezone, start=0), at(start)
    found: list[str] = []
    for _ in range(count):
        following = recurrence.after(time)
        assert following is not None
        time = following
        found.append(datetime.fromtimestamp(time / 1000, ZoneInfo(timezone)).isoformat(timespec="minutes"))
    return found


def test_a_time_that_is_left_out_is_due_when_the_clock_goes_on() -> None:
    assert due_from("30 2 * * *", "2026-03-28T12:00+01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]


def test_a_time_that_comes_twice_is_due_once() -> None:
    expected = ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    assert due_from("30 2 * * *", "2026-10-24T12:00+02:00", 2) == expected
    assert due_from("30 2 * * *", "2026-10-25T02:10+01:00", 1) == expected[1:], "counted from inside the second pass"


def test_every_half_hour_is_half_an_hour_also_when_clocks_change() -> None:
    assert due_from("*/30 * * * *", "2026-10-25T02:00+02:00", 4) == [
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
        "2026-10-25T03:00+01:00",
    ]
    assert due_from("*/30 * * * *", "2026-03-29T01:30+01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"cron": "61 * * * *", "timezone": "UTC"}, "minute"),
        ({"cron": "every day", "timezone": "UTC"}, "fields"),
        ({"cron": "0 0 30 2 *", "timezone": "UTC"}, "day"),
        ({"cron": "0 0 * * *", "timezone": "Europe/Atlantis"}, "Atlantis"),
        ({"cron": "0 0 * * *", "timezone": "../../etc/passwd"}, "passwd"),
        ({"every": 0}, "more than 0"),
        ({"every": -5}, "more than 0"),
        ({}, "either"),
        ({"cron": "0 0 * * *", "timezone": "UTC", "every": 5}, "either"),
    ],
)
def test_what_can_never_be_due_is_refused(given: dict[str, object], word: str) -> None:
    with pytest.raises(ScheduleError, match=word):
        Recurrence(**given, start=0)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- what was missed

CRONS = ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 0,2,3 * * *", "15 1-3 * * SUN", "0 12 1 * *", "*/20 2 * 3,10 *"]
START = at("2026-03-25T00:00+00:00")
WEEKS = 10 * 7 * 86_400_000


@settings(max_examples=60, deadline=None)
@given(
    cron=st.sampled_from([*CRONS, None]),
    catch_up=st.sampled_from(["skip", "one", "all"]),
    timezone=st.sampled_from(["Europe/Berlin", "America/New_York", "UTC", "Australia/Lord_Howe"]),
    looks=st.lists(st.one_of(st.integers(-3_600_000, 3 * 3_600_000), st.integers(0, 90_000)), min_size=1, max_size=15),
)
def test_firing_is_what_the_list_of_all_due_times_says(
    cron: str | None, catch_up: CatchUp, timezone: str, looks: list[int]
) -> None:
    recurrence = (
        Recurrence(every=7_000, start=START) if cron is None else Recurrence(cron=cron, timezone=timezone, start=START)
    )
    now, next_at, fired = START, recurrence.after(START), list[int]()
    everything: list[int] = []
    time = START
    for look in looks:
        now += look
        while (following := recurrence.after(time)) is not None and following <= now:
            everything.append(time := following)
        assert next_at is not None
        missed = [due for due in everything if next_at <= due <= now]
        due, next_at = recurrence.firings(next_at, now, catch_up)
        if catch_up == "all":
            assert due == missed[:100]
        elif catch_up == "one":
            assert due == missed[-1:]
        else:
            assert due == [each for each in missed[-1:] if now - each <= 60_000]
        fired += due
        assert next_at is not None
        assert next_at > now or (catch_up == "all" and len(missed) > 100) or not missed
    assert all(one < other for one, other in pairwise(fired))


def test_a_year_without_a_worker_is_caught_up_with_at_once() -> None:
    recurrence = Recurrence(cron="0 12 29 2 *", timezone="UTC", start=START)
    first = recurrence.after(START)
    assert first == at("2028-02-29T12:00+00:00")
    later = datetime(2041, 1, 1, tzinfo=UTC)
    assert recurrence.firings(first, round(later.timestamp() * 1000), "one").due == [at("2040-02-29T12:00+00:00")]
    minutely = Recurrence(cron="* * * * *", timezone="UTC", start=START)
    now = START + round(timedelta(days=3650).total_seconds() * 1000)
    assert minutely.firings(START + 60_000, now, "one") == ([now], now + 60_000)
