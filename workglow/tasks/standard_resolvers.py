"""The resolvers that need no project: credentials, and task types."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import TaskInputError
from workglow.tasks.resolver import ResolverRegistry
from workglow.values import Secret

if TYPE_CHECKING:
    from workglow.tasks.registry import TaskRegistry

__all__ = ["standard_resolvers"]

_ENVIRONMENT: Final = "env:"


def standard_resolvers(registry: TaskRegistry) -> ResolverRegistry:
    """Return resolvers for `credential`, which gives a Secret, and `tasks`, which gives task types of the registry."""
    resolvers = ResolverRegistry()
    resolvers.register("credential", lambda name, _: credential(name), entitlement="credential")
    resolvers.register("tasks", lambda name, _: registry.get(name), _type_name)
    return resolvers


def credential(name: str) -> Secret:
    """Return what a reference such as `env:API_KEY` stands for; TaskInputError says why not, without the text."""
    variable = name.removeprefix(_ENVIRONMENT)
    if variable == name or not variable:
        raise TaskInputError(
            "A credential is given by reference, 'env:NAME' for the environment variable NAME, and this text is none.  "
            "If it is the secret itself, keep it out of graphs and inputs: they are stored."
        )
    text = os.environ.get(variable)
    if not text:
        raise TaskInputError(f"The credential {name!r} is not there: set the environment variable {variable}.")
    return Secret(text)


def _type_name(kind: Any, _: str) -> str | None:
    name = getattr(kind, "type", None)
    return name if isinstance(kind, type) and isinstance(name, str) else None
