"""Everything in the documentation that a program can check.

A file's blocks run from top to bottom, in one process and in a folder of their own:

* `python` is executed; all such blocks of a file share one namespace.  One that begins with `# name.py` is not executed
  but becomes that file, for the blocks behind it.
* `text` right behind `python` or `sql` is what that block prints.  A block that prints has one.
* `console` holds commands behind `$ `, each with what it prints.
* `sql` is asked of the newest project file, through the `sqlite3` shell where there is one.

What is compared may differ in ids, times, durations, sizes and white space; a line `…` stands for any lines.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, ROOT / "schema" / "README.md", *DOCS]
LANGUAGES = {"python", "text", "console", "sql", "json", "mermaid", ""}
EXTRAS = {
    "local": ("wordllama", "tokenizers", "safetensors", "semantic_text_splitter", "markdown_it"),
    "javascript": ("quickjs",),
    "telemetry": ("opentelemetry.sdk",),
}
MARKS = {"local": ("local:", ".knowledge("), "javascript": (".java_script(",), "telemetry": ("from opentelemetry",)}
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?P<name>[\w./-]+\.py)\n")
NOT_RUN = re.compile(r"pip install|workglow demo")  # .ci/run does both, in fresh environments

VARIABLE = (
    (r"(?<![\w.])/(?:[\w.-]+/)+", ""),  # the folder
    (r"\b[0-9a-hjkmnp-tv-z]{26}\b", "ID"),
    (r"\b[0-9a-f]{12,64}\b", "HEX"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", "TIME"),
    (r"\b\d+:\d\d\b|\b[\d.]+ (?:ms|µs|s)\b", "DURATION"),
    (r"\b[\d.,]+ (?:bytes|kB|MB|GB)\b", "SIZE"),
    (r"process \d+ on \S+", "PROCESS"),
    (r"\b\d+ checks\b", "CHECKS"),
    (r"SQLite \d+\.\d+\.\d+", "SQLite"),
    (r"[-─═]{2,}", "-"),
    (r"\s+", " "),
)


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of its first line, counted from 1."""

    language: str
    body: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(match["info"].strip(), match["body"], text.count("\n", 0, match.start("body")) + 1)
        for match in FENCE.finditer(text)
    ]


def inline_code(page: Path) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCE.sub("", page.read_text("utf-8")))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def extras(page: Path) -> list[str]:
    """The extras that the blocks of a page need."""
    text = "\n".join(block.body for block in blocks(page) if block.language)
    return [extra for extra, words in MARKS.items() if any(word in text for word in words)]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and what it prints."""
    for piece in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        command, _, printed = piece.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = f"{command[:-1]}{more.lstrip()}"
        yield command, printed


def settled(line: str) -> str:
    for pattern, word in VARIABLE:
        line = re.sub(pattern, word, line)
    return line.strip()


def says(shown: str, printed: str) -> bool:
    """Whether a program printed what the page shows."""
    return _fits(*([settled(line) for line in text.splitlines() if line.strip()] for text in (shown, printed)))


def _fits(shown: list[str], printed: list[str]) -> bool:
    for number, line in enumerate(shown):
        if line == "…":
            rest = shown[number + 1 :]
            return any(_fits(rest, printed[skipped:]) for skipped in range(number, len(printed) + 1))
        if printed[number : number + 1] != [line]:
            return False
    return len(shown) == len(printed)


# ---------------------------------------------------------------------- playing a page, in a process of its own


class Player:
    """Plays the blocks of one page in the current folder; `tools` is a folder for what the page does not show."""

    def __init__(self, page: Path, tools: Path) -> None:
        self._blocks = blocks(page)
        self._place = str(tools / f"{page.stem}.py")
        self._module = types.ModuleType("__main__")
        self._module.__file__ = self._place
        self._shell = shutil.which("sqlite3")
        lines: list[str] = []
        for block in self._plain():  # on the lines that they have on the page, so that a traceback leads there
            lines += [""] * (block.line - 1 - len(lines)) + block.body.splitlines()
        Path(self._place).write_text("\n".join(lines) + "\n", "utf-8")

    def _plain(self) -> list[Block]:
        return [block for block in self._blocks if block.language == "python" and not FILE.match(block.body)]

    def play(self) -> None:
        sys.modules["__main__"] = self._module
        for block, following in pairwise([*self._blocks, Block("", "", 0)]):
            is_behind = following.line - block.line - block.body.count("\n") == 3  # a fence, a blank line, a fence
            shown = following.body if following.language == "text" and is_behind else None
            if block.language == "python" and (match := FILE.match(block.body)):
                Path(match["name"]).write_text(block.body, "utf-8")
            elif block.language == "python":
                self._check(block.line, self._python(block), shown)
            elif block.language == "console":
                for command, expected in commands(block):
                    self._command(block.line, command, expected)
            elif block.language == "sql":
                printed = self._sql(block)
                if self._shell:
                    self._check(block.line, printed, shown)

    def _check(self, line: int, printed: str, shown: str | None) -> None:
        if not says(shown or "", printed):
            shown = shown or "(nothing)"
            raise AssertionError(f"line {line}: the page shows\n{shown}\nbut this was printed:\n{printed}")

    def _python(self, block: Block) -> str:
        code = compile("\n" * (block.line - 1) + block.body, self._place, "exec", dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self._module.__dict__)
        return printed.getvalue()

    def _command(self, line: int, command: str, expected: str) -> None:
        if NOT_RUN.search(command) or ("sqlite3" in command and not self._shell):
            return
        done = subprocess.run(
            ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        killed = "Killed\n" if done.returncode in (-9, 137) else ""
        self._check(line, done.stdout + killed, expected)

    def _sql(self, block: Block) -> str:
        newest = max(Path().glob("*.wg"), key=lambda path: path.stat().st_mtime_ns)
        if self._shell:
            words = [self._shell, "-readonly", "-header", "-column", str(newest)]
            done = subprocess.run(words, input=block.body, capture_output=True, text=True, check=False)
            if done.stderr:
                raise AssertionError(f"line {block.line}: {done.stderr}")
            return done.stdout
        import apsw

        db = apsw.Connection(str(newest), flags=apsw.SQLITE_OPEN_READONLY)
        db.execute(block.body).fetchall()
        db.close()
        return ""


def play_in_a_process(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    work, tools = folder / "work", folder / "tools"
    for path in (work, tools):
        path.mkdir()
    for name, words in {"python": "", "workglow": "-m workglow "}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        (tools / name).chmod(0o755)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST_"))},
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), "."]),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "TZ": "UTC",
    }
    words = [sys.executable, str(Path(__file__).resolve()), str(page), str(tools)]
    return subprocess.run(words, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=110)


PLAYED = [page for page in PAGES if any(block.language in ("python", "console", "sql") for block in blocks(page))]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.extra(name) for name in extras(page)]) for page in PLAYED],
    ids=name_of,
)
def test_every_block_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    for extra in extras(page):
        missing = [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]
        if missing:
            pytest.skip(f"{name_of(page)} needs pip install 'workglow[{extra}]': {', '.join(missing)} is not installed")
    done = play_in_a_process(page, tmp_path)
    assert done.returncode == 0, f"{name_of(page)}\n{done.stdout}{done.stderr}"


# ---------------------------------------------------------------------- what a page may say


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_escapes_the_tests(page: Path) -> None:
    assert [f"{block.line}: {block.language}" for block in blocks(page) if block.language not in LANGUAGES] == []
    text = page.read_text("utf-8")
    assert text.count("\n```") + text.startswith("```") == 2 * len(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_one_that_the_program_understands(page: Path) -> None:
    from typer.main import get_command

    from workglow.cli.commands import app

    group = get_command(app)
    for block in blocks(page):
        for command, _ in commands(block) if block.language == "console" else ():
            words = shlex.split(re.split(r"\s(?:[|>;]|&&)", command)[0])
            if words[0] == "workglow" and words[1:] and words[1] != "demo":
                group.commands[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_command_is_named_that_does_not_exist(page: Path) -> None:
    from workglow.cli.commands import COMMANDS

    named = set(re.findall(r"\bworkglow ([a-z]+)\b(?!\.)", "\n".join(inline_code(page))))
    assert named - COMMANDS.keys() - {"import"} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead: list[str] = []
    for text, target in re.findall(r"\[([^\]\n]+)\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        place = (page.parent / path).resolve() if path else page
        if not place.exists():
            dead.append(target)
        elif text.startswith("`test_") and f"def {text.strip('`')}(" not in place.read_text("utf-8"):
            dead.append(f"{text} in {target}")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            dead.append(target)
    assert dead == []


def anchors(page: Path) -> set[str]:
    """The headings of a page as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_holds_the_two_commands_and_is_short() -> None:
    text = README.read_text("utf-8")
    assert "pip install -e '.[local]' && workglow demo" in text
    assert "pip install -e '.[test]' && pytest" in text
    assert text.count("\n") <= 150


def test_the_readme_leads_to_every_page() -> None:
    text = README.read_text("utf-8")
    assert [name_of(page) for page in PAGES if page != README and f"({name_of(page)})" not in text] == []


def test_the_readme_proves_seven_promises() -> None:
    promises = re.search(r"^## Promises\n(.+?)^## ", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert promises is not None
    numbered = re.split(r"^\d\. ", promises[1], flags=re.MULTILINE)[1:]
    assert len(numbered) == 7
    assert [promise for promise in numbered if "](tests/" not in promise] == []


# ---------------------------------------------------------------------- what is documented


def test_the_command_line_page_is_current() -> None:
    script = Path(__file__).with_name("docs_reference.py")
    words = [sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    remedy = "run: python tests/house/docs_reference.py > docs/cli.md"
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == done.stdout, remedy


@pytest.mark.extra("local")
def test_the_page_of_tasks_is_current() -> None:
    pytest.importorskip("semantic_text_splitter", reason="needs pip install 'workglow[local]'")
    words = [sys.executable, str(Path(__file__).with_name("docs_tasks.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    remedy = "run: python tests/house/docs_tasks.py > docs/tasks.md"
    assert (ROOT / "docs" / "tasks.md").read_text("utf-8") == done.stdout, remedy


def test_every_command_is_documented() -> None:
    from workglow.cli.commands import COMMANDS

    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"\n## workglow {name}\n" not in text] == []


def test_every_public_name_is_documented() -> None:
    import workglow

    pages = [README, *DOCS]
    code = "\n".join(text for page in pages for text in [*inline_code(page), *(one.body for one in blocks(page))])
    assert [name for name in workglow.__all__ if not re.search(rf"\b{name}\b", code)] == []


def test_every_table_and_column_of_the_file_is_described() -> None:
    text = (ROOT / "schema" / "README.md").read_text("utf-8")
    script = (ROOT / "schema" / "schema.sql").read_text("utf-8")
    tables = dict(re.findall(r"^CREATE (?:VIRTUAL )?TABLE (\w+)(.*?);$", script, re.MULTILINE | re.DOTALL))
    sections = dict(re.findall(r"^### `(\w+)`(.*?)(?=^##)", text + "\n##", re.MULTILINE | re.DOTALL))
    assert sections.keys() == tables.keys()
    missing = [
        f"{table}.{column}"
        for table, body in tables.items()
        for column in re.findall(r"^ +(\w+) +(?:INTEGER|TEXT|BLOB)\b", body, re.MULTILINE)
        if f"`{column}`" not in sections[table]
    ]
    assert missing == []


def test_the_tags_are_described_as_the_code_describes_them() -> None:
    from workglow.values import tags

    rows = [line for line in (tags.__doc__ or "").splitlines() if line.startswith("|")]
    text = (ROOT / "schema" / "README.md").read_text("utf-8")
    assert [row for row in rows if row not in text.splitlines()] == []


def test_json_blocks_are_json() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "json":
                json.loads(block.body)


# ---------------------------------------------------------------------- the checks themselves


def test_a_page_that_shows_something_else_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    done = play_in_a_process(page, tmp_path)
    assert done.returncode == 1
    assert "line 2: the page shows" in done.stderr


def test_ids_and_times_may_differ_and_an_ellipsis_skips_lines() -> None:
    assert says("run 01m831jj4ftq61bpbdwrkdhr2x  3.5 s\n…\nend", "run 01m831nrx9q9x8wcp9d8yg2v59 12 ms\na\nb\nend\n")
    assert not says("run completed", "run failed")
    assert not says("a\n…\nend", "a\nb\n")


if __name__ == "__main__":
    Player(Path(sys.argv[1]), Path(sys.argv[2])).play()
