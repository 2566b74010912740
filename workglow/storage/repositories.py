"""Everything that a project keeps, by what it is, whichever database holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.storage.protocols import (
        GraphRepository,
        GraphStore,
        RunRepository,
        SettingsRepository,
        ValueRepository,
        WaitingRepository,
    )

__all__ = ["Repositories"]


@dataclass(frozen=True, slots=True)
class Repositories:
    """The repositories of one project; `uid` is the project's own identity, which survives copies."""

    uid: str
    graphs: GraphRepository
    runs: RunRepository
    outputs: TaskOutputRepository
    values: ValueRepository
    settings: SettingsRepository
    waiting: WaitingRepository
    named: GraphStore
