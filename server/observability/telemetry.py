"""Traces and metrics with OpenTelemetry, exported over OTLP. Imported only if they are enabled."""

import logging
import threading
import time
from contextlib import AbstractContextManager

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.observability.trace_context import Metadata, Trace

SERVER_ERRORS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""The status codes that are errors of the server: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/."""

# From 0.5 ms to 10 s, as the semantic conventions require for durations.
_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

_Attributes = dict[str, str]


class Telemetry:
    """Records spans and durations of calls, and exports them to a collector.

    The environment variables of the SDK configure the endpoint, the interval, the sampling ratio and more
    (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

    Args:
        service: the name of this service, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES gives another.
        traces: whether to export traces.
        metrics: whether to export metrics.
    """

    def __init__(self, service: str, *, traces: bool, metrics: bool) -> None:
        """Start the export threads."""
        # This logger warns about every invalid tracestate, and quotes the client's text.
        logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        if traces:
            self._tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if metrics else []
        self._meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._tracer = self._tracers.get_tracer("calculator") if traces else trace.NoOpTracer()
        self._durations = self._meters.get_meter("calculator").create_histogram(
            "rpc.server.call.duration",
            unit="s",
            description="Measures the duration of an incoming Remote Procedure Call (RPC).",
            explicit_bucket_boundaries_advisory=_BUCKETS_SECONDS,
        )

    def start_span(self, path: str | None, metadata: Metadata, parent: Trace | None) -> "CallSpan":
        """Start the span of a call.

        Args:
            path: the path of the method, such as "/calculator.v1.Calculator/Calculate"; None if it is unknown.
            metadata: the metadata of the call.
            parent: the trace context in the metadata.
        """
        # The names of unknown methods are not attributes, since clients can choose any number of them.
        attributes = {"rpc.system.name": "grpc", "rpc.method": path[1:] if path else "_OTHER"}
        context = _parent(metadata, parent)
        span = self._tracer.start_span(attributes["rpc.method"], context, trace.SpanKind.SERVER, attributes)
        return CallSpan(span, self._durations, attributes)

    def close(self, timeout: float) -> None:
        """Export the remaining data within a timeout in seconds; what is left after it is lost."""
        # The SDK's own shutdown timeout cannot be shortened, and the platform kills a stopping instance after a few
        # seconds. Shut both down in parallel, in case one collector does not respond.
        deadline = time.monotonic() + timeout
        threads = [threading.Thread(target=each.shutdown, daemon=True) for each in (self._tracers, self._meters)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))


class CallSpan:
    """The span of a call, and its duration as a metric.

    Args:
        span: the span.
        durations: the histogram of durations.
        attributes: the attributes of the span and of the metric.

    Attributes:
        trace: the trace context of the span; None if traces are not exported.
    """

    def __init__(self, span: trace.Span, durations: Histogram, attributes: _Attributes) -> None:
        """Read the trace context of the span."""
        self._span = span
        self._durations = durations
        self._attributes = attributes
        own = span.get_span_context()
        self.trace = (
            Trace(trace.format_trace_id(own.trace_id), trace.format_span_id(own.span_id), own.trace_flags.sampled)
            if own.is_valid
            else None
        )

    def current(self) -> AbstractContextManager[trace.Span]:
        """Return a context manager in which the span is the current one."""
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    def finish(self, code: grpc.StatusCode, duration: float) -> None:
        """End the span with a status code, and record the duration in seconds."""
        outcome = _outcome(code)
        self._durations.record(duration, self._attributes | outcome)
        self._span.set_attributes(outcome)
        if code in SERVER_ERRORS:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def _parent(metadata: Metadata, parent: Trace | None) -> Context:
    texts = {key: value for key, value in metadata if isinstance(value, str)}
    context = TraceContextTextMapPropagator().extract(texts)
    if parent and parent.span_id and not trace.get_current_span(context).get_span_context().is_valid:
        # The parent is in Google's own header, which the W3C propagator does not read.
        remote = trace.SpanContext(
            int(parent.trace_id, 16),
            int(parent.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(parent.sampled),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(remote), context)
    return context


def _outcome(status: grpc.StatusCode) -> _Attributes:
    outcome = {"rpc.response.status_code": status.name}
    return outcome | {"error.type": status.name} if status in SERVER_ERRORS else outcome
