"""DateFormatTask: a moment as a text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from workglow.errors import TaskInputError
from workglow.tasks import Task

__all__ = ["DateFormatTask"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Input(BaseModel):
    value: str | int | float = Field(title="Value", description="An ISO 8601 date, or milliseconds since 1970.")
    format: Literal["iso", "date", "time", "datetime", "unix"] = Field(
        default="iso", title="Format", description="iso is in UTC; unix is milliseconds since 1970."
    )
    locale: Literal["en-US", "iso"] = Field(
        default="en-US", title="Locale", description="How dates and times are written: 11/23/2026, or 2026-11-23."
    )
    timeZone: str = Field(default="UTC", title="Time zone", description="Such as Europe/Oslo; iso and unix need none.")


class _Output(BaseModel):
    result: str = Field(title="Result")


class DateFormatTask(Task):
    """Write a date as a text.  One without a time zone is taken as UTC."""

    title: ClassVar[str] = "Date Format"
    category: ClassVar[str] = "Utility"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Read the date and write it."""
        moment = read_moment(inputs["value"])
        try:
            return {"result": _written(moment, inputs["format"], inputs["locale"], inputs["timeZone"])}
        except (OverflowError, ValueError):  # the zone moves it out of the years 1 to 9999
            raise _invalid(inputs["value"]) from None

    execute_preview = execute


def read_moment(value: str | float) -> datetime:
    """Read an ISO text, or milliseconds as a number or its digits; TaskInputError when it is neither."""
    try:
        if isinstance(value, str) and not value.strip().removeprefix("-").isdecimal():
            moment = datetime.fromisoformat(value.strip())
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return _EPOCH + timedelta(milliseconds=int(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        raise _invalid(value) from None


def _invalid(value: object) -> TaskInputError:
    return TaskInputError(f"Invalid date: {value!r:.60}.  Give an ISO 8601 date, or milliseconds since 1970.")


def _written(moment: datetime, form: str, locale: str, zone: str) -> str:
    if form == "iso":
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    if form == "unix":
        return str((moment - _EPOCH) // timedelta(milliseconds=1))
    local = moment.astimezone(_zone(zone))
    date, time = local.date().isoformat(), local.time().isoformat(timespec="seconds")
    if locale == "en-US":
        date = f"{local.month}/{local.day}/{local.year}"
        time = f"{local.hour % 12 or 12}:{local:%M:%S} {'AM' if local.hour < 12 else 'PM'}"
    both = f"{date}, {time}" if locale == "en-US" else f"{date} {time}"
    return {"date": date, "time": time, "datetime": both}[form]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name of a zone at all, or a folder of zones
        raise TaskInputError(
            f"The time zone {name!r:.60} is not known here.  Give one such as Europe/Oslo; on a system without time "
            "zones, pip install tzdata."
        ) from None
