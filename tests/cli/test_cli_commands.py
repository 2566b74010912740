"""The commands as a whole: help, names, exit codes, and what answering --help costs."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from workglow.cli.commands import COMMANDS

Call = Callable[..., Any]

HEAVY = {"apsw", "asyncio", "msgspec", "numpy", "pydantic", "rich", "sqlite_vec", "tokenizers", "wordllama"}


def test_help_lists_every_command_in_order(call: Call) -> None:
    result = call("--help")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.partition("Commands:")[2].splitlines() if line.startswith("  ")]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)
    assert "130 interrupted" in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_says_in_its_help_what_the_list_says_of_it(call: Call, name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    module, line = COMMANDS[name]
    function = getattr(import_module(f"workglow.cli.{module}"), name.replace("-", "_"))
    assert (inspect.getdoc(function) or "").split("\n")[0] == line
    assert line in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", sorted(set(COMMANDS)))
def test_every_command_prints_json_on_request(call: Call, name: str) -> None:
    shown = call(name, "--help").stdout
    inner = [line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if re.match(r"  \w", line)]
    for words in [(name, one) for one in inner] or [(name,)]:
        assert "--json" in call(*words, "--help").stdout


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, json\nfrom workglow.cli import main\nsys.argv = ['workglow', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    root = str(Path(__file__).parents[2])
    output = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(json.loads(output.splitlines()[-1]))


def test_no_arguments_show_the_help(call: Call) -> None:
    result = call()
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest(call: Call) -> None:
    result = call("resum")
    assert result.exit_code == 2
    assert "Did you mean 'resume'" in result.stderr


def test_version(call: Call) -> None:
    from workglow import __version__

    assert call("--version").stdout == f"workglow {__version__}\n"
