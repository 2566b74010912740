"""Checks what a task is configured with, when it is configured."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from workglow.errors import TaskConfigurationError
from workglow.retry import Retry
from workglow.tasks.clone import clone
from workglow.tasks.entitlements import Entitlement
from workglow.tasks.fit import faults_of, is_json

__all__ = ["check_class", "check_config", "check_option", "check_ports", "config_names", "freeze"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_ON_INTERRUPT = ("retry", "ask", "fail")
_OPTIONS: dict[str, tuple[tuple[type, ...], str]] = {
    "id": ((str,), "a str"),
    "title": ((str,), "a str"),
    "description": ((str,), "a str"),
    "cache": ((bool,), "True or False"),
    "version": ((str,), "a str"),
    "cacheable": ((bool,), "True or False"),
    "inline": ((bool,), "True or False"),
    "side_effects": ((bool,), "True or False"),
    "retry": ((Retry,), "a Retry"),
    "queue": ((str,), "the name of a queue"),
    "extras": ((Mapping,), "a mapping"),
    "defaults": ((Mapping,), "a mapping of port names to values"),
}


def check_option(owner: type, name: str, value: object) -> None:
    """Raise TaskConfigurationError when an option that every task has is of the wrong type."""
    if name == "timeout":
        if type(value) not in (int, float) or not 0 <= value < float("inf"):  # type: ignore[operator]
            _refuse(owner, f"timeout has to be a number of seconds, with 0 for no limit, not {value!r}.")
        return
    types, wanted = _OPTIONS[name]
    if not isinstance(value, types):
        _refuse(owner, f"{name} has to be {wanted}, not {value!r}.")
    if name == "queue" and not owner.has_body:  # type: ignore[attr-defined]
        _refuse(
            owner,
            "it does its work in the process that drives the run; give queue= to the tasks around it, or inside it.",
        )


def check_class(owner: type) -> None:
    """Raise TaskConfigurationError when a class declares an option that no task can have."""
    declared = vars(owner)
    for name in ("timeout", "retry", "queue", "cacheable", "inline", "side_effects", "version", "title", "description"):
        value: object = declared.get(name)
        if value is not None and not hasattr(type(value), "__get__"):
            check_option(owner, name, value)
    _check_entitlements(owner, declared.get("entitlements", ()))
    policy = declared.get("on_interrupt", "retry")
    if policy not in _ON_INTERRUPT:
        _refuse(owner, f"on_interrupt is {policy!r}; give one of {', '.join(_ON_INTERRUPT)}.")


def _check_entitlements(owner: type, declared: Any) -> None:
    if isinstance(declared, str):
        _refuse(owner, f"entitlements has to be a tuple: ({declared!r},).")
    for one in declared:
        if isinstance(one, Entitlement):
            continue
        if not isinstance(one, str):
            _refuse(owner, f"entitlements holds {one!r}; give texts such as 'files:read', or Entitlement(…).")
        try:
            Entitlement.parse(one)
        except TaskConfigurationError as error:
            _refuse(owner, str(error))


def check_ports(owner: type, declared: Iterable[str | Entitlement], ports: Any) -> None:
    """Raise TaskConfigurationError for an entitlement whose resource is an input that the task does not have."""
    for one in declared:
        needed = one if isinstance(one, Entitlement) else Entitlement.parse(one)
        for name in needed.ports():
            if hasattr(ports, "open") and not ports.open and name not in ports:
                _refuse(owner, f"the entitlement {needed} speaks of the input {name!r}, which it does not have.")


def config_names(model: Any) -> dict[str, str]:
    """Return the keys that a Config model takes, each with the name of its field."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        names[name] = name
        if isinstance(field.alias, str):
            names[field.alias] = name
    return names


def check_config(
    owner: type, model: Any, config: Mapping[str, Any], earlier: Mapping[str, Any] = _EMPTY
) -> Mapping[str, Any]:
    """Return the whole configuration, defaults included, as its model understands it; it cannot be changed.

    `earlier` is a configuration that this one changes in part.
    """
    names = config_names(model) if model is not None else {}
    is_open = model is not None and model.model_config.get("extra") == "allow"
    for key in config:
        if key not in names and not is_open:
            near = difflib.get_close_matches(key, names, 1)
            known = f"the keys are {', '.join(names)}" if names else "it takes no configuration"
            hint = f" Did you mean {near[0]!r}?" if near else ""
            _refuse(owner, f"{key!r} is not known; {known}.{hint} Values for input ports go into `defaults`.")
    if model is None:
        return MappingProxyType({})
    named = {names.get(key, key): value for key, value in config.items()}
    made = _validated(owner, model, clone({**earlier, **named}))
    return MappingProxyType({**{name: getattr(made, name) for name in model.model_fields}, **(made.model_extra or {})})


def _validated(owner: type, model: Any, config: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(config, strict=True, by_alias=False, by_name=True)
    except ValidationError as error:
        refusal = error
    if is_json(config):  # as it comes out of a stored graph
        try:
            return model.model_validate_json(json.dumps(config), strict=True, by_alias=False, by_name=True)
        except ValidationError as error:
            refusal = error
    return _refuse(owner, f"{faults_of(refusal)}.")


def freeze(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a private copy of the values; arrays in it cannot be written to."""
    copied: dict[str, Any] = clone(dict(values))
    for value in copied.values():
        if hasattr(value, "setflags"):
            value.setflags(write=False)
    return copied


def _refuse(owner: type, reason: str) -> NoReturn:
    raise TaskConfigurationError(f"[{owner.__name__}] Configuration Error: {reason}")
