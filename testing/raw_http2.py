"""A raw HTTP/2 client, which sends exactly what a test tells it to, and reports what comes back.

It does not enforce the protocol, so a test can send what no real client would send but a server must survive.
"""

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from testing import timeouts

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER_BYTES = 9
_PREFIX_BYTES = 5
# The flow-control window and the largest frame that HTTP/2 allows before any SETTINGS.
_FIRST_WINDOW = 65535
_FRAME_BYTES = 16384


def request_headers(path: str, /, **changes: str | None) -> list[tuple[str, str]]:
    """Return the headers of a gRPC call.

    Args:
        path: the method, /SERVICE/METHOD.
        changes: headers to replace or add, by name: write `_` for `-`, and a pseudo-header without its colon. None
            omits the header.
    """
    fields: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for name, value in changes.items():
        known = f":{name}" if f":{name}" in fields else name.replace("_", "-")
        fields[known] = value
    return [(name, value) for name, value in fields.items() if value is not None]


def prefixed(message: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """Return a length-prefixed message.

    Args:
        message: the bytes of the message.
        compressed: the compressed flag.
        length: the length to claim; by default, the real one.
    """
    return bytes([compressed]) + (len(message) if length is None else length).to_bytes(4) + message


def frame_bytes(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return the bytes of any frame, including frames that hyperframe cannot represent."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@dataclass
class Answer:
    """Everything that came back on one stream.

    Attributes:
        headers: the response headers and the trailers, including the HTTP status and the gRPC status.
        body: the content of its DATA frames.
        ended: whether the server ended the stream with END_STREAM.
        reset: the error code of its RST_STREAM, if any.
        goaway: the error code of the connection's GOAWAY, if any.
        closed: whether the connection was closed.
    """

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    goaway: int | None = None
    closed: bool = False

    @property
    def messages(self) -> list[tuple[bool, bytes]]:
        """The complete messages in the body, each as (compressed flag, bytes)."""
        found: list[tuple[bool, bytes]] = []
        rest = self.body
        while len(rest) >= _PREFIX_BYTES:
            end = _PREFIX_BYTES + int.from_bytes(rest[1:_PREFIX_BYTES])
            if end > len(rest):
                break
            found.append((rest[0] != 0, rest[_PREFIX_BYTES:end]))
            rest = rest[end:]
        return found

    @property
    def status(self) -> int | None:
        """The gRPC status code, or None if there is no status."""
        number = self.headers.get("grpc-status")
        return None if number is None else int(number)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can arrive on the stream."""
        return self.ended or self.reset is not None or self.closed


class RawPeer:
    """One connection to a server on this machine.

    Args:
        port: the port of the server.
    """

    def __init__(self, port: int) -> None:
        """Open the connection without sending anything."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeouts.SECONDS)
        # Send small frames at once. With Nagle's algorithm, each would wait for the ACK of the previous one.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._received = b""
        self._next_stream = 1

    def close(self) -> None:
        """Close the connection without a GOAWAY."""
        self._socket.close()

    def send_bytes(self, data: bytes) -> bool:
        """Send bytes unchanged. Returns False if the server has closed the connection."""
        self._socket.settimeout(timeouts.SECONDS)
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send(self, *frames: Frame) -> bool:
        """Send frames. Returns False if the server has closed the connection."""
        return self.send_bytes(b"".join(frame.serialize() for frame in frames))

    def greet(self, settings: dict[int, int] | None = None) -> None:
        """Send the preface and SETTINGS, with which every HTTP/2 connection begins."""
        self.send_bytes(PREFACE)
        self.send(SettingsFrame(settings=settings or {}))

    def header_block(self, headers: Iterable[tuple[str, str | bytes]]) -> bytes:
        """Compress headers with HPACK. Blocks must be sent in the order of these calls, since HPACK is stateful."""
        return self._encoder.encode(list(headers), huffman=False)

    def new_stream(self) -> int:
        """Return an unused stream id."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        return stream

    def begin(self, path: str, /, **changes: str | None) -> int:
        """Send the HEADERS of a call (see `request_headers`), and return its stream id."""
        stream = self.new_stream()
        self.send(HeadersFrame(stream, self.header_block(request_headers(path, **changes)), flags=["END_HEADERS"]))
        return stream

    def send_data(self, stream: int, data: bytes = b"", *, end_stream: bool = True) -> bool:
        """Send one DATA frame of any size. Returns False if the server has closed the connection."""
        return self.send(DataFrame(stream, data, flags=["END_STREAM"] if end_stream else []))

    def call(self, path: str, /, *messages: bytes, **changes: str | None) -> Answer:
        """Make a complete call with the given messages."""
        stream = self.begin(path, **changes)
        return self.send_all(stream, b"".join(prefixed(message) for message in messages))

    def send_all(self, stream: int, data: bytes) -> Answer:
        """Send any amount of DATA within the limits of flow control, and read until the stream is over.

        Raises:
            TimeoutError: the server did not respond within the timeout.
        """
        answer = Answer()
        room = {0: _FIRST_WINDOW, stream: _FIRST_WINDOW}
        window, sent = _FIRST_WINDOW, 0
        frames = self.frames()
        while sent < len(data) and not answer.is_over:
            size = min(_FRAME_BYTES, len(data) - sent, *room.values())
            if size > 0:
                self.send_data(stream, data[sent : sent + size], end_stream=False)
                sent += size
                room = {each: left - size for each, left in room.items()}
            elif frame := next(frames, None):
                self._note(frame, answer, stream)
                if isinstance(frame, WindowUpdateFrame) and frame.stream_id in room:
                    room[frame.stream_id] += frame.window_increment
                if isinstance(frame, SettingsFrame):
                    before, window = window, frame.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, window)
                    room[stream] += window - before
            else:
                answer.closed = True
        self.send_data(stream)
        return self.read(stream, answer)

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the server closes the connection, without answering them.

        Raises:
            TimeoutError: the server did not respond within the timeout.
        """
        ends = time.monotonic() + timeouts.SECONDS
        while header := self._take(_FRAME_HEADER_BYTES, ends):
            frame, length = Frame.parse_frame_header(memoryview(header))
            body = self._take(length, ends)
            if len(body) < length:  # the server has closed the connection in the middle of a frame
                return
            frame.parse_body(memoryview(body))
            yield frame

    def _take(self, count: int, ends: float) -> bytes:
        """Return the next `count` bytes, or no bytes if the connection is closed before they arrive."""
        while len(self._received) < count:
            self._socket.settimeout(max(ends - time.monotonic(), 0.001))
            try:
                more = self._socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return b""
            self._received += more
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def read(self, stream: int, answer: Answer | None = None) -> Answer:
        """Read until a stream is over, replenishing the flow-control windows.

        Args:
            stream: the stream id.
            answer: the answer received on the stream so far.

        Raises:
            TimeoutError: the server did not respond within the timeout.
        """
        answer = answer or Answer()
        frames = self.frames()
        while not answer.is_over:
            if frame := next(frames, None):
                self._note(frame, answer, stream)
            else:
                answer.closed = True
        return answer

    def _note(self, frame: Frame, answer: Answer, stream: int) -> None:
        """Record in the answer what a frame says about a stream, and acknowledge SETTINGS and DATA."""
        if isinstance(frame, GoAwayFrame):
            answer.goaway = frame.error_code
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(flags=["ACK"]))  # the server applies its settings only then
        # Decode the headers of other streams too, since HPACK is stateful.
        headers = self._decoder.decode(frame.data) if isinstance(frame, HeadersFrame) else []
        if isinstance(frame, DataFrame) and frame.data:
            more = len(frame.data)
            self.send(*(WindowUpdateFrame(each, window_increment=more) for each in (0, frame.stream_id)))
        if frame.stream_id != stream:
            return
        answer.headers |= {str(name): str(value) for name, value in headers}
        answer.body += frame.data if isinstance(frame, DataFrame) else b""
        answer.ended |= "END_STREAM" in frame.flags
        answer.reset = frame.error_code if isinstance(frame, RstStreamFrame) else answer.reset

    def wait_for_close(self) -> None:
        """Wait until the server closes the connection, discarding the frames that it still sends.

        Raises:
            TimeoutError: the server did not close the connection within the timeout.
        """
        for _ in self.frames():
            pass


@contextmanager
def silent(port: int) -> Iterator[RawPeer]:
    """Open a connection without sending anything, and close it when the block ends."""
    peer = RawPeer(port)
    try:
        yield peer
    finally:
        peer.close()


@contextmanager
def connected(port: int, settings: dict[int, int] | None = None) -> Iterator[RawPeer]:
    """Open a connection, send the preface and SETTINGS, and close it when the block ends."""
    with silent(port) as peer:
        peer.greet(settings)
        yield peer
