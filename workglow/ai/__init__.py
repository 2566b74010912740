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
    from workglow.ai.classification import TextClassificationTask
    from workglow.ai.download import Downloads
    from workglow.ai.embedding import EmbeddingModel, TextEmbeddingTask
    from workglow.ai.entity_recognition import TextNamedEntityRecognitionTask
    from workglow.ai.flat_messages import text_flat
    from workglow.ai.generation import TextGenerationTask
    from workglow.ai.language_detection import TextLanguageDetectionTask
    from workglow.ai.long_text import long_rewrite, long_summary, long_translation
    from workglow.ai.management import (
        DownloadModelTask,
        ModelDownloadTask,
        ModelInfoTask,
        ModelSearchTask,
        UnloadModelTask,
    )
    from workglow.ai.mask_filling import TextFillMaskTask
    from workglow.ai.question_answer import TextQuestionAnswerTask
    from workglow.ai.rewriting import TextRewriterTask
    from workglow.ai.structured import StructuredGenerationTask
    from workglow.ai.summary import TextSummaryTask
    from workglow.ai.task import AiTask
    from workglow.ai.token_counting import CountTokensTask
    from workglow.ai.tool_calling import ToolCallingTask
    from workglow.ai.tools import filter_valid_tool_calls, task_types_to_tools
    from workglow.ai.translation import TextTranslationTask
    from workglow.ai.vision.background_removal import BackgroundRemovalTask
    from workglow.ai.vision.face_detector import FaceDetectorTask
    from workglow.ai.vision.face_landmarker import FaceLandmarkerTask
    from workglow.ai.vision.gesture_recognizer import GestureRecognizerTask
    from workglow.ai.vision.hand_landmarker import HandLandmarkerTask
    from workglow.ai.vision.image_classification import ImageClassificationTask
    from workglow.ai.vision.image_embedding import ImageEmbeddingTask
    from workglow.ai.vision.image_segmentation import ImageSegmentationTask
    from workglow.ai.vision.image_to_text import ImageToTextTask
    from workglow.ai.vision.object_detection import ObjectDetectionTask
    from workglow.ai.vision.pose_landmarker import PoseLandmarkerTask

__all__ = [
    "AgentTask",
    "AiTask",
    "BackgroundRemovalTask",
    "CountTokensTask",
    "DownloadModelTask",
    "Downloads",
    "EmbeddingModel",
    "FaceDetectorTask",
    "FaceLandmarkerTask",
    "Finish",
    "GenerationRequest",
    "GestureRecognizerTask",
    "HandLandmarkerTask",
    "ImageClassificationTask",
    "ImageEmbeddingTask",
    "ImageSegmentationTask",
    "ImageToTextTask",
    "Model",
    "ModelChange",
    "ModelDownloadTask",
    "ModelEvent",
    "ModelInfoTask",
    "ModelRecord",
    "ModelSearchTask",
    "Models",
    "ObjectDelta",
    "ObjectDetectionTask",
    "PoseLandmarkerTask",
    "Prices",
    "Provider",
    "ProviderRegistry",
    "SourceFile",
    "StructuredGenerationTask",
    "TextClassificationTask",
    "TextDelta",
    "TextEmbeddingTask",
    "TextFillMaskTask",
    "TextGenerationTask",
    "TextLanguageDetectionTask",
    "TextNamedEntityRecognitionTask",
    "TextQuestionAnswerTask",
    "TextRewriterTask",
    "TextSummaryTask",
    "TextTranslationTask",
    "ToolCall",
    "ToolCallingTask",
    "ToolDefinition",
    "UnloadModelTask",
    "UsageReport",
    "agent_turn",
    "filter_valid_tool_calls",
    "long_rewrite",
    "long_summary",
    "long_translation",
    "models_without_project",
    "provider_registry",
    "report_usage",
    "task_types_to_tools",
    "text_flat",
]

_LATE = {
    "AgentTask": "agent",
    "AiTask": "task",
    "BackgroundRemovalTask": "vision.background_removal",
    "CountTokensTask": "token_counting",
    "DownloadModelTask": "management",
    "Downloads": "download",
    "EmbeddingModel": "embedding",
    "FaceDetectorTask": "vision.face_detector",
    "FaceLandmarkerTask": "vision.face_landmarker",
    "GestureRecognizerTask": "vision.gesture_recognizer",
    "HandLandmarkerTask": "vision.hand_landmarker",
    "ImageClassificationTask": "vision.image_classification",
    "ImageEmbeddingTask": "vision.image_embedding",
    "ImageSegmentationTask": "vision.image_segmentation",
    "ImageToTextTask": "vision.image_to_text",
    "ModelDownloadTask": "management",
    "ModelInfoTask": "management",
    "ModelSearchTask": "management",
    "ObjectDetectionTask": "vision.object_detection",
    "PoseLandmarkerTask": "vision.pose_landmarker",
    "StructuredGenerationTask": "structured",
    "TextClassificationTask": "classification",
    "TextEmbeddingTask": "embedding",
    "TextFillMaskTask": "mask_filling",
    "TextGenerationTask": "generation",
    "TextLanguageDetectionTask": "language_detection",
    "TextNamedEntityRecognitionTask": "entity_recognition",
    "TextQuestionAnswerTask": "question_answer",
    "TextRewriterTask": "rewriting",
    "TextSummaryTask": "summary",
    "TextTranslationTask": "translation",
    "ToolCallingTask": "tool_calling",
    "UnloadModelTask": "management",
    "agent_turn": "agent",
    "filter_valid_tool_calls": "tools",
    "long_rewrite": "long_text",
    "long_summary": "long_text",
    "long_translation": "long_text",
    "task_types_to_tools": "tools",
    "text_flat": "flat_messages",
}
"""What loads pydantic or numpy, which whoever only finds a model does not need."""


def __getattr__(name: str) -> Any:
    home = _LATE.get(name)
    if home is None:
        raise AttributeError(f"module 'workglow.ai' has no attribute {name!r}")
    return getattr(import_module(f"workglow.ai.{home}"), name)
