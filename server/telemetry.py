"""Traces and metrics by OpenTelemetry, sent by OTLP. Imported only by a server that was asked for them."""

import functools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.call import Call
from server.tracing import Trace

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

    @contextmanager
    def observe(self, call: Call) -> Iterator[None]:
        """Give a call a span, which is its place in the trace and the current one in the block, and measure it."""
        # What clients make up is no attribute: there would be no end of them.
        attributes = {"rpc.system.name": "grpc", "rpc.method": call.method[1:] if call.is_known else "_OTHER"}
        span = self._tracer.start_span(attributes["rpc.method"], _parent(call), trace.SpanKind.SERVER, attributes)
        own = span.get_span_context()
        if own.is_valid:
            call.trace = Trace(
                trace.format_trace_id(own.trace_id), trace.format_span_id(own.span_id), own.trace_flags.sampled
            )
        call.when_over(functools.partial(self._finish, span, attributes))
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield

    def _finish(self, span: trace.Span, attributes: _Attributes, call: Call) -> None:
        status = call.status
        outcome = _outcome(status)
        self._durations.record(call.duration, attributes | outcome)
        span.set_attributes(outcome)
        if status in _FAULTS:
            span.set_status(trace.StatusCode.ERROR)
        span.end()

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


def _parent(call: Call) -> Context:
    metadata = {key: value for key, value in call.context.invocation_metadata() if isinstance(value, str)}
    context = TraceContextTextMapPropagator().extract(metadata)
    if call.trace and call.trace.span_id and not trace.get_current_span(context).get_span_context().is_valid:
        # Google's own header, which the standard's does not read.
        remote = trace.SpanContext(
            int(call.trace.trace_id, 16),
            int(call.trace.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(call.trace.sampled),
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(remote), context)
    return context


def _outcome(status: grpc.StatusCode) -> _Attributes:
    outcome = {"rpc.response.status_code": status.name}
    return outcome | {"error.type": status.name} if status in _FAULTS else outcome
