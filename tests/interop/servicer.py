"""The servicer of grpc.testing.TestService, for tests alone.

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
    """`TestService`, but for UnimplementedCall, which no server implements.

    Whether a request came compressed, as `expect_compressed` asks, no servicer over grpcio is told.
    """

    @never_blocks
    def EmptyCall(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Answer nothing."""
        return empty_pb2.Empty()

    @never_blocks
    def UnaryCall(
        self, request: messages_pb2.SimpleRequest, context: grpc.ServicerContext
    ) -> messages_pb2.SimpleResponse:
        """Answer as many bytes as asked for."""
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
        """Answer how many bytes came."""
        size = sum(len(request.payload.body) for request in request_iterator)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=size)

    @never_blocks
    def StreamingOutputCall(
        self, request: messages_pb2.StreamingOutputCallRequest, context: grpc.ServicerContext
    ) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
        """Answer messages of the sizes asked for."""
        if any(parameters.compressed.value for parameters in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        return _responses([request], context)

    @never_blocks
    def FullDuplexCall(
        self, request_iterator: Iterator[messages_pb2.StreamingOutputCallRequest], context: grpc.ServicerContext
    ) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
        """Answer each request at once."""
        _echo_metadata(context)
        return _responses(request_iterator, context)

    @never_blocks
    def HalfDuplexCall(
        self, request_iterator: Iterator[messages_pb2.StreamingOutputCallRequest], context: grpc.ServicerContext
    ) -> Iterator[messages_pb2.StreamingOutputCallResponse]:
        """Answer all requests when the last has come."""
        return _responses(list(request_iterator), context)
