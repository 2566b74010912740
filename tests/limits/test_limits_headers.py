"""What services say about their limits, in the ways that they say it."""

from __future__ import annotations

import pytest

from workglow.errors import RateLimitedError
from workglow.limits.headers import LONGEST, hold_for, rate_limited, rate_limits, retry_after

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("0.25", 0.25),
        (" 7 ", 7.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
        ("2026-01-01T00:00:12Z", 12.0),
        ("-3", 0.0),
        (str(10 * 365 * 86_400), LONGEST),
        ("Thu, 01 Jan 2036 00:00:00 GMT", LONGEST),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("Thu, 99 Foo 2026 00:00:00 GMT", None),
        ("\x00\ud800", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds


def test_the_header_in_milliseconds_is_the_finer_one() -> None:
    assert retry_after({"retry-after": "2", "Retry-After-MS": "1500"}, NOW) == 1.5
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("6m0s", 360.0), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("1d", 86_400.0), ("2m", 120.0)],
)
def test_resets_as_openai_writes_them(text: str, seconds: float) -> None:
    found = rate_limits({"X-RateLimit-Remaining-Requests": "0", "x-ratelimit-reset-requests": text}, NOW)
    assert found == {"requests": {"remaining": 0, "reset": seconds}}


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "120",
                "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:30Z",
                "anthropic-ratelimit-input-tokens-limit": "1000",
            },
            {"input-tokens": {"remaining": 120, "reset": 30}},
        ),
        ({"RateLimit-Remaining": "3", "RateLimit-Reset": "9"}, {"requests": {"remaining": 3, "reset": 9}}),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW // 1000 + 40)},
            {"requests": {"remaining": 0, "reset": 40}},
        ),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW + 40_000)},
            {"requests": {"remaining": 0, "reset": 40}},
        ),
        ({"RateLimit": "limit=10, remaining=0, reset=50"}, {"requests": {"remaining": 0, "reset": 50}}),
        (
            {"RateLimit": '"minute";r=0;t=50, "day";r=99;t=3600'},
            {"minute": {"remaining": 0, "reset": 50}, "day": {"remaining": 99, "reset": 3600}},
        ),
        ({"x-ratelimit-remaining-tokens": "many", "x-ratelimit-reset-tokens": "later"}, {}),
        ({"RateLimit": ";;=,,=;"}, {}),
        ({"ratelimit-policy": '"a";q=10;w=60', "content-type": "x"}, {}),
    ],
)
def test_what_is_left_and_when_it_is_back(headers: dict[str, str], limits: object) -> None:
    assert rate_limits(headers, NOW) == limits


def test_the_hold_is_as_long_as_was_asked_for_and_until_what_is_used_up_is_back() -> None:
    headers = {
        "retry-after": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "8s",
        "x-ratelimit-remaining-tokens": "5000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    error = rate_limited(headers, NOW, "slow down")
    assert (str(error), error.retry_after, error.after) == ("slow down", 2, 2)
    assert hold_for(error) == 8
    assert hold_for(RateLimitedError(retry_after=-5)) == 0
    assert hold_for(RateLimitedError(retry_after=1e12)) == LONGEST
    assert hold_for(RateLimitedError(retry_after=float("nan"))) is None
    assert hold_for(rate_limited({"retry-after": "?"}, NOW)) is None
