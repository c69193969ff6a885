"""Tests of the descriptions of failed calls, with statuses from a real server."""

from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from client import failures
from client.channel import connect
from testing import timeouts


def _refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
    """End the call with the status and the details that the request asks for."""
    status, _, details = request.decode().partition(":")
    context.abort(grpc.StatusCode[status], details)


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_refuse)
    server = grpc.server(
        futures.ThreadPoolExecutor(), handlers=[grpc.method_handlers_generic_handler("Any", {"Method": method})]
    )
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield f"localhost:{port}"
    server.stop(grace=None).wait()


@pytest.mark.parametrize(
    ("status", "details", "description"),
    [
        ("INVALID_ARGUMENT", "operation 7 is unknown", "INVALID_ARGUMENT: operation 7 is unknown"),
        ("INTERNAL", "one line\n  and another\r\n", "INTERNAL: one line and another"),
        ("UNIMPLEMENTED", "", "UNIMPLEMENTED: {target} does not serve this method; name another server with --target"),
        (
            "DEADLINE_EXCEEDED",
            "Deadline Exceeded",
            "DEADLINE_EXCEEDED: Deadline Exceeded; {target} did not answer within 3 s; increase --timeout",
        ),
        ("DEADLINE_EXCEEDED", "the server's own", "DEADLINE_EXCEEDED: the server's own"),
        ("NOT_FOUND", "", "NOT_FOUND: {target} does not know this name"),
        ("DATA_LOSS", "", "DATA_LOSS"),
    ],
)
def test_describe_returns_one_line_with_the_status_and_what_to_do(
    target: str, status: str, details: str, description: str
) -> None:
    with connect(target) as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/Any/Method")
        with pytest.raises(grpc.RpcError) as refused:
            method(f"{status}:{details}".encode(), timeout=timeouts.SECONDS)
    assert failures.describe(refused.value, target, timeout=3) == description.format(target=target)
