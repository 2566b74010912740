"""What every test may use: a project file in a folder of its own, a clock that stands still, and the SQLite version."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import workglow as wg
from workglow.testing import FakeClock


def pytest_report_header() -> str:
    return f"SQLite {apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()})"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forbid-skips", action="store_true", help="fail when a test was skipped: CI must run them all")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--forbid-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What has to be installed for the tests that were skipped: a line a reason, not one a place as pytest's own."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"SKIPPED {count}: {reason}")


@pytest.fixture(scope="session", autouse=True)
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user's key is, of this process and of those that it starts: never the real one.  So with models."""
    folder = tmp_path_factory.mktemp("config")
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    return folder


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project_path(tmp_path: Path) -> Path:
    return tmp_path / "project.wg"


@pytest.fixture
def project(project_path: Path) -> Iterator[wg.Project]:
    with wg.open(project_path) as project:
        yield project
