"""The servicer of grpc.testing.TestService, for tests only.

https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md#server
"""

import time
from collections.abc import Iterable, Iterator

import grpc
from interop import empty_pb2, messages_pb2, test_pb2_grpc

from nggrpc import never_blocks

_ECHO_INITIAL = "x-grpc-test-echo-initial"
_ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"


def _echo_metadata(context: grpc.ServicerContext) -> None:
    metadata = dict(context.invocation_metadata())
    if _ECHO_INITIAL in metadata:
        context.send_initial_metadata(((_ECHO_INITIAL, metadata[_ECHO_INITIAL]),))
    if _ECHO_TRAILING in metadata:
        context.set_trailing_metadata(((_ECHO_TRAILING, metadata[_ECHO_TRAILING]),))


def _echo_status(status: messages_pb2.EchoStatus, context: grpc.ServicerContext) -> None:
    if status.code:
        [code] = [code for code in grpc.StatusCode if code.value[0] == status.code]
        context.abort(code, status.message)


def _payload(size: int) -> messages_pb2.Payload:
    return messages_pb2.Payload(body=bytes(size))


def _responses(
    requests: Iterable[messages_pb2.StreamingOutputCallRequest], context: grpc.ServicerContext
) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
    for request in requests:
        _echo_status(request.response_status, context)
        for parameters in request.response_parameters:
            time.sleep(parameters.interval_us / 1e6)
            if not parameters.compressed.value:
                context.disable_next_message_compression()
            yield messages_pb2.StreamingOutputCallResponse(payload=_payload(parameters.size))


class TestServicer(test_pb2_grpc.TestServiceServicer):
    """`TestService` without UnimplementedCall, which no server implements.

    It does not check `expect_compressed`: grpcio does not tell a servicer whether a request was compressed.
    """

    @never_blocks
    def EmptyCall(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Return an empty message."""
        return empty_pb2.Empty()

    @never_blocks
    def UnaryCall(
        self, request: messages_pb2.SimpleRequest, context: grpc.ServicerContext
    ) -> messages_pb2.SimpleResponse:
        """Return a payload of the requested size."""
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        _echo_metadata(context)
        _echo_status(request.response_status, context)
        return messages_pb2.SimpleResponse(payload=_payload(request.response_size))

    CacheableUnaryCall = UnaryCall

    @never_blocks
    def StreamingInputCall(
        self, request_iterator: Iterator[messages_pb2.StreamingInputCallRequest], context: grpc.ServicerContext
    ) -> messages_pb2.StreamingInputCallResponse:
        """Return the number of bytes received."""
        size = sum(len(request.payload.body) for request in request_iterator)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=size)

    @never_blocks
    def StreamingOutputCall(
        self, request: messages_pb2.StreamingOutputCallRequest, context: grpc.ServicerContext
    ) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
        """Stream payloads of the requested sizes."""
        if any(parameters.compressed.value for parameters in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        return _responses([request], context)

    @never_blocks
    def FullDuplexCall(
        self, request_iterator: Iterator[messages_pb2.StreamingOutputCallRequest], context: grpc.ServicerContext
    ) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
        """Stream the responses to each request as it arrives."""
        _echo_metadata(context)
        return _responses(request_iterator, context)

    @never_blocks
    def HalfDuplexCall(
        self, request_iterator: Iterator[messages_pb2.StreamingOutputCallRequest], context: grpc.ServicerContext
    ) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
        """Stream the responses to all requests after the last request has arrived."""
        return _responses(list(request_iterator), context)
