"""Writes docs/cli.md from the commands themselves: `python tests/house/docs_reference.py > docs/cli.md`."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from workglow.cli.commands import COMMANDS

_HEAD = """\
# Command line

<!-- Made by tests/house/docs_reference.py; edit the commands instead. -->

`workglow COMMAND`, or `python -m workglow COMMAND`.  `workglow COMMAND --help` says the same as this page.

Exit codes: 0 done; 1 the work failed, or a file is not well; 2 the command was not understood; 3 the run waits for a
person, an event or a time; 130 interrupted, and the run can be resumed.  With `--json` a command prints one JSON
document on standard output and nothing else there; progress and errors go to standard error.

A graph names its tasks by their types.  The types that you wrote are known once the file that defines them is imported:
`--tasks FILE.py`, or `--tasks MODULE`.  Nothing that a graph or a project file names is ever imported.

| command | |
|---|---|
"""


class _Parameter(NamedTuple):
    """One argument or option, as the page shows it."""

    shown: str
    meaning: str
    default: str
    is_argument: bool
    is_required: bool


def reference() -> str:
    """Return the whole page."""
    rows = [f"| [`{name}`](#workglow-{name}) | {line} |\n" for name, (_, line) in COMMANDS.items()]
    return _HEAD + "".join(rows) + "".join(_section(name, callback) for name, callback in callbacks())


def callbacks() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield each command's name and function, in the order of `workglow --help`; those of a group follow the group."""
    for name, (module, _) in COMMANDS.items():
        app = import_module(f"workglow.cli.{module}").app
        group = next(
            (one.typer_instance for one in app.registered_groups if one.typer_instance.info.name == name), None
        )
        if group is None:
            yield name, dict(_callbacks(app))[name]
        else:
            yield name, group.registered_callback.callback
            yield from ((f"{name} {inner}", callback) for inner, callback in _callbacks(group))


def _callbacks(app: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    return ((one.name or one.callback.__name__, one.callback) for one in app.registered_commands)


def parameters(callback: Callable[..., Any]) -> list[_Parameter]:
    """Return a command's arguments, then its options."""
    hints = get_type_hints(callback, include_extras=True)
    found = [_parameter(one, hints[one.name]) for one in inspect.signature(callback).parameters.values()]
    return sorted(found, key=lambda parameter: not parameter.is_argument)


def _parameter(parameter: inspect.Parameter, hint: Any) -> _Parameter:
    kind, info = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, None)
    assert info is not None, f"{parameter.name} has neither Option nor Argument"
    choices = [choice for part in _parts(kind) for choice in _choices(part)]
    meaning = str(info.help or "").rstrip(".")
    required = parameter.default in (parameter.empty, ...)
    if isinstance(info, ArgumentInfo):
        shown = str(info.metavar or parameter.name.upper())
        shown = shown if required or shown.startswith("[") else f"[{shown}]"
        return _Parameter(shown, meaning, _default(parameter, info), True, required)
    names = _names(parameter.name, info, is_flag=bool in _parts(kind))
    value = info.metavar or "|".join(choices) or ("" if bool in _parts(kind) else parameter.name.upper())
    shown = ", ".join(names) + (f" {value}" if value else "")
    return _Parameter(shown, meaning, _default(parameter, info), False, required)


def _names(name: str, info: Any, *, is_flag: bool) -> list[str]:
    # Inside Annotated there is no default, so typer keeps the first name in its place.
    given = [part for part in (info.default, *(info.param_decls or ())) if isinstance(part, str)]
    own = name.replace("_", "-")
    return given or ([f"--{own}", f"--no-{own}"] if is_flag else [f"--{own}"])


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _choices(part: Any) -> list[str]:
    if inspect.isclass(part) and issubclass(part, enum.Enum):
        return [str(member.value) for member in part]
    return [str(value) for value in get_args(part)] if get_origin(part) is Literal else []


def _default(parameter: inspect.Parameter, info: Any) -> str:
    if isinstance(info.show_default, str):
        return info.show_default
    value = parameter.default
    if info.show_default is False or value is None or value is parameter.empty or isinstance(value, bool):
        return ""
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def _section(name: str, callback: Callable[..., Any]) -> str:
    known = parameters(callback)
    usage = " ".join(["workglow", name, *(one.shown for one in known if one.is_argument), "[OPTIONS]"])
    lines = [f"\n## workglow {name}\n", f"    {usage}\n" if known else "", f"{inspect.getdoc(callback)}\n"]
    if known:
        lines.append("| argument or option | meaning | default |\n|---|---|---|")
    for one in known:
        lines.append(f"| `{_cell(one.shown)}` | {_cell(one.meaning)} | {_cell(one.default)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
