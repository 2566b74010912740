"""The syntax of code that is loaded.

It is found in its file, checked against what really runs, and stripped of what has no effect.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

__all__ = ["bindings", "class_node", "function_node", "normalised", "plain_constants"]

Block = TypeVar("Block", bound=ast.AST)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class _Index:
    """What one source text defines, by qualified name and line; and what its top level binds."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.functions: dict[tuple[str, int], list[Definition]] = {}
        self.classes: dict[str, list[ast.ClassDef]] = {}
        self.codes: dict[tuple[str, int], CodeType] = {}
        self.tree = tree
        self._walk(tree, "")
        self._compiled(compile(source, "<source>", "exec", dont_inherit=True))

    def _walk(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            below = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                name = "<lambda>" if isinstance(child, ast.Lambda) else child.name
                self.functions.setdefault((prefix + name, _first_line(child)), []).append(child)
                below = f"{prefix}{name}.<locals>."
            elif isinstance(child, ast.ClassDef):
                self.classes.setdefault(prefix + child.name, []).append(child)
                below = f"{prefix}{child.name}."
            self._walk(child, below)

    def _compiled(self, code: CodeType) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self.codes[constant.co_qualname, constant.co_firstlineno] = constant
                self._compiled(constant)


def _first_line(node: Definition) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


@lru_cache(maxsize=64)
def _index(source: str) -> _Index | None:
    try:
        return _Index(source)
    except (SyntaxError, ValueError):
        return None


def _index_of(filename: str) -> _Index | None:
    linecache.checkcache(filename)
    lines = linecache.getlines(filename)
    return _index("".join(lines)) if lines else None


def function_node(function: FunctionType) -> Definition | None:
    """Return the function's syntax; None when its file is not there, or no longer says what is running."""
    code = function.__code__
    index = _index_of(code.co_filename)
    place = (code.co_qualname, code.co_firstlineno)
    if index is None or len(index.functions.get(place, ())) != 1:
        return None
    return index.functions[place][0] if _same(index.codes.get(place), code) else None


def class_node(kind: type) -> ast.ClassDef | None:
    """Return the class's syntax; None when its file is not there, or one of its methods says something else by now."""
    written = [
        value for value in vars(kind).values() if isinstance(value, FunctionType) and _is_written_in(kind, value)
    ]
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    index = _index_of(written[0].__code__.co_filename if written else file or "")
    if index is None or len(index.classes.get(kind.__qualname__, ())) != 1:
        return None
    unchanged = all(function_node(method) is not None for method in written)
    return index.classes[kind.__qualname__][0] if unchanged else None


def _is_written_in(kind: type, method: FunctionType) -> bool:
    """Whether the method stands in the class's own text: not inherited code, nor made by a decorator of the class."""
    code = method.__code__
    return code.co_qualname == f"{kind.__qualname__}.{method.__name__}" and code.co_filename != "<string>"


def _same(compiled: CodeType | None, running: CodeType) -> bool:
    return (
        compiled is not None
        and compiled.co_code == running.co_code
        and compiled.co_names == running.co_names
        and repr(plain_constants(compiled)) == repr(plain_constants(running))
    )


def plain_constants(code: CodeType) -> list[object]:
    """Return the constants of the code without its docstring, sets in order, and nested code as its own constants."""
    constants: list[object] = []
    for place, constant in enumerate(code.co_consts):
        if isinstance(constant, CodeType):
            constants.append((constant.co_code, constant.co_names, plain_constants(constant)))
        elif isinstance(constant, frozenset):
            constants.append(sorted(map(repr, cast("frozenset[object]", constant))))
        elif place > 0 or not isinstance(constant, str):
            constants.append(constant)
    return constants


def bindings(filename: str, name: str) -> list[ast.stmt] | None:
    """Return the statements at the top level of a file that give a name its value; None when there is no file."""
    index = _index_of(filename)
    return None if index is None else list(_binding(index.tree.body, name))


def _binding(statements: list[ast.stmt], name: str) -> Iterator[ast.stmt]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        blocks = [block for field in ("body", "orelse", "finalbody") for block in getattr(statement, field, ())]
        for handler in getattr(statement, "handlers", ()):
            blocks.extend(handler.body)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if any((alias.asname or alias.name.partition(".")[0]) == name for alias in statement.names):
                yield statement
        elif not blocks and _stores(statement, name):
            yield statement
        elif blocks:
            inside = list(_binding(blocks, name))
            # the head of a loop or `with` binds too; then the whole block tells the value
            yield from [statement] if not inside and _stores(statement, name) else inside


def _stores(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == name and not isinstance(part.ctx, ast.Load) for part in ast.walk(node)
    )


def normalised(node: Block) -> Block:
    """Return a copy without docstrings, decorators of functions, and annotations that do nothing."""
    copied = ast.parse(ast.unparse(node)).body[0]
    return cast("Block", _Stripped().visit(copied))


class _Stripped(ast.NodeTransformer):
    def __init__(self) -> None:
        self._in_class = False

    def _function(self, node: Any) -> Any:
        node.decorator_list = []  # a decorator's effect is in the object that it left, and that is visited
        node.returns = None
        arguments: ast.arguments = node.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            argument.annotation = None
        for argument in (arguments.vararg, arguments.kwarg):
            if argument is not None:
                argument.annotation = None
        return self._block(node, in_class=False)

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return self._block(node, in_class=True)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if self._in_class:  # fields of a dataclass or model
            return node
        plain = ast.Pass() if node.value is None else ast.Assign(targets=[node.target], value=node.value)
        return ast.copy_location(plain, node)

    def _block(self, node: Any, *, in_class: bool) -> Any:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        around, self._in_class = self._in_class, in_class
        self.generic_visit(node)
        self._in_class = around
        return node
