"""An HTTP/2 client without a socket: tests pass its bytes to a `Connection` and back."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from nggrpc import messages
from nggrpc.connection import Connection


@dataclass(frozen=True)
class Request:
    """The request of a call.

    Attributes:
        path: the path of the method, such as "/Test/Echo".
        body: the payload of the DATA frame.
        extra: headers in addition to those that gRPC requires.
        content_type: the content type.
        ends: whether the client ends its side of the stream.
    """

    path: str
    body: bytes = b""
    extra: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/grpc"
    ends: bool = True


@dataclass
class Response:
    """The response to a call, as far as it was received.

    Attributes:
        headers: all headers and trailers.
        body: the joined payloads of the DATA frames.
        reset: the error code of an RST_STREAM frame; None if the stream was not reset.
    """

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    reset: int | None = None

    @property
    def status(self) -> int | None:
        """The gRPC status code as a number; None if it was not received."""
        return next((int(value) for name, value in self.headers if name == b"grpc-status"), None)


class MemoryClient:
    """A client with one connection.

    Attributes:
        h2: the client side of the HTTP/2 connection.
        responses: the responses by stream ID.
        has_goaway: whether a GOAWAY frame was received.
    """

    def __init__(self) -> None:
        """Queue the client preface."""
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.h2.initiate_connection()
        self.responses: dict[int, Response] = {}
        self.has_goaway = False

    def begin(self, request: Request) -> int:
        """Queue a request, and return its stream ID."""
        stream_id = self.h2.get_next_available_stream_id()
        self.responses[stream_id] = Response()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", request.path), (":authority", "test")]
        headers += [("te", "trailers"), ("content-type", request.content_type), *request.extra]
        self.h2.send_headers(stream_id, headers)
        if request.body or request.ends:
            self.h2.send_data(stream_id, request.body, end_stream=request.ends)
        return stream_id

    def receive(self, data: bytes) -> None:
        """Process bytes from the server."""
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                self.responses[event.stream_id].headers += [
                    (bytes(name), bytes(value)) for name, value in event.headers
                ]
            elif isinstance(event, h2.events.DataReceived):
                self.responses[event.stream_id].body += event.data
            elif isinstance(event, h2.events.StreamReset):
                self.responses[event.stream_id].reset = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.has_goaway = True

    def exchange(self, connection: Connection, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
        """Pass bytes between the client and a connection until both have nothing to send.

        Args:
            connection: the server side.
            cut: splits the bytes of the client into the parts that the connection receives.
        """
        while data := self.h2.data_to_send():
            for part in cut(data):
                connection.receive(part)
                self.receive(drain(connection))


def prefixed(message: bytes, flag: int = 0) -> bytes:
    """Return a message with its prefix, as it is sent in DATA frames."""
    return messages.prefix(flag, len(message)) + message


def drain(connection: Connection, until: float = math.inf) -> bytes:
    """Run the handlers of a connection, and return all of its output.

    Args:
        connection: the connection.
        until: when to stop running handlers, by time.perf_counter.
    """
    sent = b""
    while connection.has_more:
        connection.run_scheduled(until)
        sent += connection.data_to_send()
    connection.settle()
    return sent
