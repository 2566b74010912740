"""A program that builds a graph: what it consists of, and its text.

A run of calls becomes one chain when it is the first or fits a line, else a statement for each call.  What has a graph
inside becomes a `with` block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from workglow.graph.code.expressions import INDENT, LINE_LENGTH, Atom, Brackets, Name, call, chain, laid_out

if TYPE_CHECKING:
    from workglow.graph.code.value_code import Imports

__all__ = ["Add", "Body", "Fork", "Item", "Nest", "Prepare", "Program"]


@dataclass(slots=True)
class Add:
    """Calls of the builder that add a task, one after the other."""

    calls: list[Brackets]


@dataclass(slots=True)
class Body:
    """What builds a graph: items for a builder, or statements for a graph when no builder makes it; then its names.

    `{}` in the statements and names stands for the variable.
    """

    items: list[Item] = field(default_factory=list["Item"])
    raw: list[Brackets] | None = None
    merge: str | None = None
    names: list[Brackets] = field(default_factory=list[Brackets])
    prepared: list[Prepare] = field(default_factory=list["Prepare"])


@dataclass(slots=True)
class Nest:
    """A task with a graph inside, and calls before and after it."""

    opening: Brackets
    body: Body
    before: list[Brackets]
    after: list[Brackets]


@dataclass(slots=True)
class Fork:
    """A condition and its arms."""

    opening: Brackets
    then: list[Item]
    otherwise: list[Item]
    before: list[Brackets]


@dataclass(slots=True)
class Prepare:
    """A graph that is built first, under a name that the calls behind it use."""

    variable: Name
    body: Body
    calls: list[Brackets]


Item: TypeAlias = Add | Nest | Fork | Prepare


class Program:
    """Lays items out as text."""

    def __init__(self, imports: Imports, variable: str) -> None:
        self._imports = imports
        self._variable = variable
        self._aliases: dict[tuple[str, int], str] = {}

    def text(self, body: Body) -> str:
        """Return the whole program."""
        workflow = self._imports.name("workglow", "Workflow")
        program = "\n".join(self._built(body, self._variable, workflow))
        return "\n".join([*self._imports.lines(program), "", program]) + "\n"

    def _built(self, body: Body, variable: str, workflow: str, indent: str = "", depth: int = 0) -> Iterator[str]:
        if body.raw is None:
            yield from self._items(body.items, variable, indent, depth, assigned=f"{workflow}()")
            yield from self._finished(body, variable, indent)
            return
        graph = self._imports.reserve("graph") if variable == self._variable else variable
        yield from self._raw(body, graph, workflow, indent, depth)
        if graph != variable:
            yield f"{indent}{variable} = {workflow}()"
            yield f"{indent}{variable}.graph = {graph}"

    def _raw(self, body: Body, variable: str, workflow: str, indent: str, depth: int) -> Iterator[str]:
        for prepared in body.prepared:
            yield from self._prepared(prepared, workflow, indent, depth)
        merge = [] if body.merge is None else [("merge", Atom(f'"{body.merge}"'))]
        made = call(self._imports.name("workglow", "TaskGraph"), keywords=merge)
        yield f"{indent}{variable} = {laid_out(made, indent, before=len(variable) + 3)}"
        for one in [*(body.raw or ()), *body.names]:
            yield chain(variable, [one], indent)

    def _prepared(self, prepared: Prepare, workflow: str, indent: str, depth: int) -> Iterator[str]:
        prepared.variable.text = self._imports.reserve("inner")
        yield from self._built(prepared.body, prepared.variable.text, workflow, indent, depth)

    def _finished(self, body: Body, variable: str, indent: str) -> Iterator[str]:
        if body.merge is not None:
            yield f'{indent}{variable}.graph.merge = "{body.merge}"'
        for one in body.names:
            yield chain(f"{variable}.graph", [one], indent)

    def _items(
        self, items: Sequence[Item], variable: str, indent: str, depth: int, *, assigned: str = ""
    ) -> Iterator[str]:
        run: list[Brackets] = []
        for item in items:
            if isinstance(item, Prepare):
                if run:
                    yield from self._run(run, variable, indent, assigned)
                    assigned = ""
                workflow = self._imports.name("workglow", "Workflow")
                yield from self._prepared(item, workflow, indent, depth)
                run = list(item.calls)
                continue
            if isinstance(item, Add):
                run += item.calls
                continue
            unit = _one_chain(item) if isinstance(item, Fork) else None
            if unit is not None and assigned:
                run += unit
                continue
            before = [*run, *item.before]
            if before or assigned:
                yield from self._run(before, variable, indent, assigned)
            assigned, run = "", []
            if unit is not None and not item.before and _on_a_line(variable, unit, indent):
                yield chain(variable, unit, indent)
            elif isinstance(item, Fork):
                yield from self._fork(item, variable, indent, depth)
            else:
                yield from self._block(item, variable, indent, depth)
                run = list(item.after)
        if run or assigned:
            yield from self._run(run, variable, indent, assigned)

    def _run(self, calls: Sequence[Brackets], variable: str, indent: str, assigned: str) -> Iterator[str]:
        if assigned:
            yield chain(assigned, calls, indent, assigned_to=variable) if calls else f"{indent}{variable} = {assigned}"
        elif calls and _on_a_line(variable, calls, indent):
            yield chain(variable, calls, indent)
        else:
            for one in calls:
                yield chain(variable, [one], indent)

    def _block(self, item: Nest, variable: str, indent: str, depth: int) -> Iterator[str]:
        alias = self._alias("inner" if depth else "body", depth)
        yield self._with(item.opening, variable, alias, indent)
        yield from self._items(item.body.items, alias, indent + INDENT, depth + 1)
        yield from self._finished(item.body, alias, indent + INDENT)

    def _fork(self, item: Fork, variable: str, indent: str, depth: int) -> Iterator[str]:
        alias = self._alias("branch", depth)
        yield self._with(item.opening, variable, alias, indent)
        yield from self._items(item.then, alias, indent + INDENT, depth + 1)
        if item.otherwise:
            yield f"{indent}{INDENT}{alias}.else_()"
            yield from self._items(item.otherwise, alias, indent + INDENT, depth + 1)

    def _with(self, opening: Brackets, variable: str, alias: str, indent: str) -> str:
        head, tail = f"with {variable}.", f" as {alias}:"
        return f"{indent}{head}{laid_out(opening, indent, before=len(head), after=len(tail))}{tail}"

    def _alias(self, name: str, depth: int) -> str:
        known = self._aliases.get((name, depth))
        if known is None:
            known = self._aliases[name, depth] = self._imports.reserve(name)
        return known


def _one_chain(fork: Fork) -> list[Brackets] | None:
    """Return the calls of a condition without blocks in it."""
    arms: list[list[Brackets]] = []
    for items in (fork.then, fork.otherwise):
        calls: list[Brackets] = []
        for item in items:
            inner = item.calls if isinstance(item, Add) else _one_chain(item) if isinstance(item, Fork) else None
            if inner is None:
                return None
            calls += inner
        arms.append(calls)
    then, otherwise = arms
    if otherwise and otherwise[0].before == "then(":
        first = otherwise[0]
        otherwise = [Brackets("else_(", first.parts, ")"), *otherwise[1:]]
    elif otherwise:
        otherwise = [call("else_"), *otherwise]
    return [*fork.before, fork.opening, *then, *otherwise, call("end_if")]


def _on_a_line(variable: str, calls: Sequence[Brackets], indent: str) -> bool:
    line = chain(variable, calls, indent)
    return "\n" not in line and len(line) <= LINE_LENGTH
