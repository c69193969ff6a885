"""Tests of traces and metrics, as an OTLP collector receives them, and of trace ids in the log."""

import json
import queue
import re
import socket
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from testing import documents, programs, timeouts
from testing.open_call import OpenCall

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-01")


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """An OTLP collector that keeps what exporters send."""

    def __init__(self) -> None:
        self.traces = queue.SimpleQueue[trace_service_pb2.ExportTraceServiceRequest]()
        self.metrics = queue.SimpleQueue[metrics_service_pb2.ExportMetricsServiceRequest]()
        self.endpoint = ""

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 - the name in both services
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            self.traces.put(request)
            return trace_service_pb2.ExportTraceServiceResponse()
        self.metrics.put(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()

    def spans(self, count: int) -> dict[str, Span]:
        """Wait for `count` spans, and return them by name."""
        spans: dict[str, Span] = {}
        while len(spans) < count:
            request = self.traces.get(timeout=timeouts.SECONDS)
            spans |= {span.name: span for each in request.resource_spans for span in each.scope_spans[0].spans}
        return spans


@pytest.fixture
def collector() -> Iterator[Collector]:
    receiving = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiving, server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(receiving, server)  # type: ignore[no-untyped-call]
    receiving.endpoint = f"http://localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    yield receiving
    server.stop(grace=None).wait()


def _attributes(pairs: Any) -> dict[str, str]:  # noqa: ANN401 - a repeated field
    return {pair.key: pair.value.string_value for pair in pairs}


def _call_each_kind(channel: grpc.Channel, *metadata: tuple[str, str]) -> None:
    stub = calculator_pb2_grpc.CalculatorStub(channel)
    add = pb.CalculateRequest(operation=pb.OPERATION_ADD)
    stub.Calculate(add, timeout=timeouts.SECONDS, metadata=metadata)
    list(stub.Evaluate(pb.EvaluateRequest(expression="1+2"), timeout=timeouts.SECONDS, metadata=metadata))
    stub.Aggregate(iter([pb.AggregateRequest(numbers=[1, 2])]), timeout=timeouts.SECONDS, metadata=metadata)
    converse = [pb.ConverseRequest(operation=pb.OPERATION_ADD, first_operand=1, second_operand=2)]
    list(stub.Converse(iter(converse), timeout=timeouts.SECONDS, metadata=metadata))


def test_every_kind_of_call_has_a_span_and_a_log_line_in_the_callers_trace(collector: Collector) -> None:
    with (
        programs.serving(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="50",
            K_SERVICE="adder",
            GOOGLE_CLOUD_PROJECT="sums",
        ) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel, SAMPLED)
        spans = collector.spans(4)
        kinds = [f"calculator.v1.Calculator/{method}" for method in ("Calculate", "Evaluate", "Aggregate", "Converse")]
        assert list(spans) == kinds
        for name, span in spans.items():
            assert (span.trace_id.hex(), span.parent_span_id.hex(), span.kind) == (TRACE, PARENT, Span.SPAN_KIND_SERVER)
            assert _attributes(span.attributes) == {
                "rpc.system.name": "grpc",
                "rpc.method": name,
                "rpc.response.status_code": "OK",
            }
            line = json.loads(server.wait_for_log(span.span_id.hex()))
            assert line["method"] == f"/{name}"
            assert line["logging.googleapis.com/trace"] == f"projects/sums/traces/{TRACE}"
            assert line["logging.googleapis.com/trace_sampled"] is True


def test_a_collector_on_this_machine_is_not_reached_through_a_proxy(collector: Collector) -> None:
    with (
        programs.serving(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_BSP_SCHEDULE_DELAY="50", **programs.BROKEN_PROXY
        ) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel, SAMPLED)
        assert len(collector.spans(4)) == 4


def test_a_span_has_error_status_only_if_the_server_is_at_fault(collector: Collector) -> None:
    with (
        programs.serving(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.endpoint) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        for method in ("/calculator.v1.Calculator/Calculate", "/whatever.a/client.makes.up"):
            with pytest.raises(grpc.RpcError):
                programs.call(channel, method, b"")
        server.process.terminate()  # long before the next batch is due
        spans = collector.spans(2)
        assert server.process.wait(timeouts.SECONDS) == 0
    refused, unknown = spans["calculator.v1.Calculator/Calculate"], spans["_OTHER"]
    assert _attributes(refused.attributes)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert refused.status.code == refused.status.STATUS_CODE_UNSET
    assert _attributes(unknown.attributes)["error.type"] == "UNIMPLEMENTED"
    assert unknown.status.code == unknown.status.STATUS_CODE_ERROR


def test_googles_trace_header_sets_the_parent_and_unsampled_traces_are_not_exported(collector: Collector) -> None:
    with (
        programs.serving(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_METRICS_EXPORTER="none") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel, ("traceparent", f"00-{TRACE}-{PARENT}-00"))
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        google = ("x-cloud-trace-context", f"{TRACE}/{int(PARENT, 16)};o=1")
        stub.Calculate(pb.CalculateRequest(operation=pb.OPERATION_ADD), timeout=timeouts.SECONDS, metadata=(google,))
        server.process.terminate()
        [span] = collector.spans(1).values()
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert server.process.wait(timeouts.SECONDS) == 0
    assert collector.traces.empty()
    assert collector.metrics.empty()


def test_durations_are_recorded_by_method_and_status_under_the_service_name(collector: Collector) -> None:
    with (
        programs.serving(
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=collector.endpoint,
            OTEL_SERVICE_NAME="multiplier",
            K_SERVICE="adder",
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://localhost:1",  # unreachable, but metrics must still be exported
            OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="1",
        ) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel)
        _call_each_kind(channel)
        server.process.terminate()
        request = collector.metrics.get(timeout=timeouts.SECONDS)
        assert server.process.wait(timeouts.SECONDS) == 0
    [resource] = request.resource_metrics
    assert _attributes(resource.resource.attributes)["service.name"] == "multiplier"
    [metric] = [metric for metric in resource.scope_metrics[0].metrics if metric.name == "rpc.server.call.duration"]
    assert metric.unit == "s"
    assert len(metric.histogram.data_points) == 4
    for point in metric.histogram.data_points:
        assert point.count == 2
        assert 0 < point.sum < timeouts.SECONDS
        assert _attributes(point.attributes)["rpc.response.status_code"] == "OK"
    assert collector.traces.empty()


def test_the_documentation_lists_every_metric_with_its_attributes(collector: Collector) -> None:
    with (
        programs.serving(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=collector.endpoint) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel)
        with pytest.raises(grpc.RpcError):
            programs.call(channel, "/whatever.a/client.makes.up", b"")
        server.process.terminate()
        request = collector.metrics.get(timeout=timeouts.SECONDS)
        assert server.process.wait(timeouts.SECONDS) == 0
    exported = {
        metric.name: {name for point in metric.histogram.data_points for name in _attributes(point.attributes)}
        for scope in request.resource_metrics[0].scope_metrics
        for metric in scope.metrics
    }
    rows = documents.table(Path("docs/reference/telemetry.md").read_text(encoding="utf-8"), "Metrics")
    assert {name.strip("`"): set(re.findall("`([^`]+)`", attributes)) for name, _, attributes in rows} == exported


def test_each_worker_exports_metrics_under_its_own_instance_id(collector: Collector) -> None:
    with programs.serving("--workers=2", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=collector.endpoint) as server:
        for _ in range(40):  # each on its own connection, so that both workers get some
            with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                calculator_pb2_grpc.CalculatorStub(channel).Calculate(
                    pb.CalculateRequest(operation=pb.OPERATION_ADD), timeout=timeouts.SECONDS
                )
        server.process.terminate()
        requests = [collector.metrics.get(timeout=timeouts.SECONDS) for _ in range(2)]
        assert server.process.wait(timeouts.SECONDS) == 0
    resources = [resource for request in requests for resource in request.resource_metrics]
    assert len({_attributes(resource.resource.attributes)["service.instance.id"] for resource in resources}) == 2
    points = [
        point
        for resource in resources
        for metric in resource.scope_metrics[0].metrics
        for point in metric.histogram.data_points
    ]
    assert sum(point.count for point in points) == 40


def test_a_silent_collector_blocks_neither_calls_nor_the_shutdown() -> None:
    with (
        socket.create_server(("localhost", 0)) as mute,
        programs.serving(
            "--shutdown-grace=1",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://localhost:{mute.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_TIMEOUT="3600",  # s; the server would not stop earlier if it waited for the collector
        ) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel, SAMPLED)
        call = OpenCall(channel)
        server.process.terminate()
        began = time.monotonic()
        assert server.process.wait(timeouts.SECONDS) == 0
        assert time.monotonic() - began > 1  # the grace period
        with pytest.raises(grpc.RpcError):
            call.add_one()


@pytest.mark.parametrize("environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}])
def test_opentelemetry_is_not_loaded_unless_enabled_but_trace_ids_are_logged(environment: dict[str, str]) -> None:
    with (
        programs.serving(PYTHONPROFILEIMPORTTIME="1", **environment) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _call_each_kind(channel, SAMPLED)
        assert f"trace={TRACE}" in server.wait_for_log("Converse OK")
        assert any("grpc" in line for line in server.log)
        assert not any("opentelemetry" in line for line in server.log)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_COMPRESSION": "hard"},
            "an OTEL_ environment variable is invalid: ",
        ),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER='zipkin': must be 'otlp' or 'none'"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            "OTEL_EXPORTER_OTLP_PROTOCOL='http/protobuf': must be 'grpc'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
            "an OTEL_ environment variable is invalid: could not convert string to float: 'soon'",
        ),
    ],
)
def test_an_invalid_otel_variable_is_a_one_line_error_with_status_2(
    environment: dict[str, str], complaint: str
) -> None:
    refused = programs.run([programs.SERVER, "--port=0"], **environment)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"server: {complaint}")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("signal", ["", "TRACES_", "METRICS_"])
def test_a_protocol_other_than_grpc_is_a_one_line_error_even_without_an_endpoint(signal: str, protocol: str) -> None:
    name = f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"
    refused = programs.run([programs.SERVER, "--port=0"], **{name: protocol})
    assert refused.returncode == 2
    assert refused.stderr == (
        f"server: {name}='{protocol}': must be 'grpc', the only supported protocol; collectors receive it on port 4317"
        " by default\n"
    )
