"""Models of transformers that write: conversations, seeds, stops, translations."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_models
import pytest

import workglow as wg
from workglow.ai import Finish, GenerationRequest, Model, Models, TextDelta, UsageReport
from workglow.ai.generation import TextGenerationTask
from workglow.ai.messages import as_messages
from workglow.errors import ContextTooLongError, ModelCallError
from workglow.providers.encoders.languages import english_name, own_code

pytestmark = [
    pytest.mark.extra("transformers"),
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("transformers") is None,
        reason="needs torch and transformers: pip install 'workglow[transformers]'",
    ),
    pytest.mark.usefixtures("torch_threads"),
]


@pytest.fixture
def writer(models: Models, made: Callable[..., Path]) -> Model:
    return models.model(f"hf:{made(made_models.writing_model)}")


@pytest.fixture
def translator(models: Models, made: Callable[..., Path]) -> Model:
    return models.model(f"hf:{made(made_models.translating_model)}")


def events(
    model: Model, prompt: str = "hello", *, capability: str = "chat", system: str = "", **options: Any
) -> list[Any]:
    request = GenerationRequest(as_messages(prompt, system=system), **options)
    return list(getattr(model.provider, capability)(model.record, request))


def text_of(told: list[Any]) -> str:
    return "".join(event.text for event in told if isinstance(event, TextDelta))


def test_a_model_writes_token_by_token_and_says_what_it_took(writer: Model) -> None:
    told = events(writer, max_tokens=20)
    assert told[-1] == Finish("length")
    assert told[-2] == UsageReport(len("user: hello\nassistant: "), 20)
    assert (len(text_of(told)), len(told)) == (20, 22)
    assert events(writer, max_tokens=20) == told


def test_a_stop_text_ends_it_and_is_not_written(writer: Model) -> None:
    whole = text_of(events(writer, max_tokens=40))
    stop = whole[7:10]
    before = whole[: whole.index(stop)]
    for more in ((), ("never that",)):
        told = events(writer, max_tokens=40, stop=(*more, stop))
        assert (text_of(told), told[-1]) == (before, Finish("stop"))
        assert told[-2].output_tokens == len(before) + 3
    told = events(writer, max_tokens=9, stop=(whole[7:9] + "!",))  # what was held back comes when nothing follows
    assert (text_of(told), told[-1]) == (whole[:9], Finish("length"))


def test_the_models_own_end_ends_it(translator: Model) -> None:
    told = list(translator.provider.translate(translator.record, "two", source="en", target="fr"))
    assert (text_of(told), told[-1]) == ("deux", Finish("stop"))
    assert told[-2] == UsageReport(7, 2)


def test_a_seed_gives_the_same_text_again_also_side_by_side(writer: Model) -> None:
    def write(seed: int | None, temperature: float = 1.5) -> str:
        return text_of(events(writer, max_tokens=60, temperature=temperature, seed=seed))

    alone = {seed: write(seed) for seed in range(4)}
    assert len(set(alone.values())) == 4
    beside: dict[int, str] = {}
    threads = [threading.Thread(target=lambda seed=seed: beside.update({seed: write(seed)})) for seed in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert beside == alone
    assert write(None) != write(None)
    assert write(1, 0.0) == write(2, 0.0) == text_of(events(writer, max_tokens=60))


def test_what_is_drawn_follows_the_models_chances(writer: Model) -> None:
    """A nearly greedy temperature gives the greedy text; a narrow top_p too; a hot one does not."""
    greedy = text_of(events(writer, max_tokens=30))
    assert text_of(events(writer, max_tokens=30, temperature=0.01, seed=1)) == greedy
    assert text_of(events(writer, max_tokens=30, temperature=1.0, top_p=0.01, seed=1)) == greedy
    assert text_of(events(writer, max_tokens=30, temperature=2.0, seed=1)) != greedy
    first = [text_of(events(writer, max_tokens=1, temperature=1.0, seed=seed)) for seed in range(200)]
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = writer.record.source
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        chances = model(**tokenizer("user: hello\nassistant: ", return_tensors="pt")).logits[0, -1].softmax(-1)
    letters = {letter: float(chances[tokenizer.convert_tokens_to_ids(letter)]) for letter in made_models.LETTERS}
    assert max(letters.values()) > 0.1
    for letter, expected in letters.items():
        assert first.count(letter) / 200 == pytest.approx(expected, abs=0.12)


def test_penalties_keep_it_from_repeating(writer: Model) -> None:
    assert len(set(text_of(events(writer, max_tokens=16, presence_penalty=2.0, frequency_penalty=2.0)))) > len(
        set(text_of(events(writer, max_tokens=16)))
    )


def test_settings_of_the_model_count_where_the_call_says_nothing(models: Models, made: Callable[..., Path]) -> None:
    model = models.model(f"hf:{made(made_models.writing_model, sampling=True)}")
    assert len({text_of(events(model, max_tokens=30)) for _ in range(3)}) > 1
    assert len({text_of(events(model, max_tokens=30, temperature=0.0)) for _ in range(3)}) == 1


def test_a_template_that_knows_no_system_finds_it_in_the_first_message(writer: Model) -> None:
    told = events(writer, "hello", system="be brief", max_tokens=1)
    assert told[-2].input_tokens == len("user: be brief\n\nhello\nassistant: ")


def test_it_goes_on_from_what_was_written_before_a_crash(writer: Model) -> None:
    whole = text_of(events(writer, max_tokens=30))
    assert text_of(events(writer, max_tokens=18, written=whole[:12])) == whole[12:]


def test_a_text_is_gone_on_with_as_it_stands(writer: Model) -> None:
    assert events(writer, "once", capability="generate", max_tokens=3)[-2].input_tokens == len("once")


def test_a_text_that_has_no_room_is_refused_and_one_that_has_little_is_cut(writer: Model) -> None:
    with pytest.raises(ContextTooLongError, match=r"The text has \d+ tokens; .* has room for 256"):
        events(writer, "hello " * 60)
    told = events(writer, "hello " * 36 + "hey")
    assert (told[-1], told[-2].input_tokens + told[-2].output_tokens) == (Finish("length"), 256)


def test_what_is_no_text_is_refused(writer: Model) -> None:
    image = [{"type": "image", "mimeType": "image/png", "data": ""}]
    with pytest.raises(ModelCallError, match=r"a part of type 'image', and .* reads texts only"):
        events(writer, image)


def test_who_stops_reading_stops_the_model_within_a_token(writer: Model) -> None:
    events(writer, max_tokens=1)
    with writer.provider._use(writer.record, "chat") as loaded:
        pass
    steps = 0
    forward = loaded.model.forward

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal steps
        steps += 1
        reached.set() if steps == 4 else None  # from here on it cannot look whether it was stopped
        assert steps < 4 or go_on.wait(30)
        return forward(*arguments, **options)

    reached, go_on = threading.Event(), threading.Event()
    loaded.model.forward = counted
    try:
        stream = writer.provider.chat(writer.record, GenerationRequest(as_messages("hello"), max_tokens=200))
        next(stream)
        assert reached.wait(30)
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "workglow-generate")
        closing = threading.Thread(target=stream.close)
        closing.start()
        assert thread._target.__self__._stopped.wait(30)  # type: ignore[attr-defined]  # it was told, and has not looked yet
        go_on.set()
        closing.join(30)
        assert steps <= 4
        assert not thread.is_alive()
    finally:
        loaded.model.forward = forward


def test_a_failure_of_the_model_reaches_the_reader(writer: Model) -> None:
    events(writer, max_tokens=1)
    with writer.provider._use(writer.record, "chat") as loaded:
        pass
    forward = loaded.model.forward
    loaded.model.forward = lambda *_, **__: (_ for _ in ()).throw(FloatingPointError("broken"))
    try:
        with pytest.raises(FloatingPointError, match="broken"):
            events(writer)
    finally:
        loaded.model.forward = forward


def test_a_task_streams_what_a_model_writes(project: wg.Project, writer: Model) -> None:
    graph = wg.TaskGraph()
    graph.add_task(TextGenerationTask(id="write"))
    run = project.run_sync(graph, {"prompt": "hello", "model": writer.name, "max_tokens": 12})
    assert run.outputs == {"text": text_of(events(writer, max_tokens=12)), "finish_reason": "length"}
    assert (run.usage["input_tokens"], run.usage["output_tokens"]) == (23, 12)


def test_a_stream_through_the_model_is_read_in_pieces(writer: Model) -> None:
    async def read() -> list[Any]:
        request = GenerationRequest(as_messages("hello"), max_tokens=12)
        return [event async for event in writer.stream("chat", request)]

    told = asyncio.run(read())
    assert (len(text_of(told)), told[-1]) == (12, Finish("length"))


def test_other_texts_of_a_model_of_pairs(translator: Model) -> None:
    provider, record = translator.provider, translator.record
    for told in (
        provider.summarise(record, "one two three", max_tokens=2),
        provider.rewrite(record, "one two three", prompt="shorter"),
        provider.generate(record, GenerationRequest(as_messages("translate English to French: cat"))),
    ):
        found = list(told)
        assert isinstance(found[-1], Finish)
        assert text_of(found)
    assert text_of(found) == "chat"
    with pytest.raises(ContextTooLongError):
        list(provider.translate(record, "one " * 70, source="en", target="fr"))


def test_beams_are_searched_where_the_model_says_so(translator: Model) -> None:
    with translator.provider._use(translator.record, "translate") as loaded:
        pass
    loaded.model.generation_config.num_beams = 3
    try:
        told = list(translator.provider.translate(translator.record, "red", source="en", target="fr"))
    finally:
        loaded.model.generation_config.num_beams = 1
    assert (text_of(told), told[-1]) == ("rouge", Finish("stop"))


def test_languages_are_written_as_the_model_writes_them(models: Models, made: Callable[..., Path]) -> None:
    model = models.model(f"hf:{made(made_models.many_languages_model)}")
    from workglow.providers.transformers.pairs import translation_inputs

    with model.provider._use(model.record, "translate") as loaded:
        pass
    for source, target in (("en", "fr"), ("de", "en"), ("zh-Hant", "fra_Latn")):
        inputs, forced = translation_inputs(loaded, "one", source, target)
        codes = [
            own_code(code, ["eng_Latn", "fra_Latn", "deu_Latn", "zho_Hans", "zho_Hant"]) for code in (source, target)
        ]
        spoken, wanted = loaded.prepare.convert_tokens_to_ids(codes)
        assert spoken in inputs["input_ids"][0].tolist()
        assert forced == {"forced_bos_token_id": wanted}
    with pytest.raises(ModelCallError, match=r"does not know the language 'xx'; it knows .*fra_Latn"):
        list(model.provider.translate(model.record, "one", source="en", target="xx"))
    assert isinstance(list(model.provider.translate(model.record, "one", source="en", target="fr"))[-1], Finish)


@pytest.mark.parametrize(
    ("code", "known", "expected"),
    [
        ("fr", ["en_XX", "fr_XX"], "fr_XX"),
        ("pt", [">>por<<", ">>fra<<"], ">>por<<"),
        ("zh", ["zho_Hans", "zho_Hant"], "zho_Hans"),
        ("zh-Hant", ["zho_Hans", "zho_Hant"], "zho_Hant"),
        ("ar", ["acm_Arab", "arb_Arab"], "arb_Arab"),
        ("sw", ["__sw__", "__sv__"], "__sw__"),
        ("fr", ["en_XX"], None),
    ],
)
def test_the_models_code_of_a_language(code: str, known: list[str], expected: str | None) -> None:
    assert own_code(code, known) == expected
    assert english_name("pt-BR") == "Portuguese"


def test_text_in_pieces_is_the_text_whole(writer: Model) -> None:
    from workglow.providers.transformers.decoding import StopTexts, TokenText

    with writer.provider._use(writer.record, "chat") as loaded:
        tokenizer = loaded.prepare
    chance = random.Random(0)
    for _ in range(50):
        whole = "".join(
            chance.choice(["a", " ", "ß", "語", "🎉", "\n", "ab", "e\u0301"]) for _ in range(chance.randint(0, 30))
        )
        stop = chance.choice(["aa", "語a", "🎉", "a b", "zz"])
        text, stops = TokenText(tokenizer.decode), StopTexts([stop, ""])
        pieces: list[str] = []
        for token in tokenizer(whole)["input_ids"]:
            pieces.append(stops.add(text.add(token)))
            assert "\ufffd" not in pieces[-1]
            if stops.met:
                break
        rest = "" if stops.met else stops.add(text.rest()) + stops.rest()
        assert "".join(pieces) + rest == whole.partition(stop)[0]
        assert stops.met == (stop in whole)
