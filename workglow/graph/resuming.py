"""Going on with several runs: one that fails holds none of the others up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import ResumeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from workglow.graph.run import Run

__all__ = ["resume_each"]


async def resume_each(uids: Iterable[str], resume: Callable[[str], Awaitable[Run]]) -> list[Run]:
    """Resume one run after the other; ResumeError, when the last is done, if one failed or could not go on."""
    runs: list[Run] = []
    errors: dict[str, Exception] = {}
    for uid in uids:
        try:
            runs.append(await resume(uid))
        except Exception as error:
            errors[uid] = error
    if errors:
        raise ResumeError(runs, errors) from next(iter(errors.values()))
    return runs
