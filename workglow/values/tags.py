"""The tags: how JSON carries what JSON has no word for.

A tag is an object with exactly one key, which starts with `$`.  An object of the user's that has such a key is itself
written as `$dict`, so nothing that a task returns can be mistaken for a tag.

| tag | holds | is read as |
|---|---|---|
| `{"$value": "<hash>"}` | SHA-256 in hex | the row of `value` with that hash, by its kind: `json`, `text`, `bytes`, `array <dtype> <shape>`, `image png` |
| `{"$float": "nan"}` | `nan`, `inf` or `-inf` | that float |
| `{"$int": "-0x1f…"}` | hexadecimal digits | an integer beyond 64 bits |
| `{"$bytes": "AAEC"}` | base64 | bytes |
| `{"$array": ["<f4", [3, 256], "AAAAAA=="]}` | dtype, shape, base64 of little-endian items in C order | a numpy array (read-only) |
| `{"$scalar": ["<f4", 0.5]}` | dtype, and a JSON number or boolean, text (`<U`), or base64 of the item | a numpy scalar |
| `{"$datetime": "2024-07-01T12:00:00+02:00[Europe/Berlin]"}` | ISO 8601, with RFC 9557's zone when it has one | datetime |
| `{"$date": "2024-07-01"}` | ISO 8601 | date |
| `{"$time": "12:00:00"}` | ISO 8601, zone as above | time |
| `{"$timedelta": [1, 3600, 0]}` | days, seconds, microseconds | timedelta |
| `{"$decimal": "1.50"}` | decimal digits | Decimal |
| `{"$uuid": "…"}` | the usual 36 characters | UUID |
| `{"$path": "notes/a.txt"}` | with `/` between the parts | pathlib.Path |
| `{"$tuple": [1, 2]}` | items | tuple |
| `{"$set": [1, 2]}` | members, sorted by their JSON | set |
| `{"$frozenset": [1, 2]}` | members, sorted by their JSON | frozenset |
| `{"$dict": [[1, "a"], ["$b", 2]]}` | pairs of key and value | dict with a key that is no text, or starts with `$` |
| `{"$enum": ["Color", "RED"]}` | registered name; name of the member, or number of a flag | enum member |
| `{"$object": ["Person", {"name": "Ann"}]}` | registered name, fields | dataclass, msgspec struct, pydantic model, named tuple |

Datetimes of other zone classes than `datetime.timezone` and `zoneinfo.ZoneInfo` keep their offset, not their class.
"""  # noqa: E501 - the table is copied into the description of the file format as it stands

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from workglow.values.refusal import Refusal, checked_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["READ", "WRITE", "from_base64", "items", "text", "to_base64"]

_HEXADECIMAL = re.compile(r"-?0x[0-9a-f]+")
_ZONED = re.compile(r"([^\[]+)\[([A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+)*)\]")  # no dots: a zone's name is also a file's


def to_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def from_base64(payload: object) -> bytes:
    return binascii.a2b_base64(text(payload), strict_mode=True)


def text(payload: object) -> str:
    """Return the payload if it is text; else a ValueError."""
    if type(payload) is not str:
        raise ValueError("text was expected")
    return payload


def items(payload: object, count: int | None = None) -> list[Any]:
    """Return the payload if it is a list, of `count` items if given; else a ValueError."""
    if type(payload) is not list or count not in (None, len(payload)):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError("a list was expected" if count is None else f"a list of {count} was expected")
    return payload  # pyright: ignore[reportUnknownVariableType] - a list from JSON holds anything


def _zone_key(value: datetime | time) -> str | None:
    """Return the name of the value's zone; None when its offset says everything."""
    if value.tzinfo is None or isinstance(value.tzinfo, timezone):
        return None
    from zoneinfo import ZoneInfo

    key = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    if key is None and value.utcoffset() is None:
        name = type(value.tzinfo).__qualname__
        raise Refusal(f"has a time zone that cannot be named ({name})", "use datetime.timezone or zoneinfo.ZoneInfo")
    return key


def _write_moment(value: datetime | time) -> str:
    key = _zone_key(value)
    return value.isoformat() if key is None else f"{value.isoformat()}[{key}]"


def _zone(key: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _read_datetime(payload: object) -> datetime:
    zoned = _ZONED.fullmatch(text(payload))
    if zoned is None:
        return datetime.fromisoformat(text(payload))
    moment, zone = datetime.fromisoformat(zoned[1]), _zone(zoned[2])
    for fold in (0, 1):
        local = moment.replace(tzinfo=zone, fold=fold)
        if local.utcoffset() == moment.utcoffset():
            return local
    # The zone's rules changed since it was written; the moment is what was meant.
    return moment.astimezone(zone)


def _read_time(payload: object) -> time:
    zoned = _ZONED.fullmatch(text(payload))
    if zoned is None:
        return time.fromisoformat(text(payload))
    return time.fromisoformat(zoned[1]).replace(tzinfo=_zone(zoned[2]))


def _read_integer(payload: object) -> int:
    if not _HEXADECIMAL.fullmatch(text(payload)):
        raise ValueError("hexadecimal digits were expected")
    return int(text(payload), 16)


def _read_timedelta(payload: object) -> timedelta:
    days, seconds, microseconds = items(payload, 3)
    if not type(days) is type(seconds) is type(microseconds) is int:
        raise ValueError("three whole numbers were expected")
    return timedelta(days, seconds, microseconds)


def _write_path(value: Path) -> str:
    path = value.as_posix()
    checked_text(path)
    return path


def _read_pairs(payload: object) -> dict[object, object]:
    pairs = [items(pair, 2) for pair in items(payload)]
    return {key: value for key, value in pairs}  # noqa: C416 - dict(pairs) loses the types


_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}

WRITE: dict[type, tuple[str, Callable[[Any], object]]] = {
    datetime: ("$datetime", _write_moment),
    date: ("$date", date.isoformat),
    time: ("$time", _write_moment),
    timedelta: ("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    UUID: ("$uuid", str),
    type(Path()): ("$path", _write_path),
}
"""The types that are written the same wherever they stand: their tag, and what it holds."""

READ: dict[str, Callable[[object], object]] = {
    "$float": lambda payload: _FLOATS[text(payload)],
    "$int": _read_integer,
    "$bytes": from_base64,
    "$datetime": _read_datetime,
    "$date": lambda payload: date.fromisoformat(text(payload)),
    "$time": _read_time,
    "$timedelta": _read_timedelta,
    "$decimal": lambda payload: Decimal(text(payload)),
    "$uuid": lambda payload: UUID(text(payload)),
    "$path": lambda payload: Path(text(payload)),
    "$tuple": lambda payload: tuple(items(payload)),
    "$set": lambda payload: set(items(payload)),
    "$frozenset": lambda payload: frozenset(items(payload)),
    "$dict": _read_pairs,
}
"""The tags that need nothing beside what they hold, which is restored already.  They raise anything on bad data."""
