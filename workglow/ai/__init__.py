"""Models: what a provider of them must offer, how one is found by its name, and the tasks that models do."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workglow.ai.catalogue import ModelChange
from workglow.ai.events import Finish, ModelEvent, ObjectDelta, TextDelta, ToolCall, UsageReport
from workglow.ai.model import Model, report_usage
from workglow.ai.models import Models, models_without_project
from workglow.ai.provider import Provider
from workglow.ai.record import ModelRecord, Prices, SourceFile
from workglow.ai.registry import ProviderRegistry, provider_registry
from workglow.ai.request import GenerationRequest, ToolDefinition

if TYPE_CHECKING:
    from workglow.ai.agent import AgentTask, agent_turn
    from workglow.ai.download import Downloads
    from workglow.ai.embedding import EmbeddingModel, TextEmbeddingTask
    from workglow.ai.long_text import long_rewrite, long_summary, long_translation
    from workglow.ai.task import AiTask
    from workglow.ai.tool_calling import ToolCallingTask

__all__ = [
    "AgentTask",
    "AiTask",
    "Downloads",
    "EmbeddingModel",
    "Finish",
    "GenerationRequest",
    "Model",
    "ModelChange",
    "ModelEvent",
    "ModelRecord",
    "Models",
    "ObjectDelta",
    "Prices",
    "Provider",
    "ProviderRegistry",
    "SourceFile",
    "TextDelta",
    "TextEmbeddingTask",
    "ToolCall",
    "ToolCallingTask",
    "ToolDefinition",
    "UsageReport",
    "agent_turn",
    "long_rewrite",
    "long_summary",
    "long_translation",
    "models_without_project",
    "provider_registry",
    "report_usage",
]

_LATE = {
    "AgentTask": "agent",
    "AiTask": "task",
    "Downloads": "download",
    "EmbeddingModel": "embedding",
    "TextEmbeddingTask": "embedding",
    "ToolCallingTask": "tool_calling",
    "agent_turn": "agent",
    "long_rewrite": "long_text",
    "long_summary": "long_text",
    "long_translation": "long_text",
}
"""What loads pydantic or numpy, which whoever only finds a model does not need."""


def __getattr__(name: str) -> Any:
    home = _LATE.get(name)
    if home is None:
        raise AttributeError(f"module 'workglow.ai' has no attribute {name!r}")
    return getattr(import_module(f"workglow.ai.{home}"), name)
