"""Python expressions as text, laid out the way that formatters do it: on one line, or one part a line with a comma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "INDENT",
    "LINE_LENGTH",
    "Atom",
    "Brackets",
    "Expression",
    "Name",
    "call",
    "chain",
    "fits",
    "flat",
    "laid_out",
    "quoted",
]

LINE_LENGTH = 88
INDENT = "    "


@dataclass(frozen=True, slots=True)
class Atom:
    """Text that is never broken."""

    text: str


@dataclass(frozen=True, slots=True)
class Brackets:
    """A call, list, tuple, dict or set: what stands before, its parts, each with a prefix such as `id=`, and after."""

    before: str
    parts: Sequence[tuple[str, Expression]]
    after: str


@dataclass(slots=True)
class Name:
    """A variable that gets its name when the program is laid out."""

    text: str = ""


Expression = Atom | Brackets | Name


def call(name: str, arguments: Sequence[Expression] = (), keywords: Sequence[tuple[str, Expression]] = ()) -> Brackets:
    """Return the call of a function."""
    parts = [("", argument) for argument in arguments] + [(f"{name}=", value) for name, value in keywords]
    return Brackets(f"{name}(", parts, ")")


def flat(expression: Expression) -> str:
    """Return the expression on one line."""
    if not isinstance(expression, Brackets):
        return expression.text
    inside = ", ".join(prefix + flat(part) for prefix, part in expression.parts)
    single_tuple = expression.before == "(" and len(expression.parts) == 1
    return f"{expression.before}{inside}{',' if single_tuple else ''}{expression.after}"


def fits(text: str, room: int) -> bool:
    """Say whether the text is one line that is short enough."""
    return len(text) <= room and "\n" not in text


def laid_out(expression: Expression, indent: str, *, before: int, after: int = 0) -> str:
    """Return the expression for a line that is indented so, with room for what stands before and after it."""
    text = flat(expression)
    if not isinstance(expression, Brackets) or not expression.parts:
        return text
    if fits(text, LINE_LENGTH - len(indent) - before - after):
        return text
    deeper = indent + INDENT
    lines = [
        f"{deeper}{prefix}{laid_out(part, deeper, before=len(prefix), after=1)},\n" for prefix, part in expression.parts
    ]
    return f"{expression.before}\n{''.join(lines)}{indent}{expression.after}"


def chain(start: str, calls: Sequence[Brackets], indent: str, *, assigned_to: str = "") -> str:
    """Return a statement that calls methods one after the other, such as `x = start.one().two()`."""
    left = f"{assigned_to} = " if assigned_to else ""
    line = indent + left + start + "".join(f".{flat(one)}" for one in calls)
    if fits(line, LINE_LENGTH):
        return line
    if len(calls) < 2 or not assigned_to:
        *most, last = calls
        begun = left + start + "".join(f".{flat(one)}" for one in most) + "."
        return f"{indent}{begun}{laid_out(last, indent, before=len(begun))}"
    deeper = indent + INDENT
    inside = deeper + line.removeprefix(indent + left)
    if fits(inside, LINE_LENGTH):
        return f"{indent}{left}(\n{inside}\n{indent})"
    lines = [f"{deeper}.{laid_out(one, deeper, before=1)}\n" for one in calls]
    return f"{indent}{left}(\n{deeper}{start}\n{''.join(lines)}{indent})"


def quoted(text: str) -> str:
    """Return the literal of a text, in double quotes unless that needs more escapes."""
    literal = repr(text)
    if literal[0] == '"' or ('"' in text and "'" not in text):
        return literal
    inside = literal[1:-1].replace('"', '\\"') if '"' in text else literal[1:-1]
    inside = inside.replace("\\'", "'")
    if inside.count('\\"') > text.count("'"):
        return literal
    return f'"{inside}"'
