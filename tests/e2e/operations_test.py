"""Tests of operational features: health, reflection, limits, the access log."""

import json
import os
import re
from pathlib import Path
from typing import Any

import grpc
import grpc_requests
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from testing import programs, service_list, timeouts
from testing.open_call import OpenCall


def _health(channel: grpc.Channel) -> Any:  # noqa: ANN401 - its type stubs lack the methods
    return health_pb2_grpc.HealthStub(channel)


SERVICES = ["Calculator", "calculator.v1.Calculator", "routeguide.RouteGuide", "grpc.health.v1.Health"]


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_every_service_is_healthy(channel: grpc.Channel, service: str) -> None:
    stub = _health(channel)
    response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeouts.SECONDS)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_an_unknown_service_is_not_found(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        _health(channel).Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=timeouts.SECONDS)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_lists_and_describes_every_service(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(SERVICES) < set(database.get_services())
    file = database.FindFileContainingSymbol("calculator.v1.Calculator")
    assert file.name == "calculator/v1/calculator.proto"


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_both_versions_of_reflection_describe_themselves_and_every_service(channel: grpc.Channel, version: str) -> None:
    name = f"grpc.reflection.{version}.ServerReflection"
    ask: grpc.StreamStreamMultiCallable[Any, Any] = channel.stream_stream(
        f"/{name}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=name),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"grpc.reflection.{version}.ErrorResponse"),
    ]
    services, *files = ask(iter(requests), timeout=timeouts.SECONDS)
    assert {*SERVICES, name} < {service.name for service in services.list_services_response.service}
    for answer in files:
        [described] = answer.file_descriptor_response.file_descriptor_proto
        pool = DescriptorPool()
        pool.AddSerializedFile(described)
        [method] = pool.FindServiceByName(name).methods
        assert method.input_type.full_name == f"grpc.reflection.{version}.ServerReflectionRequest"
        assert method.output_type.file.name.endswith("/reflection.proto")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_buf_finds_and_calls_methods_with_one_version_of_reflection(version: str, tmp_path: Path) -> None:
    def curl(*arguments: str) -> str:
        # The protocol is that of reflection, too: buf's default is Connect.
        command = [os.environ["BUF"], "curl", "--http2-prior-knowledge", "--protocol=grpc"]
        done = programs.run([*command, f"--reflect-protocol=grpc-{version}", *arguments], HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
        return done.stdout

    reflections = {f"grpc.reflection.{each}.ServerReflection/ServerReflectionInfo" for each in ("v1", "v1alpha")}
    with programs.serving() as server:
        url = f"http://{server.address}"
        methods = set(curl("--list-methods", url).splitlines())
        assert {"calculator.v1.Calculator/Calculate", "grpc.health.v1.Health/List", *reflections} < methods
        request = '{"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3}'
        assert json.loads(curl(f"--data={request}", f"{url}/calculator.v1.Calculator/Calculate")) == {"result": 5}
        assert set(SERVICES) < json.loads(curl("--data={}", f"{url}/grpc.health.v1.Health/List"))["statuses"].keys()
        server.process.terminate()
        assert server.process.wait(timeouts.SECONDS) == 0
    used = {found for line in server.log for found in re.findall(r"/grpc\.reflection\.(\w+)\.", line)}
    assert used == {version}


def test_grpc_requests_finds_and_calls_every_kind_of_method() -> None:
    with programs.serving() as server:
        client = grpc_requests.Client.get_by_endpoint(server.address)
        assert set(SERVICES) < set(client.service_names)
        name = "calculator.v1.Calculator"
        add = {"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3}
        assert client.request(name, "Calculate", add) == {"result": 5}
        assert list(client.request(name, "Evaluate", {"expression": "1+2"}))[-1]["result"] == 3
        assert client.request(name, "Aggregate", [{"numbers": [1, 2]}])["count"] == "2"
        assert [answer["result"] for answer in client.request(name, "Converse", [add])] == [5]
        client.channel.close()


def test_health_list_has_the_status_of_every_service(channel: grpc.Channel) -> None:
    health: Any = _health(channel)  # its published types do not have `List` yet
    request = health_pb2.HealthListRequest()  # type: ignore[attr-defined]
    statuses = health.List(request, timeout=timeouts.SECONDS).statuses
    assert set(statuses) == {
        "",
        "Calculator",
        "calculator.v1.Calculator",
        "routeguide.RouteGuide",
        "grpc.health.v1.Health",
    }
    assert {each.status for each in statuses.values()} == {health_pb2.HealthCheckResponse.SERVING}


def test_channelz_is_served_only_if_enabled(channel: grpc.Channel) -> None:
    assert "grpc.channelz.v1.Channelz" not in ProtoReflectionDescriptorDatabase(channel).get_services()
    with pytest.raises(grpc.RpcError) as refused:
        programs.call(channel, "/grpc.channelz.v1.Channelz/GetServers", b"")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    with programs.serving("--channelz", "--engine=stock") as server, grpc.insecure_channel(server.address) as asked:
        assert programs.call(asked, "/grpc.channelz.v1.Channelz/GetServers", b"")


def test_a_call_above_the_limit_is_refused_at_once_but_health_checks_are_answered() -> None:
    with programs.serving("--max-concurrent-calls=2") as server, grpc.insecure_channel(server.address) as channel:
        open_calls = [OpenCall(channel), OpenCall(channel)]
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        request = pb.CalculateRequest(operation=pb.OPERATION_ADD)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Calculate(request, timeout=timeouts.SECONDS)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        _health(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)
        assert open_calls[0].end() == grpc.StatusCode.OK
        programs.eventually(lambda: stub.Calculate(request, timeout=timeouts.SECONDS).result == 0)
        assert open_calls[1].end() == grpc.StatusCode.OK


def test_at_the_limit_every_method_is_refused_except_health_checks(channel: grpc.Channel) -> None:
    methods = service_list.methods(channel)
    with programs.serving("--max-concurrent-calls=1") as server, grpc.insecure_channel(server.address) as full:
        open_call = OpenCall(full)
        statuses = {service_list.path(method): service_list.status(full, method) for method in methods}
        assert open_call.end() == grpc.StatusCode.OK
    answered = {path for path, status in statuses.items() if status is not grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert answered == {f"/grpc.health.v1.Health/{method}" for method in ("Check", "List", "Watch")}
    assert {f"/grpc.reflection.{each}.ServerReflection/ServerReflectionInfo" for each in ("v1", "v1alpha")} < {
        *statuses
    }


def test_health_watches_do_not_count_toward_the_call_limit_and_are_logged() -> None:
    with programs.serving("--max-concurrent-calls=1") as server, grpc.insecure_channel(server.address) as channel:
        watches = [_health(channel).Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS) for _ in range(20)]
        for watch in watches:
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        assert OpenCall(channel).add_one() == 2
        watches[0].cancel()
        server.wait_for_log("/grpc.health.v1.Health/Watch CANCELLED")
        assert not [line for line in server.log if "Exception" in line]


def test_health_watches_have_their_own_limit(channel: grpc.Channel) -> None:
    watches = [_health(channel).Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS) for _ in range(20)]
    for watch in watches:
        next(watch)
    with pytest.raises(grpc.RpcError) as refused:
        next(_health(channel).Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert _health(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)
    for watch in watches:
        watch.cancel()
    programs.eventually(
        lambda: next(_health(channel).Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)) is not None
    )


def test_a_call_ends_at_the_maximum_deadline_and_frees_its_slot() -> None:
    with (
        programs.serving("--max-deadline=0.3", "--max-concurrent-calls=1") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        with pytest.raises(grpc.RpcError) as ended:
            list(OpenCall(channel).responses)
        # With grpcio's public API, another thread can end a call only with CANCELLED.
        is_stock = "--engine=stock" in os.environ["SERVER_FLAGS"]
        assert ended.value.code() == (grpc.StatusCode.CANCELLED if is_stock else grpc.StatusCode.DEADLINE_EXCEEDED)
        server.wait_for_log("/calculator.v1.Calculator/Converse DEADLINE_EXCEEDED")
        programs.eventually(lambda: OpenCall(channel).add_one() == 2)


def test_a_message_too_large_is_refused() -> None:
    with programs.serving("--max-message-bytes=1000") as server, grpc.insecure_channel(server.address) as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        assert stub.Aggregate(iter([pb.AggregateRequest(numbers=[1] * 100)]), timeout=timeouts.SECONDS).count == 100
        with pytest.raises(grpc.RpcError) as refused:
            stub.Aggregate(iter([pb.AggregateRequest(numbers=[1] * 200)]), timeout=timeouts.SECONDS)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_each_call_is_one_line_in_the_log_as_json_on_cloud_run() -> None:
    with programs.serving(K_SERVICE="calculator") as server, grpc.insecure_channel(server.address) as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        stub.Calculate(pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=1), timeout=timeouts.SECONDS)
        with pytest.raises(grpc.RpcError):
            stub.Calculate(pb.CalculateRequest(), timeout=timeouts.SECONDS)
        answered = json.loads(server.wait_for_log("Calculate OK"))
        assert (answered["received_bytes"], answered["sent_bytes"]) == (11, 9)  # an enum and a double; a double
        line = json.loads(server.wait_for_log("INVALID_ARGUMENT"))
        assert [json.loads(each)["severity"] for each in server.log if '"method"' in each] == ["INFO"] * 2
        assert line["method"] == "/calculator.v1.Calculator/Calculate"
        assert line["status"] == "INVALID_ARGUMENT"
        assert line["received_bytes"] == 0
        assert 0 <= line["duration_ms"] < timeouts.SECONDS * 1000
        assert 0 < line["deadline_left_ms"] <= (timeouts.SECONDS + 1) * 1000  # gRPC rounds a deadline up
        assert line["peer"].startswith(("ipv4:127.0.0.1:", "ipv6:"))
