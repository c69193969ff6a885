"""Interop cases with grpcio's client: one function per case, under its official name."""

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from interop import empty_pb2, messages_pb2, test_pb2_grpc

from tests.interop import cases

TIMEOUT = cases.TIMEOUT_SECONDS


def run(case: str, address: str) -> None:
    """Run a case; raise an exception if it fails."""
    with grpc.insecure_channel(address) as channel:
        globals()[case](channel)
        empty_unary(channel)  # some cases end before they have reached the server


def _stub(channel: grpc.Channel) -> test_pb2_grpc.TestServiceStub:
    return test_pb2_grpc.TestServiceStub(channel)


def _expect(code: grpc.StatusCode, details: str | None, call: Any, end: Callable[[], Any]) -> None:  # noqa: ANN401
    """Wait for the end of a call, and check its status."""
    with contextlib.suppress(grpc.RpcError):
        end()
    assert call.code() == code, call
    assert details in (None, call.details()), call


def _expect_unary(code: grpc.StatusCode, details: str | None, call: Any) -> None:  # noqa: ANN401
    _expect(code, details, call, call.result)


def _expect_stream(code: grpc.StatusCode, details: str | None, call: Any) -> None:  # noqa: ANN401
    _expect(code, details, call, lambda: list(call))


class _Requests:
    """A stream of requests that a case sends one at a time."""

    def __init__(self) -> None:
        self._queue = queue.SimpleQueue[Any]()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._queue.get, None)

    def send(self, request: Any) -> None:  # noqa: ANN401 - of any stream
        self._queue.put(request)

    def end(self) -> None:
        self._queue.put(None)


def empty_unary(channel: grpc.Channel) -> None:
    assert _stub(channel).EmptyCall(empty_pb2.Empty(), timeout=TIMEOUT) == empty_pb2.Empty()


def large_unary(channel: grpc.Channel) -> None:
    response = _stub(channel).UnaryCall(cases.large_unary(), timeout=TIMEOUT)
    assert response.payload.body == bytes(cases.LARGE_RESPONSE_SIZE)


def client_streaming(channel: grpc.Channel) -> None:
    uploads = (cases.upload(size) for size in cases.UPLOAD_SIZES)
    response = _stub(channel).StreamingInputCall(uploads, timeout=TIMEOUT)
    assert response.aggregated_payload_size == sum(cases.UPLOAD_SIZES)


def server_streaming(channel: grpc.Channel) -> None:
    responses = _stub(channel).StreamingOutputCall(cases.download(*cases.DOWNLOAD_SIZES), timeout=TIMEOUT)
    assert [len(response.payload.body) for response in responses] == list(cases.DOWNLOAD_SIZES)


def ping_pong(channel: grpc.Channel) -> None:
    requests = _Requests()
    responses = _stub(channel).FullDuplexCall(iter(requests), timeout=TIMEOUT)
    for request, size in zip(cases.ping_pong(), cases.DOWNLOAD_SIZES, strict=True):
        requests.send(request)
        assert next(responses).payload.body == bytes(size)
    requests.end()
    assert list(responses) == []


def empty_stream(channel: grpc.Channel) -> None:
    assert list(_stub(channel).FullDuplexCall(iter(()), timeout=TIMEOUT)) == []


def custom_metadata(channel: grpc.Channel) -> None:
    metadata = (cases.INITIAL_METADATA, cases.TRAILING_METADATA)
    requests = iter([cases.download(cases.LARGE_RESPONSE_SIZE, upload_size=cases.LARGE_REQUEST_SIZE)])
    unary = _stub(channel).UnaryCall.future(cases.large_unary(), metadata=metadata, timeout=TIMEOUT)
    duplex = _stub(channel).FullDuplexCall(requests, metadata=metadata, timeout=TIMEOUT)
    _expect_unary(grpc.StatusCode.OK, None, unary)
    _expect_stream(grpc.StatusCode.OK, None, duplex)
    for call in (unary, duplex):
        assert cases.INITIAL_METADATA in call.initial_metadata()
        assert cases.TRAILING_METADATA in call.trailing_metadata()


def _status(channel: grpc.Channel, status: messages_pb2.EchoStatus) -> None:
    unary = _stub(channel).UnaryCall.future(cases.unary(0, 0, response_status=status), timeout=TIMEOUT)
    requests = iter([messages_pb2.StreamingOutputCallRequest(response_status=status)])
    duplex = _stub(channel).FullDuplexCall(requests, timeout=TIMEOUT)
    _expect_unary(grpc.StatusCode.UNKNOWN, status.message, unary)
    _expect_stream(grpc.StatusCode.UNKNOWN, status.message, duplex)


def status_code_and_message(channel: grpc.Channel) -> None:
    _status(channel, cases.STATUS)


def special_status_message(channel: grpc.Channel) -> None:
    _status(channel, cases.SPECIAL_STATUS)


def unimplemented_method(channel: grpc.Channel) -> None:
    call = _stub(channel).UnimplementedCall.future(empty_pb2.Empty(), timeout=TIMEOUT)
    _expect_unary(grpc.StatusCode.UNIMPLEMENTED, None, call)


def unimplemented_service(channel: grpc.Channel) -> None:
    call = test_pb2_grpc.UnimplementedServiceStub(channel).UnimplementedCall.future(empty_pb2.Empty(), timeout=TIMEOUT)
    _expect_unary(grpc.StatusCode.UNIMPLEMENTED, None, call)


def cancel_after_begin(channel: grpc.Channel) -> None:
    requests = _Requests()
    call = _stub(channel).StreamingInputCall.future(iter(requests), timeout=TIMEOUT)
    call.cancel()
    requests.end()
    assert call.cancelled()
    assert call.code() == grpc.StatusCode.CANCELLED


def cancel_after_first_response(channel: grpc.Channel) -> None:
    requests = _Requests()
    call = _stub(channel).FullDuplexCall(iter(requests), timeout=TIMEOUT)
    requests.send(cases.ping_pong()[0])
    assert next(call).payload.body == bytes(cases.DOWNLOAD_SIZES[0])
    call.cancel()
    requests.end()
    _expect_stream(grpc.StatusCode.CANCELLED, None, call)


def timeout_on_sleeping_server(channel: grpc.Channel) -> None:
    requests = _Requests()
    call = _stub(channel).FullDuplexCall(iter(requests), timeout=cases.SHORT_TIMEOUT_SECONDS)
    requests.send(
        messages_pb2.StreamingOutputCallRequest(payload=messages_pb2.Payload(body=bytes(cases.UPLOAD_SIZES[0])))
    )
    _expect_stream(grpc.StatusCode.DEADLINE_EXCEEDED, None, call)
    requests.end()


def client_compressed_unary(channel: grpc.Channel) -> None:
    for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
        response = _stub(channel).UnaryCall(cases.large_unary(), compression=compression, timeout=TIMEOUT)
        assert response.payload.body == bytes(cases.LARGE_RESPONSE_SIZE)


def server_compressed_unary(channel: grpc.Channel) -> None:
    for compressed in (True, False):
        request = cases.large_unary(response_compressed=messages_pb2.BoolValue(value=compressed))
        response = _stub(channel).UnaryCall(request, timeout=TIMEOUT)
        assert response.payload.body == bytes(cases.LARGE_RESPONSE_SIZE)


def client_compressed_streaming(channel: grpc.Channel) -> None:
    uploads = (cases.upload(size) for size in cases.COMPRESSED_UPLOAD_SIZES)
    response = _stub(channel).StreamingInputCall(uploads, compression=grpc.Compression.Gzip, timeout=TIMEOUT)
    assert response.aggregated_payload_size == sum(cases.COMPRESSED_UPLOAD_SIZES)


def server_compressed_streaming(channel: grpc.Channel) -> None:
    request = cases.download(*cases.COMPRESSED_DOWNLOAD_SIZES, compressed=(True, False))
    responses = _stub(channel).StreamingOutputCall(request, timeout=TIMEOUT)
    assert [len(response.payload.body) for response in responses] == list(cases.COMPRESSED_DOWNLOAD_SIZES)
