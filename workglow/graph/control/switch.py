"""SwitchTask: looks up one of its inputs and turns on the output port of the case that has this value.

The policy.  A value belongs to the first case that lists it; text never equals a number, and true never equals 1.  When
no case lists it, the default port is on, if there is one.  What depends only on ports that are off is disabled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from workglow.errors import TaskConfigurationError
from workglow.graph.control.conditional import ACTIVE_BRANCHES
from workglow.graph.property_path import value_at
from workglow.tasks import Port, Ports, Task

__all__ = ["SwitchTask"]

_Value = str | bool | int | float | None


class _SwitchConfig(BaseModel):
    model_config = ConfigDict(extra="forbid")

    field: str
    cases: dict[str, _Value | list[_Value]]
    default: str | None = None


class SwitchTask(Task):
    """Route by value: `SwitchTask(field="kind", cases={"invoices": "invoice", "letters": ["letter", "note"]})`.

    Each case is an output port and the value, or list of values, that turns it on; `default` names the port for all
    other values.  `field` is an input, or a path into one such as `order.kind`.  A port that is on gives all inputs as
    one object.
    """

    type: ClassVar[str] = "SwitchTask"
    switches_ports: ClassVar[bool] = True
    title: ClassVar[str] = "Switch"
    description: ClassVar[str] = "Decides by one value which of the tasks behind it run."
    category: ClassVar[str] = "Flow control"
    version = "1"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    cacheable: ClassVar[bool] = False
    inline: ClassVar[bool] = True
    Config: ClassVar[type[BaseModel] | None] = _SwitchConfig

    def check_definition(self) -> None:
        super().check_definition()
        seen: dict[object, str] = {}
        for port, value in self._pairs():
            earlier = seen.setdefault(_key(value), port)
            if earlier != port:
                raise TaskConfigurationError(f"{self.type}: the cases {earlier!r} and {port!r} both have {value!r}.")
        if not self.exclusive_ports:
            raise TaskConfigurationError(f"{self.type}: it has no cases; give cases={{port: value, …}}.")
        if ACTIVE_BRANCHES in self.exclusive_ports:
            raise TaskConfigurationError(f"{self.type}: {ACTIVE_BRANCHES!r} is the port that lists what is on.")
        self._ports = seen

    def _pairs(self) -> Iterable[tuple[str, _Value]]:
        cases: Mapping[str, _Value | list[_Value]] = self.config["cases"]
        for port, value in cases.items():
            for each in value if isinstance(value, list) else [value]:
                yield port, each

    @property
    def inputs(self) -> Ports:
        """Whatever comes in is passed on."""
        return _INPUTS

    @property
    def outputs(self) -> Ports:
        """A port for each case and the default, and the list of the one that is on."""
        return Ports([Port(ACTIVE_BRANCHES, list[str]), *(Port(name, required=False) for name in self.exclusive_ports)])

    @property
    def exclusive_ports(self) -> tuple[str, ...]:
        """Ports of which at most one is on."""
        default: str | None = self.config["default"]
        return tuple(dict.fromkeys([*self.config["cases"], *([] if default is None else [default])]))

    @property
    def may_take_none(self) -> bool:
        """Whether a value can turn on nothing."""
        return self.config["default"] is None

    def is_optional(self, port: str) -> bool:
        """Say whether the port is on or off, whatever the others are: none is."""
        return False

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Give the inputs to the port of the case that lists the value."""
        value = value_at(inputs, self.config["field"])
        port = self._ports.get(_key(value), self.config["default"])
        return {ACTIVE_BRANCHES: []} if port is None else {ACTIVE_BRANCHES: [port], port: dict(inputs)}

    execute_preview = execute  # pyright: ignore[reportAssignmentType]

    def inactive_ports(
        self, inputs: Mapping[str, object], outputs: Mapping[str, object], ports: Iterable[str]
    ) -> frozenset[str]:
        """Return which of these output ports are off, given the inputs and outputs of one run."""
        return frozenset(name for name in ports if name in self.exclusive_ports and name not in outputs)


_INPUTS = Ports(open=True)


def _key(value: object) -> object:
    """What makes two values the same case; a value that is none of a case's types is no case."""
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, int | float):
        return float, value
    return (type(value), value) if isinstance(value, str) or value is None else None
