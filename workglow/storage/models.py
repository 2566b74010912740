"""Models as they are stored, and what a place that keeps them must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["MemoryModels", "ModelRepository", "StoredModel"]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model under its name: who runs it, and all else that is known of it, as a JSON object.

    `seal` is that of whoever wrote it, over the rest.
    """

    name: str
    provider: str
    record: str
    seal: str = ""


class ModelRepository(Protocol):
    """A catalogue of models by name.  What is written is on the disk when the method returns."""

    def add(self, model: StoredModel) -> bool:
        """Keep a model; False when there is one of that name, which stays as it is."""
        ...

    def update(self, model: StoredModel) -> bool:
        """Keep a model in place of the one of that name; False when there is none."""
        ...

    def remove(self, name: str) -> bool:
        """Forget a model; False when there is none of that name."""
        ...

    def get(self, name: str) -> StoredModel | None: ...

    def all(self) -> list[StoredModel]:
        """Every model, by name."""
        ...


class MemoryModels:
    """A catalogue that is there for as long as the process lives."""

    def __init__(self) -> None:
        self._models: dict[str, StoredModel] = {}

    def add(self, model: StoredModel) -> bool:
        if model.name in self._models:
            return False
        self._models[model.name] = model
        return True

    def update(self, model: StoredModel) -> bool:
        if model.name not in self._models:
            return False
        self._models[model.name] = model
        return True

    def remove(self, name: str) -> bool:
        return self._models.pop(name, None) is not None

    def get(self, name: str) -> StoredModel | None:
        return self._models.get(name)

    def all(self) -> list[StoredModel]:
        return [self._models[name] for name in sorted(self._models)]
