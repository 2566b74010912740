"""Tasks on models themselves: download one, take it out of memory, say what is known of it, look for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, Field

from workglow.ai.files import faults_of_files
from workglow.ai.gating import check_inline
from workglow.ai.model import Model
from workglow.ai.task import AiTask, ModelPort, model_port, models_of
from workglow.errors import TaskEntitlementError
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.models import Models
    from workglow.ai.record import ModelRecord
    from workglow.tasks import Entitlement

__all__ = [
    "DownloadModelTask",
    "DownloadProgress",
    "ModelDownloadTask",
    "ModelInfoTask",
    "ModelSearchTask",
    "UnloadModelTask",
]


class DownloadProgress:
    """How much of a model is there, from 0 to 1, told file by file; `files` holds the bytes and the total of each.

    While the size of a file is not known, each file counts the same.
    """

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self.files: dict[str, tuple[int, int | None]] = {}

    def __call__(self, name: str, done: int, total: int | None) -> None:
        self.files[name] = done, total
        sizes = [size for _, size in self.files.values() if size]
        if len(sizes) == len(self.files):
            fraction = sum(got for got, _ in self.files.values()) / sum(sizes)
        else:
            parts = [got / size if size else 0.0 for got, size in self.files.values()]
            fraction = sum(parts) / len(parts)
        self._tell(min(fraction, 1.0), name)


class _ModelInput(BaseModel):
    model: Annotated[ModelPort, model_port()]


class _ModelOutput(BaseModel):
    model: Annotated[ModelPort, model_port()]


class _ManagementTask(AiTask):
    """What is done with a model itself, anew each time."""

    category: ClassVar[str] = "AI Model"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    Input: ClassVar[type[BaseModel] | None] = _ModelInput
    Output: ClassVar[type[BaseModel] | None] = _ModelOutput

    def named(self, given: Any, context: TaskContext) -> Any:
        """Return what the project's models know the model by: a name, or the record that the graph holds."""
        if isinstance(given, dict):
            check_inline(cast("dict[str, Any]", given), context)
        return given.name if isinstance(given, Model) else cast("object", given)


class DownloadModelTask(_ManagementTask):
    """Bring the files of a model to this machine; what is here already is not transferred again.

    Who was interrupted goes on where it broke off.  The project's catalogue notes where the files are, and their
    hashes.
    """

    title: ClassVar[str] = "Download Model"
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("model:download",)

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Download."""
        named = self.named(inputs["model"], context)
        progress = DownloadProgress(context.progress)
        found = await models_of(context).download(named, progress, allow=lambda host: _ask_for(host, context))
        context.progress(1.0)
        return {"model": named if isinstance(named, str) else found.to_json()}


ModelDownloadTask = DownloadModelTask
"""The same by another name."""


class UnloadModelTask(_ManagementTask):
    """Take a model out of the memory of this process; its files stay."""

    title: ClassVar[str] = "Unload Model"

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Unload."""
        named = self.named(inputs["model"], context)
        await models_of(context).unload(named)
        return {"model": named}


class _InfoInput(_ModelInput):
    detail: Literal["cached_status", "files", "files_with_metadata", "dimensions"] = "files_with_metadata"


class _InfoOutput(_ModelOutput):
    is_local: Annotated[bool, Field(description="It runs in this process.")]
    is_remote: bool
    is_cached: Annotated[bool, Field(description="Its files are on this machine.")]
    is_loaded: Annotated[bool, Field(description="It is in the memory of this process.")]
    file_sizes: Annotated[dict[str, int] | None, Field(description="Bytes of each file.")]
    quantizations: list[str] | None = None
    native_dimensions: int | None = None
    mrl: Annotated[bool | None, Field(description="The beginning of its vectors can be used alone.")] = None
    context_length: int | None = None
    capabilities: list[str]


class ModelInfoTask(_ManagementTask):
    """Say what is known of a model without loading it."""

    title: ClassVar[str] = "Model Info"
    Input: ClassVar[type[BaseModel] | None] = _InfoInput
    Output: ClassVar[type[BaseModel] | None] = _InfoOutput

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Ask the record, and whoever runs the model."""
        models, named = models_of(context), self.named(inputs["model"], context)
        model = models.model(named)
        record, is_local = model.record, model.provider.is_local
        found: dict[str, Any] = {
            "is_cached": is_local and not faults_of_files(record),
            "is_loaded": False,
            "native_dimensions": record.dimensions,
            "context_length": record.context_length,
            "quantizations": [record.quantization] if record.quantization else None,
            "mrl": record.metadata.get("mrl"),
        }
        sizes = {file.path or file.url: file.size for file in record.files if file.size is not None}
        found["file_sizes"] = sizes or None
        if inputs["detail"] != "cached_status" or not record.files:
            told = await models.info(named)
            told.setdefault("native_dimensions", told.get("dimensions"))
            found |= {name: told[name] for name in _InfoOutput.model_fields if told.get(name) is not None}
        can = sorted(model.provider.capabilities_of(record))
        return {"model": named, **found, "is_local": is_local, "is_remote": not is_local, "capabilities": can}


class _SearchInput(BaseModel):
    provider: Annotated[str, Field(description="Who is asked; the project's own catalogue when it is empty.")] = ""
    query: Annotated[str, Field(description="Words; without any, everything there is.")] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 20


class _SearchOutput(BaseModel):
    results: Annotated[
        list[dict[str, Any]], Field(description="id, label, description and record of each; a record can be added.")
    ]


class ModelSearchTask(_ManagementTask):
    """Look for models, in the project's catalogue or with a provider."""

    title: ClassVar[str] = "Model Search"
    Input: ClassVar[type[BaseModel] | None] = _SearchInput
    Output: ClassVar[type[BaseModel] | None] = _SearchOutput

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Search."""
        models: Models = models_of(context)
        query, limit = inputs["query"], inputs["limit"]
        if inputs["provider"]:
            found = await models.search_provider(
                inputs["provider"], query, limit=limit, allow=lambda host: _ask_for(host, context)
            )
        else:
            found = models.search(query)
        return {"results": [_result(record) for record in found[:limit]]}


def _result(record: ModelRecord) -> dict[str, Any]:
    return {
        "id": record.name,
        "label": record.title or record.source or record.name,
        "description": record.description,
        "record": record.to_json(),
        "raw": record.metadata,
    }


def _ask_for(host: str, context: TaskContext) -> None:
    """Raise TaskEntitlementError when the run may not ask that host."""
    if not context.is_allowed("network", host):
        raise TaskEntitlementError(
            f"Denied entitlements: network={host} for {context.path!r} (no matching grant).  If you trust the graph "
            f"with it, grant it: entitlements=['network={host}'], or --allow network={host} on the command line."
        )


for _type in (DownloadModelTask, UnloadModelTask, ModelInfoTask, ModelSearchTask):
    task_registry.register(_type)
