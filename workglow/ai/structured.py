"""Objects of a JSON Schema, as a task has them written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.json_schema import JsonSchema
from workglow.ai.messages import as_messages
from workglow.ai.object_writing import OBJECT_WAYS, written_objects
from workglow.ai.task import AiTask, ModelPort, listed, model_port
from workglow.ai.writing import MaxTokens, Seed, Temperature, request_of
from workglow.errors import TaskConfigurationError
from workglow.tasks import Port, Ports, TaskContext, task_registry
from workglow.tasks.schema import json_schema

__all__ = ["StructuredGenerationTask"]


class _Input(BaseModel):
    prompt: str
    output_schema: Annotated[Any, Field(description="The JSON Schema of the object; or a pydantic model, say.")]
    model: Annotated[ModelPort, model_port("StructuredGenerationTask")]
    system: Annotated[str | None, Field(description="What the model is to be, or to keep in mind.")] = None
    max_retries: Annotated[
        int, Field(ge=0, le=10, description="How often an object that does not fit is sent back.")
    ] = 2
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    seed: Seed = None


class _Output(BaseModel):
    object: Annotated[Any, Field(json_schema_extra={"x-stream": "object"})]


class StructuredGenerationTask(AiTask):
    """Write an object that fits a JSON Schema.

    What does not fit is sent back to the model with what is wrong; after `max_retries` times it is a
    StructuredOutputError.  An object that is cut off because the model had no more room is a TruncatedOutputError.
    Whoever reads along is given the object as it grows, and {} where it begins anew.
    """

    title: ClassVar[str] = "Structured Generation"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = OBJECT_WAYS
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    def _set_defaults(self, defaults: Mapping[str, Any]) -> None:
        given = defaults.get("output_schema")
        if isinstance(given, type):
            defaults = {**defaults, "output_schema": json_schema(given)}
        super()._set_defaults(defaults)
        if "output_schema" not in defaults:
            return
        schema = self._judge(self.defaults["output_schema"]).schema
        outputs = Ports([Port("object", Any, schema={**schema, "x-stream": "object"})])
        self.__dict__["outputs"] = listed(outputs) if self.mode == "compound" else outputs

    def _judge(self, schema: object) -> JsonSchema:
        judge = JsonSchema(schema, who=self._who)
        if judge.schema.get("type", "object") != "object":
            raise TaskConfigurationError(
                f"{self._who}: invalid output_schema: its type is {judge.schema['type']!r}, but models write objects; "
                "put it into a property of one."
            )
        return judge

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Write."""
        schema = self._judge(inputs["output_schema"])
        model, capability = self.model(inputs["model"], context)
        request = request_of(inputs, messages=as_messages(inputs["prompt"], system=inputs["system"]))
        async for value in written_objects(model, capability, request, schema, retries=inputs["max_retries"]):
            yield {"object": value}


task_registry.register(StructuredGenerationTask)
