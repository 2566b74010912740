"""The catalogue: what a project knows of models under names of its own.

Policy.  A file may come from anybody, and a record can say where texts are sent and with which credential.  So a record
is sealed by whoever writes it.  One that reaches out, with an address, a credential or options, or that stands under
the name of another provider, is used only where its seal holds: by the user who wrote it, in the file they wrote it in.
Everywhere else its new owner has to say so first (`trust`).  All records can be looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from workglow.ai.record import ModelRecord, as_record
from workglow.errors import InvalidModelError, ModelError, UnknownModelError, UnknownTaskTypeError
from workglow.listeners import Listeners
from workglow.storage.models import MemoryModels, StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workglow.ai.registry import ProviderRegistry
    from workglow.file.seal import Seal
    from workglow.storage.models import ModelRepository

__all__ = ["Catalogue", "ModelChange"]

_SPOKEN_OF: Final = ("name", "provider", "source", "title", "description", "tasks", "capabilities", "license")
"""The fields in which a search looks for its words."""

_REFERENCE: Final = re.compile(r"[a-z]+:\S+")


ModelChangeKind: TypeAlias = Literal["added", "updated", "removed"]


class ModelChange(msgspec.Struct, frozen=True):
    """What happened in the catalogue: a record was added, updated, or removed."""

    kind: ModelChangeKind
    record: ModelRecord


class Catalogue:
    """Records of models by name.  `events` tells of changes that are made here: `events.on("added", print)`."""

    def __init__(self, registry: ProviderRegistry, repository: ModelRepository | None, seal: Seal | None) -> None:
        self.registry = registry
        self.events: Listeners[ModelChange, ModelChangeKind] = Listeners()
        self._repository = MemoryModels() if repository is None else repository
        self._seal = seal
        self._trusted: dict[str, StoredModel] = {}

    def add(self, given: ModelRecord | Mapping[str, Any]) -> ModelRecord:
        """Keep a record, or what describes one, under its name.

        ModelError when the name is taken; InvalidModelError names the field that is wrong.
        """
        record = as_record(given)
        if not self._repository.add(self._stored(record)):
            raise ModelError(f"A model named {record.name!r} already exists; update it, or remove it first.")
        return self._tell("added", record)

    def update(self, given: ModelRecord | Mapping[str, Any]) -> ModelRecord:
        """Keep a record in place of the one of that name; UnknownModelError when there is none."""
        record = as_record(given)
        if not self._repository.update(self._stored(record)):
            raise UnknownModelError(f"Model {record.name!r} not found in the catalogue; add it.")
        return self._tell("updated", record)

    def put(self, given: ModelRecord | Mapping[str, Any]) -> ModelRecord:
        """Keep a record under its name, whether there is one already or not."""
        record = as_record(given)
        stored = self._stored(record)
        if self._repository.add(stored):
            return self._tell("added", record)
        self._repository.update(stored)
        return self._tell("updated", record)

    def remove(self, name: str) -> ModelRecord:
        """Forget a record, and return it; its files stay.  UnknownModelError when there is none."""
        stored = self._repository.get(name)
        if stored is None or not self._repository.remove(name):
            raise UnknownModelError(f"Model {name!r} not found in the catalogue, so it cannot be removed.")
        try:
            record = _record(stored)
        except InvalidModelError:
            record = ModelRecord(name=name, provider=stored.provider)
        return self._tell("removed", record)

    def get(self, name: str) -> ModelRecord | None:
        """Return the record of that name; None when the catalogue has none."""
        stored = self._repository.get(name)
        return None if stored is None else _record(stored)

    def all(self) -> list[ModelRecord]:
        """Return every record, by name."""
        return [_record(stored) for stored in self._repository.all()]

    def search(self, text: str = "", *, task: str = "", provider: str = "", capability: str = "") -> list[ModelRecord]:
        """Return the records that have all the words of the text, and that this provider runs.

        With `task`, "TextSummaryTask" say, those that can do it; with `capability`, those that have it.
        """
        words = text.casefold().split()
        wanted = {capability} if capability else set[str]()
        found = [record for record in self.all() if not provider or record.provider == provider]
        found = [record for record in found if all(word in _spoken(record) for word in words)]
        if task:
            found = self._fit_for(task, found)
        return [record for record in found if wanted <= self.abilities(record)]

    def trust(self, name: str) -> ModelRecord:
        """Use from now on a record that somebody else wrote, or that was written in another file."""
        record = self.get(name)
        if record is None:
            raise UnknownModelError(f"Model {name!r} not found in the catalogue.")
        return self.update(record)

    def is_trusted(self, name: str) -> bool:
        """Whether the record of that name is used; False when there is none."""
        stored = self._repository.get(name)
        return stored is not None and self._is_trusted(stored, _record(stored))

    def abilities(self, record: ModelRecord) -> frozenset[str]:
        """What the record says that the model can do."""
        return frozenset(record.capabilities)

    def _fit_for(self, task: str, records: Sequence[ModelRecord]) -> list[ModelRecord]:
        """Return those that list the task, or that list none and can do it."""
        from workglow.tasks import task_registry

        ways: set[str] = set()
        if task in task_registry:
            ways = set[str](getattr(task_registry.get(task), "capabilities", ()))
        elif not any(task in record.tasks for record in records):
            raise UnknownTaskTypeError(f'Task type "{task}" is not registered. {task_registry.remedy(task)}')
        return [
            record
            for record in records
            if task in record.tasks or (not record.tasks and not ways.isdisjoint(self.abilities(record)))
        ]

    def _usable(self, name: str) -> ModelRecord | None:
        """Return the record of a name, to be used; InvalidModelError when its owner has not said that it may be."""
        stored = self._repository.get(name)
        if stored is None:
            return None
        record = _record(stored)
        if not self._is_trusted(stored, record):
            raise InvalidModelError(
                f"The record of {name!r} was written elsewhere, and says {', '.join(self._reach(record))}.  If that is "
                f"what you want: workglow models trust FILE {name}, or project.models.trust({name!r})."
            )
        return record

    def _is_trusted(self, stored: StoredModel, record: ModelRecord) -> bool:
        if self._seal is None or self._trusted.get(stored.name) == stored or not self._reach(record):
            return True
        if not self._seal.holds(_sealed_text(stored), stored.seal):
            return False
        self._trusted[stored.name] = stored
        return True

    def _reach(self, record: ModelRecord) -> list[str]:
        """What of a record leads somewhere else than the name it stands under does."""
        said = [f"{name}={value}" for name in ("base_url", "credential") if (value := getattr(record, name))]
        if record.options:
            said.append(f"options={msgspec.json.encode(record.options).decode():.200}")
        if record.prefix != record.provider and record.prefix in self.registry:
            said.append(f"provider={record.provider}")
        return said

    def _stored(self, record: ModelRecord) -> StoredModel:
        if record.credential and not _REFERENCE.fullmatch(record.credential):
            raise InvalidModelError(
                f"Invalid model record: the credential of {record.name!r} is no reference, such as "
                "'env:OPENAI_API_KEY'.  Keep the secret itself out of it: records are stored."
            )
        rest = {name: value for name, value in record.to_json().items() if name not in ("name", "provider")}
        text = msgspec.json.encode(rest).decode()
        stored = StoredModel(record.name, record.provider, text)
        if self._seal is not None:
            stored = StoredModel(record.name, record.provider, text, self._seal.sign(_sealed_text(stored)))
        self._trusted[record.name] = stored
        return stored

    def _tell(self, kind: ModelChangeKind, record: ModelRecord) -> ModelRecord:
        self.events.emit(ModelChange(kind, record))
        return record


def _sealed_text(stored: StoredModel) -> str:
    return f"model\n{stored.name}\n{stored.provider}\n{stored.record}"


def _record(stored: StoredModel) -> ModelRecord:
    try:
        return as_record({**msgspec.json.decode(stored.record), "name": stored.name, "provider": stored.provider})
    except (InvalidModelError, msgspec.DecodeError, TypeError) as error:
        raise InvalidModelError(
            f"The catalogue's record of {stored.name!r:.200} cannot be read: {error}  Remove it, or update it."
        ) from None


def _spoken(record: ModelRecord) -> str:
    fields = [getattr(record, name) for name in _SPOKEN_OF]
    return " ".join(field if isinstance(field, str) else " ".join(field) for field in fields).casefold()
