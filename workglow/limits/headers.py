"""What the headers of an answer say about a service's limits.

Understood are `Retry-After` (seconds, or a date) and its sister in milliseconds; `x-ratelimit-remaining-requests` and
`x-ratelimit-reset-requests` (OpenAI and those that answer like it, with resets as `1s`, `6m0s`, `20ms`);
`anthropic-ratelimit-requests-remaining` and `…-reset` (RFC 3339); `x-ratelimit-remaining` and `x-ratelimit-reset`
(seconds, or seconds since 1970); and the IETF's `RateLimit`, in the forms of its drafts.  What cannot be understood is
taken as not said: headers are somebody else's text.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypedDict

from workglow.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LONGEST", "Allowance", "hold_for", "rate_limited", "rate_limits", "retry_after"]

LONGEST: Final = 86_400.0
"""Seconds: no answer of a service holds a limiter up for longer than a day."""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_PREFIXED = re.compile(r"(?:x-ratelimit-(remaining|reset)-(.+)|anthropic-ratelimit-(.+)-(remaining|reset))")
_EPOCH: Final = 1_000_000_000  # larger figures are not seconds from now


class Allowance(TypedDict, total=False):
    """What is left of one limit, and in how many seconds it is full again."""

    remaining: float
    reset: float


def retry_after(headers: Mapping[str, str], now: int) -> float | None:
    """How many seconds a service asks to wait, at most LONGEST; None when it says nothing that can be understood.

    `now` is the time in milliseconds, to which dates are compared.
    """
    lower = _lower(headers)
    milliseconds = _number(lower.get("retry-after-ms"))
    if milliseconds is not None:
        return _clamped(milliseconds / 1000)
    text = lower.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    return _clamped(seconds if seconds is not None else _until(text, now))


def rate_limits(headers: Mapping[str, str], now: int) -> dict[str, Allowance]:
    """What is left of each limit that the headers speak of, by its name: 'requests', 'tokens', ….

    `now` is the time in milliseconds, to which times of day are compared.
    """
    found: dict[str, Allowance] = {}
    for name, text in _lower(headers).items():
        match = _PREFIXED.fullmatch(name)
        if match is not None:
            _add(found, match[2] or match[3], match[1] or match[4], text, now)
        elif name in ("ratelimit", "x-ratelimit"):
            _structured(found, text, now)
        elif name.removeprefix("x-") in ("ratelimit-remaining", "ratelimit-reset"):
            _add(found, "requests", name.rpartition("-")[2], text, now)
    return found


def rate_limited(headers: Mapping[str, str], now: int, message: str = "Too many requests.") -> RateLimitedError:
    """The error to raise for an answer 429 with these headers."""
    return RateLimitedError(message, retry_after=retry_after(headers, now), limits=rate_limits(headers, now))  # pyright: ignore[reportArgumentType]


def hold_for(error: RateLimitedError) -> float | None:
    """How many seconds nothing should start after this: as long as was asked for, and until what is used up is back.

    None when the service named no time.
    """
    resets = [limit["reset"] for limit in error.limits.values() if limit.get("remaining", 1) <= 0 and "reset" in limit]
    times = [*resets, *(() if error.retry_after is None else (error.retry_after,))]
    return max((known for time in times if (known := _clamped(time)) is not None), default=None)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {str(name).lower(): str(value).strip() for name, value in headers.items()}


def _structured(found: dict[str, Allowance], text: str, now: int) -> None:
    """`limit=10, remaining=0, reset=50`, or `"default";r=0;t=50` and several of these with commas between them."""
    if ";" not in text:
        for part in text.split(","):
            name, _, value = part.partition("=")
            if name.strip() in ("remaining", "reset"):
                _add(found, "requests", name.strip(), value.strip(), now)
        return
    for part in text.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key in ("r", "t"):
                _add(found, name.strip('"') or "requests", "remaining" if key == "r" else "reset", value, now)


def _add(found: dict[str, Allowance], name: str, what: str, text: str, now: int) -> None:
    value = _number(text)
    if what == "remaining":
        if value is not None:
            found.setdefault(name, {})["remaining"] = value
        return
    if value is None:
        value = _duration(text)
    elif value >= _EPOCH * 1000:
        value = (value - now) / 1000
    elif value >= _EPOCH:
        value -= now / 1000
    seconds = _clamped(_until(text, now) if value is None else value)
    if seconds is not None:
        found.setdefault(name, {})["reset"] = seconds


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _duration(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    days, hours, minutes, seconds, milliseconds = (float(group or 0) for group in match.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _until(text: str, now: int) -> float | None:
    """Seconds from now to a date as in mails, or of RFC 3339."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text)
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now / 1000
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _clamped(seconds: float | None) -> float | None:
    """Seconds between nothing and LONGEST."""
    return None if seconds is None or math.isnan(seconds) else min(max(0.0, seconds), LONGEST)
