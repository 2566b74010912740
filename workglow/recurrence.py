"""When something is due again: by a cron expression in a time zone, or every so often.

Policy.  A due time is a moment, in milliseconds, and the due times of a recurrence are the same ones from wherever they
are counted.  Where clocks are changed, cron expressions follow Debian's cron: one that names hours and minutes is due
once for each of them, at the end of the gap when its time is left out, and at the first of two when it comes twice; one
with a star for its minutes or hours goes by the time that really passes.

`catch_up` says what becomes of the due times that nobody was there for:

    skip  nothing; only one that is at most a minute late is still made up for
    one   one firing stands for all of them, at the last of their times
    all   each gets its own firing, oldest first, `_AT_ONCE` of them at a time

A clock that is set back fires nothing twice: the next due time is kept, and waits until the clock has come to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from workglow.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

__all__ = ["CatchUp", "Firings", "Recurrence"]

CatchUp = Literal["skip", "one", "all"]

_GRACE: Final = 60_000  # milliseconds
_AT_ONCE: Final = 100
_LOOK_BACK: Final = (120, 3_600, 86_400, 40 * 86_400, 400 * 86_400)  # seconds


class Firings(NamedTuple):
    """The due times that are to be fired now, and the next one after those that are dealt with."""

    due: list[int]
    next_at: int | None


class Recurrence:
    """Due times: those of a `cron` expression, or every so many milliseconds from `start` on."""

    __slots__ = ("cron", "every", "start", "timezone")

    def __init__(self, *, cron: str | None = None, timezone: str | None = None, every: int | None = None, start: int):
        """Give `cron` and `timezone`, or `every`; ScheduleError for what can never be due."""
        if (cron is None) == (every is None):
            raise ScheduleError("Say when it is due: either cron='0 3 * * *', or every=3600 (seconds).")
        if every is not None and every <= 0:
            raise ScheduleError(f"every={every / 1000:g}: give more than 0 seconds.")
        self.cron = cron
        self.timezone = timezone
        self.every = every
        self.start = start
        if self.after(start) is None:
            raise ScheduleError(f"cron={cron!r} is never due: no such day comes.")

    def after(self, time: int) -> int | None:
        """The first due time after `time`; None when there is none any more."""
        if self.every is not None:
            return self.start + max(1, (time - self.start) // self.every + 1) * self.every
        return next(self._cron_after(time), None)

    def _cron_after(self, time: int) -> Iterator[int]:
        from datetime import UTC, datetime

        from cronsim import CronSim, CronSimError

        zone = _zone(self.timezone or "UTC")
        try:
            if len((self.cron or "").split()) != 5:  # a sixth would be seconds, for which `every` is there
                raise CronSimError("Wrong number of fields")
            moments: Any = CronSim(self.cron or "", datetime.fromtimestamp(time // 1000, UTC).astimezone(zone))
        except CronSimError as error:
            wrong = str(error).rstrip(".")
            raise ScheduleError(
                f"cron={self.cron!r}: {wrong}.  Write minute, hour, day of month, month, day of week: '0 3 * * MON'."
            ) from None
        for moment in moments:
            due = round(moment.timestamp() * 1000)
            if due > time:  # the second pass of an hour that comes twice begins with times of the first
                yield due

    def _last(self, first: int, now: int) -> int:
        """The last due time up to `now`; `first` is one."""
        if self.every is not None:
            return first + (now - first) // self.every * self.every
        for seconds in _LOOK_BACK:
            since = now - seconds * 1000
            if since < first:
                break
            if (found := self._last_since(since, now)) is not None:
                return found
        found = self._last_since(first, now)
        return first if found is None else found

    def _last_since(self, since: int, now: int) -> int | None:
        last: int | None = None
        for due in self._cron_after(since):
            if due > now:
                break
            last = due
        return last

    def firings(self, next_at: int, now: int, catch_up: CatchUp) -> Firings:
        """What is to be fired at `now`, when `next_at` is the first due time that was not dealt with."""
        if next_at > now:
            return Firings([], next_at)
        if catch_up != "all":
            last = self._last(next_at, now)
            fires = catch_up == "one" or now - last <= _GRACE
            return Firings([last] if fires else [], self.after(last))
        due = [next_at]
        while (following := self.after(due[-1])) is not None and following <= now and len(due) < _AT_ONCE:
            due.append(following)
        return Firings(due, following)


def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(
            f"timezone={name!r} is none that this machine knows.  Give a name like 'Europe/Berlin'; where a system "
            "has no time zones at all, `pip install tzdata` brings them."
        ) from None
