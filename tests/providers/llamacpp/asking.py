"""Asking a model, and what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from workglow.ai import Finish, GenerationRequest, Model, ModelEvent, TextDelta
from workglow.ai.messages import as_messages
from workglow.tasks.usage import Usage

pytest.importorskip("llama_cpp", reason="needs pip install 'workglow[llamacpp]'")


@dataclass
class Told:
    events: list[ModelEvent] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reason(self) -> str:
        (finish,) = (event for event in self.events if isinstance(event, Finish))
        assert self.events[-1] is finish
        return finish.reason


async def ask(model: Model, prompt: str = "hello", *, capability: str = "chat", **options: Any) -> Told:
    told = Told()

    def count(_: str, usage: Usage) -> None:
        told.usage = usage

    request = GenerationRequest(as_messages(prompt), **options)
    async for event in model.telling(count).stream(capability, request):
        told.events.append(event)
    return told


def asked(model: Model, prompt: str = "hello", **options: Any) -> Told:
    return asyncio.run(ask(model, prompt, **options))
