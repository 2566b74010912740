"""ConditionalTask: looks at its inputs and decides which of its output ports are on.

The policy.  The conditions are asked in order.  An exclusive task takes the first branch whose condition holds, another
one takes all of them; when none holds, it takes the default branch, if that is one of its branches.  A condition that
raises does not hold.  What depends only on ports that are off is disabled.

Branches come in two forms.  `branches` give each branch a port of its own, on which an active branch gives all inputs
as one object.  `condition_config`, the form that editors write, copies each input `x` to a port `x_1`, `x_2`, … named
after the position of the active branch, and to `x_else` when there is none.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NotRequired, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, with_config
from typing_extensions import TypedDict

from workglow.errors import TaskConfigurationError, TaskInputError
from workglow.graph.control.conditions import Condition, Operator, holds
from workglow.tasks import Port, Ports, Task

__all__ = ["ACTIVE_BRANCHES", "Branch", "ConditionalTask"]

ACTIVE_BRANCHES = "_activeBranches"
"""The output port that lists the ids of the active branches; it is always on."""

_CLOSED = ConfigDict(extra="forbid", populate_by_name=True)
_ELSE = "else"
_CONDITION_CONFIG = "conditionConfig"
_NUMBERED = re.compile(r".+_(?P<branch>[1-9]\d*|else)", re.DOTALL)


@with_config(_CLOSED)
class Branch(TypedDict):
    """A way out: it is taken when `condition` holds, which is a function of the inputs or a Condition.

    Without a condition it is taken only as the default.  Its output port has the name of its id unless one is given.
    """

    id: str
    condition: NotRequired[Callable[[dict[str, Any]], object] | Condition | None]
    outputPort: NotRequired[str]


@with_config(_CLOSED)
class _ConditionBranch(TypedDict):
    id: str
    field: str
    operator: Operator
    value: NotRequired[str | float | bool]


@with_config(_CLOSED)
class _ConditionConfig(TypedDict):
    branches: list[_ConditionBranch]
    exclusive: NotRequired[bool]
    defaultBranch: NotRequired[str | None]


class _Config(BaseModel):
    model_config = _CLOSED

    branches: list[Branch] = []
    exclusive: bool = True
    default_branch: str | None = Field(default=None, alias="defaultBranch")
    pass_unchanged: bool = Field(default=False, alias="passUnchanged")
    condition_config: _ConditionConfig | None = Field(default=None, alias=_CONDITION_CONFIG)


class ConditionalTask(Task):
    """Route values: `branches=[{"id": "high", "condition": lambda inputs: inputs["value"] > 5}, …]`.

    Each branch is a dict with `id`, `condition` and, if the port is to have another name, `outputPort`.  A condition
    is a function of the inputs, or data such as `{"field": "value", "operator": "greater_than", "value": 5}`; only a
    task whose conditions are data can be stored.  `exclusive=False` takes every branch whose condition holds;
    `default_branch` names the one to take when none does.  With `pass_unchanged`, where the graph ends in the branches,
    its result has under each name what the branch taken gives, or else what came in; it is what `if_` builds.

    `condition_config` is the form of stored graphs: `{"branches": [{"id", "field", "operator", "value"}], "exclusive",
    "defaultBranch"}`.  It may also come in as the input `conditionConfig`.
    """

    type: ClassVar[str] = "ConditionalTask"
    switches_ports: ClassVar[bool] = True
    title: ClassVar[str] = "Condition"
    description: ClassVar[str] = "Decides which of the tasks behind it run."
    category: ClassVar[str] = "Flow control"
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    cacheable: ClassVar[bool] = False
    inline: ClassVar[bool] = True
    Config: ClassVar[type[BaseModel] | None] = _Config

    def check_definition(self) -> None:
        super().check_definition()
        ids = [branch["id"] for branch in self._branches]
        twice = next((id for id in ids if ids.count(id) > 1), None)
        if twice is not None:
            raise TaskConfigurationError(f"{self.type}: two branches have the id {twice!r}; give each its own.")
        for branch in self._branches:
            if inspect.iscoroutinefunction(branch.get("condition")):
                raise TaskConfigurationError(
                    f"{self.type}: the condition of branch {branch['id']!r} is async; let a task before this one "
                    "find out, and look at its output here."
                )

    @property
    def _branches(self) -> Sequence[Branch]:
        return self.config["branches"]

    @property
    def inputs(self) -> Ports:
        """Whatever comes in is looked at and passed on."""
        return _INPUTS

    @property
    def outputs(self) -> Ports:
        """A port for each branch, and the list of those that are active."""
        kept: tuple[object, Ports] | None = self.__dict__.get("_outputs")
        if kept is None or kept[0] is not self.config:
            ports = dict.fromkeys(_port_of(branch) for branch in self._branches)
            made = Ports([_ACTIVE, *(Port(name, required=False) for name in ports)], open=not ports)
            kept = self.__dict__["_outputs"] = (self.config, made)
        return kept[1]

    @property
    def exclusive_ports(self) -> tuple[str, ...]:
        """Ports of which at most one is on; none can be named when ports are named after inputs."""
        return tuple(_port_of(branch) for branch in self._branches) if self.config["exclusive"] else ()

    @property
    def may_take_none(self) -> bool:
        """Whether it can happen that no branch is taken."""
        return all(branch["id"] != self.config["default_branch"] for branch in self._branches)

    @property
    def pass_unchanged(self) -> bool:
        """Whether what its branches do not give is what came in, where a graph ends with them."""
        return self.config["pass_unchanged"]

    @staticmethod
    def passed(outputs: Mapping[str, object]) -> Mapping[str, object]:
        """Return what came in, out of what the task gave: nothing when no branch was taken."""
        for port, value in outputs.items():
            if port != ACTIVE_BRANCHES:
                return cast("Mapping[str, object]", value)
        return {}

    def is_optional(self, port: str) -> bool:
        """Say whether the port is on or off, whatever the others are."""
        if self._branches:
            return not self.config["exclusive"] and port != ACTIVE_BRANCHES and port in self.outputs
        return _NUMBERED.fullmatch(port) is not None

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Ask the conditions, and give the inputs to the ports of the active branches."""
        if self._branches:
            active = self._active(self._branches, self.config["exclusive"], self.config["default_branch"], inputs)
            ports = {_port_of(branch): dict(inputs) for branch in self._branches if branch["id"] in active}
            return {ACTIVE_BRANCHES: active, **ports}
        config = self._condition_config(inputs)
        if config is None:
            return {ACTIVE_BRANCHES: []}
        passed = {name: value for name, value in inputs.items() if name != _CONDITION_CONFIG}
        branches = [Branch(id=row["id"], condition=cast("Condition", row)) for row in config["branches"]]
        active = self._active(branches, config.get("exclusive", True), config.get("defaultBranch"), passed)
        numbers = _numbers(config, active)
        copied = {f"{name}_{number}": value for number in numbers for name, value in passed.items()}
        return {ACTIVE_BRANCHES: active, **copied}

    execute_preview = execute  # pyright: ignore[reportAssignmentType]

    def inactive_ports(
        self, inputs: Mapping[str, object], outputs: Mapping[str, object], ports: Iterable[str]
    ) -> frozenset[str]:
        """Return which of these output ports are off, given the inputs and outputs of one run."""
        if self._branches:
            return frozenset(name for name in ports if name in self.outputs and name not in outputs)
        config = self._condition_config(inputs)
        numbers = _numbers(config, cast("list[str]", outputs[ACTIVE_BRANCHES])) if config else []
        return frozenset(
            name for name in ports if (match := _NUMBERED.fullmatch(name)) and match["branch"] not in numbers
        )

    def _condition_config(self, inputs: Mapping[str, object]) -> _ConditionConfig | None:
        given = inputs.get(_CONDITION_CONFIG)
        if given is None:
            return self.config["condition_config"]
        try:
            return _Config.model_validate({_CONDITION_CONFIG: given}).condition_config
        except ValidationError as error:
            raise TaskInputError(f"{self._who}: input {_CONDITION_CONFIG!r} is no condition config: {error}") from None

    def _active(
        self, branches: Sequence[Branch], exclusive: bool, default: str | None, inputs: dict[str, Any]
    ) -> list[str]:
        active: list[str] = []
        for branch in branches:
            if self._holds(branch, inputs):
                active.append(branch["id"])
                if exclusive:
                    break
        if not active and any(branch["id"] == default for branch in branches):
            active.append(cast(str, default))
        return active

    def _holds(self, branch: Branch, inputs: dict[str, Any]) -> bool:
        condition = branch.get("condition")
        if condition is None:
            return False
        try:
            return bool(condition(inputs)) if callable(condition) else holds(condition, inputs)
        except Exception:
            logging.getLogger("workglow").warning(
                "%s: the condition of branch %r raised, so it does not hold.", self._who, branch["id"], exc_info=True
            )
            return False


_INPUTS = Ports(open=True)
_ACTIVE = Port(ACTIVE_BRANCHES, list[str])


def _numbers(config: _ConditionConfig, active: list[str]) -> list[str]:
    """How the ports of the active branches end."""
    rows = enumerate(config["branches"], 1)
    return [str(number) for number, row in rows if row["id"] in active] or [_ELSE]


def _port_of(branch: Branch) -> str:
    return branch.get("outputPort") or branch["id"]
