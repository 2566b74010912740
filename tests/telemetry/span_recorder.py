"""A tracer that remembers its spans, and holds them to what a tracer may rely on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import cast

from workglow import Span
from workglow.telemetry import Attributes


class RecordedSpan:
    def __init__(self, name: str, attributes: Attributes, parent: RecordedSpan | None) -> None:
        self.name = name
        self.attributes = dict(attributes)
        self.parent = parent
        self.children: list[RecordedSpan] = []
        self.error: str | None = None
        self.is_open = True

    def set(self, attributes: Attributes, /) -> None:
        assert self.is_open, f"{self.name} is told of after its end"
        self.attributes.update(attributes)

    def current(self) -> AbstractContextManager[object]:
        return nullcontext()

    def end(self, error: str | None = None, /) -> None:
        assert self.is_open, f"{self.name} ends twice"
        assert not [child for child in self.children if child.is_open], f"{self.name} ends before what is inside it"
        self.is_open = False
        self.error = error

    @property
    def path(self) -> str:
        return str(self.attributes.get("workglow.task.path", ""))

    @property
    def status(self) -> str:
        return str(self.attributes.get("workglow.task.status") or self.attributes.get("workglow.run.status"))


class Recorder:
    def __init__(self) -> None:
        self.spans: list[RecordedSpan] = []

    def start(self, name: str, attributes: Attributes, parent: Span | None, /) -> Span:
        above = cast("RecordedSpan | None", parent)
        assert above is None or above.is_open, f"{name} begins inside {above}, which has ended"
        span = RecordedSpan(name, attributes, above)
        if above is not None:
            above.children.append(span)
        self.spans.append(span)
        return span

    def at(self, path: str) -> list[RecordedSpan]:
        return [span for span in self.spans if span.path == path]

    def roots(self) -> list[RecordedSpan]:
        return [span for span in self.spans if span.parent is None]

    def check_all_ended(self) -> None:
        assert [span.name for span in self.spans if span.is_open] == []

    def tree(self) -> list[str]:
        """Each span below its parent, as 'name path', in the order in which they began."""
        lines: list[str] = []

        def add(span: RecordedSpan, depth: int) -> None:
            lines.append(f"{'  ' * depth}{span.name} {span.path}".rstrip())
            for child in span.children:
                add(child, depth + 1)

        for root in self.roots():
            add(root, 0)
        return lines
