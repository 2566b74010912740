"""What a model writes: reproducibly, up to its end, one answer at a time, until nobody wants it any more."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import Any

import pytest
from asking import ask, asked
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import tiny_gguf

from workglow.ai import GenerationRequest, Model, Models, TextDelta, UsageReport
from workglow.ai.messages import as_messages
from workglow.errors import ContextTooLongError, InvalidModelError, ModelCallError
from workglow.providers.llamacpp.contexts import TextContext
from workglow.providers.llamacpp.writing import StopTexts


def test_the_same_seed_writes_the_same_and_another_does_not(model: Model) -> None:
    first, again, other = (asked(model, max_tokens=60, seed=seed) for seed in (1, 1, 2))
    assert first.text == again.text != other.text
    assert (first.reason, first.usage.output_tokens) == ("length", 60)


def test_without_a_seed_each_answer_is_another(model: Model) -> None:
    assert asked(model, max_tokens=60).text != asked(model, max_tokens=60).text


def test_a_record_may_give_the_seed(models: Models, model: Model) -> None:
    seeded = models.model(
        {"name": "my:tiny", "provider": "gguf", "source": model.record.source, "options": {"seed": 1, "threads": 1}}
    )
    assert asked(seeded, max_tokens=60).text == asked(model, max_tokens=60, seed=1).text


def test_a_temperature_of_zero_takes_the_likeliest_whatever_the_seed(model: Model) -> None:
    assert (
        asked(model, max_tokens=60, seed=1, temperature=0).text
        == asked(model, max_tokens=60, seed=2, temperature=0).text
    )


def test_a_small_top_p_takes_the_likeliest_too(model: Model) -> None:
    assert asked(model, max_tokens=40, seed=1, top_p=1e-6).text == asked(model, max_tokens=40, temperature=0).text


def test_a_penalty_makes_the_frequent_rare(model: Model) -> None:
    plain, penalised = (asked(model, max_tokens=60, seed=1, frequency_penalty=penalty).text for penalty in (None, 2.0))
    most = max(set(plain), key=plain.count)
    assert penalised.count(most) < plain.count(most) / 2


def test_a_model_that_ends_by_itself_has_stopped(models: Models, ending: Path) -> None:
    told = asked(models.model(f"gguf:{ending}"), max_tokens=4000, seed=1)
    assert told.reason == "stop"
    assert told.usage.output_tokens == len(told.text) + 1  # one token is one letter, and the end is one


def test_it_stops_before_a_stop_text_wherever_its_tokens_are_cut(model: Model) -> None:
    whole = asked(model, max_tokens=80, seed=1).text
    stop = whole[30:34]
    told = asked(model, max_tokens=80, seed=1, stop=(stop, "nowhere"))
    assert told.text == whole[: whole.index(stop)]
    assert told.reason == "stop"


@given(st.text("ab—", max_size=40), st.lists(st.text("ab—", min_size=1, max_size=4), max_size=3), st.data())
def test_a_text_up_to_its_stop_does_not_depend_on_its_pieces(text: str, stop: list[str], data: Any) -> None:
    pieces, given, rest = StopTexts(stop), "", text.encode()
    while rest and not pieces.met:
        cut = data.draw(st.integers(1, len(rest)))
        given += pieces.feed(rest[:cut])
        assert not any(one in given for one in stop)
        rest = rest[cut:]
    given += pieces.finish()
    found = [(at + len(one), at) for one in stop if (at := text.find(one)) >= 0]
    assert pieces.met == bool(found)
    assert given == text[: min(found)[1] if found else len(text)]


def test_what_was_written_before_is_gone_on_with(models: Models, tiny: Path) -> None:
    """The whole is what it would have been without the cut, and nothing of it is written twice."""
    options = {
        "threads": 1,
        "cache_type": "f32",
        "flash_attention": False,
    }  # so that it is rounded alike in one go and in many
    model = models.model({"name": "my:tiny", "provider": "gguf", "source": str(tiny), "options": options})
    for settings in ({"seed": 7}, {"temperature": 0}, {"seed": 7, "frequency_penalty": 0.5}):
        whole = asked(model, max_tokens=120, **settings)
        for cut in (1, 50, 119):
            rest = asked(model, max_tokens=120, written=whole.text[:cut], **settings)
            assert whole.text[:cut] + rest.text == whole.text
            assert rest.usage.output_tokens == 120 - cut
    assert asked(model, max_tokens=120, written=whole.text).reason == "length"


def test_what_two_prompts_have_in_common_is_read_once(model: Model) -> None:
    asked(model, "a" * 200, max_tokens=5)
    reports: list[UsageReport] = []

    def events() -> None:
        writing = model.provider.chat(model.record, GenerationRequest(as_messages("a" * 190 + "b"), max_tokens=5))
        reports.extend(event for event in writing if isinstance(event, UsageReport))  # pyright: ignore

    events()
    assert sum(report.cached_tokens for report in reports) == 191  # and the mark before them
    assert sum(report.input_tokens for report in reports) == 193


def test_the_cache_of_prompts_changes_no_answer(models: Models, model: Model) -> None:
    asked(model, "a" * 200, max_tokens=5)
    warm = asked(model, "a" * 190 + "b", max_tokens=60, seed=3).text
    model.provider.unload(model.record)
    assert asked(model, "a" * 190 + "b", max_tokens=60, seed=3).text == warm


def test_a_prompt_that_is_too_long_is_refused_with_its_length(model: Model) -> None:
    with pytest.raises(ContextTooLongError, match=r"5002 tokens, and the model reads 4096"):
        asked(model, "a" * 5000)
    assert asked(model, max_tokens=3).usage.output_tokens == 3


def test_an_answer_ends_where_the_context_does(models: Models, tiny: Path) -> None:
    short = models.model({"name": "my:short", "provider": "gguf", "source": str(tiny), "context_length": 256})
    told = asked(short, "a" * 200)
    assert (told.reason, told.usage.output_tokens) == ("length", 256 - 202)


def test_answers_at_the_same_time_are_what_each_would_be_alone(model: Model) -> None:
    alone = [asked(model, f"prompt {number}", max_tokens=40, seed=number).text for number in range(6)]

    async def all_of_them() -> list[str]:
        asking = (ask(model, f"prompt {number}", max_tokens=40, seed=number) for number in range(6))
        return [told.text for told in await asyncio.gather(*asking)]

    assert asyncio.run(all_of_them()) == alone


def test_a_slow_reader_holds_nobody_up(model: Model) -> None:
    async def slow_and_quick() -> None:
        request = GenerationRequest(as_messages("slow"), max_tokens=500, seed=1)
        slow = model.stream("chat", request)
        await anext(slow)
        told = await ask(model, "quick", max_tokens=20)
        assert told.usage.output_tokens == 20
        assert len([event async for event in slow if isinstance(event, TextDelta)]) == 499

    asyncio.run(slow_and_quick())


def test_an_answer_nobody_reads_ends_within_a_token(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    read_one = TextContext.read_one

    def counted(self: TextContext, token: int) -> None:
        read.append(token)
        read_one(self, token)

    monkeypatch.setattr(TextContext, "read_one", counted)
    writing = model.provider.chat(model.record, GenerationRequest(as_messages("hello"), seed=1))
    for event in writing:  # pyright: ignore
        if isinstance(event, TextDelta):
            break
    writing.cancel()  # pyright: ignore
    assert not [event for event in writing if isinstance(event, TextDelta)]  # pyright: ignore
    assert not read
    assert asked(model, max_tokens=3).usage.output_tokens == 3


def test_a_prompt_nobody_waits_for_is_not_read_to_its_end(models: Models, tiny: Path) -> None:
    model = models.model(
        {"name": "my:slow", "provider": "gguf", "source": str(tiny), "options": {"batch_size": 4096, "threads": 1}}
    )
    asked(model, max_tokens=1)
    writing = model.provider.chat(model.record, GenerationRequest(as_messages("a" * 4000)))
    assert isinstance(next(writing), UsageReport)  # pyright: ignore  # it has the model, and has read nothing yet
    writing.cancel()  # pyright: ignore
    assert list(writing) == []  # pyright: ignore
    told = asked(model, "a" * 4000, max_tokens=4, seed=1)  # what was read in part is not taken for read
    assert told.usage.output_tokens == 4


def test_who_is_cancelled_while_waiting_never_has_the_model(model: Model) -> None:
    async def waits() -> None:
        first = model.stream("chat", GenerationRequest(as_messages("first"), max_tokens=300, seed=1))
        await anext(first)
        waiting = asyncio.create_task(ask(model, "second"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len([event async for event in first if isinstance(event, TextDelta)]) == 299
        assert (await ask(model, "third", max_tokens=5)).usage.output_tokens == 5

    asyncio.run(waits())


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"options": {"thread": 2}}, r"unknown field `thread`"),
        ({"options": {"threads": 0}}, "threads is less than 1"),
        ({"options": {"threads": "two"}}, r"`\$\.threads`"),
        ({"pooling": "median"}, "mean, cls, last"),
    ],
)
def test_a_wrong_record_is_named(models: Models, tiny: Path, record: dict[str, Any], said: str) -> None:
    model = models.model({"name": "my:model", "provider": "gguf", "source": str(tiny), **record})
    with pytest.raises(InvalidModelError, match=said):
        asyncio.run(model.embed(["text"]))


def test_a_model_without_a_template_goes_on_with_texts(models: Models, tmp_path: Path) -> None:
    model = models.model(f"gguf:{tiny_gguf(tmp_path / 'plain.gguf', template='')}")
    assert not model.can("chat")
    assert asked(model, "once", capability="generate", max_tokens=4).usage.input_tokens == 4


@pytest.mark.parametrize("template", ["{{ raise_exception('no system, please') }}", "{% for", "{{ 1 // 0 }}"])
def test_a_template_that_fails_is_an_error_of_the_call(models: Models, tiny: Path, template: str) -> None:
    model = models.model(
        {"name": "my:tiny", "provider": "gguf", "source": str(tiny), "options": {"chat_template": template}}
    )
    with pytest.raises(ModelCallError, match="chat template"):
        asked(model)


def test_memory_stays_flat_over_many_calls(model: Model) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}

    def calls(count: int) -> None:
        async def all_of_them() -> None:
            for number in range(count):
                await ask(model, f"prompt {number}", max_tokens=3)
                await ask(model, f"prompt {number}", capability="structured", schema=schema, max_tokens=3)
                await model.embed([f"text {number}"])

        asyncio.run(all_of_them())

    calls(60)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls(300)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192  # KB
