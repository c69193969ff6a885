"""The HTTP/2 session of a connection: the only module that uses ngh2.

ngh2 wraps nghttp2, the library behind curl, Node.js and Apache httpd, and does no I/O. We chose it because it parses
and serializes frames in C, and because it limits the memory that a hostile peer can make it allocate.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import ngh2
from ngh2 import (
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    Event,
    PingAcknowledged,
    PingReceived,
    RequestReceived,
    Setting,
    SettingsReceived,
    StreamClosed,
    TrailersReceived,
)

__all__ = [
    "ConnectionClosed",
    "DataReceived",
    "ErrorCode",
    "Event",
    "Headers",
    "PingAcknowledged",
    "PingReceived",
    "ProtocolError",
    "RequestReceived",
    "Session",
    "SettingsReceived",
    "StreamClosed",
    "TrailersReceived",
    "new_session",
]

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

ProtocolError = ngh2.NGH2Error
"""Raised if the peer broke the protocol, exceeded a limit, or has reset the stream."""

# The receive window of a stream: how much a client may send before the handler takes it.
STREAM_WINDOW_BYTES = 1 << 18

# The receive window of a connection is so large that it never limits a client. With a smaller window, calls that wait
# for a thread could fill it, and calls that occupy the threads could not receive the rest of their requests.
CONNECTION_WINDOW_BYTES = 1 << 30

# A larger frame costs less per byte, but is buffered until it is complete and then processed in one piece.
MAX_FRAME_BYTES = 1 << 15

# Headers beyond these limits close the connection. Headers that exceed only grpc.max_metadata_size fail their call.
_MAX_HEADER_BYTES = 1 << 16
_MAX_HEADERS = 1000

# The maximum number of PING and SETTINGS frames whose acknowledgement is not sent yet. This is more than one read can
# contain, so that a client that pings too often is told the reason before the connection is closed.
_MAX_ACKNOWLEDGEMENTS = 10_000

# The burst and the rate per second of stream resets that a client may send. nghttp2's defaults, 1000 and 33, suit
# browsers. A gRPC client resets a stream for each call that it cancels or whose deadline passes.
_RESET_RATE_LIMIT = (2000, 200)


class Session(Protocol):
    """The interface of an HTTP/2 session that `Connection` requires; ngh2.Connection implements it."""

    def receive_data(self, data: bytes | memoryview) -> None:
        """Process bytes from the peer."""

    def events(self) -> list[Event]:
        """Return the events since the last call."""

    def data_to_send(self, amount: int) -> bytes:
        """Return at most `amount` bytes to send, as far as flow control allows."""

    def send_response(self, stream_id: int, headers: Headers, *, end_stream: bool = False) -> None:
        """Queue response headers."""

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Queue a part of a response body."""

    def send_trailers(self, stream_id: int, headers: Headers) -> None:
        """Queue trailers, which end the stream after its body."""

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        """Queue an RST_STREAM frame."""

    def acknowledge_received_data(self, amount: int, stream_id: int) -> None:
        """Open the receive windows of the stream and the connection by `amount` bytes."""

    def queued_body_size(self, stream_id: int) -> int:
        """Return the number of queued bytes of a response body."""

    def stream_remote_window_size(self, stream_id: int) -> int:
        """Return the send window of a stream, in bytes."""

    @property
    def remote_window_size(self) -> int:
        """The send window of the connection, in bytes."""

    @property
    def local_window_size(self) -> int:
        """The receive window of the connection, in bytes."""

    def ping(self, opaque_data: bytes) -> None:
        """Queue a PING frame."""

    def send_shutdown_notice(self) -> None:
        """Queue a GOAWAY frame that asks the peer to open no new streams, but does not refuse any yet."""

    def send_goaway(self, error_code: int = 0, *, last_stream_id: int | None = None, debug_data: bytes = b"") -> None:
        """Queue a GOAWAY frame."""


def new_session(max_streams: int, max_header_bytes: int) -> Session:
    """Create the server side of an HTTP/2 session.

    Args:
        max_streams: the maximum number of concurrent streams.
        max_header_bytes: the maximum size of a header list that is advertised to the peer.
    """
    configuration = ngh2.Configuration(
        auto_window_update=False,
        max_inbound_header_list_size=max(_MAX_HEADER_BYTES, 2 * max_header_bytes),
        max_inbound_header_count=_MAX_HEADERS,
        stream_reset_rate_limit=_RESET_RATE_LIMIT,
        max_outbound_ack=_MAX_ACKNOWLEDGEMENTS,
    )
    session = ngh2.Connection(ngh2.Role.SERVER, configuration)
    session.initiate_connection(
        {
            Setting.MAX_CONCURRENT_STREAMS: max_streams,
            Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
            Setting.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
            Setting.MAX_HEADER_LIST_SIZE: max_header_bytes,
        }
    )
    session.set_local_window_size(CONNECTION_WINDOW_BYTES)
    return session
