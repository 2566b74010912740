"""Whether a model may do what a task wants of it, and if not, what it can do and which models can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from workglow.errors import ModelCallError, TaskEntitlementError, UnsupportedCapabilityError

if TYPE_CHECKING:
    from workglow.ai.model import Model
    from workglow.ai.models import Models
    from workglow.tasks import TaskContext

__all__ = ["check_inline", "check_task", "way_of"]

_NAMED = 5


def check_task(model: Model, task_type: str, models: Models, *, port: str = "model") -> None:
    """Raise ModelCallError when the model's record lists tasks, and not this one."""
    tasks = model.record.tasks
    if tasks and task_type not in tasks:
        raise ModelCallError(
            f"Model {model.name!r} for {port!r} is not compatible with task {task_type!r}.  The model supports: "
            f"{', '.join(tasks)}.{_others(models, task=task_type)}"
        )


def way_of(model: Model, capabilities: Sequence[str], models: Models) -> str:
    """Return the first of these that the model can do; UnsupportedCapabilityError says what it can, and who else."""
    try:
        return model.first_of(capabilities)
    except UnsupportedCapabilityError as error:
        raise UnsupportedCapabilityError(f"{error}{_others(models, capabilities=capabilities)}") from None


def check_inline(given: Mapping[str, Any], context: TaskContext) -> None:
    """Raise TaskEntitlementError when a graph that may not do so says where its texts go, or with which credential."""
    wanted: list[tuple[str, str]] = []
    config: object = given.get("provider_config")
    places: list[Mapping[str, Any]] = [given]
    if isinstance(config, Mapping):
        places.append(cast("Mapping[str, Any]", config))
    for described in places:
        for word in ("credential", "credential_key"):
            if described.get(word):
                wanted.append(("credential", str(described[word])))
        address = str(described.get("base_url") or "")
        if address:
            wanted.append(("network", urlsplit(address).hostname or address))
    for entitlement, resource in wanted:
        if not context.is_allowed(entitlement, resource):
            raise TaskEntitlementError(
                f"Denied entitlements: {entitlement}={resource} for {context.path!r}: the graph describes a model that "
                f"needs it.  If you trust the graph with it, grant it: entitlements=[{f'{entitlement}={resource}'!r}]."
            )


def _others(models: Models, *, task: str = "", capabilities: Sequence[str] = ()) -> str:
    found = models.search(task=task) if task else []
    for capability in capabilities:
        found += models.search(capability=capability)
    names = list(dict.fromkeys(record.name for record in found))
    if not names:
        return "  No model in the catalogue can do it: workglow models add FILE."
    more = ", …" if len(names) > _NAMED else ""
    return f"  Models of the catalogue that can: {', '.join(names[:_NAMED])}{more}."
