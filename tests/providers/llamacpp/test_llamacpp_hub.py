"""GGUF models of the hub by name, with a server that speaks as the hub does: what is fetched, and what is found."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from asking import asked
from hub_server import COMMIT, HubServer, hub_server

import workglow as wg
from workglow.ai import ModelRecord, Models
from workglow.ai.download import Downloads
from workglow.ai.provider import Progress
from workglow.errors import (
    AuthenticationError,
    ModelCallError,
    ModelUnavailableError,
    RateLimitedError,
    TaskEntitlementError,
    UnknownModelError,
)

ROOT = Path(__file__).parents[3]
NAME = "gguf:me/tiny-GGUF:q8_0"
OTHER_COMMIT = "f" * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that the environment leads to, an empty cache and an empty folder of models."""
    with hub_server() as served:
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE", "WORKGLOW_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("WORKGLOW_MODELS", str(tmp_path / "models"))
        monkeypatch.setenv("WORKGLOW_PRIVATE_HOSTS", "127.0.0.1,localhost")
        yield served


@pytest.fixture
def repository(hub: HubServer, tiny: Path, ending: Path) -> dict[str, bytes]:
    files = {"README.md": b"tiny", "tiny-Q4_K_M.gguf": ending.read_bytes(), "tiny-Q8_0.gguf": tiny.read_bytes()}
    hub.repositories["me/tiny-GGUF"] = files
    return files


def download(models: Models, named: Any, progress: Progress | None = None, **options: Any) -> ModelRecord:
    return asyncio.run(models.download(named, progress, **options))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_quantisation_is_fetched_and_noted_with_its_hash(
    models: Models, hub: HubServer, repository: dict[str, bytes]
) -> None:
    told: list[tuple[str, int, int | None]] = []
    wanted = repository["tiny-Q8_0.gguf"]
    got = download(models, NAME, lambda name, done, total: told.append((name, done, total)))
    (file,) = got.files
    assert Path(file.path).read_bytes() == wanted
    assert (file.size, file.sha256) == (len(wanted), digest(wanted))
    assert file.url == f"{hub.address}/me/tiny-GGUF/resolve/{COMMIT}/tiny-Q8_0.gguf"
    assert (got.fingerprint, got.revision, got.quantization) == (digest(wanted), COMMIT, "Q8_0")
    assert (got.title, got.dimensions, got.continues) == ("tiny", 64, True)
    assert told[-1] == ("tiny-Q8_0.gguf", len(wanted), len(wanted))
    assert models.get(NAME) == models.find(NAME) == got
    assert download(models, NAME) == got
    assert len(hub.paths("/api/")) == 1
    assert len(hub.paths("/large/")) == 1


def test_the_hub_is_searched(models: Models, hub: HubServer, repository: dict[str, bytes]) -> None:
    hub.repositories["me/other"] = {"other-Q8_0.gguf": b"x"}
    (found,) = asyncio.run(models.search_provider("gguf", "tiny"))
    assert (found.name, found.source) == ("gguf:me/tiny-GGUF", "me/tiny-GGUF")
    assert download(models, found.name).quantization == "Q4_K_M"
    assert len(asyncio.run(models.search_provider("gguf", limit=1))) == 1
    assert asyncio.run(models.search_provider("gguf", "nothing like it")) == []
    asked: list[str] = []
    asyncio.run(models.search_provider("gguf", "tiny", allow=asked.append))
    assert asked == ["127.0.0.1"]
    hub.refusals["/api/models"] = (429, "")
    with pytest.raises(RateLimitedError):
        asyncio.run(models.search_provider("gguf", "tiny"))


@pytest.mark.parametrize("setting", ["HF_HUB_OFFLINE", "WORKGLOW_OFFLINE"])
def test_offline_the_hub_is_not_searched(
    models: Models, hub: HubServer, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(setting, "1")
    with pytest.raises(ModelCallError, match=f"{setting} is set"):
        asyncio.run(models.search_provider("gguf", "tiny"))
    assert hub.asked == []


def test_without_a_quantisation_it_is_the_usual_one(models: Models, repository: dict[str, bytes]) -> None:
    assert download(models, "gguf:me/tiny-GGUF").quantization == "Q4_K_M"


def test_a_file_is_named(models: Models, repository: dict[str, bytes]) -> None:
    got = download(models, "gguf:me/tiny-GGUF/tiny-Q8_0.gguf")
    assert got.fingerprint == digest(repository["tiny-Q8_0.gguf"])


def test_all_parts_of_a_model_come(models: Models, hub: HubServer) -> None:
    parts = {f"Q8_0/large-Q8_0-0000{number}-of-00003.gguf": bytes([number]) * 5000 for number in (1, 2, 3)}
    hub.repositories["me/large-GGUF"] = {**parts, "large-Q2_K.gguf": b"x" * 5000}
    got = download(models, "gguf:me/large-GGUF:q8_0")
    assert [Path(file.path).read_bytes() for file in got.files] == list(parts.values())
    assert len({Path(file.path).parent for file in got.files}) == 1
    assert len(hub.paths("/large/")) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "gguf:me/tiny-GGUF:Q6_K",
            r"does not have 'Q6_K'; it has Q4_K_M, Q8_0\.  Name one: 'gguf:me/tiny-GGUF:Q4_K_M'",
        ),
        ("gguf:me/tiny-GGUF/other.gguf", r"does not have 'other\.gguf'; it has tiny-Q4_K_M\.gguf, tiny-Q8_0\.gguf"),
        ("gguf:me/nothing", r"does not have 'me/nothing', or hides it.*set HF_TOKEN"),
    ],
)
def test_what_the_repository_does_not_have_is_said(
    models: Models, repository: dict[str, bytes], name: str, said: str
) -> None:
    with pytest.raises(UnknownModelError, match=said):
        download(models, name)
    assert models.get(name) is None


def test_a_record_names_its_revision(models: Models, hub: HubServer, repository: dict[str, bytes]) -> None:
    record = {"name": "mine:tiny", "provider": "gguf", "source": "me/tiny-GGUF", "revision": "v2/beta"}
    with pytest.raises(UnknownModelError, match=r"revision 'v2/beta' of 'me/tiny-GGUF'.*give the record another"):
        download(models, record)
    hub.revisions.add("v2/beta")
    got = download(models, record)
    assert got.revision == COMMIT
    assert models.provider("gguf").info(models.find(record))["file"] == got.files[0].path  # pyright: ignore
    for strange in ("/etc/hostname", "../../main", "v2"):
        assert models.provider("gguf").info(models.find({**record, "revision": strange})) == {
            "is_cached": False,
            "is_loaded": False,
        }


@pytest.mark.parametrize(
    ("where", "status", "code", "kind", "said"),
    [
        ("/api/", 401, "", AuthenticationError, "accept its terms when it has any, and set HF_TOKEN"),
        ("/api/", 403, "", AuthenticationError, "set HF_TOKEN"),
        ("/api/", 401, "RepoNotFound", UnknownModelError, "does not have 'me/tiny-GGUF', or hides it"),
        ("/api/", 429, "", RateLimitedError, "Too many"),
        ("/api/", 503, "", ModelUnavailableError, "503"),
        ("/api/", 400, "", ModelCallError, "400"),
        ("/me/", 401, "GatedRepo", AuthenticationError, "accepted its terms: do so at http://.*/me/tiny-GGUF, and set"),
        ("/me/", 403, "GatedRepo", AuthenticationError, "accepted its terms"),
    ],
)
def test_what_the_hub_refuses_has_its_kind_and_its_remedy(
    models: Models,
    hub: HubServer,
    repository: dict[str, bytes],
    where: str,
    status: int,
    code: str,
    kind: type[Exception],
    said: str,
) -> None:
    hub.refusals[where] = status, code
    with pytest.raises(kind, match=said) as raised:
        download(models, NAME)
    assert type(raised.value) is kind


def test_a_token_goes_to_the_hub_alone(
    models: Models, hub: HubServer, repository: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with pytest.raises(AuthenticationError):
        download(models, NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    download(models, NAME)
    assert all("authorization" not in headers for path, headers in hub.asked if path.startswith("/large/"))
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("MY_TOKEN", "hf_secret")
    record = {"name": "mine:tiny", "provider": "gguf", "source": "me/tiny-GGUF", "credential": "env:MY_TOKEN"}
    assert download(models, record).files


def test_the_token_of_the_hub_is_not_for_another_one(
    models: Models, hub: HubServer, repository: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    record = {"name": "mine:tiny", "provider": "gguf", "source": "me/tiny-GGUF", "base_url": hub.address}
    assert download(models, record).files
    assert all("authorization" not in headers for _, headers in hub.asked)


def test_no_host_is_asked_that_is_not_allowed(models: Models, hub: HubServer, repository: dict[str, bytes]) -> None:
    def allow(host: str) -> None:
        raise TaskEntitlementError(host)

    with pytest.raises(TaskEntitlementError, match=r"127\.0\.0\.1"):
        download(models, NAME, allow=allow)
    assert hub.asked == []


@pytest.mark.parametrize("content", [b"<html>", b'{"siblings": 3}', b'{"siblings": [{"size": 1}]}'])
def test_an_answer_that_is_no_list_is_an_error(models: Models, hub: HubServer, content: bytes) -> None:
    hub.repositories["x/y"], hub.listing = {}, content
    with pytest.raises(ModelCallError, match="no list of files"):
        download(models, "gguf:x/y")


def test_names_that_mean_harm_stay_in_the_folder(models: Models, hub: HubServer, tmp_path: Path) -> None:
    hub.repositories["x/y"] = {"../../../../../../evil-Q4_K_M.gguf": b"x" * 5000}
    with pytest.raises((ModelCallError, UnknownModelError)):
        download(models, "gguf:x/y")
    assert not list(tmp_path.rglob("*evil*.gguf"))
    hub.repositories["x/y"], hub.commit = {"a.gguf": b"x" * 5000}, "../../.."
    got = download(models, "gguf:x/y")
    assert Path(got.files[0].path).is_relative_to(tmp_path / "models")


# ---------------------------------------------------------------------- what is here


def test_a_file_that_did_not_change_with_the_repository_does_not_come_again(
    models: Models, hub: HubServer, repository: dict[str, bytes]
) -> None:
    first = download(models, NAME)
    hub.commit = OTHER_COMMIT
    hub.revisions.add(OTHER_COMMIT)
    again = Models()
    assert download(again, NAME).files[0].path == first.files[0].path
    assert len(hub.paths("/large/")) == 1
    repository["tiny-Q8_0.gguf"] = repository["tiny-Q4_K_M.gguf"]
    last = download(Models(), NAME).files[0]
    assert (last.path, last.sha256) != (first.files[0].path, first.files[0].sha256)
    assert Path(first.files[0].path).read_bytes() != Path(last.path).read_bytes()


def snapshot(tmp_path: Path, commit: str, *files: tuple[str, Path]) -> Path:
    """Put files where the hub's own tools do."""
    folder = tmp_path / "hf" / "hub" / "models--me--tiny-GGUF" / "snapshots" / commit
    folder.mkdir(parents=True)
    for name, source in files:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(source, folder / name)
    return folder


def test_what_the_tools_of_the_hub_fetched_is_used(
    models: Models, hub: HubServer, repository: dict[str, bytes], tiny: Path, tmp_path: Path
) -> None:
    folder = snapshot(tmp_path, COMMIT, ("tiny-Q8_0.gguf", tiny))
    (file,) = download(models, NAME).files
    assert (file.path, file.sha256) == (str(folder / "tiny-Q8_0.gguf"), digest(tiny.read_bytes()))
    assert hub.paths("/large/") == []
    other = bytearray(tiny.read_bytes())
    other[-1] ^= 1
    (folder / "tiny-Q8_0.gguf").write_bytes(other)
    (file,) = download(Models(), NAME).files
    assert file.path != str(folder / "tiny-Q8_0.gguf")
    assert file.sha256 == digest(tiny.read_bytes())


def test_what_a_download_brought_is_found_by_other_projects_offline(
    models: Models, hub: HubServer, repository: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = download(models, NAME).files
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = len(hub.asked)
    other = Models()
    for name in (NAME, "gguf:me/tiny-GGUF", "gguf:me/tiny-GGUF/tiny-Q8_0.gguf"):
        assert other.provider("gguf").info(other.find(name))["file"] == file.path  # pyright: ignore
        got = download(other, name)
        assert (got.files, got.fingerprint, got.quantization) == ((file,), file.sha256, "Q8_0")
        assert download(other, name) == got
    assert len(hub.asked) == before
    other.close()


@pytest.mark.parametrize("setting", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "WORKGLOW_OFFLINE"])
def test_offline_nobody_is_asked(
    models: Models, hub: HubServer, repository: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(setting, "1")
    with pytest.raises(ModelCallError, match=f"is not downloaded: {setting} is set.*not on this machine"):
        download(models, NAME)
    url = f"{hub.address}/me/tiny-GGUF/resolve/main/tiny-Q8_0.gguf"
    with pytest.raises(ModelCallError, match=f"is not downloaded: {setting} is set"):
        download(models, {"name": "mine:one", "provider": "gguf", "source": url})
    assert hub.asked == []


def test_the_revision_of_a_record_is_the_one_that_is_found(
    models: Models, hub: HubServer, tiny: Path, ending: Path, tmp_path: Path
) -> None:
    older = snapshot(tmp_path, COMMIT, ("tiny-Q8_0.gguf", tiny))
    newer = snapshot(tmp_path, OTHER_COMMIT, ("tiny-Q8_0.gguf", ending))
    os.utime(older, (1, 1))
    os.utime(newer, (2, 2))
    references = older.parents[1] / "refs"
    references.mkdir()
    (references / "main").write_text(COMMIT)

    def found(**more: str) -> str:
        record = models.find({"name": "mine:tiny", "provider": "gguf", "source": "me/tiny-GGUF", **more})
        return Path(models.provider("gguf").info(record)["file"]).parent.name  # pyright: ignore

    assert (found(), found(revision=COMMIT), found(revision="main")) == (OTHER_COMMIT, COMMIT, COMMIT)
    with pytest.raises(UnknownModelError, match="workglow models download FILE mine:tiny"):
        models.model(
            {"name": "mine:tiny", "provider": "gguf", "source": "me/tiny-GGUF", "revision": "v3"}
        ).count_tokens("text")


def test_a_model_of_which_a_part_is_missing_is_not_here(
    models: Models, hub: HubServer, tiny: Path, tmp_path: Path
) -> None:
    folder = snapshot(tmp_path, COMMIT, ("tiny-Q8_0-00001-of-00002.gguf", tiny))
    with pytest.raises(UnknownModelError, match=f"fetch it: workglow models download FILE {NAME}.*not all parts"):
        models.model(NAME).count_tokens("text")
    shutil.copy(tiny, folder / "tiny-Q8_0-00002-of-00002.gguf")
    assert models.find(NAME).memory_bytes == 2 * tiny.stat().st_size


@pytest.mark.parametrize(
    "name", ["gguf:me/nothing", "gguf:me/nothing:Q8_0", "gguf:me/nothing/x.gguf", "gguf:https://example.com/x.gguf"]
)
def test_what_is_not_here_says_how_it_gets_here(models: Models, hub: HubServer, name: str) -> None:
    model = models.model(name)
    with pytest.raises(UnknownModelError, match=f"not on this machine; fetch it: workglow models download FILE {name}"):
        asked(model)
    assert model.provider.info(model.record) == {"is_cached": False, "is_loaded": False}
    model.provider.unload(model.record)
    assert hub.asked == []


def test_a_model_whose_file_is_gone_says_how_it_comes_back(
    models: Models, hub: HubServer, repository: dict[str, bytes]
) -> None:
    got = download(models, NAME)
    Path(got.files[0].path).unlink()
    with pytest.raises(UnknownModelError, match=f"is not there.*workglow models download FILE {NAME}"):
        models.model(NAME).count_tokens("text")
    assert download(models, NAME) == got


def test_a_graph_downloads_a_model_and_uses_it(
    hub: HubServer, repository: dict[str, bytes], project_path: Path
) -> None:
    graph = wg.Workflow().download_model(model=NAME).text_generation(prompt="one", max_tokens=3)
    with wg.open(project_path) as project:
        assert project.run_sync(graph).outputs["text"]
        assert project.models.find(NAME).fingerprint == digest(repository["tiny-Q8_0.gguf"])


# ---------------------------------------------------------------------- the command, and a real model

REAL = "gguf:me/SmolLM2-135M-Instruct-GGUF:q4_1"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def real(hub: HubServer, smollm: str) -> bytes:
    spec = find_spec(smollm.partition(":")[2])
    assert spec is not None
    (file,) = Path((spec.submodule_search_locations or [""])[0]).glob("*.gguf")
    hub.repositories["me/SmolLM2-135M-Instruct-GGUF"] = {
        "SmolLM2-135M-Instruct-Q4_1.gguf": file.read_bytes(),
        "SmolLM2-135M-Instruct-Q8_0.gguf": b"other" * 1000,
    }
    return file.read_bytes()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(*words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


WITHOUT_SOCKETS = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(refuse)

import workglow as wg

with wg.open("notes.wg") as project:
    graph = wg.Workflow().download_model(model=sys.argv[1])
    project.run_sync(graph)
    write = wg.Workflow().text_generation(model=sys.argv[1], max_tokens=40, temperature=0)
    print(project.run_sync(write, {"prompt": "Write one sentence about the sea."}).outputs["text"])
"""


def test_a_download_that_was_cut_and_killed_is_taken_up_and_the_model_writes_offline(
    hub: HubServer, real: bytes, start: Start, tmp_path: Path
) -> None:
    command = ("-m", "workglow", "models", "download", "notes.wg", REAL)
    hub.cuts, hub.hold = [30_000_000], threading.Event()
    killed = start(*command)
    assert hub.held.wait(60)
    part = next((tmp_path / "models").rglob(".*.part"))
    while part.stat().st_size < 20_000_000:
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    hub.hold.set()
    hub.hold, came = None, part.stat().st_size
    assert not list((tmp_path / "models").rglob("SmolLM2*.gguf"))

    hub.cuts = [20_000_000, 0]  # a connection that breaks is taken up; one that brings nothing is an error
    cut = start(*command)
    _, said = cut.communicate(timeout=60)
    assert cut.returncode == 1
    assert "broke off" in said
    done = start(*command, "--json")
    told, said = done.communicate(timeout=60)
    assert done.returncode == 0, said
    assert "is here" in said
    ranges = [headers.get("range") for path, headers in hub.asked if path.startswith("/large/")]
    further = f"bytes={came + 20_000_000}-"
    assert ranges == [None, f"bytes={came}-", further, further]

    (file,) = json.loads(told)["files"]
    assert (file["sha256"], file["size"]) == (digest(real), len(real))
    with wg.open(tmp_path / "notes.wg") as project:
        record = project.models.get(REAL)
        assert record is not None
        assert (record.fingerprint, record.files[0].path) == (digest(real), file["path"])
    before = len(hub.asked)
    writing = start("-c", WITHOUT_SOCKETS, REAL, HF_HUB_OFFLINE="1")
    text, said = writing.communicate(timeout=120)
    assert writing.returncode == 0, said
    assert any(word in text.lower() for word in ("sea", "ocean", "wave", "water"))
    assert len(hub.asked) == before


def test_the_command_lists_what_there_is(hub: HubServer, real: bytes, start: Start) -> None:
    wrong = start("-m", "workglow", "models", "download", "notes.wg", REAL.replace("q4_1", "Q5_K_M"))
    _, said = wrong.communicate(timeout=60)
    assert wrong.returncode == 1
    assert "does not have 'Q5_K_M'; it has Q4_1, Q8_0." in " ".join(said.split())


def test_downloads_of_a_project_go_where_it_says(
    models: Models, hub: HubServer, repository: dict[str, bytes], tmp_path: Path
) -> None:
    models.downloads = Downloads(tmp_path / "elsewhere")
    assert Path(download(models, NAME).files[0].path).is_relative_to(tmp_path / "elsewhere")
    assert models.find(NAME).files
