"""A version changes when the code that decides the result changes, and only then."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workglow.tasks import Task, task
from workglow.tasks.version import code_version

FILES = {
    "__init__.py": "",
    "settings.py": "LIMIT = 3\nUNUSED = 1\nSEEN = []\n",
    "helpers.py": '''
import contextlib
import functools
import math

from .settings import LIMIT

FACTOR = 2
TABLE = {"a": 1, "b": FACTOR}

def cut(text):
    """Cut."""
    return text[:LIMIT]

def unrelated(text):
    return text + "?"

@functools.lru_cache
def cached(n):
    return math.sqrt(n) * FACTOR

@contextlib.contextmanager
def opened(text):
    yield text

def double(function):
    @functools.wraps(function)
    def wrapper(*given):
        return function(*given) * 2
    return wrapper

class Cleaner:
    mark = "!"

    def clean(self, text):
        return text.strip() + self.mark
''',
    "tasks.py": '''
from __future__ import annotations

import json
import sys

from pydantic import BaseModel
from workglow.tasks import Task, task

from . import helpers, settings
from .helpers import TABLE, Cleaner, cached, cut, double, opened

CLEANER = Cleaner()
SEEN = []

@task
def shorten(text: str) -> str:
    """Shorten a text."""
    # a comment
    SEEN.append(text)
    return json.dumps(cut(text))

@task
def other(n: int) -> int:
    return n

@task
def tabled(n: int) -> int:
    return TABLE["b"] + cached(n) + helpers.FACTOR + len(settings.SEEN)

@task
def managed(text: str) -> str:
    with opened(text) as found:
        return found

@task
def cleaned(text: str) -> str:
    return CLEANER.clean(text)

@task
@double
def doubled(text: str) -> str:
    return text

def make(amount):
    @task(name=f"add{amount}")
    def add(n: int) -> int:
        return n + amount
    return add

add_one = make(1)

class Words(Task):
    """Count words."""

    class Input(BaseModel):
        text: str

    def execute(self, inputs: Input) -> dict[str, int]:
        """Count them."""
        return {"count": self.count(inputs.text)}

    def count(self, text: str) -> int:
        return len(cut(text).split())

class Sub(Words):
    pass

if __name__ != "__main__":
    sys.stdout.write("\\n".join(f"{name} {made.version}" for name, made in {
        "shorten": shorten.task(), "other": other.task(), "tabled": tabled.task(), "cleaned": cleaned.task(),
        "managed": managed.task(),
        "doubled": doubled.task(), "add_one": add_one.task(), "words": Words(), "sub": Sub(),
    }.items()))
''',
}
# what is edited → the tasks whose version changes
EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    "nothing": ("tasks.py", "# a comment", "# a comment", set()),
    "a comment": ("tasks.py", "# a comment", "# another comment\n    # and one more", set()),
    "a docstring": ("tasks.py", '"""Shorten a text."""', '"""Make it short."""', set()),
    "no docstring": ("tasks.py", '    """Shorten a text."""\n', "", set()),
    "formatting": ("tasks.py", "json.dumps(cut(text))", "json.dumps(\n        cut( text ),\n    )", set()),
    "an annotation": ("tasks.py", "def other(n: int) -> int:", "def other(n: float) -> float:", set()),
    "lines above": ("tasks.py", "SEEN = []", "SEEN = []\n\n\ndef brand_new():\n    return 1\n", set()),
    "the body": ("tasks.py", "return json.dumps(cut(text))", "return json.dumps(cut(text) + '.')", {"shorten"}),
    "a default": ("tasks.py", "def other(n: int)", "def other(n: int = 2)", {"other"}),
    "a helper": ("helpers.py", "return text[:LIMIT]", "return text[1:LIMIT]", {"shorten", "words", "sub"}),
    "a docstring of a helper": ("helpers.py", '"""Cut."""', '"""Cut off."""', set()),
    "an unrelated helper": ("helpers.py", 'return text + "?"', 'return text + "??"', set()),
    "a constant behind two modules": ("settings.py", "LIMIT = 3", "LIMIT = 4", {"shorten", "words", "sub"}),
    "an unused constant": ("settings.py", "UNUSED = 1", "UNUSED = 2", set()),
    "a constant reached in three ways": ("helpers.py", "FACTOR = 2", "FACTOR = 3", {"tabled"}),
    "a table": ("helpers.py", '"a": 1', '"a": 0', {"tabled"}),
    "a cached helper": ("helpers.py", "math.sqrt(n)", "math.floor(n)", {"tabled"}),
    "a decorator": ("helpers.py", "function(*given) * 2", "function(*given) * 3", {"doubled"}),
    "a helper behind a decorator of another package": ("helpers.py", "yield text", "yield text * 2", {"managed"}),
    "a helper class": ("helpers.py", "text.strip()", "text.lstrip()", {"cleaned"}),
    "an attribute of a helper class": ("helpers.py", 'mark = "!"', 'mark = "."', {"cleaned"}),
    "what a closure holds": ("tasks.py", "add_one = make(1)", "add_one = make(2)", {"add_one"}),
    "a method": ("tasks.py", "len(cut(text).split())", "len(cut(text).split(' '))", {"words", "sub"}),
    "a docstring of a class": ("tasks.py", '"""Count words."""', '"""Count all words."""', set()),
    "a docstring of a method": ("tasks.py", '"""Count them."""', '"""Count all."""', set()),
    "a field of a class": ("tasks.py", "        text: str\n", "        text: str = ''\n", {"words", "sub"}),
    "a subclass": ("tasks.py", "class Sub(Words):\n    pass", "class Sub(Words):\n    n = 1", {"sub"}),
}  # fmt: skip


def versions_of(folder: Path, file: str = "", old: str = "", new: str = "", *flags: str) -> dict[str, str]:
    """Write the package, with one edit, and ask a process of its own for the versions of its tasks."""
    package = folder / "edited"
    package.mkdir(parents=True)
    for name, text in FILES.items():
        assert name != file or old in text
        (package / name).write_text(text.replace(old, new, 1) if name == file else text, "utf-8")
    command = [sys.executable, *flags, "-c", "import sys; sys.path.insert(0, '.'); import edited.tasks"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout
    versions = dict(line.split() for line in printed.splitlines())
    assert all(len(version) == 16 and int(version, 16) >= 0 for version in versions.values())
    return versions


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    root = tmp_path_factory.mktemp("versions")
    with ThreadPoolExecutor(4) as threads:
        asked = {
            name: threads.submit(versions_of, root / name.replace(" ", "_"), file, old, new)
            for name, (file, old, new, _) in EDITS.items()
        }
        return {name: future.result() for name, future in asked.items()}


@pytest.mark.parametrize("edit", EDITS)
def test_a_version_follows_the_code_across_processes(edit: str, versions: dict[str, dict[str, str]]) -> None:
    before, after = versions["nothing"], versions[edit]
    assert {name for name in before if before[name] != after[name]} == EDITS[edit][3]


def test_a_version_is_the_same_in_every_process(tmp_path: Path, versions: dict[str, dict[str, str]]) -> None:
    assert versions_of(tmp_path, "", "", "", "-B", "-X", "utf8") == versions["nothing"]


def run(code: str, **space: Any) -> dict[str, Any]:
    space.setdefault("__name__", "__main__")
    exec(code, space)
    return space


def test_code_without_a_file_is_judged_by_its_bytecode() -> None:
    def version(code: str) -> str:
        return code_version(run(code)["f"])

    base = version('def f(x):\n    """Doc."""\n    return g(x) + K\ndef g(x):\n    return x\nK = 1\n')
    assert version('def f(x):\n    """Other."""\n\n\n    return g(x)+K  # !\ndef g(x):\n    return x\nK = 1\n') == base
    assert version('def f(x):\n    """Doc."""\n    return g(x) + K\ndef g(x):\n    return x\nK = 2\n') != base
    assert version('def f(x):\n    """Doc."""\n    return g(x) + K\ndef g(x):\n    return x + x\nK = 1\n') != base
    assert version('def f(x):\n    """Doc."""\n    return g(x) - K\ndef g(x):\n    return x\nK = 1\n') != base


def test_a_class_without_a_file_counts_with_its_bases_and_attributes() -> None:
    def version(code: str) -> str:
        return code_version(run(code)["C"])

    text = (
        "class B:\n    def m(self):\n        return 1\nclass C(B):\n    n = 1\n    p = property(lambda self: self.n)\n"
    )
    assert version(text) == version(text)
    for old, new in (("return 1", "return 2"), ("n = 1", "n = 2"), ("self.n", "-self.n")):
        assert version(text.replace(old, new)) != version(text)


def test_a_base_that_only_a_function_knows_counts() -> None:
    class One:
        def m(self) -> int:
            return 1

    class Two:
        def m(self) -> int:
            return 2

    def made(base: type) -> type:
        class Local(base):  # type: ignore[misc]
            def own(self) -> None: ...

        return Local

    assert code_version(made(One)) != code_version(made(Two))


def test_bytecode_versions_are_the_same_in_every_process() -> None:
    program = """
from workglow.tasks.version import code_version
space = {"__name__": "__main__"}
exec("def f(x, y=1.5):\\n    return {x, 'a', 'b'} & {'a', 'b', 'c'} if x in {'k', 'l', 'm'} else (lambda: x)", space)
exec("class C:\\n    n = frozenset({'a', 'b', 'c'})\\n    def m(self):\\n        return f", space)
print(code_version(space["f"]), code_version(space["C"]))
"""
    printed = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(printed) == 1


def test_a_file_that_was_edited_after_it_was_loaded_does_not_count(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "lives_on.py"
    file.write_text("def f(x):\n    return x\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import lives_on  # type: ignore[import-not-found]

    loaded = lives_on.f
    before = code_version(loaded)
    file.write_text("def f(x):\n    return x + 1\n", "utf-8")
    # the running code is still the old one, told by its bytecode; the new text must not stand in for it
    stale = code_version(loaded)
    del sys.modules["lives_on"]
    import importlib

    importlib.invalidate_caches()
    import lives_on as again  # type: ignore[import-not-found]

    assert code_version(again.f) not in (before, stale)
    del sys.modules["lives_on"]


def test_recursion_and_mutual_calls_end() -> None:
    def even(n: int) -> bool:
        return n == 0 or odd(n - 1)

    def odd(n: int) -> bool:
        return n != 0 and even(n - 1)

    assert code_version(even) != code_version(odd)


def test_state_is_not_code() -> None:
    def version(state: object) -> str:
        def function(n: int) -> object:
            return state

        return code_version(function)

    assert version([]) == version([1, 2])
    assert version((1, "a")) != version((1, "b"))
    assert version(frozenset({"a", "b", "c"})) == version(frozenset({"c", "b", "a"}))
    assert version(None) != version(0)


def test_lambdas_partials_and_methods_have_versions() -> None:
    def power(base: int, exponent: int) -> int:
        return base**exponent

    square, cube = functools.partial(power, exponent=2), functools.partial(power, exponent=3)
    one: Callable[[int], int] = lambda n: n + 1  # noqa: E731
    two: Callable[[int], int] = lambda n: n + 2  # noqa: E731
    found = {code_version(source) for source in (square, cube, power, one, two, "".join, len)}
    assert len(found) >= 6


def test_a_version_that_is_given_stands() -> None:
    @task(version="2")
    def given(n: int) -> int:
        return n

    class Given(Task):
        version = "3"

    assert (given.task().version, Given().version) == ("2", "3")
