"""Tests of the server in Go as a process: its port, health, reflection, signals, and errors of unknown methods."""

import signal
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from testing import listening, programs, timeouts
from testing.open_call import OpenCall

SERVICES = {"Calculator", "calculator.v1.Calculator", "routeguide.RouteGuide", "grpc.health.v1.Health"}


def _health(channel: grpc.Channel) -> Any:  # noqa: ANN401 - its type stubs lack the methods
    return health_pb2_grpc.HealthStub(channel)


def test_the_server_listens_on_the_platforms_port_on_all_interfaces() -> None:
    with programs.serving() as server:
        assert listening.ips(server.process.pid) == {"::"}
        refused = programs.run([programs.SERVER], PORT=str(server.port))
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "address already in use" in refused.stderr


@pytest.mark.parametrize("port", ["http", "65536", "-1", "+1", ""])
def test_an_invalid_port_is_a_one_line_error_with_status_2(port: str) -> None:
    refused = programs.run([programs.SERVER], PORT=port)
    assert refused.returncode == 2
    assert refused.stderr == f"server: PORT={port!r}: must be 0-65535, where 0 means any free port\n"


def test_an_argument_is_a_one_line_error_with_status_2() -> None:
    refused = programs.run([programs.SERVER, "--port=1"])
    assert refused.returncode == 2
    assert (
        refused.stderr == 'server: "--port=1" is not accepted: the server has no flags; set PORT to choose its port\n'
    )


def test_every_service_is_healthy_and_listed_by_reflection(channel: grpc.Channel) -> None:
    assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) > SERVICES
    for service in ("", *SERVICES):
        request = health_pb2.HealthCheckRequest(service=service)
        assert (
            _health(channel).Check(request, timeout=timeouts.SECONDS).status == health_pb2.HealthCheckResponse.SERVING
        )


@pytest.mark.parametrize("method", ["/calculator.v1.Calculator/Guess", "/Guess/Guess"])
def test_an_unknown_method_has_the_error_details_of_the_server_in_python(channel: grpc.Channel, method: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        programs.call(channel, method, b"")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    status = rpc_status.from_call(cast("grpc.Call", refused.value))
    assert status
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("UNKNOWN_METHOD", "calculator")


def test_a_call_with_too_much_metadata_is_refused_and_other_calls_of_its_connection_continue(
    channel: grpc.Channel,
) -> None:
    call, health, metadata = OpenCall(channel), _health(channel), [("key", "x" * 16384)]
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(health_pb2.HealthCheckRequest(), metadata=metadata, timeout=timeouts.SECONDS)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == "the metadata has more than 16384 bytes"
    assert call.add_one() == 2
    assert call.end() == grpc.StatusCode.OK


def test_the_101st_call_of_a_connection_waits(channel: grpc.Channel) -> None:
    calls = [OpenCall(channel) for _ in range(100)]
    waiting = _health(channel).Check.future(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)
    assert calls[0].add_one() == 2
    assert not waiting.done()
    assert calls[0].end() == grpc.StatusCode.OK
    assert waiting.result().status == health_pb2.HealthCheckResponse.SERVING
    assert {call.end() for call in calls[1:]} == {grpc.StatusCode.OK}


def test_a_compressed_request_is_answered(channel: grpc.Channel) -> None:
    request = health_pb2.HealthCheckRequest()
    answer = _health(channel).Check(request, compression=grpc.Compression.Gzip, timeout=timeouts.SECONDS)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_first_changes_the_health_then_drains_calls_in_flight(number: signal.Signals) -> None:
    with programs.serving() as server, grpc.insecure_channel(server.address) as channel:
        with grpc.insecure_channel(server.address) as watching:
            watch = _health(watching).Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            call = OpenCall(channel)
            server.process.send_signal(number)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert call.add_one() == 2
        assert call.end() == grpc.StatusCode.OK
        assert server.process.wait(timeouts.SECONDS) == 0
        assert server.wait_for_log("Stopped")


def test_the_time_to_drain_is_limited() -> None:
    with programs.serving() as server, grpc.insecure_channel(server.address) as channel:
        call = OpenCall(channel)
        server.process.terminate()
        assert server.process.wait(timeouts.SECONDS) == 0
        with pytest.raises(grpc.RpcError) as cut:
            call.add_one()
        assert cut.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_second_signal_kills_the_server_at_once() -> None:
    with programs.serving() as server, grpc.insecure_channel(server.address) as channel:
        OpenCall(channel)
        server.process.terminate()
        server.wait_for_log("Stopping")
        server.process.terminate()
        assert server.process.wait(timeouts.SECONDS) == -signal.SIGTERM
