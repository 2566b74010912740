"""DateFormatTask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import TaskInputError
from workglow.library.dates import DateFormatTask, read_moment

MOMENT = "2023-11-14T22:13:20.000Z"


@pytest.mark.parametrize(
    ("inputs", "result"),
    [
        ({"value": "1700000000000"}, MOMENT),
        ({"value": 1700000000000}, MOMENT),
        ({"value": "2023-11-14T23:13:20+01:00"}, MOMENT),
        ({"value": "2023-11-14"}, "2023-11-14T00:00:00.000Z"),
        ({"value": MOMENT, "format": "unix"}, "1700000000000"),
        ({"value": MOMENT, "format": "date"}, "11/14/2023"),
        ({"value": MOMENT, "format": "time"}, "10:13:20 PM"),
        ({"value": MOMENT, "format": "datetime", "timeZone": "Asia/Tokyo"}, "11/15/2023, 7:13:20 AM"),
        ({"value": "2023-11-14T00:05:00Z", "format": "time"}, "12:05:00 AM"),
        ({"value": MOMENT, "format": "datetime", "locale": "iso"}, "2023-11-14 22:13:20"),
        ({"value": "-1"}, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_date_is_written(inputs: dict[str, Any], result: str, run: Any) -> None:
    assert run("DateFormatTask", inputs) == {"result": result}


@pytest.mark.parametrize("value", ["", "x", "2024-02-30", "9" * 30, float("nan"), float("inf"), "²"])
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(TaskInputError, match="Invalid date"):
        DateFormatTask().execute({"value": value, "format": "iso", "locale": "en-US", "timeZone": "UTC"})


def test_a_date_at_the_end_of_the_calendar_is_refused_in_words(run: Any) -> None:
    with pytest.raises(TaskInputError, match="Invalid date"):
        run("DateFormatTask", {"value": "9999-12-31T23:59:59Z", "format": "date", "timeZone": "Asia/Tokyo"})


@pytest.mark.parametrize("zone", ["Nowhere/City", "../../etc/passwd", "/etc/passwd", "Europe", "", "a\0b"])
def test_an_unknown_time_zone_is_refused(zone: str, run: Any) -> None:
    with pytest.raises(TaskInputError, match="time zone"):
        run("DateFormatTask", {"value": MOMENT, "format": "date", "timeZone": zone})


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_milliseconds_and_iso_mean_the_same_moment(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    task = DateFormatTask()
    common = {"locale": "en-US", "timeZone": "UTC"}
    unix = task.execute({"value": moment.isoformat(), "format": "unix", **common})["result"]
    assert read_moment(unix) == moment
    assert read_moment(task.execute({"value": unix, "format": "iso", **common})["result"]) == moment
