"""`workglow models` and `workglow providers`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.ai import Finish, TextDelta, UsageReport
from workglow.testing import ScriptedProvider

Call = Callable[..., Any]


def test_providers_are_listed_with_what_they_can_do(call: Call) -> None:
    shown = call("providers").stdout
    assert "local:  Static embeddings, runs here; installed" in shown
    assert "can embed, count_tokens" in shown
    (local,) = [one for one in json.loads(call("providers", "--json").stdout) if one["name"] == "local"]
    assert local == {
        "name": "local", "title": "Static embeddings", "extra": "local", "installed": True, "missing": [],
        "is_local": True, "credential": "", "capabilities": ["embed", "count_tokens"], "manages": [],
    }  # fmt: skip


def test_providers_that_are_not_installed_name_their_extra(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from workglow.ai.facts import LIBRARIES, facts_of_source

    monkeypatch.setitem(LIBRARIES, "local", ("a_library_that_nobody_has",))
    facts_of_source.cache_clear()
    try:
        shown = call("providers").stdout
    finally:
        facts_of_source.cache_clear()
    assert "not installed" in shown
    assert "is without a_library_that_nobody_has:" in shown
    assert "pip install 'workglow[local]'" in shown


def test_a_model_is_added_listed_shown_found_and_removed(call: Call) -> None:
    call("models", "add", "notes.wg", "local:wordllama", "--set", "prices.input=0.5", "--set", "title=Word vectors")
    call(
        "models", "add", "notes.wg", "mine:chat", "--provider", "local", "--source", "x",
        "--set", 'tasks=["TextGenerationTask"]', "--set", "context_length=8192",
    )  # fmt: skip
    header, *rows = call("models", "list", "notes.wg").stdout.splitlines()
    assert header.split() == ["MODEL", "PROVIDER", "SOURCE", "CAN", "CONTEXT", "FILES"]
    assert [row.split()[0] for row in rows] == ["local:wordllama", "mine:chat"]
    assert "8,192" in rows[1]
    assert "Word vectors" in call("models", "show", "notes.wg", "local:wordllama").stdout
    shown = json.loads(call("models", "show", "notes.wg", "local:wordllama", "--json").stdout)
    assert (shown["prices"], shown["dimensions"], shown["can"]) == ({"input": 0.5}, 256, ["count_tokens", "embed"])
    assert shown["in_catalogue"]
    names = [one["name"] for one in json.loads(call("models", "find", "notes.wg", "vectors", "--json").stdout)]
    assert names == ["local:wordllama"]
    chosen = call("models", "list", "notes.wg", "--task", "TextGenerationTask", "--json").stdout
    assert [one["name"] for one in json.loads(chosen)] == ["mine:chat"]
    assert "not registered" in call("models", "list", "notes.wg", "--task", "TextGenratingTask").stderr
    assert "notes.wg does not know mine:chat any more." in call("models", "remove", "notes.wg", "mine:chat").stdout
    assert "mine:chat" not in call("models", "list", "notes.wg").stdout
    with wg.open("notes.wg") as project:
        assert [record.name for record in project.models.all()] == ["local:wordllama"]


def test_an_empty_catalogue_says_how_to_fill_it(call: Call) -> None:
    wg.open("notes.wg").close()
    assert "workglow models add notes.wg NAME" in call("models", "list", "notes.wg").stdout
    assert call("models", "list", "notes.wg", "--json").stdout.strip() == "[]"
    assert "Ask a provider: --at NAME." in call("models", "find", "notes.wg", "x").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "local:wordllama"), 1, "already exists"),
        (("add", "plain"), 1, "does not look like"),
        (("add", "a:b", "--provider", "nobody"), 2, "'nobody' is not there"),
        (("add", "a:b", "--provider", "local", "--set", "colour=1"), 1, "unknown field `colour`"),
        (("add", "a:b", "--set", "novalue"), 2, "is not NAME=VALUE"),
        (("remove", "a:b"), 1, "not found"),
        (("trust", "a:b"), 1, "not found"),
        (("show", "a:b"), 1, "Model 'a:b' not found"),
        (("download", "local:wordllama"), 1, "has no files to download"),
        (("find", "x", "--at", "local"), 1, "cannot be searched"),
        (("find", "x", "--at", "nobody"), 1, "No provider is called 'nobody'"),
    ],
)
def test_what_goes_wrong_is_said(call: Call, words: tuple[str, ...], code: int, said: str) -> None:
    call("models", "add", "notes.wg", "local:wordllama")
    done = call("models", words[0], "notes.wg", *words[1:])
    assert done.exit_code == code
    assert said in " ".join(done.stderr.split()).replace(" │ │ ", " ")


def test_a_record_is_replaced_when_told_so_and_read_from_a_file(call: Call) -> None:
    theirs = {"model_id": "x", "provider": "OPENAI", "provider_config": {"model_name": "m"}}
    Path("theirs.json").write_text(json.dumps(theirs))
    done = call("models", "add", "notes.wg", "mine:far", "--record", "theirs.json", "--json")
    if done.exit_code == 0:  # where the provider is there
        assert json.loads(done.stdout)["provider"] == "openai"
    Path("ours.json").write_text(json.dumps({"provider": "local", "source": "wordllama", "title": "One"}))
    call("models", "add", "notes.wg", "mine:words", "--record", "ours.json")
    replaced = call(
        "models", "add", "notes.wg", "mine:words", "--record", "ours.json", "--set", "title=Two", "--replace", "--json"
    )
    assert json.loads(replaced.stdout)["title"] == "Two"


def test_files_are_measured_when_they_are_added_and_compared_when_asked(call: Call) -> None:
    folder = Path("model")
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"one")
    call("models", "add", "notes.wg", "mine:own", "--provider", "local", "--source", str(folder))
    fine = call("models", "show", "notes.wg", "mine:own", "--check", "--json")
    assert (fine.exit_code, json.loads(fine.stdout)["faults"]) == (0, [])
    (folder / "a.bin").write_bytes(b"two")
    assert call("models", "show", "notes.wg", "mine:own").exit_code == 0
    changed = call("models", "show", "notes.wg", "mine:own", "--check")
    assert changed.exit_code == 1
    assert "another content" in " ".join(changed.stdout.split())
    (folder / "a.bin").unlink()
    assert "not here" in call("models", "list", "notes.wg").stdout
    assert call("models", "show", "notes.wg", "mine:own").exit_code == 1


def test_a_record_from_elsewhere_is_trusted_by_a_command(call: Call) -> None:
    call("models", "add", "notes.wg", "a:b", "--provider", "local", "--set", 'options={"x": 1}')
    shutil.copy("notes.wg", "copy.wg")
    assert "trust copy.wg a:b" in call("models", "show", "copy.wg", "a:b").stdout
    assert "is used in copy.wg" in call("models", "trust", "copy.wg", "a:b").stdout
    assert json.loads(call("models", "show", "copy.wg", "a:b", "--json").stdout)["trusted"]


def test_unload_says_who_could(call: Call) -> None:
    call("models", "add", "notes.wg", "local:wordllama")
    done = call("models", "unload", "notes.wg", "local:wordllama")
    assert done.exit_code == 1
    assert "nobody's memory" in done.stdout
    assert "UnloadModelTask" in done.stdout
    with wg.open("notes.wg"):
        assert "may be in the memory of process" in call("models", "unload", "notes.wg", "local:wordllama").stdout
        told = json.loads(call("models", "unload", "notes.wg", "local:wordllama", "--json").stdout)
    assert (told["model"], told["unloaded"], [one["pid"] for one in told["processes"]]) == (
        "local:wordllama", False, [os.getpid()],
    )  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join()


def test_a_model_is_downloaded_and_its_files_deleted(
    call: Call, files: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, folder = files
    (folder / "x.gguf").write_bytes(b"weights" * 1000)
    monkeypatch.setenv("WORKGLOW_MODELS", str(tmp_path / "models"))
    call("models", "add", "notes.wg", "mine:far", "--provider", "local", "--source", f"{address}/x.gguf")
    refused = call("models", "download", "notes.wg", "mine:far")
    assert refused.exit_code == 1
    assert "WORKGLOW_PRIVATE_HOSTS=127.0.0.1" in refused.stderr.replace("\n", " ")
    monkeypatch.setenv("WORKGLOW_PRIVATE_HOSTS", "127.0.0.1")
    done = call("models", "download", "notes.wg", "mine:far")
    assert "mine:far is here, one file of 7.0 kB." in done.stdout
    assert "x.gguf is here" in done.stderr
    record = json.loads(call("models", "download", "notes.wg", "mine:far", "--json").stdout)
    assert record["fingerprint"] == hashlib.sha256(b"weights" * 1000).hexdigest()
    path = Path(record["files"][0]["path"])
    assert path.is_relative_to(tmp_path / "models")
    removed = json.loads(call("models", "remove", "notes.wg", "mine:far", "--files", "--json").stdout)
    assert removed == {"removed": "mine:far", "deleted": [str(path)]}
    assert not path.exists()


def test_files_of_ones_own_and_of_others_are_never_deleted(call: Call) -> None:
    Path("own.bin").write_bytes(b"x")
    call("models", "add", "notes.wg", "mine:own", "--provider", "local", "--source", "own.bin")
    assert json.loads(call("models", "remove", "notes.wg", "mine:own", "--files", "--json").stdout)["deleted"] == []
    assert Path("own.bin").exists()


def test_the_cost_of_runs_is_shown(call: Call) -> None:
    with ScriptedProvider(answers=[[TextDelta("hi"), UsageReport(1_000_000, 500_000), Finish()]]):
        with wg.open("notes.wg") as project:
            project.models.add({"name": "mine:chat", "provider": "scripted", "prices": {"input": 2, "output": 8}})
            project.run_sync(wg.Workflow().text_generation(model="mine:chat"), {"prompt": "x"})
    shown = call("usage", "notes.wg").stdout
    assert "6.0000" in shown
    assert "mine:chat" in shown


def test_providers_loads_no_heavy_library(tmp_path: Path) -> None:
    program = (
        "import sys; from workglow.cli.commands import app; app(['providers', '--json'], standalone_mode=False);"
        "print([name for name in ('numpy', 'torch', 'tokenizers', 'openai') if name in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stderr.strip().splitlines()[-1] == "[]"
