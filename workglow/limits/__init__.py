"""Limiters, kept in the project file and binding every process: so many at once, in a window, one after the other."""

from __future__ import annotations

from workglow.limits.headers import rate_limited, rate_limits, retry_after
from workglow.limits.limiter import Limiter, Slot
from workglow.limits.limits import Limits
from workglow.limits.registry import LimiterRegistry, limiter_registry
from workglow.limits.rules import (
    CompositeLimiter,
    ConcurrencyLimiter,
    DelayLimiter,
    EvenlySpacedRateLimiter,
    RateLimiter,
    TokenLimiter,
)
from workglow.storage.limits import LimitRule

__all__ = [
    "CompositeLimiter",
    "ConcurrencyLimiter",
    "DelayLimiter",
    "EvenlySpacedRateLimiter",
    "LimitRule",
    "Limiter",
    "LimiterRegistry",
    "Limits",
    "RateLimiter",
    "Slot",
    "TokenLimiter",
    "limiter_registry",
    "rate_limited",
    "rate_limits",
    "retry_after",
]
