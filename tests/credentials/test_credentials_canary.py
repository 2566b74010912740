"""A secret that is used is nowhere: not in the file or its log, not in what is printed, logged or raised."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

import workglow as wg
from workglow.errors import WorkglowError
from workglow.values import Secret

pytestmark = pytest.mark.extra("credentials")
pytest.importorskip("cryptography", reason="needs pip install 'workglow[credentials]'")

CANARY = "canary-4fd2a1c09b77"
PASSPHRASE = "passphrase-77b90c1a2df4"
ROOT = Path(__file__).parents[2]


@wg.task(name="CanaryKeeper", output="length")
def uses(key: Annotated[Any, Field(json_schema_extra={"format": "credential"})], fail: bool = False) -> int:
    logging.getLogger("canary").warning("the key is %s", key)
    print(f"the key is {key!r}")
    if fail:
        raise ValueError(f"the key {key} was not accepted")
    return len(key.reveal())


def assert_nowhere(folder: Path, *texts: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert CANARY.encode() not in held, path
            assert PASSPHRASE.encode() not in held, path
    for text in texts:
        assert CANARY not in text
        assert PASSPHRASE not in text


def test_a_used_secret_is_in_no_file_log_message_or_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WORKGLOW_PASSPHRASE", PASSPHRASE)
    raised: list[str] = []
    with wg.open(tmp_path / "notes.wg") as project:
        project.keep_events()
        project.credentials.add("service", Secret(CANARY))
        run = project.run_sync(uses, {"key": "file:service"})
        assert run.outputs == {"length": len(CANARY)}
        for inputs in ({"key": "file:service", "fail": True}, {"key": Secret(CANARY)}):
            with pytest.raises(WorkglowError) as caught:
                project.run_sync(uses, inputs)
            raised.append(f"{caught.value!r} {caught.value}")
        assert_nowhere(tmp_path, *raised)  # while the log is there
        assert any(path.name.endswith("-wal") for path in tmp_path.iterdir())
    out, err = capfd.readouterr()
    assert_nowhere(tmp_path, out, err, caplog.text)
    assert "***" in out


def test_the_command_line_keeps_a_secret_and_shows_it_nowhere(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WORKGLOW_PASSPHRASE": PASSPHRASE}
    said: list[str] = []

    def call(*words: str, given: str = "", code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "workglow", "credentials", *words],
            cwd=tmp_path,
            env={**environment, **more},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        said.append(done.stdout + done.stderr)
        return said[-1]

    wg.open(tmp_path / "notes.wg").close()
    assert "file:service" in call("add", "notes.wg", "service", "--label", "for tests", given=f"{CANARY}\n")
    assert "for tests" in call("list", "notes.wg")
    assert '"reference": "file:service"' in call("list", "notes.wg", "--json")
    assert "1 secret of notes.wg sealed anew" in call("rotate", "notes.wg", WORKGLOW_NEW_PASSPHRASE="other")
    assert "not the one" in call("add", "notes.wg", "more", given="x\n", code=1)
    with wg.open(tmp_path / "notes.wg") as project:
        project.credentials.unlock("other")
        assert project.credentials.read("file:service").reveal() == CANARY
    assert "forgotten" in call("remove", "notes.wg", "service")
    assert "no secret 'service'" in call("remove", "notes.wg", "service", code=1)
    assert "keeps no secret" in call("list", "notes.wg")
    assert_nowhere(tmp_path, *said)
