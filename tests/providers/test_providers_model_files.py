"""Where models of Hugging Face's layout are, what their files say, and how they get here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_models
import pytest
from local_hub import COMMIT, hub_running

import workglow as wg
from workglow.ai import Models
from workglow.ai.capability import CAPABILITIES
from workglow.errors import (
    InvalidModelError,
    ModelCallError,
    ModelError,
    ModelUnavailableError,
    RateLimitedError,
    UnknownModelError,
)

pytestmark = [
    pytest.mark.extra("transformers"),
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("transformers") is None,
        reason="needs torch and transformers: pip install 'workglow[transformers]'",
    ),
    pytest.mark.usefixtures("torch_threads"),
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def can(models: Models, folder: Path, **config: Any) -> set[str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    record = models.find({"name": "mine:model", "provider": "hf", "source": str(folder)})
    return set(models.provider("hf").capabilities_of(record)) & CAPABILITIES.keys() - {"count_tokens"}


@pytest.mark.parametrize(
    ("architecture", "more", "expected"),
    [
        ("BertModel", {}, {"embed"}),
        ("MPNetForMaskedLM", {}, {"fill_mask", "embed"}),
        ("BertForQuestionAnswering", {}, {"answer"}),
        ("BertForTokenClassification", {}, {"recognise_entities"}),
        ("BertForSequenceClassification", {"id2label": {"0": "good", "1": "bad"}}, {"classify"}),
        (
            "BartForSequenceClassification",
            {"id2label": {"0": "CONTRADICTION", "1": "NEUTRAL", "2": "ENTAILMENT"}},
            {"classify", "classify_freely"},
        ),
        (
            "XLMRobertaForSequenceClassification",
            {"id2label": {"0": "en", "1": "de", "2": "zh"}},
            {"classify", "detect_language"},
        ),
        ("LlamaForCausalLM", {}, {"generate"}),
        ("GPT2LMHeadModel", {}, {"generate"}),
        (
            "T5ForConditionalGeneration",
            {"is_encoder_decoder": True, "model_type": "t5"},
            {"generate", "rewrite", "summarise", "translate"},
        ),
        ("MarianMTModel", {"is_encoder_decoder": True, "model_type": "marian"}, {"translate"}),
        ("BartForConditionalGeneration", {"is_encoder_decoder": True, "model_type": "bart"}, {"summarise"}),
        ("WhisperForConditionalGeneration", {"is_encoder_decoder": True, "model_type": "whisper"}, set()),
        ("ViTForImageClassification", {"model_type": "vit"}, {"classify_image"}),
        ("Dinov2Model", {"model_type": "dinov2"}, {"embed_image"}),
        ("CLIPModel", {"model_type": "clip"}, {"embed", "embed_image", "classify_image_freely"}),
        ("DetrForObjectDetection", {"model_type": "detr"}, {"detect_objects"}),
        ("SegformerForSemanticSegmentation", {"model_type": "segformer"}, {"segment_image"}),
        ("LlavaForConditionalGeneration", {"model_type": "llava", "vision_config": {}}, {"describe_image"}),
    ],
)
def test_what_a_model_can_do_is_read_off_its_config(
    models: Models, tmp_path: Path, architecture: str, more: dict[str, Any], expected: set[str]
) -> None:
    assert can(models, tmp_path / "model", architectures=[architecture], **more) == expected


def test_a_model_with_a_chat_template_converses(models: Models, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("")
    assert can(models, tmp_path, architectures=["LlamaForCausalLM"]) == {"chat", "generate"}


def test_a_pipeline_in_the_record_decides(models: Models, tmp_path: Path) -> None:
    can(models, tmp_path, architectures=["Qwen3ForCausalLM"])
    record = {"name": "mine:model", "provider": "hf", "source": str(tmp_path)}
    provider = models.provider("hf")
    given = models.find({**record, "options": {"pipeline": "feature-extraction"}})
    assert provider.capabilities_of(given) & CAPABILITIES.keys() == {"embed", "count_tokens"}
    wrong = {"pipeline": "pipeline is 'dance'; known are", "pipelin": "has the option 'pipelin'; known are"}
    for option, reason in wrong.items():
        given = models.find({**record, "options": {option: "dance"}})
        with pytest.raises(InvalidModelError, match=reason):
            provider.capabilities_of(given)


def test_looking_at_a_model_loads_neither_torch_nor_transformers(made: Callable[..., Path]) -> None:
    folder = made(made_models.gaps_model)
    program = (
        f"import sys; from workglow.ai import Models; m = Models().model('hf:{folder}'); m.can('fill_mask');"
        "m.provider.info(m.record); print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


def test_what_the_files_say_is_in_the_record(models: Models, tmp_path: Path) -> None:
    can(models, tmp_path, architectures=["XLMRobertaModel"], model_type="xlm-roberta", hidden_size=12,
        max_position_embeddings=514)  # fmt: skip
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    (tmp_path / "config.json").touch()
    record = models.find(f"hf:{tmp_path}")
    assert (record.dimensions, record.context_length, record.pooling) == (12, 512, "cls")
    assert (record.query_prefix, record.document_prefix) == ("query: ", "passage: ")


def test_a_folder_without_a_model_is_told_at_once(models: Models, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"There is no model in .*: it has no config.json"):
        models.find(f"hf:{tmp_path}")
    with pytest.raises(UnknownModelError, match=r"There is no model in .*nowhere: it is no folder"):
        models.find(f"onnx:{tmp_path}/nowhere")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"config.json holds no object"):
        models.find(f"hf:{tmp_path}")


def test_a_model_that_is_not_here_says_how_it_gets_here(models: Models, cache: Path) -> None:
    model = models.model("hf:someone/nothing")
    assert not model.provider.info(model.record)["is_cached"]
    with pytest.raises(
        UnknownModelError, match=r"not on this machine; fetch it: workglow models download FILE hf:someone/"
    ):
        model.embed_sync(["text"])
    with pytest.raises(UnknownModelError, match=r"neither a folder nor the name of a repository"):
        models.find("hf:a/b/c")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("device", "cuda:99", "device 'cuda:99' is not on this machine"),
        ("dtype", "int3", "dtype is 'int3'; it is float32"),
    ],
)
def test_what_cannot_be_is_refused(
    models: Models, made: Callable[..., Path], field: str, value: str, reason: str
) -> None:
    record = {"name": "mine:gaps", "provider": "hf", "source": str(made(made_models.gaps_model)), field: value}
    with pytest.raises(InvalidModelError, match=reason):
        models.model(record).embed_sync(["text"])


def test_a_model_in_other_numbers_gives_nearly_the_same(models: Models, made: Callable[..., Path]) -> None:
    record = {"name": "mine:gaps", "provider": "hf", "source": str(made(made_models.gaps_model))}
    half = models.model({**record, "dtype": "bfloat16"})
    plain, other = models.model(record).embed_sync(["anna"]), half.embed_sync(["anna"])
    assert float(plain[0] @ other[0]) > 0.99
    with half.provider.encoder(half.record, "embed") as encoder:
        assert str(encoder._model.dtype) == "torch.bfloat16"


def test_code_of_a_folder_never_runs(models: Models, tmp_path: Path) -> None:
    theirs = {"AutoModel": "strange.Strange", "AutoConfig": "strange.C"}
    can(models, tmp_path, architectures=["StrangeModel"], auto_map=theirs, model_type="strange")
    (tmp_path / "strange.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Strange: ...\nclass C: ...\n")
    with pytest.raises(ModelError, match="cannot be read"):
        models.model(f"hf:{tmp_path}").embed_sync(["text"])
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------------- the hub


@pytest.fixture
def hub(cache: Path, made: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], str]]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with ExitStack() as stack:
        yield lambda status=200, **more: stack.enter_context(hub_running(made(made_models.gaps_model), status, **more))


def test_the_hub_is_searched(
    models: Models, hub: Callable[[], str], monkeypatch: pytest.MonkeyPatch, project: wg.Project
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub())
    (found,) = project.run_sync(wg.Workflow().model_search(provider="hf", query="mo")).outputs["results"]
    assert found["id"] == "hf:me/model"
    project.models.add(found["record"])
    assert project.models.find("hf:me/model").provider == "hf"
    assert project.run_sync(wg.Workflow().model_search(provider="hf", query="nothing")).outputs["results"] == []


def test_a_model_is_fetched_once_and_then_found(models: Models, hub: Callable[[], str]) -> None:
    provider, told = models.provider("hf"), dict[str, tuple[int, int | None]]()
    wanted = models.find({"name": "mine:gaps", "provider": "hf", "source": "me/model", "base_url": hub()})
    got = provider.download(wanted, lambda name, done, whole: told.update({name: (done, whole)}))
    assert isinstance(got, type(wanted))
    assert (got.revision, got.fingerprint) == (COMMIT, COMMIT)
    assert {Path(file.path).name for file in got.files} == set(told) >= {"config.json", "model.safetensors"}
    assert all(told[Path(file.path).name] == (file.size, file.size) for file in got.files)
    assert provider.fill_mask(got, "the city of [MASK]", limit=1)[0]["entity"] == "paris"
    assert provider.info(got)["is_cached"]


def test_nothing_is_fetched_offline(models: Models, cache: Path) -> None:
    wanted = models.find({"name": "mine:gaps", "provider": "hf", "source": "me/model"})
    with pytest.raises(ModelCallError, match="HF_HUB_OFFLINE is set"):
        models.provider("hf").download(wanted, lambda *_: None)
    with pytest.raises(ModelCallError, match="HF_HUB_OFFLINE is set"):
        models.provider("hf").search("bert", limit=3)


def test_nothing_is_fetched_when_workglow_is_offline(
    models: Models, hub: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKGLOW_OFFLINE", "1")
    wanted = models.find({"name": "mine:gaps", "provider": "hf", "source": "me/model", "base_url": hub()})
    with pytest.raises(ModelCallError, match="WORKGLOW_OFFLINE is set"):
        models.provider("hf").download(wanted, lambda *_: None)
    with pytest.raises(ModelCallError, match="WORKGLOW_OFFLINE is set"):
        models.provider("hf").search("bert", limit=3)


def test_a_hub_that_is_asked_too_often_says_how_long_to_wait(models: Models, hub: Any) -> None:
    wanted = models.find({"name": "mine:gaps", "provider": "hf", "source": "me/model", "base_url": hub(429)})
    with pytest.raises(RateLimitedError) as caught:
        models.provider("hf").download(wanted, lambda *_: None)
    assert caught.value.retry_after == 41


@pytest.mark.parametrize(("status", "error"), [(404, UnknownModelError), (400, ModelCallError)])
def test_what_the_hub_refuses_is_told(models: Models, hub: Any, status: int, error: type[Exception]) -> None:
    wanted = models.find({"name": "mine:gaps", "provider": "hf", "source": "me/model", "base_url": hub(status)})
    with pytest.raises(error):
        models.provider("hf").download(wanted, lambda *_: None)


def test_a_hub_that_fails_in_the_middle_may_do_better_later(
    models: Models, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # between the library's own tries
    place = hub(of_files=503)
    wanted = models.find({"name": "mine:gaps", "provider": "hf", "source": "me/model", "base_url": place})
    with pytest.raises(ModelUnavailableError, match="'me/model' could not be fetched"):
        models.provider("hf").download(wanted, lambda *_: None)


def test_a_hub_that_does_not_answer_may_do_so_later(models: Models, hub: Any) -> None:
    wanted = models.find(
        {"name": "mine:gaps", "provider": "hf", "source": "me/model", "base_url": "http://127.0.0.1:9"}
    )
    with pytest.raises(ModelUnavailableError, match="could not be fetched"):
        models.provider("hf").download(wanted, lambda *_: None)
