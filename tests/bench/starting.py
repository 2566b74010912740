"""W7: how long it takes before anything happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

from measure import Row, compare

__all__ = ["rows"]

_CLICK = """
import click
@click.group()
def main(): "A program with two commands."
@main.command()
def one(): "The first."
@main.command()
def two(): "The second."
main()
"""


def python(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def rows(peers: bool) -> Iterator[Row]:
    del peers
    yield compare(
        "W7", "import workglow", python("-c", "import workglow"), "import apsw", python("-c", "import apsw"),
        target=1.8, unit="ms", scale=1e3, rounds=21,
    )  # fmt: skip
    yield compare(
        "W7", "workglow --help", python("-m", "workglow", "--help"), "bare click program", python("-c", _CLICK,
        "--help"), target=1.5, unit="ms", scale=1e3, rounds=21, )  # fmt: skip
