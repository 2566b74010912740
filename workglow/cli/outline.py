"""The tasks of a run as an indented list, in which a loop with many items is one line.

The policy.  Tasks stand in the order in which they became ready, each with what is inside it below it.  A loop with
more items than wanted is folded: its own line counts them; of what failed inside, the first few tasks stay visible.
Rows of folded items are dropped while reading, so a run of a million tasks is shown in the memory of its few lines.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Line", "Shown", "outline"]

_STEP = re.compile(r"(?P<id>[^/\[]+)(?:\[(?P<index>\d+)\])?(?P<slash>/?)")

_FAILURES = 5
"""Failed tasks of a folded loop that are shown all the same."""

_GRAVITY = {"completed": 0, "disabled": 0, "pending": 1, "waiting": 1, "running": 2, "aborted": 3, "failed": 4}
"""An item's status is the gravest of its tasks'; what is inside one of them counts as far as that one says."""


class Shown(Protocol):
    """What an outline needs to know of a task; TaskResult is one."""

    path: str
    status: str


@dataclass(slots=True)
class Line:
    """One line: how deep it stands, its name there, the task (None for items), status, and a note."""

    depth: int
    name: str
    task: Shown | None
    status: str
    note: str = ""
    last: bool = False


@dataclass(slots=True)
class _Branch:
    id: str
    task: Shown | None = None
    inside: list[Shown] = field(default_factory=list["Shown"])
    statuses: dict[int, str] = field(default_factory=dict[int, str])
    items: dict[int, list[Shown]] = field(default_factory=dict[int, "list[Shown]"])
    failures: list[Shown] = field(default_factory=list["Shown"])

    def add_item(self, index: int, task: Shown, most: int | None, *, nested: bool) -> None:
        known = self.statuses.get(index)
        if known is None or (not nested and _GRAVITY[task.status] > _GRAVITY[known]):
            self.statuses[index] = task.status
        if task.status == "failed" and len(self.failures) < _FAILURES:
            self.failures.append(task)
        if most is None or len(self.statuses) <= most:
            self.items.setdefault(index, []).append(task)
        else:
            self.items.clear()

    @property
    def folded(self) -> bool:
        return bool(self.statuses) and not self.items


def outline(tasks: Iterable[Shown], *, most: int | None = 20) -> Iterator[Line]:
    """Yield the lines; loops with more than `most` items are folded, none when it is None."""
    return _lines(tasks, "", 0, most)


def _lines(tasks: Iterable[Shown], prefix: str, depth: int, most: int | None) -> Iterator[Line]:
    branches = list(_branches(tasks, len(prefix), most).values())
    for branch in branches:
        task, last = branch.task, branch is branches[-1]
        yield Line(depth, branch.id, task, "" if task is None else task.status, _note(branch), last)
        path = prefix + branch.id
        if branch.folded:
            for failed in branch.failures:
                name = failed.path[len(prefix) :]
                yield Line(depth + 1, name, failed, failed.status, last=failed is branch.failures[-1])
            continue
        yield from _lines(branch.inside, f"{path}/", depth + 1, most)
        for index in sorted(branch.items):
            name, status = f"{branch.id}[{index}]", branch.statuses[index]
            yield Line(depth + 1, name, None, status, last=index == max(branch.items))
            yield from _lines(branch.items[index], f"{path}[{index}]/", depth + 2, most)


def _note(branch: _Branch) -> str:
    count = len(branch.statuses)
    if not count:
        return ""
    whole = f"{count} item{'s' if count != 1 else ''}"
    counts = Counter(branch.statuses.values())
    if not branch.folded or counts.keys() == {"completed"}:
        return whole
    return f"{whole}: " + ", ".join(f"{number} {status}" for status, number in counts.most_common())


def _branches(tasks: Iterable[Shown], start: int, most: int | None) -> dict[str, _Branch]:
    branches: dict[str, _Branch] = {}
    for task in tasks:
        step = _STEP.match(task.path, start)
        if step is None:
            continue
        branch = branches.setdefault(step["id"], _Branch(step["id"]))
        if step["index"] is not None:
            branch.add_item(int(step["index"]), task, most, nested="/" in task.path[step.end() :])
        elif step["slash"]:
            branch.inside.append(task)
        else:
            branch.task = task
    return branches
