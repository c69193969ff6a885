"""The HTTP/2 protocol state machine of one connection: the only module that uses ngh2.

ngh2 wraps nghttp2, the library behind curl, Node.js and Apache httpd, and does no I/O. It was chosen because it parses
and writes frames in C, and because it bounds what a hostile peer can make it hold.
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
"""An operation failed: the peer broke the protocol, exceeded a limit, or has reset the stream."""

# The receive window of a stream: how much a client may send before a handler has taken it.
STREAM_WINDOW_BYTES = 1 << 18

# That of a connection is so large that it never limits a client: otherwise calls that wait for a thread would fill it,
# and the calls that have the threads would wait for the rest of their requests.
CONNECTION_WINDOW_BYTES = 1 << 30

# A larger frame is cheaper per byte, but is kept in memory until it is complete, and is then processed at once.
MAX_FRAME_BYTES = 1 << 15

# Beyond these limits the connection is closed. A call whose metadata is too large, but below them, gets a status.
_MAX_HEADER_BYTES = 1 << 16
_MAX_HEADERS = 1000

# How many PING and SETTINGS frames may wait for their acknowledgement. It is more than are read at once: a client that
# pings too often has to be told so before the connection is closed.
_MAX_ACKNOWLEDGEMENTS = 10_000

# How many streams a client may reset at once, and how many a second after that. nghttp2's default, 1000 and 33, is for
# browsers. A gRPC client resets a stream for each call that it cancels or whose deadline passes.
_RESETS = (2000, 200)


class Session(Protocol):
    """What a connection needs of an HTTP/2 library; ngh2.Connection has these methods."""

    def receive_data(self, data: bytes | memoryview) -> None:
        """Process bytes from the peer."""

    def events(self) -> list[Event]:
        """Return and forget what has happened."""

    def data_to_send(self, amount: int) -> bytes:
        """Return at most `amount` bytes to send, as far as flow control allows."""

    def send_response(self, stream_id: int, headers: Headers, *, end_stream: bool = False) -> None:
        """Queue response headers."""

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Queue a part of a response body."""

    def send_trailers(self, stream_id: int, headers: Headers) -> None:
        """Queue trailers, which end the stream once its body was sent."""

    def reset_stream(self, stream_id: int, error_code: int) -> None:
        """Queue an RST_STREAM frame."""

    def acknowledge_received_data(self, amount: int, stream_id: int) -> None:
        """Let the peer send as many bytes again."""

    def queued_body_size(self, stream_id: int) -> int:
        """Return how many bytes of a response body are waiting."""

    def stream_remote_window_size(self, stream_id: int) -> int:
        """Return how many bytes the peer allows to be sent on a stream."""

    @property
    def remote_window_size(self) -> int:
        """How many bytes the peer allows to be sent on the connection."""

    @property
    def local_window_size(self) -> int:
        """How many bytes the peer may send on the connection."""

    def ping(self, opaque_data: bytes) -> None:
        """Queue a PING frame."""

    def send_shutdown_notice(self) -> None:
        """Queue a GOAWAY frame that asks for no new streams, and refuses none."""

    def send_goaway(self, error_code: int = 0, *, last_stream_id: int | None = None, debug_data: bytes = b"") -> None:
        """Queue a GOAWAY frame."""


def new_session(max_streams: int, max_header_bytes: int) -> Session:
    """Return the server side of a new connection.

    Args:
        max_streams: how many streams the peer may have open at once.
        max_header_bytes: the size of a header list that the peer is told to keep to.
    """
    configuration = ngh2.Configuration(
        auto_window_update=False,
        max_inbound_header_list_size=max(_MAX_HEADER_BYTES, 2 * max_header_bytes),
        max_inbound_header_count=_MAX_HEADERS,
        stream_reset_rate_limit=_RESETS,
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
