"""What every provider must keep to, as tests that anybody can run on theirs.

    class TestMine(ProviderConformance):
        capabilities = ("embed", "chat")
        model = "mine:small"

pytest collects the class like any other.  Checks of what the model is not said to be capable of are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from workglow.ai.events import Finish, ModelEvent, ObjectDelta, TextDelta, ToolCall
from workglow.ai.messages import as_messages
from workglow.ai.model import Model
from workglow.ai.models import Models
from workglow.ai.record import ModelRecord
from workglow.ai.request import GenerationRequest, ToolDefinition
from workglow.errors import ContextTooLongError, JobError, ModelError, UnsupportedCapabilityError, WorkglowError

if TYPE_CHECKING:
    from workglow.tasks.usage import Usage

__all__ = ["ProviderConformance"]

Check = TypeVar("Check", bound=Callable[..., None])
Result = TypeVar("Result")

_WEATHER: Final = ToolDefinition(
    "get_weather",
    "Tells the weather of a city.",
    {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
)
_PERSON: Final = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def _needs(*capabilities: str) -> Callable[[Check], Check]:
    """Leave a check out for models that cannot do any of these."""

    def mark(check: Check) -> Check:
        check.__dict__["needs"] = frozenset(capabilities)
        return check

    return mark


class ProviderConformance:
    """Checks one model of a provider.  Subclass it; say what the model is, and what it can do.

    `model` is its name or its record, in a fixture of your own if it is known only then.  `failures` are models that
    cannot be called, and what that must raise: a wrong credential, a service that is not there.  `patience` is how many
    seconds a call may take.  `reports_usage`: the provider tells how many tokens a call took.
    """

    capabilities: ClassVar[tuple[str, ...]] = ()
    model: str | Mapping[str, Any] = ""
    failures: Iterable[tuple[str | Mapping[str, Any], type[Exception]]] = ()
    patience: float = 60.0
    reports_usage: bool = True
    writes: Mapping[str, Any] = {"max_tokens": 64, "temperature": 0.0}
    """Settings of everything that is written."""

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        for name in dir(ProviderConformance):
            needs = getattr(getattr(ProviderConformance, name), "needs", None)
            if needs is not None and not needs & set(cls.capabilities):
                setattr(cls, name, None)  # pytest passes it over

    # ------------------------------------------------------------------ what a subclass may change

    def models(self) -> Models:
        """Make what finds the model; it is closed after each check."""
        return Models()

    def still_open(self) -> int:
        """How many calls the service still sees, for services that can be asked."""
        return 0

    # ------------------------------------------------------------------ the model itself

    def test_the_model_can_do_what_is_said_of_it(self) -> None:
        def check(model: Model) -> None:
            able = model.provider.capabilities_of(model.record)
            assert set(self.capabilities) <= able, f"cannot {sorted(set(self.capabilities) - able)}"
            assert able <= type(model.provider).capabilities(), "says that it can do what it has no method for"

        self._with_model(check)

    def test_a_record_is_the_same_each_time(self) -> None:
        first, second = (self._with_model(lambda model: model.record) for _ in range(2))
        assert isinstance(first, ModelRecord)
        assert first == second

    def test_what_it_cannot_do_is_said_at_once(self) -> None:
        from workglow.ai.capability import CAPABILITIES

        def check(model: Model) -> None:
            for capability in CAPABILITIES:
                if model.can(capability):
                    continue
                try:
                    model.first_of([capability])
                except UnsupportedCapabilityError as error:
                    said = str(error)
                else:
                    said = "nothing was raised"
                assert model.name in said, f"{capability}: {said}"

        self._with_model(check)

    def test_closing_twice_does_no_harm(self) -> None:
        def check(model: Model) -> None:
            model.provider.close()
            model.provider.close()

        self._with_model(check)

    # ------------------------------------------------------------------ embedding

    @_needs("embed")
    def test_vectors_have_one_shape_and_unit_length(self) -> None:
        import numpy as np

        texts = ["How do I resume a run?", "The cat sleeps.", "x"]
        vectors = self._called(lambda model: model.embed(texts))
        assert vectors.dtype == np.float32
        assert vectors.shape[0] == len(texts)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)

    @_needs("embed")
    def test_a_text_has_the_same_vector_alone_and_among_others(self) -> None:
        import numpy as np

        texts = ["How do I resume a run?", "short", "A text that is a good deal longer than the others around it. " * 4]

        async def both(model: Model) -> tuple[Any, list[Any]]:
            return await model.embed(texts), [await model.embed([text]) for text in texts]

        together, alone = self._called(both)
        for row, vector in zip(together, alone, strict=True):
            assert float(np.dot(row, vector[0])) > 0.99

    @_needs("embed")
    def test_no_texts_and_the_empty_text_are_no_error(self) -> None:
        vectors = self._called(lambda model: model.embed(["word", ""]))
        assert vectors.shape[0] == 2
        assert vectors[0].any()

    @_needs("embed")
    def test_an_ancient_and_a_strange_text_have_vectors(self) -> None:
        vectors = self._called(lambda model: model.embed(["ᚠᚢᚦ 🦜 \u202e", "a\x00b"]))
        assert vectors.shape[0] == 2

    @_needs("embed")
    def test_a_long_text_has_a_vector_or_is_said_to_be_too_long(self) -> None:
        async def long_and_short(model: Model) -> Any:
            with suppress(ContextTooLongError):
                assert (await model.embed(["word " * 20_000])).any()
            return await model.embed(["word"])

        assert self._called(long_and_short).any()

    # ------------------------------------------------------------------ writing

    @_needs("chat", "generate")
    def test_a_stream_ends_with_exactly_one_finish(self) -> None:
        events = self._written(self._way(), "Say hello.")
        assert [type(event) for event in events].count(Finish) == 1
        assert isinstance(events[-1], Finish)
        assert any(isinstance(event, TextDelta) and event.text for event in events)

    @_needs("chat", "generate")
    def test_what_a_call_took_is_told(self) -> None:
        told: list[Usage] = []
        self._written(self._way(), "Say hello.", told=told)
        assert len(told) == 1
        if self.reports_usage:
            assert told[0].input_tokens > 0
            assert told[0].output_tokens > 0

    @_needs("chat", "generate")
    def test_who_stops_reading_ends_the_call(self) -> None:
        async def stop(model: Model) -> int:
            events = model.stream(self._way(), self._request("Count from one to a hundred."))
            async with aclosing(cast("Any", events)):
                async for _ in events:
                    break
            return self.still_open()

        assert self._called(stop) == 0
        assert isinstance(self._written(self._way(), "Say hello.")[-1], Finish)  # the model is still there

    @_needs("chat", "generate")
    def test_who_is_cancelled_ends_the_call(self) -> None:
        async def cancel(model: Model) -> int:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in model.stream(self._way(), self._request("Count from one to a hundred.")):
                    begun.set()
                    await asyncio.Event().wait()

            reading = asyncio.ensure_future(read())
            await begun.wait()
            reading.cancel()
            await asyncio.wait([reading], timeout=5)
            assert reading.cancelled(), "the call went on for five seconds"
            return self.still_open()

        assert self._called(cancel) == 0

    @_needs("chat")
    def test_calls_may_overlap(self) -> None:
        async def three(model: Model) -> list[list[ModelEvent]]:
            return await asyncio.gather(*(self._events(model, "chat", self._request(f"Say {n}.")) for n in range(3)))

        for events in self._called(three):
            assert isinstance(events[-1], Finish)

    @_needs("describe_image")
    def test_an_image_is_described(self) -> None:
        from PIL import Image

        async def described(model: Model) -> list[ModelEvent]:
            image = Image.new("RGB", (64, 64), "red")
            events = model.stream("describe_image", image, prompt="Which colour is this?", max_tokens=64)
            return [event async for event in events]

        events = self._called(described)
        assert isinstance(events[-1], Finish)
        assert any(isinstance(event, TextDelta) for event in events)

    # ------------------------------------------------------------------ tools and objects

    @_needs("call_tools")
    def test_a_tool_that_must_be_called_is_called(self) -> None:
        events = self._written(
            "call_tools", "What is the weather in San Francisco?", tools=(_WEATHER,), tool_choice="required"
        )
        calls = [event for event in events if isinstance(event, ToolCall)]
        assert calls
        assert {call.name for call in calls} == {"get_weather"}
        assert all(isinstance(call.input, dict) and call.id for call in calls)
        assert events[-1] == Finish("tool_calls")

    @_needs("call_tools")
    def test_tools_that_may_not_be_called_are_not(self) -> None:
        events = self._written("call_tools", "What is the weather?", tools=(_WEATHER,), tool_choice="none")
        assert not [event for event in events if isinstance(event, ToolCall)]
        assert "".join(event.text for event in events if isinstance(event, TextDelta)).strip()

    @_needs("call_tools")
    def test_what_a_tool_gave_is_answered_with_text(self) -> None:
        result = {"type": "text", "text": '{"temperature": 22, "conditions": "sunny"}'}
        call = {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"location": "San Francisco"}}
        messages = as_messages(
            messages=[
                {"role": "user", "content": "What is the weather in San Francisco?"},
                {"role": "assistant", "content": [call]},
                {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": [result]}]},
            ]
        )
        request = GenerationRequest(messages, tools=(_WEATHER,), **self.writes)
        events = self._called(lambda model: self._events(model, "call_tools", request))
        assert "".join(event.text for event in events if isinstance(event, TextDelta)).strip()

    @_needs("structured")
    def test_an_object_fits_its_schema(self) -> None:
        events = self._written("structured", "Ada is 36 years old. Who is she?", schema=_PERSON)
        objects = [event.value for event in events if isinstance(event, ObjectDelta)]
        assert isinstance(events[-1], Finish)
        assert objects[-1].keys() == {"name", "age"}
        assert isinstance(objects[-1]["name"], str)
        assert isinstance(objects[-1]["age"], int)

    # ------------------------------------------------------------------ tokens and failures

    @_needs("count_tokens")
    def test_longer_texts_have_more_tokens(self) -> None:
        texts = ["", "word", "word and word", "word and word " * 50]

        async def counted(model: Model) -> list[int]:
            return [await model.call("count_tokens", text) for text in texts]

        counts = self._called(counted)
        assert counts == sorted(counts)
        assert counts[0] < counts[1] < counts[3]

    def test_failures_have_their_types(self) -> None:
        for named, kind in self.failures:
            assert issubclass(kind, JobError | ModelError), f"{kind.__name__} is no error of models"
            raised: type[Exception] | None = None
            try:
                self._called(self._fail, named)
            except WorkglowError as error:
                raised = type(error)
            assert raised is not None, f"{named} raised nothing"
            assert issubclass(raised, kind), f"{raised.__name__} was raised, not {kind.__name__}"

    # ------------------------------------------------------------------ how the checks call

    async def _fail(self, model: Model) -> object:
        if "embed" in self.capabilities:
            return await model.embed(["word"])
        return await self._events(model, self._way(), self._request("Say hello."))

    def _way(self) -> str:
        return "chat" if "chat" in self.capabilities else "generate"

    def _request(self, prompt: str, **more: Any) -> GenerationRequest:
        return GenerationRequest(as_messages(prompt), **{**self.writes, **more})

    def _written(
        self, capability: str, prompt: str, *, told: list[Usage] | None = None, **more: Any
    ) -> list[ModelEvent]:
        async def write(model: Model) -> list[ModelEvent]:
            known = model.telling(lambda _, usage: None if told is None else told.append(usage))
            return await self._events(known, capability, self._request(prompt, **more))

        return self._called(write)

    async def _events(self, model: Model, capability: str, request: GenerationRequest) -> list[ModelEvent]:
        return [event async for event in model.stream(capability, request)]

    def _called(
        self, call: Callable[[Model], Coroutine[Any, Any, Result]], named: str | Mapping[str, Any] | None = None
    ) -> Result:
        async def limited(model: Model) -> Result:
            async with asyncio.timeout(self.patience):
                return await call(model)

        return self._with_model(lambda model: asyncio.run(limited(model)), named)

    def _with_model(self, use: Callable[[Model], Result], named: str | Mapping[str, Any] | None = None) -> Result:
        models = self.models()
        try:
            return use(models.model(cast("Any", self.model if named is None else named)))
        finally:
            models.close()
