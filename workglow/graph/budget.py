"""What a run may take of models, and what happens when it has.

Policy.  Amounts are known when a call is over, so a budget is not a wall: calls that are under way finish, and what
they take is counted.  Once the budget is used up, no further task that a model does begins.  In a project such tasks
wait, and the run with them, until somebody gives it more; a run in memory fails.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import BudgetError, TaskConfigurationError
from workglow.graph.waiting.wait import BUDGET_EVENT, Wait
from workglow.tasks.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.graph.schedule import TaskRun
    from workglow.graph.waiting.waits import Waits

__all__ = ["Budget", "Spending"]

_WORDS: Final = {"cost": "cost", "tokens": "tokens, read and written", "model_seconds": "seconds of models"}


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may take of models; None is no limit.

    `cost` is in the currency of the models' prices, `tokens` are those read and written.
    """

    cost: float | None = None
    tokens: int | None = None
    model_seconds: float | None = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, amount in given.items():
            if amount is not None and (isinstance(amount, bool) or not amount >= 0):
                raise TaskConfigurationError(f"Budget: {name} is {amount!r}; give a number from 0 on, or None.")
        if all(amount is None for amount in given.values()):
            raise TaskConfigurationError("A budget needs a cost, a number of tokens, or a number of seconds.")

    def used_up(self, spent: Usage) -> str:
        """Say which amount is used up, for people; "" when something is left of each."""
        amounts = {
            "cost": spent.cost,
            "tokens": spent.input_tokens + spent.output_tokens,
            "model_seconds": spent.model_seconds,
        }
        for name, amount in amounts.items():
            most = getattr(self, name)
            if most is not None and amount >= most:
                return f"{amount:g} of {most:g} {_WORDS[name]}"
        return ""

    def to_json(self) -> dict[str, float]:
        """Only the amounts that are limited."""
        return {name: amount for name, amount in asdict(self).items() if amount is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Budget:
        """Read a budget back."""
        return cls(**{field.name: stored.get(field.name) for field in fields(cls)})


class Spending:
    """What a run has taken so far, in this process and before.  `reread` gives the budget that the file has now."""

    def __init__(
        self, budget: Budget, spent: Usage | None = None, reread: Callable[[], Budget | None] | None = None
    ) -> None:
        self._budget: Budget | None = budget
        self._spent = spent or Usage()
        self._reread = reread

    def add(self, usage: Usage) -> None:
        """Count what a call took."""
        self._spent += usage

    def holds(self, run: TaskRun, waits: Waits) -> bool:
        """Let a task run wait when nothing is left of the budget; BudgetError where it cannot."""
        if not self._used_up():
            return False
        if self._reread is None:
            raise BudgetError(
                f"The budget of the run is used up, so task '{run.path}' did not begin: {self._used_up()}.  "
                "Give the run a larger one."
            )
        self._budget = self._reread()
        if not self._used_up():
            return False
        waits.wait_for(run, Wait(event=BUDGET_EVENT))
        return True

    def _used_up(self) -> str:
        return "" if self._budget is None else self._budget.used_up(self._spent)
