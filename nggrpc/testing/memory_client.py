"""An HTTP/2 client without a socket: a test carries its bytes to a `Connection` and back."""

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
    """What a client sends in one call.

    Attributes:
        path: the method, such as "/Test/Echo".
        body: the DATA frames, joined.
        extra: headers beside those that gRPC requires.
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
    """What a client has received of a call.

    Attributes:
        headers: all headers and trailers.
        body: the DATA frames, joined.
        reset: the code of an RST_STREAM frame.
    """

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    reset: int | None = None

    @property
    def status(self) -> int | None:
        """The number of the gRPC status, if there is one."""
        return next((int(value) for name, value in self.headers if name == b"grpc-status"), None)


class MemoryClient:
    """A client of one connection.

    Attributes:
        h2: the state of its HTTP/2 connection.
        responses: what it has received, by stream.
        is_asked_to_leave: whether it has received a GOAWAY frame.
    """

    def __init__(self) -> None:
        """Have the preface to send."""
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.h2.initiate_connection()
        self.responses: dict[int, Response] = {}
        self.is_asked_to_leave = False

    def begin(self, request: Request) -> int:
        """Send a request, and return the number of its stream."""
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
                self.is_asked_to_leave = True

    def exchange(self, connection: Connection, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
        """Carry what the client has to send to a connection, and what that has to send back, until both have nothing.

        Args:
            connection: the server's side.
            cut: splits the bytes, in the order in which the connection gets them.
        """
        while data := self.h2.data_to_send():
            for part in cut(data):
                connection.receive(part)
                self.receive(drain(connection))


def prefixed(message: bytes, flag: int = 0) -> bytes:
    """Return a message as it is on the wire."""
    return messages.prefix(flag, len(message)) + message


def drain(connection: Connection, until: float = math.inf) -> bytes:
    """Run the handlers of a connection, and return all that it has to send.

    Args:
        connection: the connection.
        until: when no more handlers begin or resume, by time.perf_counter.
    """
    sent = b""
    while connection.has_more:
        connection.run_scheduled(until)
        sent += connection.data_to_send()
    connection.settle()
    return sent
