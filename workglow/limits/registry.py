"""Which kinds of rules a file may name, and how rules become JSON and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from workglow.errors import TaskConfigurationError, UnknownLimiterError
from workglow.limits.rules import (
    CompositeLimiter,
    ConcurrencyLimiter,
    DelayLimiter,
    EvenlySpacedRateLimiter,
    RateLimiter,
    TokenLimiter,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.storage.limits import LimitRule

__all__ = ["LimiterRegistry", "limiter_registry"]

Kind = TypeVar("Kind", bound=type[Any])

_SHIPPED: tuple[type[LimitRule], ...] = (
    ConcurrencyLimiter,
    DelayLimiter,
    EvenlySpacedRateLimiter,
    RateLimiter,
    TokenLimiter,
)
_PARTS = ("kind", "holds", "earliest", "take", "settle")


class LimiterRegistry:
    """The kinds of rules that are known: those that ship, and those of your own that were registered."""

    def __init__(self) -> None:
        self._kinds: dict[str, type[Any]] = {kind.kind: kind for kind in _SHIPPED}

    def register(self, kind: Kind) -> Kind:
        """Let files name a kind of rule: a dataclass, or a msgspec.Struct, that is a LimitRule.

        Its fields are what is kept of it, as JSON.  Use it as a decorator.
        """
        missing = [part for part in _PARTS if not hasattr(kind, part)]
        if missing or not isinstance(kind.kind, str):
            raise TaskConfigurationError(
                f"{kind.__name__} is no rule of a limiter: it has no {', '.join(missing) or 'text as its kind'}."
            )
        known = self._kinds.get(kind.kind)
        if known is not None and (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
            raise TaskConfigurationError(f"There is a limiter of the kind {kind.kind!r} already: {known!r}.")
        self._kinds[kind.kind] = kind
        return kind

    def dump(self, rules: Iterable[LimitRule | CompositeLimiter]) -> str:
        """Return rules as JSON, composites as what they consist of."""
        return msgspec.json.encode([self._built_in(rule) for rule in _flat(rules)]).decode()

    def _built_in(self, rule: LimitRule) -> dict[str, Any]:
        if self._kinds.get(getattr(rule, "kind", "")) is not type(rule):
            raise TaskConfigurationError(
                f"{rule!r} is not a limiter of a registered kind; register it: @limiter_registry.register."
            )
        return {"kind": rule.kind, **msgspec.to_builtins(rule)}

    def load(self, text: str) -> tuple[LimitRule, ...]:
        """Return the rules that JSON stands for; UnknownLimiterError for a kind that is not registered."""
        return tuple(self._rule(dict(each)) for each in msgspec.json.decode(text, type=list[dict[str, Any]]))

    def _rule(self, fields: dict[str, Any]) -> LimitRule:
        name = str(fields.pop("kind", ""))
        kind = self._kinds.get(name)
        if kind is None:
            raise UnknownLimiterError(
                f"The file limits by a {name!r}, and no such kind is registered here, so nothing is started.  "
                "Import the module that defines it."
            )
        try:
            return msgspec.convert(fields, kind)
        except (msgspec.ValidationError, TaskConfigurationError) as error:
            raise UnknownLimiterError(f"The file has a {name} that this version cannot read: {error}") from error


def _flat(rules: Iterable[LimitRule | CompositeLimiter]) -> list[LimitRule]:
    found: list[LimitRule] = []
    for rule in rules:
        found += _flat(rule.rules) if isinstance(rule, CompositeLimiter) else [rule]
    return found


limiter_registry = LimiterRegistry()
"""The registry that projects use unless they are given another."""
