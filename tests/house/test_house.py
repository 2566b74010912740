"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import workglow
from workglow import errors
from workglow.errors import MissingExtraError

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "workglow").rglob("*.py"))
SQL = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE (TABLE|INDEX))\b", re.MULTILINE)
TOP_LEVEL = {
    ".ci", ".git", ".gitignore", "LICENSE", "README.md", "docs", "pyproject.toml", "schema", "tests", "workglow",
}  # fmt: skip


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_the_top_level_holds_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tops = {line.split("/")[0] for line in listed.splitlines()}
    assert tops <= TOP_LEVEL


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_over_500_lines(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= 500


def test_sql_is_only_in_storage_and_file() -> None:
    homes = {"storage", "file"}
    strays = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if path.relative_to(ROOT / "workglow").parts[0] not in homes
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and SQL.search(node.value)
        and not _is_docstring(node, path)
    ]
    assert strays == []


def _is_docstring(node: ast.Constant, path: Path) -> bool:
    return any(
        ast.get_docstring(owner, clean=False) == node.value
        for owner in ast.walk(parse(path))
        if isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_nothing_but_the_file_room_begins_transactions() -> None:
    strays = [
        name_of(path)
        for path in MODULES
        if path.relative_to(ROOT / "workglow").parts[0] != "file"
        and re.search(r"BEGIN (IMMEDIATE|EXCLUSIVE|DEFERRED)|[\"']COMMIT[\"']", path.read_text("utf-8"))
    ]
    assert strays == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_all_names_what_is_there(path: Path) -> None:
    for node in parse(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            assert len(names) == len(set(names))
            try:
                module = importlib.import_module(name_of(path))
            except MissingExtraError as error:
                pytest.skip(str(error))
            assert [name for name in names if not hasattr(module, name)] == []


def test_everything_public_is_documented() -> None:
    undocumented = [
        name
        for name in workglow.__all__
        if not name.startswith("__")
        and (inspect.isclass(value := getattr(workglow, name)) or inspect.isfunction(value))
        and not inspect.getdoc(value)
    ]
    assert undocumented == []


def test_the_error_tree_is_the_one_that_is_drawn() -> None:
    drawn: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^(?P<indent>[ │├└─]*)(?P<name>\w+(Error))\b", line)
        if match is None:
            continue
        depth = len(match["indent"])
        while stack and stack[-1][0] >= depth:
            stack.pop()
        drawn[match["name"]] = stack[-1][1] if stack else "Exception"
        stack.append((depth, match["name"]))
    real = {name: kind.__bases__[0].__name__ for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert drawn == real
    assert sorted(real) == errors.__all__


def test_no_bare_exception_is_raised() -> None:
    bare = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in ("Exception", "BaseException", "RuntimeError")
    ]
    assert bare == []


def test_nobody_asks_the_system_for_the_time() -> None:
    strays = [
        name_of(path)
        for path in MODULES
        if path.name != "clock.py" and re.search(r"\btime\.time\(|datetime\.now\(|time_ns\(", path.read_text("utf-8"))
    ]
    assert strays == []


def test_importing_workglow_loads_nothing_heavy() -> None:
    heavy = "asyncio numpy pydantic msgspec apsw sqlite_vec rich typer tokenizers"
    program = f"import sys, workglow; print([name for name in '{heavy}'.split() if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_the_version_is_the_one_that_is_packaged() -> None:
    assert f'version = "{workglow.__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")
