"""Where the file of a model is found, and what is said when it is not."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from asking import asked
from tiny_gguf import tiny_encoder_gguf, tiny_gguf

from workglow.ai import Models
from workglow.errors import (
    ContextTooLongError,
    InvalidModelError,
    ModelCallError,
    UnknownModelError,
    UnsupportedCapabilityError,
)


def test_the_record_of_a_file_says_what_the_file_does(models: Models, tiny: Path) -> None:
    record = models.find(f"gguf:{tiny}")
    assert (record.title, record.context_length, record.dimensions) == ("tiny", 4096, 64)
    assert (record.memory_bytes, record.continues) == (tiny.stat().st_size, True)
    assert models.residents.loaded() == {}


def test_a_folder_with_one_file_is_that_file(models: Models, tiny: Path) -> None:
    assert models.find(f"gguf:{tiny.parent}").title == "tiny"


def test_a_repository_is_found_in_the_cache_of_the_hub(
    models: Models, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--someone--tiny-GGUF" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in ("tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf"):
        shutil.copy(tiny, snapshot / name)
    assert models.find("gguf:someone/tiny-GGUF:q8_0").title == "tiny"
    usual = models.find("gguf:someone/tiny-GGUF")
    assert models.provider("gguf").info(usual)["file"] == str(snapshot / "tiny-Q4_K_M.gguf")  # pyright: ignore
    with pytest.raises(UnknownModelError, match=r"not on this machine.*does not have 'f16'; it has Q4_K_M, Q8_0"):
        models.model("gguf:someone/tiny-GGUF:f16").count_tokens("text")


def test_of_a_file_in_parts_the_first_is_taken_and_all_are_counted(models: Models, tiny: Path, tmp_path: Path) -> None:
    for part in (1, 2):
        shutil.copy(tiny, tmp_path / f"tiny-0000{part}-of-00002.gguf")
    assert models.find(f"gguf:{tmp_path}").memory_bytes == 2 * tiny.stat().st_size


def test_a_file_named_by_the_record_comes_first(models: Models, tiny: Path) -> None:
    files = [{"path": str(tiny)}]
    model = models.model({"name": "my:tiny", "provider": "gguf", "source": "someone/else", "files": files})
    assert asked(model, max_tokens=2).usage.output_tokens == 2


@pytest.mark.parametrize("source", ["/nowhere/tiny.gguf", "./tiny.gguf", "no_such_package", "two words", "wordllama"])
def test_what_is_nowhere_is_said(models: Models, source: str) -> None:
    with pytest.raises(UnknownModelError, match="There is no model 'gguf:"):
        models.find(f"gguf:{source}")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all" * 50])
def test_a_file_that_is_no_model_says_what_is_wrong(models: Models, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.gguf").write_bytes(content)
    with pytest.raises(ModelCallError, match=r"broken\.gguf cannot be loaded"):
        models.find(f"gguf:{tmp_path}/broken.gguf")


def test_a_file_that_was_cut_off_says_so_when_it_is_loaded(models: Models, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(tiny.read_bytes()[:200_000])
    model = models.model({"name": "my:cut", "provider": "gguf", "source": str(tmp_path / "cut.gguf")})
    with pytest.raises(ModelCallError, match=r"cut\.gguf cannot be loaded.*not within the file bounds"):
        asked(model)
    assert models.residents.loaded() == {}


def test_a_changed_file_is_loaded_anew(models: Models, tmp_path: Path) -> None:
    name = f"gguf:{tiny_gguf(tmp_path / 'changing.gguf')}"
    before = asked(models.model(name), max_tokens=30, seed=1).text
    tiny_gguf(tmp_path / "changing.gguf", seed=5)
    assert asked(models.model(name), max_tokens=30, seed=1).text != before


def test_unloading_and_loading_again(models: Models, tiny: Path) -> None:
    model = models.model(f"gguf:{tiny}")
    text = asked(model, max_tokens=10, seed=1).text
    assert model.provider.info(model.record)["is_loaded"]  # pyright: ignore
    model.provider.unload(model.record)
    assert models.residents.loaded() == {}
    assert not model.provider.info(model.record)["is_loaded"]  # pyright: ignore
    assert asked(model, max_tokens=10, seed=1).text == text


def test_one_model_at_a_time_when_the_budget_has_room_for_one(models: Models, tiny: Path, ending: Path) -> None:
    models.residents.budget = tiny.stat().st_size + 1000
    for path in (tiny, ending, tiny):
        asked(models.model(f"gguf:{path}"), max_tokens=3, seed=1)
        ((_, file, *_),) = models.residents.loaded()  # pyright: ignore
        assert file == str(path)


def test_counting_tokens_loads_no_weights_and_waits_for_nobody(models: Models, tiny: Path) -> None:
    model = models.model(f"gguf:{tiny}")
    assert (model.count_tokens("hello"), model.count_tokens("")) == (5, 0)
    assert model.count_tokens("<|eos|>") == 7  # a mark in a text is a text
    assert models.residents.loaded() == {}


def test_vectors_have_unit_length_and_depend_on_nothing_but_their_text(models: Models, tiny: Path) -> None:
    model = models.model(f"gguf:{tiny}")
    texts = [f"text {number} " * (number % 7 + 1) for number in range(150)]
    together = asyncio.run(model.embed([*texts, ""]))
    assert together.shape == (151, 64)
    assert not together[150].any()
    for at in (0, 77, 149):
        alone = asyncio.run(model.embed([texts[at]]))[0]
        assert together[at] @ alone == pytest.approx(1, abs=1e-4)
    assert together[0] @ together[3] < 0.999


def test_a_text_that_is_too_long_to_embed_is_refused(models: Models, tiny: Path) -> None:
    record: dict[str, Any] = {"name": "my:tiny", "provider": "gguf", "source": str(tiny), "context_length": 256}
    with pytest.raises(ContextTooLongError, match="257 tokens is longer than the 256"):
        asyncio.run(models.model(record).embed(["a" * 257]))


@pytest.mark.parametrize("room", [1, 2, 65, 1000, 4095])
def test_any_context_length_holds_for_texts_and_for_vectors(models: Models, tiny: Path, room: int) -> None:
    """What llama.cpp rounds it to, and which of them it cannot work with, is nobody's business."""
    model = models.model({"name": "my:tiny", "provider": "gguf", "source": str(tiny), "context_length": room})
    assert asyncio.run(model.embed(["a" * room])).shape == (1, 64)
    with pytest.raises(ContextTooLongError, match=f"{room + 1} tokens is longer than the {room}"):
        asyncio.run(model.embed(["a" * (room + 1)]))
    if room > 1:
        assert asked(model, "a" * (room - 1), capability="generate").usage.output_tokens == 1
    with pytest.raises(ContextTooLongError, match=f"{room} tokens, and the model reads {room}"):
        asked(model, "a" * room, capability="generate")


def test_an_encoder_reads_as_many_tokens_as_it_has_learned_places(models: Models, tmp_path: Path) -> None:
    record = {"name": "my:encoder", "provider": "gguf", "source": str(tiny_encoder_gguf(tmp_path / "encoder.gguf"))}
    model = models.model(record)
    assert asyncio.run(model.embed(["a " * 62])).shape == (1, 64)  # and the two marks around it
    with pytest.raises(ContextTooLongError, match="65 tokens is longer than the 64"):
        asyncio.run(model.embed(["a " * 63]))
    with pytest.raises(InvalidModelError, match=r"learned 64 places.*context_length is 65"):
        asyncio.run(models.model({**record, "context_length": 65}).embed(["a"]))


def test_what_a_model_cannot_is_said(models: Models, tiny: Path) -> None:
    with pytest.raises(UnsupportedCapabilityError, match=r"cannot sort a text into classes\.  It can: .*chat"):
        asyncio.run(models.model(f"gguf:{tiny}").call("classify", "text"))
