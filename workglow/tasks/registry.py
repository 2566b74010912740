"""Which task types a name in a graph's JSON may mean: an allow-list, never an import path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workglow.errors import TaskConfigurationError, UnknownTaskTypeError

if TYPE_CHECKING:
    from workglow.tasks.task import Task

__all__ = ["TaskRegistry", "task_registry"]


_SHIPPED = {
    "AgentTask": "workglow.ai.agent",
    "AiChatTask": "workglow.library.chat",
    "BackgroundRemovalTask": "workglow.ai.vision.background_removal",
    "ChatTurnTask": "workglow.library.chat",
    "CountTokensTask": "workglow.ai.token_counting",
    "DateFormatTask": "workglow.library.dates",
    "DebugLogTask": "workglow.library",
    "DelayTask": "workglow.library",
    "DownloadModelTask": "workglow.ai.management",
    "FaceDetectorTask": "workglow.ai.vision.face_detector",
    "FaceLandmarkerTask": "workglow.ai.vision.face_landmarker",
    "FileListTask": "workglow.library.files",
    "FileLoaderTask": "workglow.library.files",
    "FileSaverTask": "workglow.library.files",
    "GestureRecognizerTask": "workglow.ai.vision.gesture_recognizer",
    "HandLandmarkerTask": "workglow.ai.vision.hand_landmarker",
    "HumanApprovalTask": "workglow.library",
    "HumanInputTask": "workglow.library",
    "ImageClassificationTask": "workglow.ai.vision.image_classification",
    "ImageEmbeddingTask": "workglow.ai.vision.image_embedding",
    "ImageSegmentationTask": "workglow.ai.vision.image_segmentation",
    "ImageToTextTask": "workglow.ai.vision.image_to_text",
    "JavaScriptTask": "workglow.library.scripts",
    "JoinTextTask": "workglow.ai.long_text",
    "JsonParseTask": "workglow.library.data",
    "JsonPathTask": "workglow.library.data",
    "JsonTask": "workglow.library.subgraph",
    "LoadDocumentTask": "workglow.knowledge.tasks",
    "MergeTask": "workglow.library.data",
    "ModelInfoTask": "workglow.ai.management",
    "ModelSearchTask": "workglow.ai.management",
    "ObjectDetectionTask": "workglow.ai.vision.object_detection",
    "PoseLandmarkerTask": "workglow.ai.vision.pose_landmarker",
    "PostgresQueryTask": "workglow.library.postgres_source",
    "PostgresWriteTask": "workglow.library.postgres_source",
    "RegexTask": "workglow.library.text",
    "ScalarAbsTask": "workglow.library.arithmetic",
    "ScalarAddTask": "workglow.library.arithmetic",
    "ScalarCeilTask": "workglow.library.arithmetic",
    "ScalarDivideTask": "workglow.library.arithmetic",
    "ScalarFloorTask": "workglow.library.arithmetic",
    "ScalarMaxTask": "workglow.library.arithmetic",
    "ScalarMinTask": "workglow.library.arithmetic",
    "ScalarMultiplyTask": "workglow.library.arithmetic",
    "ScalarRoundTask": "workglow.library.arithmetic",
    "ScalarSubtractTask": "workglow.library.arithmetic",
    "ScalarSumTask": "workglow.library.arithmetic",
    "ScalarTruncTask": "workglow.library.arithmetic",
    "SearchKnowledgeTask": "workglow.knowledge.tasks",
    "SplitDocumentTask": "workglow.knowledge.tasks",
    "SplitTask": "workglow.library.data",
    "SplitTextTask": "workglow.ai.long_text",
    "SqliteQueryTask": "workglow.library.sqlite_source",
    "SqliteWriteTask": "workglow.library.sqlite_source",
    "StoreDocumentTask": "workglow.knowledge.tasks",
    "StringConcatTask": "workglow.library.text",
    "StringIncludesTask": "workglow.library.text",
    "StringJoinTask": "workglow.library.text",
    "StringLengthTask": "workglow.library.text",
    "StringLowerCaseTask": "workglow.library.text",
    "StringReplaceTask": "workglow.library.text",
    "StringSliceTask": "workglow.library.text",
    "StringTemplateTask": "workglow.library.text",
    "StringTrimTask": "workglow.library.text",
    "StringUpperCaseTask": "workglow.library.text",
    "StructuredGenerationTask": "workglow.ai.structured",
    "TemplateTask": "workglow.library.text",
    "TextClassificationTask": "workglow.ai.classification",
    "TextEmbeddingTask": "workglow.ai.embedding",
    "TextFillMaskTask": "workglow.ai.mask_filling",
    "TextGenerationTask": "workglow.ai.generation",
    "TextLanguageDetectionTask": "workglow.ai.language_detection",
    "TextNamedEntityRecognitionTask": "workglow.ai.entity_recognition",
    "TextQuestionAnswerTask": "workglow.ai.question_answer",
    "TextRewriterTask": "workglow.ai.rewriting",
    "TextSummaryTask": "workglow.ai.summary",
    "TextTranslationTask": "workglow.ai.translation",
    "ToolCallingTask": "workglow.ai.tool_calling",
    "ToolCallsTask": "workglow.ai.agent",
    "UnloadModelTask": "workglow.ai.management",
    "VectorDistanceTask": "workglow.library.vectors",
    "VectorDivideTask": "workglow.library.vectors",
    "VectorDotProductTask": "workglow.library.vectors",
    "VectorMultiplyTask": "workglow.library.vectors",
    "VectorNormalizeTask": "workglow.library.vectors",
    "VectorScaleTask": "workglow.library.vectors",
    "VectorSubtractTask": "workglow.library.vectors",
    "VectorSumTask": "workglow.library.vectors",
    "WaitForEventTask": "workglow.library",
    "WaitUntilTask": "workglow.library",
}
"""Types that come with workglow, and the module that registers each when somebody first asks for one."""

_ALSO_CALLED = {"ModelDownloadTask": "DownloadModelTask"}
"""Other names that a graph may have for a type that comes with workglow."""


class TaskRegistry:
    """Task classes by type name.  Only what is registered can be loaded from data.

    `shipped` names modules of workglow itself that register the types of these names when they are first wanted.
    """

    def __init__(self, types: Iterable[type[Task]] = (), *, shipped: Mapping[str, str] | None = None) -> None:
        self._types: dict[str, type[Task]] = {}
        self._shipped = dict(shipped or {})
        for task_type in types:
            self.register(task_type)

    def register(self, task_type: type[Task]) -> type[Task]:
        """Let graphs name this class; usable as a decorator.  The same class again changes nothing.

        A definition that is run again (a notebook cell, a reloaded module, a function inside a function) replaces
        itself.  Raises TaskConfigurationError when the name belongs to another class.
        """
        known = self._types.get(task_type.type)
        if known is not None and known is not task_type and not _same_place(known, task_type):
            raise TaskConfigurationError(
                f'Task type "{task_type.type}" is already registered. Unregister it first to replace. '
                f'It is {_place(known)}, the new one {_place(task_type)}; give one of them @task(name="…") or a `type`.'
            )
        self._types[task_type.type] = task_type
        return task_type

    def unregister(self, name: str) -> bool:
        """Forget a type; False when it was not registered."""
        return (self._types.pop(name, None) or self._shipped.pop(name, None)) is not None

    def get(self, name: str) -> type[Task]:
        """Return the class of that type name; UnknownTaskTypeError names the nearest ones when there is none."""
        task_type = self._types.get(name)
        if task_type is None and name in self._shipped:
            module = import_module(self._shipped[name])
            task_type = self._types.get(name) or task_registry._types.get(name) or getattr(module, name)
            self._types[name] = task_type
        if task_type is not None:
            return task_type
        if name in self and name in _ALSO_CALLED:
            return self.get(_ALSO_CALLED[name])
        raise UnknownTaskTypeError(f'Task type "{name}" is not registered. {self.remedy(name)}')

    def remedy(self, name: str) -> str:
        """Say what to do about a type name that is not registered: the nearest ones, or an import."""
        near = difflib.get_close_matches(name, self.names(), 3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        return f"{hint}Import the module that defines it, or register its class."

    def ships(self, name: str) -> bool:
        """Say whether the type comes with workglow."""
        return name in self._shipped

    def names(self) -> list[str]:
        """Return all type names, sorted."""
        return sorted({*self._types, *self._shipped})

    def describe(self) -> list[dict[str, Any]]:
        """Return what an editor needs of every type: names, ports, settings, rights; see `task_facts`."""
        from workglow.tasks.facts import task_facts

        return [task_facts(self.get(name)) for name in self.names()]

    def copy(self) -> TaskRegistry:
        """Return a registry with the same types that can be changed on its own."""
        return TaskRegistry(self._types.values(), shipped=self._shipped)

    def __contains__(self, name: object) -> bool:
        return name in self._types or name in self._shipped or _ALSO_CALLED.get(str(name)) in self._shipped

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def _same_place(known: type[Task], new: type[Task]) -> bool:
    """Whether the new class is the old definition run once more."""
    if any("<locals>" in kind.__qualname__ for kind in (known, new)):
        return True  # it lives and goes with a call; no name in the program leads to it
    return (known.__module__, known.__qualname__) == (new.__module__, new.__qualname__)


def _place(task_type: type[Task]) -> str:
    return f"{task_type.__module__}.{task_type.__qualname__}"


task_registry = TaskRegistry(shipped=_SHIPPED)
"""Where `@task` registers; a project may use another one."""
