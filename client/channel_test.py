"""Tests of channels: credentials and retries."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc

from client import channel
from client.channel import backoff_seconds, connect
from testing import timeouts
from testing.relay import Relay

REQUEST = pb.CalculateRequest(operation=pb.OPERATION_ADD)


class Servicer(calculator_pb2_grpc.CalculatorServicer):
    """A calculator that runs `calculate`, which a test sets, on each attempt of a call."""

    def __init__(self) -> None:
        self.calculate: Callable[[grpc.ServicerContext], None] = lambda _: None

    def Calculate(self, request: pb.CalculateRequest, context: grpc.ServicerContext) -> pb.CalculateResponse:
        self.calculate(context)
        return pb.CalculateResponse(result=5)

    def Aggregate(self, request_iterator: Any, context: grpc.ServicerContext) -> pb.AggregateResponse:  # noqa: ANN401
        self.calculate(context)
        return pb.AggregateResponse()


Serve = Callable[..., str]


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()  # type: ignore[abstract] # tests do not call the missing methods


@pytest.fixture
def serve(servicer: Servicer) -> Iterator[Serve]:
    server = grpc.server(futures.ThreadPoolExecutor(2))

    def start(credentials: grpc.ServerCredentials | None = None) -> str:
        address = "localhost:0"
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        calculator_pb2_grpc.add_CalculatorServicer_to_server(servicer, server)
        server.start()
        return f"localhost:{port}"

    yield start
    server.stop(grace=None).wait()


def test_a_call_carries_the_token_of_the_channels_credentials(servicer: Servicer, serve: Serve) -> None:
    seen: list[dict[str, str | bytes]] = []
    servicer.calculate = lambda context: seen.append(dict(context.invocation_metadata()))
    # gRPC does not send tokens in plaintext. Local credentials count as secure, since both ends are on this machine.
    target = serve(grpc.local_server_credentials())
    credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(), grpc.access_token_call_credentials("a-token")
    )
    with connect(target, credentials) as channel:
        assert calculator_pb2_grpc.CalculatorStub(channel).Calculate(REQUEST, timeout=timeouts.SECONDS).result == 5
    assert seen[0]["authorization"] == "Bearer a-token"


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"])
def test_a_call_that_a_busy_or_stopping_server_rejects_is_retried(servicer: Servicer, serve: Serve, code: str) -> None:
    attempts = iter([True, True, False])

    def refuse_twice(context: grpc.ServicerContext) -> None:
        if next(attempts):
            context.abort(grpc.StatusCode[code], "later")

    servicer.calculate = refuse_twice
    with connect(serve()) as channel:
        assert calculator_pb2_grpc.CalculatorStub(channel).Calculate(REQUEST, timeout=timeouts.SECONDS).result == 5


def _refusals(servicer: Servicer, code: grpc.StatusCode) -> list[grpc.StatusCode]:
    seen: list[grpc.StatusCode] = []

    def refuse(context: grpc.ServicerContext) -> None:
        seen.append(code)
        context.abort(code, "no")

    servicer.calculate = refuse
    return seen


def test_an_invalid_request_is_not_retried(servicer: Servicer, serve: Serve) -> None:
    refusals = _refusals(servicer, grpc.StatusCode.INVALID_ARGUMENT)
    with connect(serve()) as channel, pytest.raises(grpc.RpcError):
        calculator_pb2_grpc.CalculatorStub(channel).Calculate(REQUEST, timeout=timeouts.SECONDS)
    assert len(refusals) == 1


def test_a_request_stream_is_not_retried(servicer: Servicer, serve: Serve) -> None:
    refusals = _refusals(servicer, grpc.StatusCode.UNAVAILABLE)
    with connect(serve()) as channel, pytest.raises(grpc.RpcError):
        calculator_pb2_grpc.CalculatorStub(channel).Aggregate(iter([pb.AggregateRequest()]), timeout=timeouts.SECONDS)
    assert len(refusals) == 1


@pytest.mark.parametrize("method", ["Calculate", "Aggregate"])
def test_a_call_over_a_connection_that_freezes_fails_or_is_retried(
    servicer: Servicer, serve: Serve, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(channel, "KEEPALIVE_MS", 200)
    monkeypatch.setattr(channel, "KEEPALIVE_TIMEOUT_MS", round(timeouts.SECONDS * 1000 / 30))
    called: queue.SimpleQueue[str] = queue.SimpleQueue()
    release = threading.Event()

    def wait(_context: grpc.ServicerContext) -> None:
        called.put(method)
        assert release.wait(timeouts.SECONDS)

    servicer.calculate = wait
    port = int(serve().rpartition(":")[2])
    with Relay(port) as relay, connect(f"localhost:{relay.port}") as opened:
        stub = calculator_pb2_grpc.CalculatorStub(opened)
        if method == "Calculate":
            call: Any = stub.Calculate.future(REQUEST, timeout=timeouts.SECONDS)
        else:
            call = stub.Aggregate.future(iter([pb.AggregateRequest()]), timeout=timeouts.SECONDS)
        assert called.get(timeout=timeouts.SECONDS) == method
        relay.freeze()
        if method == "Calculate":
            assert called.get(timeout=timeouts.SECONDS) == method
            release.set()
            assert call.result().result == 5
        else:
            assert call.exception().code() is grpc.StatusCode.UNAVAILABLE
            release.set()


def test_backoff_grows_with_the_failed_attempts_up_to_a_limit() -> None:
    assert backoff_seconds(0) == 0
    assert 0.08 <= backoff_seconds(1) <= 0.12
    assert 0.64 <= backoff_seconds(4) <= 0.96
    assert 1.6 <= backoff_seconds(100) <= 2.4
