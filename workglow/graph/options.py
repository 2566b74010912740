"""How a run should go, apart from what it is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from workglow.errors import TaskConfigurationError
from workglow.graph.budget import Budget
from workglow.graph.naming import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RunOptions"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of one run; they are stored with it, so a resume goes on under the same ones.

    concurrency: tasks in flight at a time, no limit when None.
    timeout: seconds for the whole run; None or 0 is no limit.
    continue_on_error: a failure stops only what depends on it.
    cache: 'use' looks outputs up, 'refresh' only stores them, 'off' does neither.
    max_tasks: refuse a graph with more tasks.
    budget: what the run may take of models, a number being its cost; then such tasks wait until it is given more.
    queues: types of tasks of the graph, each with the queue whose workers do them; a task's own `queue` goes before.
    wait: what a process does when all that is left to do is waiting.  True stays until the run is finished; False
    leaves the run as `waiting`; a number stays so many seconds.  None stays for delays and for the workers of queues,
    and leaves when only persons and events are left.  A run in memory always stays.  It is not stored: `resume` is told
    anew.
    """

    concurrency: int | None = None
    timeout: float | None = None
    continue_on_error: bool = False
    cache: Literal["use", "refresh", "off"] = "use"
    max_tasks: int | None = None
    queues: Mapping[str, str] | None = None
    budget: Budget | float | None = None
    wait: bool | float | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_tasks"):
            value = getattr(self, name)
            if value is not None and not (type(value) is int and value >= 1):
                raise TaskConfigurationError(f"{name} is {value!r}; give at least 1, or None for no limit.")
        if self.timeout is not None and not _is_seconds(self.timeout):
            raise TaskConfigurationError(
                f"timeout is {self.timeout!r}; give a number of seconds, or None or 0 for no limit."
            )
        if self.cache not in ("use", "refresh", "off"):
            hint = "" if isinstance(cast("object", self.cache), str) else "  A repository is given as output_cache."
            raise TaskConfigurationError(f"cache is {self.cache!r}; give 'use', 'refresh' or 'off'.{hint}")
        if isinstance(self.budget, int | float):
            object.__setattr__(self, "budget", Budget(cost=self.budget))
        names = cast("Mapping[object, object]", self.queues or {})
        if not all(isinstance(each, str) for pair in names.items() for each in pair):
            raise TaskConfigurationError(f"queues is {self.queues!r}; give types of tasks with names of queues.")
        if self.wait is not None and self.wait not in (True, False) and not _is_seconds(self.wait):
            raise TaskConfigurationError(f"wait is {self.wait!r}; give True, False, a number of seconds, or None.")

    @classmethod
    def of(cls, settings: Mapping[str, Any], base: RunOptions | None = None) -> RunOptions:
        """Return the options with settings that a caller gave by name; TypeError for a name that is none of them."""
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise TypeError(
                    f"{name!r} is no option of a run.{did_you_mean(name, known)}  The graph's inputs are one mapping, "
                    "and come first."
                )
        return replace(base or _DEFAULTS, **settings)

    @property
    def limit(self) -> Budget | None:
        """The budget as such."""
        return self.budget if isinstance(self.budget, Budget) else None

    def check_size(self, tasks: int) -> None:
        """Refuse a graph that has more tasks than `max_tasks`."""
        if self.max_tasks is not None and tasks > self.max_tasks:
            raise TaskConfigurationError(
                f"Graph has {tasks} tasks, exceeding the limit of {self.max_tasks}.  Raise max_tasks."
            )

    def to_json(self) -> dict[str, object]:
        """Only what differs from the defaults, and belongs to the run rather than to a process."""
        differs = {name: value for name, value in asdict(self).items() if value != getattr(_DEFAULTS, name)}
        differs.pop("wait", None)
        if self.limit is not None:
            differs["budget"] = self.limit.to_json()
        return differs

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> RunOptions:
        """Read options back; names that this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        given = cast("dict[str, Any]", {name: value for name, value in stored.items() if name in known})
        if given.get("budget") is not None:
            given["budget"] = Budget.from_json(given["budget"])
        return cls(**given)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < float("inf")


_DEFAULTS = RunOptions()
