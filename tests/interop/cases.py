"""The official interop cases: their names, and the messages that the Python peers send and expect.

https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
"""

from typing import Any

from interop import messages_pb2

from testing import timeouts

NAMES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
    "client_compressed_unary",
    "server_compressed_unary",
    "client_compressed_streaming",
    "server_compressed_streaming",
)

SERVICE = "/grpc.testing.TestService/"
UNIMPLEMENTED_SERVICE = "/grpc.testing.UnimplementedService/"

UPLOAD_SIZES = (27182, 8, 1828, 45904)
DOWNLOAD_SIZES = (31415, 9, 2653, 58979)
LARGE_REQUEST_SIZE = 271828
LARGE_RESPONSE_SIZE = 314159
COMPRESSED_UPLOAD_SIZES = (27182, 45904)
COMPRESSED_DOWNLOAD_SIZES = (31415, 92653)

INITIAL_METADATA = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING_METADATA = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")

STATUS = messages_pb2.EchoStatus(code=2, message="test status message")
SPECIAL_STATUS = messages_pb2.EchoStatus(
    code=2, message="\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
)

# Only the case that tests the deadline uses a shorter timeout.
TIMEOUT_SECONDS = timeouts.SECONDS
SHORT_TIMEOUT_SECONDS = 0.001


def _payload(size: int) -> messages_pb2.Payload:
    return messages_pb2.Payload(body=bytes(size))


def unary(size: int, response_size: int, **fields: Any) -> messages_pb2.SimpleRequest:  # noqa: ANN401
    """Return a request with a payload of `size` bytes that asks for a response of `response_size` bytes."""
    return messages_pb2.SimpleRequest(payload=_payload(size), response_size=response_size, **fields)


def large_unary(**fields: Any) -> messages_pb2.SimpleRequest:  # noqa: ANN401
    """Return the request of the case large_unary."""
    return unary(LARGE_REQUEST_SIZE, LARGE_RESPONSE_SIZE, **fields)


def upload(size: int, **fields: Any) -> messages_pb2.StreamingInputCallRequest:  # noqa: ANN401
    """Return a message of a client stream, with a payload of `size` bytes."""
    return messages_pb2.StreamingInputCallRequest(payload=_payload(size), **fields)


def download(
    *sizes: int, upload_size: int = 0, compressed: tuple[bool, ...] = ()
) -> messages_pb2.StreamingOutputCallRequest:
    """Return a request for responses of these sizes, each compressed or not."""
    flags = compressed or (False,) * len(sizes)
    return messages_pb2.StreamingOutputCallRequest(
        payload=_payload(upload_size),
        response_parameters=[
            messages_pb2.ResponseParameters(size=size, compressed=messages_pb2.BoolValue(value=flag))
            for size, flag in zip(sizes, flags, strict=True)
        ],
    )


def ping_pong() -> list[messages_pb2.StreamingOutputCallRequest]:
    """Return the requests of the case ping_pong, each of which asks for one response."""
    return [download(size, upload_size=up) for up, size in zip(UPLOAD_SIZES, DOWNLOAD_SIZES, strict=True)]
