"""What a graph that was read from data must be granted before a model is called for it.

Looked at twice.  Before the task begins, by what its inputs say: then a run is refused before anything was done, and
somebody can be asked.  And when the model is found, for a catalogue may say under the same name what no input tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from workglow.ai.model import Model
from workglow.ai.models import models_without_project
from workglow.errors import TaskEntitlementError, WorkglowError

if TYPE_CHECKING:
    from workglow.tasks import Entitlement, TaskContext

__all__ = ["check_rights", "rights_of"]


def rights_of(named: object) -> tuple[Entitlement, ...]:
    """Return what models need that are given as in a task's inputs: by name, as a whole record, or several."""
    if isinstance(named, list | tuple):
        return tuple(right for one in cast("Iterable[object]", named) for right in rights_of(one))
    if isinstance(named, Model):
        return named.provider.required_entitlements(named.record)
    if not isinstance(named, str | Mapping):
        return ()
    models = models_without_project()
    try:
        record = models.find(cast("str | Mapping[str, object]", named))
        return models.provider(record.provider).required_entitlements(record)
    except WorkglowError:
        return ()  # a name of a catalogue, or no model at all: the task says so


def check_rights(model: Model, context: TaskContext) -> None:
    """Raise TaskEntitlementError when the run was not granted what the model needs."""
    for needed in rights_of(model):
        if not context.is_allowed(needed.id, *needed.resources):
            raise TaskEntitlementError(
                f"Denied entitlements: {needed} for {context.path!r}: {needed.reason}.  "
                f"If you trust the graph with it, grant it: entitlements={list(needed.texts())!r}."
            )
