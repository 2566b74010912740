"""The limiters of one project file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import TaskConfigurationError, UnknownLimiterError
from workglow.limits.limiter import Limiter, Slot
from workglow.limits.line import Line
from workglow.limits.registry import LimiterRegistry, limiter_registry
from workglow.limits.rules import CompositeLimiter
from workglow.values import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workglow.file import File
    from workglow.storage.limits import LimiterRecord, LimiterRepository, LimitRule, Wait

__all__ = ["Limits"]


class Limits:
    """Named limiters, and those of queues."""

    def __init__(self, file: File, repository: LimiterRepository, registry: LimiterRegistry = limiter_registry) -> None:
        self._file = file
        self.repository = repository
        self.registry = registry
        self._lines: dict[int, Line] = {}

    def limiter(
        self,
        name: str,
        rule: LimitRule | CompositeLimiter | None = None,
        *,
        scope: Mapping[str, object] | None = None,
    ) -> Limiter:
        """Open a named limiter; with a rule it is made, or gets that rule.

        UnknownLimiterError when the file has none of that name and no rule is given.
        """
        if not name or len(name) > 200:
            raise TaskConfigurationError(f"{name!r:.60}: a limiter's name has 1 to 200 characters.")
        rules = None if rule is None else self.registry.dump([rule])
        found = self.repository.open(name, canonical(dict(scope or {})).decode(), rules)
        if found is None:
            raise UnknownLimiterError(
                f"{self._file.path} has no limiter {name!r}; make it: "
                f"project.limiter({name!r}, RateLimiter(60, per=60))."
            )
        return self._limiter(found, name)

    def holder(self, name: str) -> Limiter:
        """Open a named limiter with the rules it has; when there is none it is made without, only to be held up."""
        row_id = self.repository.open(name, "{}", "[]", keep=True)
        assert row_id is not None, "what is not there is made"
        return self._limiter(row_id, name)

    def _limiter(self, row_id: int, name: str) -> Limiter:
        return Limiter(self._file, self.repository, row_id, name, self._lines.setdefault(row_id, Line()))

    def slot(self, limiters: Sequence[Limiter], cost: int = 1) -> Slot:
        """Wait until all of these allow one more to start, and have a place in each until the end of the block.

        No start is remembered by one while another keeps it waiting; see `Limiter.slot`.  The order of asking is kept
        among those with the same last limiter, so the narrowest comes last: nobody waits for what only others need.
        """
        row_ids = tuple(dict.fromkeys(limiter.row_id for limiter in limiters))
        return Slot(self._file, self.repository, row_ids, cost, limiters[-1].line)

    def limit_queue(self, queue_id: int, limits: Iterable[LimitRule | CompositeLimiter | Limiter]) -> None:
        """Let a queue be limited by these, all at once, and by nothing else."""
        if not isinstance(limits, list | tuple):
            raise TaskConfigurationError(f"limits={limits!r:.80}: give a list of limiters, [] for none.")
        own: list[LimitRule | CompositeLimiter] = []
        shared: list[int] = []
        for each in limits:
            if isinstance(each, Limiter):
                shared.append(each.row_id)
            else:
                own.append(each)
        self.repository.limit_queue(queue_id, self.registry.dump(own), tuple(dict.fromkeys(shared)))

    def all(self) -> list[LimiterRecord]:
        """Every limiter of the file, as it is now."""
        return self.repository.all()

    def describe(self, wait: Wait) -> str:
        """Say which limit something waits for, for people; until when is in `wait.until`."""
        record = self.repository.get(wait.limiter_id)
        whose = f"limiter {record.name!r}" if record.queue is None else f"the limits of queue {record.queue!r}"
        if wait.rule is not None:
            return f"{whose}: {wait.rule}"
        return f"{whose}: on hold" + (f" ({record.hold_reason})" if record.hold_reason else "")
