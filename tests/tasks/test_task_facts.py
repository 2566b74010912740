"""What an editor is told about task types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import BaseModel, Field

from workglow.graph.boundary import InputTask
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.map import MapTask
from workglow.tasks import Collect, Task, TaskRegistry, task, task_registry
from workglow.tasks.facts import task_facts


class Translate(Task):
    """Says it in another language."""

    type = "TranslateTask"
    title = "Translate"
    category = "Text"
    side_effects = True
    entitlements = ("network",)

    class Config(BaseModel):
        top_p: float = Field(default=1.0, alias="topP", ge=0, le=1)

    class Input(BaseModel):
        text: Annotated[str, Field(title="Text", description="What to say.")]
        model: Annotated[str, Field(json_schema_extra={"format": "model:Translation"})]
        words: Collect[str] = []

    class Output(BaseModel):
        text: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {}

    def execute_preview(self, inputs: Input) -> dict[str, Any]:
        return {}


class Stream(Task):
    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        yield ""


class NeedsSettings(Task):
    class Config(BaseModel):
        names: list[str]

    @property
    def inputs(self) -> Any:
        raise AssertionError("there is no task of it")


def test_everything_about_a_type() -> None:
    facts = task_facts(Translate)
    text = facts["inputs"]["properties"]["text"]
    assert (text["title"], text["description"], text["type"]) == ("Text", "What to say.", "string")
    assert facts["inputs"]["properties"]["model"]["format"] == "model:Translation"
    assert facts["inputs"]["properties"]["words"]["x-collect"] is True
    assert facts["inputs"]["required"] == ["text", "model"]
    assert facts["outputs"]["required"] == ["text"]
    assert facts["config"]["properties"]["topP"]["maximum"] == 1
    rest = {name: fact for name, fact in facts.items() if name not in ("inputs", "outputs", "config")}
    assert rest == {
        "type": "TranslateTask",
        "title": "Translate",
        "description": "Says it in another language.",
        "category": "Text",
        "side_effects": True,
        "cacheable": False,
        "entitlements": ["network"],
        "has_preview": True,
        "streaming": False,
        "holds_graph": False,
    }


def test_streams_groups_loops_and_settings() -> None:
    assert task_facts(Stream)["streaming"] is True
    assert task_facts(Stream)["has_preview"] is False
    assert [task_facts(kind)["has_preview"] for kind in (GraphAsTask, MapTask, InputTask, ConditionalTask)] == [
        True, False, True, True,
    ]  # fmt: skip
    assert [task_facts(kind)["holds_graph"] for kind in (GraphAsTask, MapTask, InputTask)] == [True, True, False]
    assert task_facts(MapTask)["config"]["properties"]["maxIterations"]
    assert task_facts(NeedsSettings)["inputs"] == {}


def test_a_registry_describes_its_types_as_json() -> None:
    @task(name="facts_clean", output="text")
    def clean(text: str, size: int = 80) -> str:
        """Collapse white space."""
        return text

    registry = TaskRegistry([Translate, clean.task_type])
    assert [facts["type"] for facts in registry.describe()] == ["TranslateTask", "facts_clean"]
    own = registry.describe()[1]
    assert (own["title"], own["description"]) == ("facts_clean", "Collapse white space.")
    assert own["inputs"]["properties"]["size"]["default"] == 80
    task_registry.unregister("facts_clean")
    json.dumps(task_registry.describe(), allow_nan=False)
