"""AI case 5: providers are registered by name, are found by what they can do, and stay apart."""

from __future__ import annotations

from typing import Any

import pytest

from workglow.ai import ModelRecord, Models, Provider, ProviderRegistry
from workglow.ai.capability import CAPABILITIES
from workglow.errors import TaskConfigurationError, UnknownModelError, UnsupportedCapabilityError


class _Counting(Provider):
    name = "counting"
    title = "Counters"
    closed = 0

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        return len(text)

    def close(self) -> None:
        type(self).closed += 1


class _Idle(Provider):
    name = "idle"


def registry(*providers: type[Provider]) -> ProviderRegistry:
    made = ProviderRegistry()
    for provider in providers:
        made.register(provider)
    return made


def test_ai05_what_a_provider_can_do_is_what_it_implements() -> None:
    assert _Counting.capabilities() == {"count_tokens"}
    written: dict[str, Any] = {name: lambda self, model: None for name in CAPABILITIES}
    assert type("All", (Provider,), {"name": "all", **written}).capabilities() == set(CAPABILITIES)


def test_ai05_what_it_cannot_do_is_refused_with_what_it_can() -> None:
    model = Models(registry(_Counting)).model("counting:a")
    with pytest.raises(
        UnsupportedCapabilityError, match=r"'counting:a' cannot summarise a text\.  It can: count_tokens"
    ):
        model.first_of(("summarise",))
    assert model.first_of(("summarise", "count_tokens")) == "count_tokens"


def test_ai05_names_are_sorted_and_one_that_is_unknown_lists_them() -> None:
    known = registry(_Counting)
    assert list(known) == sorted(known)
    assert "counting" in list(known)
    with pytest.raises(UnknownModelError, match="'counting:…'"):
        known.get("nobody")
    with pytest.raises(UnknownModelError, match="Model 'nobody:x' not found"):
        Models(known).find("nobody:x")


def test_ai05_a_provider_that_can_do_nothing_is_refused_and_not_there() -> None:
    known = registry()
    with pytest.raises(TaskConfigurationError, match="can do nothing"):
        known.register(_Idle)
    assert "idle" not in known


def test_ai05_a_name_is_given_once_until_it_is_given_up() -> None:
    other = type("Other", (_Counting,), {"name": "counting"})
    known = registry(_Counting)
    with pytest.raises(TaskConfigurationError, match="registered already"):
        known.register(other)
    assert known.unregister("counting")
    assert known.register(other) is known.get("counting")


def test_ai05_one_runtime_knows_nothing_of_another() -> None:
    first, second = registry(_Counting), registry()
    assert "counting" in first
    assert "counting" not in second
    assert "counting" not in second.copy()


def test_ai05_closing_lets_go_of_what_was_opened() -> None:
    models = Models(registry(_Counting))
    assert models.provider("counting") is models.provider("counting")
    before = _Counting.closed
    models.close()
    models.close()
    assert _Counting.closed == before + 1


def test_ai05_a_call_has_the_very_input_and_record() -> None:
    import asyncio

    record = ModelRecord(name="counting:a", provider="counting", source="s")
    model = Models(registry(_Counting)).model(record)
    assert asyncio.run(model.call("count_tokens", "four")) == 4
    assert model.record is record
