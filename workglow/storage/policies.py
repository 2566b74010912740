"""Which cached outputs are kept.  A policy is any object with one method: of these outputs, which stay?

The same question is asked twice.  Before an output is saved it is asked about that output alone: what would be removed
at once is not saved.  When a run ends, and by `prune`, it is asked about all of them, newest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, Protocol

from workglow.errors import TaskConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workglow.storage.outputs import CacheEntry

__all__ = ["AnyOf", "CachePolicy", "KeepLast", "MaxAge", "MaxSize", "OnlyModels", "OnlyTasks", "kept"]


class CachePolicy(Protocol):
    """Says which cached outputs are kept.  Any object with this method is one."""

    def keep(self, entries: Sequence[CacheEntry], now: int, /) -> Iterable[CacheEntry]:
        """Return those of the entries that stay.

        They come newest first; the time is in milliseconds, as in `entry.created_at`.
        """
        ...


def kept(policies: Iterable[CachePolicy], entries: Sequence[CacheEntry], now: int) -> Sequence[CacheEntry]:
    """Return the entries that all policies keep; each is asked about what those before it keep, newest first."""
    for policy in policies:
        staying = policy.keep(entries, now)
        if staying is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise TaskConfigurationError(f"{policy!r} kept None; its method keep has to return the entries that stay.")
        chosen = {entry.key for entry in staying}
        entries = [entry for entry in entries if entry.key in chosen]
    return entries


@dataclass(frozen=True, slots=True)
class KeepLast:
    """Keep the newest `count` outputs."""

    count: int

    def __post_init__(self) -> None:
        _check_amount("KeepLast", self.count, int)

    def keep(self, entries: Sequence[CacheEntry], now: int) -> Sequence[CacheEntry]:
        return entries[: self.count]


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Keep outputs for so many seconds."""

    seconds: float

    def __post_init__(self) -> None:
        _check_amount("MaxAge", self.seconds, int | float)

    def keep(self, entries: Sequence[CacheEntry], now: int) -> list[CacheEntry]:
        return [entry for entry in entries if now - entry.created_at <= self.seconds * 1000]


@dataclass(frozen=True, slots=True)
class MaxSize:
    """Keep the newest outputs that take at most so many bytes together; an output that is larger is never kept."""

    bytes: int

    def __post_init__(self) -> None:
        _check_amount("MaxSize", self.bytes, int | float)

    def keep(self, entries: Sequence[CacheEntry], now: int) -> list[CacheEntry]:
        staying: list[CacheEntry] = []
        left = self.bytes
        for entry in entries:
            if entry.size > self.bytes:
                continue
            left -= entry.size
            if left < 0:
                break
            staying.append(entry)
        return staying


class OnlyTasks:
    """Keep the outputs of these task types only: `OnlyTasks("TextEmbeddingTask", "summarise")`."""

    def __init__(self, *types: str) -> None:
        self._types = _names("OnlyTasks", types)

    def keep(self, entries: Sequence[CacheEntry], now: int) -> list[CacheEntry]:
        return [entry for entry in entries if entry.type in self._types]

    def __repr__(self) -> str:
        return f"OnlyTasks({', '.join(map(repr, sorted(self._types)))})"


class OnlyModels:
    """Keep the outputs of tasks that used these models only: `OnlyModels("local:wordllama")`.

    A task's model is its input or setting called `model`.
    """

    def __init__(self, *models: str) -> None:
        self._models = _names("OnlyModels", models)

    def keep(self, entries: Sequence[CacheEntry], now: int) -> list[CacheEntry]:
        return [entry for entry in entries if entry.model in self._models]

    def __repr__(self) -> str:
        return f"OnlyModels({', '.join(map(repr, sorted(self._models)))})"


class AnyOf:
    """Keep what at least one of the policies keeps: `AnyOf(OnlyTasks("embed"), MaxAge(3600))`."""

    def __init__(self, *policies: CachePolicy) -> None:
        for policy in policies:
            if not hasattr(policy, "keep"):
                raise TaskConfigurationError(f"AnyOf takes policies, such as KeepLast(100), not {policy!r:.80}.")
        self._policies = policies

    def keep(self, entries: Sequence[CacheEntry], now: int) -> list[CacheEntry]:
        staying = {entry.key for policy in self._policies for entry in policy.keep(entries, now)}
        return [entry for entry in entries if entry.key in staying]

    def __repr__(self) -> str:
        return f"AnyOf({', '.join(map(repr, self._policies))})"


def _names(policy: str, names: tuple[str, ...]) -> frozenset[str]:
    wrong = [name for name in names if not isinstance(name, str)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if wrong:
        raise TaskConfigurationError(f"{policy} takes names, not {wrong[0]!r}; give a task's type as text.")
    return frozenset(names)


def _check_amount(policy: str, amount: Any, kinds: type | UnionType) -> None:
    if isinstance(amount, bool) or not isinstance(amount, kinds) or not amount >= 0:
        wanted = "a whole number" if kinds is int else "a number"
        raise TaskConfigurationError(f"{policy}({amount!r:.80}) can keep nothing; give {wanted}, 0 or more.")
