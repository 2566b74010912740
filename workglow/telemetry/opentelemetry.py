"""Spans for OpenTelemetry.  Only its API is used; which SDK and exporter take them is the program's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.errors import MissingExtraError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span as OpenTelemetrySpan
    from opentelemetry.trace import TracerProvider

    from workglow.telemetry.tracer import Attributes, Span

__all__ = ["OpenTelemetryTracer"]


class OpenTelemetryTracer:
    """Gives spans to OpenTelemetry: to `provider`, or to the one that the program set.

    While a task runs, in whichever thread, its span is OpenTelemetry's current one, so that spans of other libraries
    become its children; and a run becomes a child of the span that was current where it was begun.

    Raises MissingExtraError when opentelemetry-api is not installed.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        try:
            from opentelemetry import trace
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "OpenTelemetryTracer needs opentelemetry-api: pip install 'workglow[telemetry]'."
            ) from error
        self._trace: Any = trace
        self._tracer = trace.get_tracer("workglow", tracer_provider=provider)

    def start(self, name: str, attributes: Attributes, parent: Span | None, /) -> Span:
        around = self._trace.set_span_in_context(parent.span) if isinstance(parent, _Span) else None
        return _Span(self._trace, self._tracer.start_span(name, around, attributes=attributes))


class _Span:
    def __init__(self, trace: Any, span: OpenTelemetrySpan) -> None:
        self.span = span
        self._trace = trace

    def set(self, attributes: Attributes, /) -> None:
        self.span.set_attributes(attributes)

    def current(self) -> AbstractContextManager[object]:
        return self._trace.use_span(self.span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def end(self, error: str | None = None, /) -> None:
        if error is not None:
            self.span.set_status(self._trace.StatusCode.ERROR, error)
        self.span.end()
