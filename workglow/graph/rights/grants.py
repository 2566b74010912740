"""What a project and its runs were granted, kept in the file and sealed.

A file says what was granted to its runs, so that they go on after a crash without being asked again.  But a file may
come from anybody.  So a grant counts only where its seal holds: for the user who gave it, in the file they gave it in.
What a run was denied counts everywhere: it can only take away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from workglow.errors import TaskConfigurationError
from workglow.tasks import Entitlement
from workglow.tasks.policy import Policy
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.file.seal import Seal
    from workglow.storage.protocols import SettingsRepository
    from workglow.storage.records import RunRecord

__all__ = ["Grants"]

Rules = tuple[Entitlement, ...]
_NAME = "entitlements"


class Grants:
    """The grants of one project."""

    def __init__(self, settings: SettingsRepository, seal: Seal) -> None:
        self._settings = settings
        self._seal = seal

    def of_project(self) -> Rules:
        """Return what every run of the project may do; nothing when it was granted elsewhere."""
        return self._opened(self._settings.get(_NAME), "project")

    def add(self, rules: Iterable[Entitlement]) -> None:
        """Let every run of the project do more."""
        self._keep((*self.of_project(), *rules))

    def remove(self, rules: Iterable[Entitlement]) -> None:
        """Take back grants of the project; TaskConfigurationError names one that is not there."""
        left = dict.fromkeys(_texts(self.of_project()))
        for text in _texts(rules):
            if text not in left:
                raise TaskConfigurationError(
                    f"{text} was not granted, so it cannot be taken back; granted is: {', '.join(left) or 'nothing'}."
                )
            del left[text]
        self._keep(Entitlement.parse(text) for text in left)

    def _keep(self, rules: Iterable[Entitlement]) -> None:
        texts = _texts(rules)
        self._settings.set(_NAME, self._sealed(texts, "project") if texts else None)

    def for_run(self, policy: Policy, input: str) -> dict[str, object]:
        """Return what to store with a run of this policy and these inputs, given as they are stored."""
        stored = self._sealed(_texts(policy.grant), f"run\n{input}")
        return {**stored, "deny": _texts(policy.deny)} if policy.deny else stored

    def of_run(self, record: RunRecord) -> Policy:
        """Return what a stored run may do here."""
        stored = record.options.get(_NAME)
        deny = cast("dict[str, Any]", stored).get("deny") if isinstance(stored, dict) else None
        return Policy(_rules(deny), self._opened(cast("object", stored), f"run\n{record.input}"))

    def _sealed(self, texts: list[str], purpose: str) -> dict[str, object]:
        for text in texts:
            if not is_text(text):
                raise TaskConfigurationError(
                    f"{text!r} is not in UTF-8, so no grant of it can be kept.  Grant the folder around it."
                )
        return {"grant": texts, "seal": self._seal.sign(_message(texts, purpose))}

    def _opened(self, stored: object, purpose: str) -> Rules:
        if not isinstance(stored, dict):
            return ()
        known = cast("dict[str, Any]", stored)
        rules = _rules(known.get("grant"))
        return rules if rules and self._seal.holds(_message(_texts(rules), purpose), known.get("seal")) else ()


def _texts(rules: Iterable[Entitlement]) -> list[str]:
    return list(dict.fromkeys(text for rule in rules for text in rule.texts()))


def _rules(texts: object) -> Rules:
    """Read what a file holds; what makes no sense grants and denies nothing."""
    if not isinstance(texts, list):
        return ()
    try:
        return tuple(Entitlement.parse(str(text)) for text in cast("list[object]", texts))
    except TaskConfigurationError:
        return ()


def _message(texts: list[str], purpose: str) -> str:
    return f"{purpose}\n{msgspec.json.encode(texts).decode()}"
