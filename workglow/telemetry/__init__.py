"""What runs tell of themselves to whoever watches programs: spans, through a tracer that the caller chooses."""

from workglow.telemetry.tracer import Attributes, Span, Tracer
from workglow.telemetry.tracing import OpenSpan, Tracing, span

__all__ = ["Attributes", "OpenSpan", "Span", "Tracer", "Tracing", "span"]
