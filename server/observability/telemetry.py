"""Traces and metrics by OpenTelemetry, sent by OTLP. Imported only by a server that was asked for them."""

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

# What a server is to blame for: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
# From half a millisecond to ten seconds, as the convention has it for durations.
_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

_Attributes = dict[str, str]


class Telemetry:
    """Spans and durations of calls, on their way to a collector.

    Where to, how often, what share of the traces, and more, is for the SDK's own environment variables to say
    (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

    Args:
        service: the name of this service, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES gives another.
        traces: whether to send traces.
        metrics: whether to send metrics.
    """

    def __init__(self, service: str, *, traces: bool, metrics: bool) -> None:
        """Start the threads that send."""
        # It warns of every tracestate that it does not understand, in its sender's words.
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
            path: its method, such as "/calculator.v1.Calculator/Calculate"; None if the server does not have it.
            metadata: the metadata of the call.
            parent: the place in a trace that the metadata names.
        """
        # A name that a client chose is not an attribute: there would be no end of values.
        attributes = {"rpc.system.name": "grpc", "rpc.method": path[1:] if path else "_OTHER"}
        context = _parent(metadata, parent)
        span = self._tracer.start_span(attributes["rpc.method"], context, trace.SpanKind.SERVER, attributes)
        return CallSpan(span, self._durations, attributes)

    def close(self, timeout: float) -> None:
        """Send what there is still to send, in so many seconds at most; the rest is lost."""
        # The SDK's own patience cannot be limited, and whoever stops an instance has little. Each for itself, since one
        # may have a collector that does not answer.
        ends = time.monotonic() + timeout
        sending = [threading.Thread(target=each.shutdown, daemon=True) for each in (self._tracers, self._meters)]
        for thread in sending:
            thread.start()
        for thread in sending:
            thread.join(max(0, ends - time.monotonic()))


class CallSpan:
    """The span of a call, and its duration as a metric.

    Args:
        span: the span.
        durations: the histogram of durations.
        attributes: the attributes of both.

    Attributes:
        trace: its place in a trace; None if traces are not sent.
    """

    def __init__(self, span: trace.Span, durations: Histogram, attributes: _Attributes) -> None:
        """Find the place in the trace."""
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
        """Return a block in which the span is the current one."""
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    def finish(self, code: grpc.StatusCode, duration: float) -> None:
        """End the span with a status code, and record the duration in seconds."""
        outcome = _outcome(code)
        self._durations.record(duration, self._attributes | outcome)
        self._span.set_attributes(outcome)
        if code in _FAULTS:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def _parent(metadata: Metadata, parent: Trace | None) -> Context:
    texts = {key: value for key, value in metadata if isinstance(value, str)}
    context = TraceContextTextMapPropagator().extract(texts)
    if parent and parent.span_id and not trace.get_current_span(context).get_span_context().is_valid:
        # The span is in Google's own header, which the propagator of the standard does not read.
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
    return outcome | {"error.type": status.name} if status in _FAULTS else outcome
