"""What the answer of a service that refuses means: an error for each status, by its code and never by its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from workglow.clock import SystemClock
from workglow.errors import (
    AuthenticationError,
    ContextTooLongError,
    ModelCallError,
    ModelUnavailableError,
    RateLimitedError,
)
from workglow.limits import rate_limited, retry_after

if TYPE_CHECKING:
    from workglow.values import Secret

__all__ = ["Failure", "from_code", "from_status", "without_secret"]

Failure = RateLimitedError | ModelUnavailableError | ModelCallError

_LONGEST: Final = 500
"""Characters of a service's own words that are passed on."""

_TOO_LONG: Final = frozenset(
    {"context_length_exceeded", "string_above_max_length", "exceed_context_size_error", "request_too_large"}
)
_EXHAUSTED: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_error",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
    }
)
_STATUS_OF: Final = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    "tokens": 429,
    "requests": 429,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "timeout_error": 504,
    "api_error": 500,
    "server_error": 500,
}
_LATER: Final = frozenset({408, 409, 425})
"""Answers of the 400s that another try may mend."""


def from_status(
    who: str,
    message: str,
    *,
    status: int,
    headers: Mapping[str, str] | None = None,
    codes: frozenset[str] = frozenset(),
) -> Failure:
    """Return the error for an answer; `codes` are whatever the service calls the error in fields of its own."""
    text = f"{who} answered {status}: {_shortened(message)}"
    given = headers or {}
    if codes & _EXHAUSTED:
        return ModelCallError(f"{text}  What the account may spend is spent.")
    if codes & _TOO_LONG or status == 413:
        return ContextTooLongError(text)
    if status == 429:
        return rate_limited(given, SystemClock.now(), text)
    if status in (401, 403):
        return AuthenticationError(f"{text}  Check the credential that the model's record names.")
    if status >= 500 or status in _LATER:
        return ModelUnavailableError(text, after=retry_after(given, SystemClock.now()))
    return ModelCallError(text)


def from_code(who: str, message: str, codes: frozenset[str]) -> Failure:
    """Return the error that a service tells of in the middle of an answer, which began as if all were well."""
    status = next((_STATUS_OF[code] for code in sorted(codes) if code in _STATUS_OF), None)
    if status is None:
        status = next((int(code) for code in codes if code.isdecimal() and 400 <= int(code) < 600), 500)
    return from_status(who, message, status=status, codes=codes)


def without_secret(text: str, secret: Secret | None) -> str:
    """Return a text in which a service does not repeat the credential."""
    return text.replace(secret.reveal(), "***") if secret is not None and secret.reveal() else text


def _shortened(message: str) -> str:
    plain = " ".join(message.split())
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"
